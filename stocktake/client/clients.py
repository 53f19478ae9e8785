"""`Client` and `AsyncClient`: who carries out what the operations yield, and nothing else."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, closing
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Self, TypedDict, TypeVar, Unpack

import anyio
import anyio.to_thread
import httpx

from stocktake.client.addresses import Address
from stocktake.client.errors import StocktakeError
from stocktake.client.methods import (
    AsyncBatches,
    AsyncItself,
    AsyncJobs,
    AsyncProject,
    AsyncSchedules,
    AsyncSchemaChanges,
    AsyncTables,
    Batches,
    Itself,
    Jobs,
    Project,
    Schedules,
    SchemaChanges,
    Tables,
)
from stocktake.client.requests import (
    Attempt,
    Flow,
    Listen,
    NextLine,
    Pause,
    Request,
    Retries,
    Shown,
    Step,
    Stream,
    attempts,
)

T = TypeVar("T")
Http = TypeVar("Http", httpx.Client, httpx.AsyncClient)

_TIMEOUT_SECONDS: Final = 30.0


class Settings(TypedDict, total=False):
    """What both clients take beside the address.

    Attributes:
        project: its id; ``STOCKTAKE_PROJECT_ID`` if left out, or the one project of the key.
        timeout_seconds: how long the server may be silent; what is waited for comes on top.
        retries: how often a request is tried.
        trust_env: whether proxies of the environment are taken; they are not if left out.
    """

    project: str | int | None
    timeout_seconds: float
    retries: Retries
    trust_env: bool


@dataclass(slots=True)
class _Outcome:
    """What came of a step: a value, or what the operation is to be told."""

    value: Any = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class _Ended(Generic[T]):
    value: T


def _advance(operation: Any, outcome: _Outcome) -> Any:
    """Return an operation's next step, or its end."""
    try:
        if outcome.error is not None:
            return operation.throw(outcome.error)
        return operation.send(outcome.value)
    except StopIteration as end:
        return _Ended(end.value)


class _Asks:
    """What the clients share: where they ask, and how a request becomes one of httpx."""

    def __init__(self, url: str | None, api_key: str | None, settings: Settings) -> None:
        self.address = Address.found(url, api_key, settings.get("project"))
        self.retries = settings.get("retries") or Retries()
        self.timeout_seconds = settings.get("timeout_seconds", _TIMEOUT_SECONDS)
        self._trust_env = settings.get("trust_env", False)

    def _opened(self, kind: Callable[..., Http], transport: Any) -> Http:
        return kind(
            base_url=self.address.base_url,
            headers={"Authorization": f"Bearer {self.address.api_key}"},
            # A proxy of the environment is for the outside; this is the person's own server.
            trust_env=self._trust_env,
            transport=transport,
        )

    def _built(self, http: httpx.Client | httpx.AsyncClient, request: Request) -> httpx.Request:
        options: dict[str, Any] = {}
        if form := request.form:
            options = {"files": form.parts}
        elif request.body is not None:
            options = {"json": request.body}
        silence = self.timeout_seconds + request.wait_seconds
        of_server = request.path.startswith("/")
        return http.build_request(
            request.method,
            self.address.url + request.path if of_server else request.path,
            params=request.given,
            headers=request.all_headers,
            timeout=httpx.Timeout(self.timeout_seconds, read=silence),
            **options,
        )


@dataclass(slots=True)
class _Listening:
    """The stream that an operation has open, if any."""

    closing: ExitStack = field(default_factory=ExitStack)
    lines: Iterator[str] = field(default_factory=lambda: iter(()))


