"""How long a client wants to wait (RFC 7240, `Prefer: wait=N`), and whether it is still there."""

import asyncio
import re
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from fastapi import Request

from api.edge.waiting import MAX_WAIT_SECONDS

T = TypeVar("T")

_WAIT: Final = re.compile(r"""(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])""", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """For how long to wait, in seconds, and the headers that say so."""

    seconds: float
    applied: Mapping[str, str]


def read_preference(headers: Mapping[str, str], default_seconds: float) -> Preference:
    """Return the client's wish, cut to 60 s; the default where it has none or one that nobody can
    read.

    >>> read_preference({"prefer": "respond-async, wait=90"}, 0).applied
    {'Preference-Applied': 'wait=60'}
    >>> read_preference({}, 2.5).seconds
    2.5
    """
    asked = _WAIT.search(headers.get("prefer", ""))
    if asked is None:
        return Preference(seconds=min(default_seconds, MAX_WAIT_SECONDS), applied={})
    seconds = min(int(asked.group(1)), int(MAX_WAIT_SECONDS))
    return Preference(
        seconds=seconds, applied={"Preference-Applied": f"wait={seconds}"} if seconds else {}
    )


async def disconnected_or(request: Request, waiting: Awaitable[T]) -> T | None:
    """Return the result of `waiting`, or None when the client has gone before it was there.

    What is left of the request's body is thrown away.
    """
    wanted = asyncio.ensure_future(waiting)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({wanted, gone}, return_when=asyncio.FIRST_COMPLETED)
        return wanted.result() if wanted.done() else None
    finally:
        for task in (wanted, gone):
            task.cancel()
        await asyncio.gather(wanted, gone, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
