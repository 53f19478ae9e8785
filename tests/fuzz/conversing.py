"""Two tenants that use the API at random: what each is shown, and a worker that does their jobs."""

import queue
import re
import threading
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from importlib import import_module
from itertools import cycle
from typing import Any, Final

from celery.exceptions import Ignore, Retry
from hypothesis.errors import Flaky
from schemathesis import Case, Response
from schemathesis.core.failures import FailureGroup

from api.schemas.identity import ORGANIZATION_ID
from stocktake.clock.ticks import ClockWork
from stocktake.db.session import Database, Ring
from stocktake.jobs import leases
from stocktake.parts import ProcessParts
from stocktake.readers.source import no_progress
from stocktake.runs import sweep
from stocktake.runs.attempt import Attempt
from stocktake.states import SWEEP, JobKind, Queue
from tasks.base import JobFailed, Runtime, run_attempt
from tasks.sweep import claim_chunk, run_sweep
from tests.integration.api.conftest import Served

UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
#: What a job of each kind does.
_RUNS: Final[dict[JobKind, Callable[[Attempt], None]]] = {
    kind: import_module(f"stocktake.runs.{kind}").run for kind in JobKind
}


@dataclass(slots=True, kw_only=True)
class Tenant:
    """A project, through its key.

    Attributes:
        known: the ids that the server has told it of.
    """

    headers: dict[str, str]
    known: set[str] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class Conversation:
    """All that is said between two tenants and the server, held to what is nobody else's.

    Attributes:
        things: ids of both tenants' things, each in turn, by the name that paths use.
        failures: the first one of each operation.
        answered: how often, by operation and status; the owner's requests only.
    """

    tenants: list[Tenant] = field(default_factory=list)
    things: dict[str, Iterator[str]] = field(default_factory=dict)
    answered: Counter[tuple[str, int]] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)
    lives: int = 0
    turns: int = 0
    _begun: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _order: Iterator[int] = field(default_factory=lambda: cycle((0, 1)))

    def begin(self, tenant: Tenant, things: Iterable[tuple[str, str]]) -> None:
        """These are the tenant's."""
        for name, id_ in things:
            tenant.known.add(id_)
            self._begun[name].append(id_)
            self.things[name] = cycle(self._begun[name])

    def next_tenant(self) -> Tenant:
        """They take turns."""
        return self.tenants[next(self._order)]

    @contextmanager
    def noting(self, label: str) -> Iterator[None]:
        """Keep the failure that ends the block, whatever hypothesis makes of it."""
        try:
            yield
        except (AssertionError, FailureGroup) as failure:
            self.failures.setdefault(label, str(failure))
            raise

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Nothing is new in what hypothesis makes of a failure that was noted."""
        try:
            yield
        except (AssertionError, BaseExceptionGroup, Flaky):
            if not self.failures:
                raise

    def check(self) -> None:
        """Fail with all that was noted."""
        told = [f"{label}\n{text}" for label, text in self.failures.items()]
        assert not told, "\n\n".join(told)

    def ask(self, tenant: Tenant, case: Case) -> Response:
        """Send a case for a tenant, after the other one tried the same on the tenant's things."""
        self._aim(case)
        self._renew_key(case)
        [stranger] = [each for each in self.tenants if each is not tenant]
        aims = tenant.known & set(map(str, (case.path_parameters or {}).values()))
        tried = self._send(stranger, case) if aims else None
        answer = self._send(tenant, case)
        self.answered[case.operation.label, answer.status_code] += 1
        self.turns += 1
        if tried is not None:
            assert tried.status_code >= 400, (case.as_curl_command(), tried.text)
            if answer.status_code < 400:
                assert tried.status_code == 404, (case.as_curl_command(), tried.text)
        return answer

    def _aim(self, case: Case) -> None:
        """Nearly always at a thing that one of the two has: a drawn id is nobody's."""
        everyones = self.tenants[0].known | self.tenants[1].known
        for name, value in (case.path_parameters or {}).items():
            drawn = UUID.fullmatch(str(value)) and value not in everyones
            if drawn and name in self.things and self.turns % 8:
                case.path_parameters[name] = next(self.things[name])

    def _renew_key(self, case: Case) -> None:
        """Else one key for all cases would have most of them refused."""
        key = (case.headers or {}).get("Idempotency-Key")
        if key and len(key) < 200 and key.isascii() and key.isprintable() and self.turns % 8:
            case.headers["Idempotency-Key"] = f"{key}-{self.turns}"

    def _send(self, tenant: Tenant, case: Case) -> Response:
        answer = case.call(headers=tenant.headers)
        asked = f"{answer.request.url} {_text(answer.request.body)} {answer.request.headers}"
        told = set(UUID.findall(f"{answer.text} {answer.headers}")) - set(UUID.findall(asked))
        tenant.known |= told - {str(ORGANIZATION_ID)}
        both = self.tenants[0].known & self.tenants[1].known
        assert not both, f"told to both tenants: {both}, last in {case.as_curl_command()}"
        return answer

    def table(self) -> str:
        """How often each operation was asked, and what it answered."""
        lines = []
        for label in sorted({label for label, _ in self.answered}):
            statuses = {s: n for (each, s), n in self.answered.items() if each == label}
            told = " ".join(f"{status}:{statuses[status]}" for status in sorted(statuses))
            lines.append(f"{sum(statuses.values()):7d}  {label}  {told}")
        return "\n".join([*lines, f"{sum(self.answered.values()):7d}  cases"])


