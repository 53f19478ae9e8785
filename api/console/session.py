"""Who looks: the cookie of a browser that has signed in, and the edge of its requests.

The cookie names a key's id and when it ends, sealed with the service's secret keys. It is never the
key, and holds no longer than it: the key is looked up at every request, as the API does.
"""

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Final, Self
from uuid import UUID

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request, Response

from api.edge.authentication import InProject, begin_request
from api.edge.edge import Edge, Parts, parts_of
from api.edge.threads import ProjectThreads
from stocktake.errors import NotAuthenticatedError
from stocktake.security.encryption import Keyring
from stocktake.security.scopes import AUDIT_READ, TABLE_READ, TABLE_READ_ROWS, TABLE_WRITE
from stocktake.services import identity
from stocktake.services.context import Caller

COOKIE: Final = "stocktake_session"
SECONDS: Final = 12 * 3600
_PURPOSE: Final = "console session"
#: Threads of all the console's requests, beside the API's: a page that is slow, or many of them,
#: keep nobody else waiting.
_READING, _WRITING, _LOOKING = 4, 2, 2
_SHARE: Final = 2
#: How long a page waits for a thread.
_PATIENCE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Threads:
    """The console's own threads in one process."""

    looking: CapacityLimiter
    reading: ProjectThreads
    writing: ProjectThreads

    @classmethod
    def of_a_process(cls) -> Self:
        """Make them."""
        return cls(
            looking=CapacityLimiter(_LOOKING),
            reading=ProjectThreads(_PATIENCE_SECONDS, _SHARE, _READING),
            writing=ProjectThreads(_PATIENCE_SECONDS, _SHARE, _WRITING),
        )


def own_parts(request: Request) -> Parts:
    """Return the process's parts with the console's threads in the place of the API's."""
    threads: Threads = request.app.state.console_threads
    return replace(parts_of(request), reading=threads.reading, writing=threads.writing)


def seal(keyring: Keyring, key_id: UUID) -> str:
    """Return the cookie's value for a key, good from now on.

    Raises:
        CredentialUnavailableError: the operator has set no secret key.
    """
    return keyring.seal_text(f"{key_id.hex} {int(time.time()) + SECONDS}", purpose=_PURPOSE)


def key_of(keyring: Keyring, cookie: str) -> UUID | None:
    """Return the id of the key that a cookie names; None where it is none of ours, or has ended."""
    text = keyring.open_text(cookie, purpose=_PURPOSE)
    if text is None:
        return None
    key_id, _, until = text.partition(" ")
    return UUID(key_id) if int(until) > time.time() else None


def keep(request: Request, response: Response, value: str) -> None:
    """Set the cookie; an empty value takes it away."""
    response.set_cookie(
        COOKIE,
        value,
        max_age=SECONDS if value else 0,
        httponly=True,
        samesite="strict",
        # Over plain HTTP, as on loopback, no browser would send a secure one back.
        secure=request.url.scheme == "https",
    )


async def caller_of(request: Request) -> Caller:
    """Return who has signed in; the project is not chosen yet.

    Raises:
        NotAuthenticatedError: nobody, or with a key that does not hold any more.
        ThrottledError: the key has as many requests as it may.
    """
    parts = own_parts(request)
    key_id = key_of(parts.process.keyring, request.cookies.get(COOKIE, ""))
    threads: Threads = request.app.state.console_threads

    def look_up() -> Caller | None:
        with parts.process.database.read() as session:
            return identity.live_caller(session, key_id)

    caller = None
    if key_id is not None:
        caller = await to_thread.run_sync(look_up, limiter=threads.looking)
    if caller is None:
        raise NotAuthenticatedError("Sign in with an API key to see this page.")
    begin_request(request, parts, caller)
    return caller


async def _account(request: Request) -> Edge:
    edge = Edge(request, own_parts(request), await caller_of(request))
    request.state.console_edge = edge
    return edge


async def _in_project(scope: str, request: Request, project_id: str) -> Edge:
    edge = InProject(scope).admit(await _account(request), project_id)
    request.state.console_edge = edge
    return edge


class _Visit:
    """A dependency that gives the edge of a page of a project, to a key with this scope."""

    def __init__(self, scope: str) -> None:
        self._admit = partial(_in_project, scope)

    async def __call__(self, request: Request, project_id: str) -> Edge:
        return await self._admit(request, project_id)


AccountEdge = Annotated[Edge, Depends(_account)]
ReadEdge = Annotated[Edge, Depends(_Visit(TABLE_READ))]
WriteEdge = Annotated[Edge, Depends(_Visit(TABLE_WRITE))]
RowsEdge = Annotated[Edge, Depends(_Visit(TABLE_READ_ROWS))]
AuditEdge = Annotated[Edge, Depends(_Visit(AUDIT_READ))]
