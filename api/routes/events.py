"""One stream of what changes in a project."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic_core import to_json

from api.edge.authentication import ReadEdge
from api.edge.edge import Edge
from api.edge.feed import INTERVAL_SECONDS, Listener
from api.edge.routing import Router
from api.errors import refusal_of
from api.routes.jobs import STREAM_RETRY_SECONDS, STREAM_SECONDS
from stocktake.errors import (
    PermissionDeniedError,
    RequestError,
    ThrottledError,
    ValidationError,
    did_you_mean,
)
from stocktake.security.scopes import allows
from stocktake.services import feed
from stocktake.services.feed import SCOPES, Topic

router = Router(tags=["events"])

_LONGEST_ID: Final = 18


@dataclass(frozen=True, slots=True)
class Stream:
    """One that has its place among those that are open."""

    edge: Edge
    listener: Listener
    #: Where the client was; None: it begins now.
    after: int | None


async def _granted(
    edge: ReadEdge,
    topics: Annotated[
        str,
        Query(
            max_length=200,
            description="Any of `tables`, `jobs`, `batches`, `changes`, with commas.",
        ),
    ] = ",".join(Topic),
    last_event_id: Annotated[
        str | None, Header(description="The last event that the client has seen.")
    ] = None,
) -> AsyncIterator[Stream]:
    with open_stream(edge, topics, last_event_id) as stream:
        yield stream


@contextmanager
def open_stream(edge: Edge, topics: str, last_event_id: str | None) -> Iterator[Stream]:
    """Give a stream its place until the block ends: one that has begun can't be refused.

    Args:
        topics: with commas.
        last_event_id: the last event that the client has seen.

    Raises:
        ValidationError: there is no such topic, or no event has such an id.
        PermissionDeniedError: the key lacks a topic's scope.
        ThrottledError: there are too many streams.
    """
    wanted = _topics(edge, topics)
    after = _number(last_event_id)
    with edge.parts.limits.waiting(edge.caller.key_id) as granted:
        if not granted:
            raise ThrottledError(STREAM_RETRY_SECONDS)
        with edge.parts.feed.listener(edge.caller.project_id, wanted, edge.holder) as listener:
            yield Stream(edge, listener, after)


def _topics(edge: Edge, text: str) -> set[Topic]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in set(Topic):
            raise ValidationError(
                f"There is no topic {name[:40]!r}; {did_you_mean(name, map(str, Topic))}",
                attr="topics",
            )
    if not names:
        raise ValidationError("Name a topic: tables, jobs, batches or changes.", attr="topics")
    topics = {Topic(name) for name in names}
    for scope in {SCOPES[topic] for topic in topics}:
        if not allows(edge.caller.scopes, scope):
            raise PermissionDeniedError(f"API key missing required scope '{scope}'")
    return topics


def _number(text: str | None) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_ID):
        raise ValidationError(
            "Last-Event-ID is the id of an event of this stream, a number.", attr="Last-Event-ID"
        )
    return int(text)


@router.get("/events/", response_class=EventSourceResponse)
async def stream_events(
    stream: Annotated[Stream, Depends(_granted)],
) -> AsyncIterator[ServerSentEvent]:
    """Send what changes in the project, as server-sent events, two a second at most.

    `ready` comes first: a list that is asked for after it misses nothing. `changes` names each
    thing that changed since the event before, once, as it is now; `more` has the topics of which it
    does not name all. A client that comes back with `Last-Event-ID` gets what it missed in place of
    `ready`. `refused` is the last one, seconds after the key was revoked, expired or was cut.
    """
    async for event in tell(stream):
        yield event


async def tell(stream: Stream, of: UUID | None = None) -> AsyncIterator[ServerSentEvent]:
    """Give a stream's events until it ends.

    Args:
        of: the one thing that the client wants to know of, or the table of jobs; None: of all.
    """
    listener = stream.listener
    ends_at = time.monotonic() + STREAM_SECONDS
    try:
        if not await listener.settled():
            return
        if not await _caught_up(stream):
            yield _event("ready", listener, {})
        while True:
            async with asyncio.timeout_at(_loop_time(ends_at)):
                changes = await listener.next()
            if changes is None:
                return
            if of is None or _is_about(changes, of):
                yield _event("changes", listener, changes)
            await asyncio.sleep(INTERVAL_SECONDS)
    except TimeoutError:
        return
    except RequestError as refusal:
        yield ServerSentEvent(event="refused", data=refusal_of(refusal)[1])


def _is_about(changes: Mapping[str, Any], of: UUID) -> bool:
    topics = (things for topic, things in changes.items() if topic != "more")
    return bool(changes["more"]) or any(
        of in (each["id"], each.get("table_id")) for each in chain(*topics)
    )


async def _caught_up(stream: Stream) -> bool:
    """Take what the client has missed; whether there is any."""
    after, listener = stream.after, stream.listener
    if after is None:
        return False
    missed, more = await stream.edge.read(
        lambda it: feed.since(it.session, it.caller.project_id, listener.topics, after)
    )
    listener.add(missed, more)
    return bool(missed or more)


def _event(name: str, listener: Listener, data: dict[str, object]) -> ServerSentEvent:
    return ServerSentEvent(
        event=name, id=str(listener.cursor), raw_data=to_json(data).decode(), retry=1000
    )


def _loop_time(at: float) -> float:
    return asyncio.get_running_loop().time() + at - time.monotonic()
