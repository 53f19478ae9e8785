"""What a route works through: the authenticated edge of one request, and its transactions."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar
from uuid import UUID

from anyio import CapacityLimiter
from fastapi import Depends, Request, Response
from pydantic import BaseModel
from sqlalchemy.orm import Session

from api.edge.afterwards import Afterwards
from api.edge.answers import LARGE_BYTES, Answer, JsonResponse, respond
from api.edge.feed import Feed
from api.edge.known_keys import KnownKeys
from api.edge.preferences import Preference, disconnected_or, read_preference
from api.edge.rate_limits import RateLimits
from api.edge.shared_work import Shared
from api.edge.threads import ProjectThreads
from api.edge.waiting import Holder, Hub, Sight
from stocktake.errors import (
    NotFoundError,
    PermissionDeniedError,
    RequestError,
)
from stocktake.jobs.doorbell import Doorbell
from stocktake.monitoring.readiness import Readiness
from stocktake.monitoring.workers import Workers
from stocktake.parts import ProcessParts
from stocktake.security.scopes import allows
from stocktake.services import idempotency, identity, quotas
from stocktake.services.context import Caller, Context

T = TypeVar("T")


A = TypeVar("A", bound="Answer | idempotency.StoredAnswer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What one process's requests share; the app's lifespan builds and closes it.

    Attributes:
        reading, writing: apart, so that who waits for the write lock keeps no reader waiting.
        sending: large answers and ends of event streams, which a client may take slowly.
        receiving: files, which a client may send slowly.
    """

    process: ProcessParts
    doorbell: Doorbell
    hub: Hub
    feed: Feed
    limits: RateLimits
    keys: KnownKeys
    afterwards: Afterwards
    parsing: CapacityLimiter
    reading: ProjectThreads
    writing: ProjectThreads
    sending: ProjectThreads
    receiving: ProjectThreads
    readiness: Shared[Readiness]
    workers: Shared[Workers]
    metrics: Shared[bytes]


def parts_of(request: Request) -> Parts:
    """Return the parts of the app that serves this request."""
    parts: Parts = request.app.state.parts
    return parts


PartsDep = Annotated[Parts, Depends(parts_of)]


