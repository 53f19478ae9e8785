"""What a route works through: the authenticated edge of one request, and its transactions."""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, Any, Final, TypedDict, TypeVar
from urllib.parse import quote
from uuid import UUID

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from pydantic_core import to_json
from sqlalchemy.orm import Session
from starlette.datastructures import URL

from api.afterwards import Afterwards
from api.bodies import StrictRoute
from api.limiting import RateLimits
from api.preferences import Preference, disconnected_or, read_preference
from api.sharing import Shared
from api.threads import ProjectThreads
from api.waiting import Holder, Hub, Sight
from stocktake.db.models import Schedule, Table
from stocktake.db.pages import WRONG_CURSOR, Place
from stocktake.db.session import Database
from stocktake.errors import (
    NotAuthenticatedError,
    NotFoundError,
    PermissionDeniedError,
    RequestError,
    ValidationError,
)
from stocktake.jobs.doorbell import Doorbell
from stocktake.security.encryption import Keyring
from stocktake.security.scopes import AUDIT_READ, TABLE_READ, TABLE_WRITE, allows
from stocktake.services import idempotency, identity, quotas
from stocktake.services.context import Caller, Context
from stocktake.services.readiness import Readiness
from stocktake.settings import Settings
from stocktake.storage.guard import GuardPolicy
from stocktake.storage.uploads import ManagedStorage

__all__ = ["Answer", "AuditEdge", "Edge", "Page", "ReadEdge", "Router", "WriteEdge"]

T = TypeVar("T")
A = TypeVar("A", bound="Answer | idempotency.StoredAnswer")