def _text(body: Any) -> str:
    return body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)


class Worker(list[Ring]):
    """Takes the place of a doorbell's list, and does each job soon after its ring, and the clock's
    work when nothing rings: no broker and no child, but the service's own code on real files.
    """

    def __init__(self, served: Served) -> None:
        super().__init__()
        self._waiting: queue.SimpleQueue[Ring | None] = queue.SimpleQueue()
        settings = served.settings
        self._database = Database(settings.database_url, self.append)
        process = ProcessParts.of(settings, self._database)
        self._runtime = Runtime(
            process=process,
            watch=lambda _runtime, _claim: nullcontext(no_progress),
        )
        storage, waiting = process.storage, dict.fromkeys(Queue, 0)
        self._clock = ClockWork(self._database, settings, storage, lambda: waiting, node="fuzz/1")

    def append(self, ring: Ring) -> None:
        self._waiting.put(ring)

    def run(self) -> None:
        """Until `stop`."""
        while True:
            try:
                ring = self._waiting.get(timeout=0.1)
            except queue.Empty:
                self._clock.tick()
                continue
            if ring is None:
                return
            if ring.kind == SWEEP:
                self._sweep(ring.job_id)
            elif ring.kind in set(JobKind):
                self._do(ring.job_id)

    def stop(self) -> None:
        self._waiting.put(None)

    def _do(self, job_id: uuid.UUID) -> None:
        with self._database.write() as session:
            claim = leases.claim(session, job_id, worker="fuzz/1", lease_seconds=60)
        if claim is not None:
            with suppress(Ignore, Retry, JobFailed):  # the row says how it ended
                run_attempt(self._runtime, claim, _RUNS[claim.kind])

    def _sweep(self, batch_id: uuid.UUID) -> None:
        chunk = claim_chunk(self._runtime, batch_id, "fuzz/1")
        if chunk is not None:
            run_sweep(self._runtime, chunk, sweep.run)

    def dispose(self) -> None:
        self._database.dispose()


@contextmanager
def working(served: Served) -> Iterator[None]:
    """Have the app's jobs done for as long as the block runs."""
    worker = Worker(served)
    served.rings.rung = worker
    thread = threading.Thread(target=worker.run, name="worker")
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join()
        worker.dispose()