class Edge:
    """One request after authentication: it opens the transactions, and commits them.

    Attributes:
        caller: who asks, and the project of the request.
        scope: what the key needed; empty where it needed none.

    Args:
        recalled: whether the caller is remembered, and to be looked at in the first transaction.
    """

    def __init__(
        self,
        request: Request,
        parts: Parts,
        caller: Caller,
        scope: str = "",
        *,
        recalled: bool = False,
    ) -> None:
        self.request = request
        self.parts = parts
        self.caller = caller
        self.scope = scope
        self._recalled = recalled

    @property
    def preference(self) -> Preference:
        """How long the client, or the operator for it, wants to wait for a job."""
        default = self.parts.process.settings.default_wait_seconds
        return read_preference(self.request.headers, default)

    @property
    def idempotency_key(self) -> str | None:
        """The Idempotency-Key as it was sent."""
        return self.request.headers.get("idempotency-key")

    async def read(
        self,
        work: "Callable[[Context], T]",
        then: Callable[[T], Awaitable[None]] | None = None,
    ) -> T:
        """Run `work` in a thread, in a transaction that only reads.

        Args:
            then: is waited for before the project's turn is over.
        """

        def run() -> T:
            with self.parts.process.database.read() as session:
                return work(self._context(session))

        return await self.parts.reading.run(self.caller.project_id, run, then)

    async def show(self, work: "Callable[[Context], Answer | BaseModel | bytes]") -> Response:
        """Answer with what `work` finds; bytes are JSON already."""

        def shown(context: Context) -> Response:
            found = work(context)
            if isinstance(found, bytes):
                return JsonResponse(found)
            return respond(found if isinstance(found, Answer) else Answer(body=found))

        return await self.read(shown, self._wait_to_send)

    async def _wait_to_send(self, response: Response) -> None:
        if len(response.body) > LARGE_BYTES:
            await self.wait_to_send()

    async def wait_to_send(self) -> None:
        """Wait for the project's turn to send what is large, and keep it until all is sent: 400
        answers that nobody took were two gigabytes of the process's memory for a minute.

        Call it once in a request: two that have a turn would wait for each other's.
        """
        turn = self.parts.sending.turn(self.caller.project_id)
        await self.request.state.until_sent.enter_async_context(turn)

    async def change(self, work: "Callable[[Context], T]") -> T:
        """Run `work` in a thread, in a transaction that is committed when it returns.

        For steps before the last one, such as an upload's row; `write` makes the answer.
        """

        def run() -> T:
            with self.parts.process.database.write() as session:
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
        given, response = await self._answered(lambda it: _guarded(it, work, key, waits), waits)
        if isinstance(given, idempotency.StoredAnswer):
            response.headers["Idempotent-Replayed"] = "true"
        elif given.job_id is not None and waits:
            response = await self._waited(given, response, given.job_id, key)
            response.headers.update(self.preference.applied)
        if waits:
            await self._wait_to_send(response)
        return response

    async def _answered(self, work: "Callable[[Context], A]", waits: bool) -> tuple[A, Response]:
        """Run `work`, commit, and make its answer's bytes, in one thread.

        Args:
            waits: whether the answer may not be sent yet; its turn is the caller's to wait for.
        """

        def run() -> tuple[A, Response]:
            with self.parts.process.database.write() as session:
                given = work(self._context(session))
            return given, respond(given)  # after the commit, for which others may wait

        async def then(answered: tuple[A, Response]) -> None:
            if not waits:
                await self._wait_to_send(answered[1])

        return await self.parts.writing.run(self.caller.project_id, run, then)

    async def _waited(
        self, given: Answer, response: Response, job_id: UUID, key: idempotency.Key | None
    ) -> Response:
        try:
            weight = 1 + len(response.body) // LARGE_BYTES  # it is kept meanwhile
            sight = await self.wait_for_end(job_id, self.preference.seconds, weight)
        except RequestError:
            # What was done stays done, and its answer is that of then: nothing of what came after.
            sight = None
        if sight is None or given.after_wait is None:
            # It was kept as not final, for as long as the request went on.
            if key is not None:
                await self.change(_keeper(key, given))
            return response
        return (await self._answered(_finisher(key, given.after_wait), waits=True))[1]

    async def wait_for_end(self, job_id: UUID, seconds: float, weight: int = 1) -> Sight | None:
        """Return what a job was when it had ended; None if it had not in time, or the client has
        gone, or its key has as many requests waiting as it may.

        Args:
            weight: as how many requests it counts.

        Raises:
            RequestError: what the request would be refused with by now.
        """
        with self.parts.limits.waiting(self.caller.key_id, weight) as granted:
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
        key = self.idempotency_key
        if key is None or self.request.method != "POST":
            return None
        body = await self.request.body() if fingerprint is None else fingerprint
        url = self.request.url
        # With what is asked behind it: a plan is no refresh.
        asked = f"{url.path}?{url.query}" if url.query else url.path
        path = asked.encode("utf-8", "surrogateescape")
        return idempotency.make_key(self.caller.project_id, key, b"POST", path, body)

    def _context(self, session: Session) -> Context:
        if self._recalled:
            self._admit_again(identity.live_caller(session, self.caller.key_id))
            self._recalled = False
        return Context(session=session, caller=self.caller, process=self.parts.process)


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
    answer = work(context).made
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
            final = final.made
            idempotency.keep(context.session, key, final.stored(), final=True)
        return final

    return finish


def _require_scope(caller: Caller, scope: str) -> None:
    if not allows(caller.scopes, scope):
        raise PermissionDeniedError(f"API key missing required scope '{scope}'")