_JSON: Final = "application/json"
MAX_CURSOR: Final = 200
#: Of one page, after its first result: what is larger goes on behind `next`.
MAX_PAGE_BYTES: Final = 4 * 1024 * 1024
#: Longest page; a larger `limit` is cut to it.
MAX_PAGE: Final = 1000
#: Project ids are PostgreSQL integers.
_PROJECT_ID: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
#: What paths name, whose bodies are not read where the project has no such thing.
_NAMED: Final[dict[str, type[Table | Schedule]]] = {"table_id": Table, "schedule_id": Schedule}
#: A name or an address, and a port, and nothing that would begin another part of a URL.
_HOST: Final = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.ASCII | re.I)
_bearer = HTTPBearer(auto_error=False, description="An API key, `stk_…`.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What one process's requests share; the app's lifespan builds and closes it.

    Attributes:
        reading, writing: apart, so that who waits for the write lock keeps no reader waiting.
        sending: large ends of event streams; a client may take them slowly.
    """

    settings: Settings
    database: Database
    keyring: Keyring
    guard: GuardPolicy
    storage: ManagedStorage
    doorbell: Doorbell
    hub: Hub
    limits: RateLimits
    afterwards: Afterwards
    parsing: CapacityLimiter
    reading: ProjectThreads
    writing: ProjectThreads
    sending: ProjectThreads
    readiness: Shared[Readiness]
    metrics: Shared[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a route answers.

    Attributes:
        body: a wire model or what JSON can hold; None is no body.
        job_id: the job that a client may wait for.
        after_wait: makes the answer anew, in a new transaction that may write, once that job
            has ended in time.
    """

    status: int = 200
    body: BaseModel | dict[str, Any] | list[Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    job_id: UUID | None = None
    after_wait: "Callable[[Context], Answer] | None" = None

    def stored(self) -> idempotency.StoredAnswer:
        """The answer as plain data, to keep under an idempotency key."""
        body = self.body.model_dump(mode="json") if isinstance(self.body, BaseModel) else self.body
        return idempotency.StoredAnswer(status=self.status, body=body, headers=dict(self.headers))


def parts_of(request: Request) -> Parts:
    """The parts of the app that serves this request."""
    parts: Parts = request.app.state.parts
    return parts


PartsDep = Annotated[Parts, Depends(parts_of)]


class Edge:
    """One request after authentication: it opens the transactions, and commits them.

    Attributes:
        caller: who asks, and the project of the request.
        scope: what the key needed; empty where it needed none.
    """

    def __init__(self, request: Request, parts: Parts, caller: Caller, scope: str = "") -> None:
        self.request = request
        self.parts = parts
        self.caller = caller
        self.scope = scope

    @property
    def preference(self) -> Preference:
        """How long the client, or the operator for it, wants to wait for a job."""
        return read_preference(self.request.headers, self.parts.settings.default_wait_seconds)

    async def read(self, work: "Callable[[Context], T]") -> T:
        """Run `work` in a thread, in a transaction that only reads."""

        def run() -> T:
            with self.parts.database.read() as session:
                return work(self._context(session))

        return await self.parts.reading.run(self.caller.project_id, run)

    async def show(self, work: "Callable[[Context], Answer | BaseModel | bytes]") -> Response:
        """Answer with what `work` finds; bytes are JSON already."""

        def shown(context: Context) -> Response:
            found = work(context)
            if isinstance(found, bytes):
                return Response(found, media_type=_JSON)
            return respond(found if isinstance(found, Answer) else Answer(body=found))

        return await self.read(shown)

    async def change(self, work: "Callable[[Context], T]") -> T:
        """Run `work` in a thread, in a transaction that is committed when it returns.

        For steps before the last one, such as an upload's row; `write` makes the answer.
        """

        def run() -> T:
            with self.parts.database.write() as session:
                return work(self._context(session))

        return await self.parts.writing.run(self.caller.project_id, run)

    async def write(
        self,
        work: Callable[[Context], Answer],
        *,
        wait: bool = False,
        fingerprint: bytes | None = None,
    ) -> Response:
        """Run `work`, commit, and answer; a POST with a known Idempotency-Key is not run again.

        Args:
            wait: whether to wait for `Answer.job_id`, as `Prefer: wait=N` or the default asks.
            fingerprint: stands for the body where the route has read the stream itself.
        """
        key = await self._idempotency_key(fingerprint)
        waits = wait and self.preference.seconds > 0
        given, response = await self._answered(lambda it: _guarded(it, work, key, waits))
        if isinstance(given, idempotency.StoredAnswer):
            response.headers["Idempotent-Replayed"] = "true"
        elif given.job_id is not None and waits:
            response = await self._waited(given, response, given.job_id, key)
            response.headers.update(self.preference.applied)
        return response

    async def _answered(self, work: "Callable[[Context], A]") -> tuple[A, Response]:
        """Run `work`, commit, and make its answer's bytes, in one thread."""

        def run() -> tuple[A, Response]:
            with self.parts.database.write() as session:
                given = work(self._context(session))
            return given, respond(given)  # after the commit, for which others may wait

        return await self.parts.writing.run(self.caller.project_id, run)

    async def _waited(
        self, given: Answer, response: Response, job_id: UUID, key: idempotency.Key | None
    ) -> Response:
        try:
            sight = await self.wait_for_end(job_id, self.preference.seconds)
        except RequestError:
            # What was done stays done, and its answer is that of then: nothing of what came after.
            sight = None
        if sight is None or given.after_wait is None:
            if key is not None:
                await self.change(_keeper(key, given))
            return response
        return (await self._answered(_finisher(key, given.after_wait)))[1]

    async def wait_for_end(self, job_id: UUID, seconds: float) -> Sight | None:
        """What a job was when it had ended; None if it had not in time, or the client has gone,
        or its key has as many requests waiting as it may.

        Raises:
            RequestError: what the request would be refused with by now.
        """
        with self.parts.limits.waiting(self.caller.key_id) as granted:
            if not granted:
                return None
            waiting = self.parts.hub.wait_for_end(job_id, seconds, self.holder)
            return await disconnected_or(self.request, waiting)

    @property
    def holder(self) -> Holder | None:
        """Who waits, for the hub to look at while it does."""
        key_id = self.caller.key_id
        return None if key_id is None else Holder(key_id=key_id, admit=self._admit_again)

    async def require_key(self) -> None:
        """Raise what the request would be refused with by now; for one that takes its time."""
        if (holder := self.holder) is None:
            return
        key_id = holder.key_id
        callers = await self.read(lambda it: identity.live_callers(it.session, [key_id]))
        holder.admit(callers.get(key_id))

    def _admit_again(self, caller: Caller | None) -> None:
        if caller is None:
            raise identity.invalid_key()
        if self.caller.project_id not in caller.project_ids:
            raise NotFoundError
        _require_scope(caller, self.scope)

    async def _idempotency_key(self, fingerprint: bytes | None) -> idempotency.Key | None:
        key = self.request.headers.get("idempotency-key")
        if key is None or self.request.method != "POST":
            return None
        body = await self.request.body() if fingerprint is None else fingerprint
        path = self.request.url.path.encode("utf-8", "surrogateescape")
        return idempotency.make_key(self.caller.project_id, key, b"POST", path, body)

    def _context(self, session: Session) -> Context:
        return Context(
            session=session,
            caller=self.caller,
            settings=self.parts.settings,
            keyring=self.parts.keyring,
            guard=self.parts.guard,
            storage=self.parts.storage,
        )


def _guarded(
    context: Context,
    work: Callable[[Context], Answer],
    key: idempotency.Key | None,
    waits: bool,
) -> Answer | idempotency.StoredAnswer:
    if key is None:
        return work(context)
    if (earlier := idempotency.begin(context.session, key)) is not None:
        return earlier
    answer = work(context)
    goes_on = waits and answer.job_id is not None
    idempotency.keep(context.session, key, answer.stored(), final=not goes_on)
    quotas.require_room_for_answers(context)
    return answer


def _keeper(key: idempotency.Key, answer: Answer) -> Callable[[Context], None]:
    return lambda context: idempotency.keep(context.session, key, answer.stored(), final=True)


def _finisher(
    key: idempotency.Key | None, after_wait: Callable[[Context], Answer]
) -> Callable[[Context], Answer]:
    def finish(context: Context) -> Answer:
        final = after_wait(context)
        if key is not None:
            idempotency.keep(context.session, key, final.stored(), final=True)
        return final

    return finish


def respond(answer: Answer | idempotency.StoredAnswer) -> Response:
    """The response of an answer, made in a thread: on the event loop, one of a table with very many
    columns held everybody up."""
    headers = dict(answer.headers)
    if answer.body is None:
        return Response(status_code=answer.status, headers=headers)
    return Response(to_json(answer.body), answer.status, headers, _JSON)


# --- authentication -----------------------------------------------------------------------


def _plaintext(credentials: HTTPAuthorizationCredentials | None) -> str:
    if credentials is None or not credentials.credentials:
        raise NotAuthenticatedError("Authentication credentials were not provided.")
    return credentials.credentials


Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
ProjectId = Annotated[
    str, Path(description="The project's id, or `@current` where the key belongs to one.")
]


async def account_edge(request: Request, parts: PartsDep, credentials: Bearer) -> Edge:
    """The edge of a request that names no project: its caller's project is 0."""
    caller = getattr(request.state, "caller", None)  # known already where a body was read
    if caller is None:
        caller = await _authenticated(request, parts, _plaintext(credentials))
    return Edge(request, parts, caller)


async def _authenticated(request: Request, parts: Parts, plaintext: str) -> Caller:
    def look_up() -> Caller:
        with parts.database.read() as session:
            return identity.authenticate(session, plaintext)

    try:
        caller = await to_thread.run_sync(look_up)
    except NotAuthenticatedError:
        parts.limits.count_failure(request.client.host if request.client else "unknown")
        raise
    # For the line in the log, which would mask it as a key with the letters that all begin with.
    request.state.key_prefix = (caller.key_prefix or "").removeprefix("stk_") or None
    if caller.key_id is not None:
        parts.limits.count_request(caller.key_id)
        parts.afterwards.used(caller.key_id)
    return caller


AccountEdge = Annotated[Edge, Depends(account_edge)]


class _KeyedRoute(StrictRoute):
    async def admit(self, request: Request) -> CapacityLimiter:
        parts, plaintext = parts_of(request), _plaintext(await _bearer(request))
        edge = Edge(request, parts, await _authenticated(request, parts, plaintext))
        request.state.caller = edge.caller
        for dependency in self.dependant.dependencies:
            if isinstance(dependency.call, _InProject):
                edge = dependency.call.admit(edge, request.path_params["project_id"])
                await _require_named(edge)
        return parts.parsing


async def _require_named(edge: Edge) -> None:
    """Raise NotFoundError where the path names what the project does not have.

    An answer that is kept under an Idempotency-Key outlives the thing that it was about.
    """
    if "idempotency-key" in edge.request.headers:
        return
    for name, text in edge.request.path_params.items():
        if name in _NAMED:
            await edge.read(partial(Context.require, model=_NAMED[name], row_id=_row_id(text)))


def _row_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as exc:
        raise NotFoundError from exc


class Router(APIRouter):
    """A router that reads bodies of known keys only, and strictly. All our routers are of it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(route_class=_KeyedRoute, **kwargs)


@dataclass(frozen=True, slots=True)
class _InProject:
    """A dependency that gives the edge of a request to a project, with a key of this scope."""

    scope: str

    async def __call__(self, edge: AccountEdge, project_id: ProjectId) -> Edge:
        """As FastAPI asks it: after the body, so `admit` is asked before where there is one."""
        return self.admit(edge, project_id)

    def admit(self, edge: Edge, project_id: str) -> Edge:
        """The edge of the project.

        Raises:
            RequestError: the key lacks the scope, or knows no such project.
        """
        try:
            caller = _in_project(edge, project_id, self.scope)
        except RequestError as refusal:
            edge.parts.afterwards.refused(edge.caller, self.scope, refusal.code)
            raise
        return Edge(edge.request, edge.parts, caller, self.scope)


def _in_project(edge: Edge, project_id: str, scope: str) -> Caller:
    caller = replace(edge.caller, project_id=_project(edge, project_id))
    _require_scope(caller, scope)
    return caller


def _require_scope(caller: Caller, scope: str) -> None:
    if not allows(caller.scopes, scope):
        raise PermissionDeniedError(f"API key missing required scope '{scope}'")


def _project(edge: Edge, text: str) -> int:
    bound = edge.caller.project_ids
    if text == "@current":
        if len(bound) != 1:
            raise ValidationError(
                "@current needs an API key that belongs to exactly one project.",
                attr="project_id",
            )
        return bound[0]
    if not _PROJECT_ID.fullmatch(text):
        raise NotFoundError
    # Not asked whether it exists: another tenant's is like one that does not.
    if int(text) not in bound:
        raise NotFoundError
    return int(text)


ReadEdge = Annotated[Edge, Depends(_InProject(TABLE_READ))]
AuditEdge = Annotated[Edge, Depends(_InProject(AUDIT_READ))]
WriteEdge = Annotated[Edge, Depends(_InProject(TABLE_WRITE))]


# --- pages --------------------------------------------------------------------------------


class Part(TypedDict):
    """What services take of a page."""

    limit: int
    offset: int
    after: Place | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which part of a list is wanted.

    Attributes:
        by_place: whether the client goes from place to place, by `cursor`.
        after: where the page before ended; None at the begin.
    """

    request: Request
    limit: int
    offset: int
    by_place: bool = False
    after: Place | None = None

    @property
    def part(self) -> Part:
        """What a service is asked for: one row more than is shown, to know whether there is one."""
        return {"limit": self.limit + 1, "offset": self.offset, "after": self.after}

    def body(
        self,
        count: int,
        rows: Iterable[T],
        show: Callable[[T], BaseModel],
        place: Callable[[T], Place],
        *,
        cut: bool = False,
    ) -> bytes:
        """The page on the wire: `PageBody` of whatever the results are. For a thread's use.

        It ends before `limit` where its results are large, and `next` goes on there.

        Args:
            rows: from a service that was asked for `part`, or fewer; no more are taken than fit.
            place: where a row stands in the list.
            cut: whether the service gave fewer, as they are large.
        """
        results: list[bytes] = []
        size, more, last = 0, cut, None
        for row in rows:
            result = to_json(show(row))
            size += len(result)
            if results and (len(results) == self.limit or size > MAX_PAGE_BYTES):
                more = True
                break
            results.append(result)
            last = place(row)
        following = self._next(len(results), last) if more and last else None
        before = self.offset - self.limit
        previous = self._url(offset=max(before, 0)) if self.offset > 0 else None
        links = {"count": count, "next": following, "previous": previous}
        return to_json(links)[:-1] + b',"results":[' + b",".join(results) + b"]}"

    def _next(self, shown: int, place: Place) -> str:
        if self.by_place:
            return self._url(cursor=_cursor(place))
        return self._url(offset=self.offset + shown)

    def _url(self, **where: str | int) -> str:
        scope = self.request.scope
        url = URL(f"{quote(scope['path'])}?{scope['query_string'].decode('latin-1')}")
        url = url.include_query_params(limit=self.limit, **where)
        if not where.get("offset"):
            url = url.remove_query_params("offset")
        return _origin(self.request) + str(url)


def _cursor(place: Place) -> str:
    return urlsafe_b64encode(to_json(place)).decode("ascii").rstrip("=")


def _place(cursor: str) -> Place | None:
    """What a cursor says; None of an empty one, with which a client begins."""
    if not cursor:
        return None
    try:
        place = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError) as exc:
        raise ValidationError(WRONG_CURSOR, attr="cursor") from exc
    if not isinstance(place, list):
        raise ValidationError(WRONG_CURSOR, attr="cursor")
    return place


def _origin(request: Request) -> str:
    """Where a client that was told a path would ask; empty where it named a host that is none of
    ours: who follows the link then asks again where it asked before."""
    host = request.headers.get("host", "")
    named, allowed = _HOST.fullmatch(host), parts_of(request).settings.allowed_hosts
    if named is None or not any(_is_host(named[1].lower(), each) for each in allowed):
        return ""
    return f"{request.url.scheme}://{host}"


def _is_host(name: str, allowed: str) -> bool:
    name, allowed = name.strip("[]"), allowed.lower().strip("[]")
    if allowed.startswith("*."):
        return name.endswith(allowed[1:])
    return allowed in ("*", name)


def _page(
    request: Request,
    limit: Annotated[int, Query(ge=1, description="Results per page, up to 1000.")] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9, description="Results to leave out.")] = 0,
    cursor: Annotated[
        str | None,
        Query(
            max_length=MAX_CURSOR,
            description="Empty at first, then as `next` has it. While others come and go, each "
            "result that was there at the first page and stays is shown once. One that is "
            "committed after that page is shown only where it stands further on: a list that is "
            "begun anew has it. `previous` is null.",
        ),
    ] = None,
) -> Page:
    if cursor is not None and offset:
        raise ValidationError("Send a cursor or an offset, not both.", attr="cursor")
    return Page(
        request=request,
        limit=min(limit, MAX_PAGE),
        offset=offset,
        by_place=cursor is not None,
        after=_place(cursor or ""),
    )


PageDep = Annotated[Page, Depends(_page)]