class Client(Itself, _Asks):
    """One project of one server.

    Args:
        url: of the server, without a path; ``STOCKTAKE_URL`` if left out, or this machine's.
        api_key: ``STOCKTAKE_API_KEY`` if left out.
        transport: an own one of httpx.

    Raises:
        ConfigurationError: there is no key, or the URL is none.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        super().__init__(url, api_key, settings)
        self._http = self._opened(httpx.Client, transport)
        self.tables, self.jobs = Tables(self), Jobs(self)
        self.batches, self.schedules = Batches(self), Schedules(self)
        self.changes, self.project = SchemaChanges(self), Project(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def run(self, flow: Flow[T]) -> T:
        """Carry out an operation to its end."""
        outcome, listening = _Outcome(), _Listening()
        with closing(flow), listening.closing:
            while not isinstance(step := _advance(flow, outcome), _Ended):
                outcome = self._carry_out(step, listening)
        value: T = step.value
        return value

    def each(self, stream: Stream[T]) -> Iterator[T]:
        """Carry out an operation as far as somebody iterates."""
        outcome, listening = _Outcome(), _Listening()
        with closing(stream), listening.closing:
            while not isinstance(step := _advance(stream, outcome), _Ended):
                if isinstance(step, Shown):
                    yield step.item
                    outcome = _Outcome()
                else:
                    outcome = self._carry_out(step, listening)

    def _carry_out(self, step: Step, listening: _Listening) -> _Outcome:
        try:
            return _Outcome(self._do(step, listening))
        except (httpx.TransportError, StocktakeError) as exc:
            return _Outcome(error=exc)

    def _do(self, step: Step, listening: _Listening) -> Any:
        match step:
            case Request():
                return self.run(attempts(step, self.retries))
            case Attempt(request):
                return self._http.send(self._built(self._http, request))
            case Pause(seconds):
                return time.sleep(seconds)
            case Listen(request):
                return self._listen(request, listening)
            case NextLine():
                return next(listening.lines, None)

    def _listen(self, request: Request, listening: _Listening) -> httpx.Response:
        listening.closing.pop_all().close()
        answer = self._http.send(self._built(self._http, request), stream=True)
        listening.closing.callback(answer.close)
        if not answer.is_success:
            answer.read()
        listening.lines = answer.iter_lines()
        return answer


@dataclass(slots=True)
class _AsyncListening:
    """As `_Listening`."""

    closing: AsyncExitStack = field(default_factory=AsyncExitStack)
    lines: AsyncIterator[str] | None = None


class AsyncClient(AsyncItself, _Asks):
    """As `Client`, for asyncio and trio: methods are awaited, lists are taken by `async for`."""

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        super().__init__(url, api_key, settings)
        self._http = self._opened(httpx.AsyncClient, transport)
        self.tables, self.jobs = AsyncTables(self), AsyncJobs(self)
        self.batches, self.schedules = AsyncBatches(self), AsyncSchedules(self)
        self.changes, self.project = AsyncSchemaChanges(self), AsyncProject(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def run(self, flow: Flow[T]) -> T:
        """Carry out an operation to its end."""
        outcome, listening = _Outcome(), _AsyncListening()
        with closing(flow):
            async with listening.closing:
                while not isinstance(step := _advance(flow, outcome), _Ended):
                    outcome = await self._carry_out(step, listening)
        value: T = step.value
        return value

    async def each(self, stream: Stream[T]) -> AsyncIterator[T]:
        """Carry out an operation as far as somebody iterates."""
        outcome, listening = _Outcome(), _AsyncListening()
        with closing(stream):
            async with listening.closing:
                while not isinstance(step := _advance(stream, outcome), _Ended):
                    if isinstance(step, Shown):
                        yield step.item
                        outcome = _Outcome()
                    else:
                        outcome = await self._carry_out(step, listening)

    async def _carry_out(self, step: Step, listening: _AsyncListening) -> _Outcome:
        try:
            return _Outcome(await self._do(step, listening))
        except (httpx.TransportError, StocktakeError) as exc:
            return _Outcome(error=exc)

    async def _do(self, step: Step, listening: _AsyncListening) -> Any:
        match step:
            case Request():
                return await self.run(attempts(step, self.retries))
            case Attempt(request):
                return await self._http.send(_in_threads(self._built(self._http, request)))
            case Pause(seconds):
                return await anyio.sleep(seconds)
            case Listen(request):
                return await self._listen(request, listening)
            case NextLine():
                return await anext(listening.lines, None) if listening.lines else None

    async def _listen(self, request: Request, listening: _AsyncListening) -> httpx.Response:
        await listening.closing.pop_all().aclose()
        answer = await self._http.send(self._built(self._http, request), stream=True)
        listening.closing.push_async_callback(answer.aclose)
        if not answer.is_success:
            await answer.aread()
        listening.lines = answer.aiter_lines()
        return answer


class _FromThreads(httpx.AsyncByteStream):
    """A file's bytes, read in threads: a slow disk must not keep the event loop."""

    def __init__(self, stream: httpx.SyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts = iter(self._stream)
        while (part := await anyio.to_thread.run_sync(next, parts, None)) is not None:
            yield part


def _in_threads(request: httpx.Request) -> httpx.Request:
    if "multipart/form-data" in request.headers.get("content-type", ""):
        assert isinstance(request.stream, httpx.SyncByteStream)  # noqa: S101 - httpx's own, both
        request.stream = _FromThreads(request.stream)
    return request
