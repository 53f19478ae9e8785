"""What changes in a project, as it changes."""

import json
from collections.abc import Collection
from typing import Final

import httpx

from stocktake.client.answers import Changes
from stocktake.client.decoding import decode
from stocktake.client.errors import ServerError, ThrottledError
from stocktake.client.events import next_event
from stocktake.client.refusals import refusal_in, refusal_of
from stocktake.client.requests import (
    Listen,
    Pause,
    Request,
    Shown,
    Stream,
    retry_after,
)

TOPICS: Final = ("tables", "jobs", "batches", "changes")
#: Between two tries to have the stream again, at first and at most.
_REST_SECONDS: Final = 1.0
_LONGEST_REST_SECONDS: Final = 30.0


def watch(topics: Collection[str] = TOPICS, *, last_event_id: str | None = None) -> Stream[Changes]:
    """Iterate over what changes in the project, without an end.

    A stream that is lost is opened again where it was, and nothing is missed. The first one shown
    has nothing in it (`ready`): lists that are asked for after it miss nothing.

    Args:
        last_event_id: `Changes.id` of the last one that was seen, to go on there.

    Raises:
        RefusedError: the key does not hold any more, or may not.
    """
    rest = _REST_SECONDS
    while True:
        try:
            answer: httpx.Response = yield Listen(_request(topics, last_event_id))
            if not answer.is_success:
                raise refusal_of(answer, retry_after(answer))
            while (event := (yield from next_event())) is not None:
                if event.name == "refused":
                    raise refusal_in(event.data)
                last_event_id, rest = event.id, _REST_SECONDS
                yield Shown(decode(Changes, {"id": event.id, **json.loads(event.data)}))
        except (httpx.TransportError, ThrottledError, ServerError) as exc:
            named = getattr(exc, "retry_after_seconds", None)
            yield Pause(named or rest)
            rest = min(rest * 2, _LONGEST_REST_SECONDS)
        else:
            yield Pause(_REST_SECONDS)  # it ends every quarter of an hour


def _request(topics: Collection[str], last_event_id: str | None) -> Request:
    headers = {"Accept": "text/event-stream"}
    if last_event_id is not None:
        headers["Last-Event-ID"] = last_event_id
    return Request(
        method="GET", path="events/", query={"topics": ",".join(topics)}, headers=headers
    )
