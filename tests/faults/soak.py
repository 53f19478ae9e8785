"""Load and random faults together, for as long as it is told, and then the oracle's verdict.

``python -m tests.faults.soak --seconds 300 --seed 7`` prints what happened and PASS, or the
promise that was broken with the whole history of the jobs concerned; it then ends with 1. The
seed decides which requests and which faults come, in which order and when.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import psutil
from sqlalchemy import make_url

from servers.postgres import DurablePostgres
from servers.process import HOST, Server, ServerDiedError
from servers.proxy import Proxy
from servers.seaweedfs import SeaweedFS
from servers.service import service_settings
from servers.valkey import Valkey
from stocktake.db import migrate
from tests.faults.client import Client, Sent
from tests.faults.load import Customers, Planned, plan_faults, plan_requests
from tests.faults.oracle import Oracle, Verdict
from tests.faults.promises.schedules import EVERY_MINUTE, fires
from tests.faults.pulse import Pulse
from tests.faults.random_faults import SQLITE_LOCKED, Fault, NobodyThereError, Site, lanes
from tests.faults.sources import CsvSource, DeltaSource
from tests.support.harness import open_stack

#: Of local files, and as many again in a bucket.
TABLES: Final = 6
#: Who asks at once. A request waits five seconds at most for its turn, and is told then to come
#: back: of more customers, on a machine that is busy with other things, the load alone makes 503s,
#: which no fault explains.
CUSTOMERS: Final = 12
#: All that was accepted must have ended so long after the last fault; twice the fault suite's
#: bound, since a whole backlog is worked off.
BACKLOG_SECONDS: Final = 120.0
#: What a process may need until it serves.
READY_SECONDS: Final = 180.0
#: What a customer may hear while a part is broken, by the fault. He asks again, with the same key.
#: That the broker or the store is broken explains nothing: no request waits for either.
EXPLAINED: Final = {
    # One that begins says so until it has a connection; all that waited for it come at once.
    "API killed": (None, 503),
    # A request that outlasts the grace of a process that stops is told to come again.
    "encryption key rotated": (None, 503),
    SQLITE_LOCKED: (503,),
    "PostgreSQL killed": (503,),
    "PostgreSQL's connections reset": (503,),
    "PostgreSQL slow by 0.3 s": (503,),
}
#: After a fault, connections that it broke may be met for a moment.
RECOVERY: Final = timedelta(seconds=2)
SETTINGS: Final = {
    "LEASE_SECONDS": "4",
    "HEARTBEAT_SECONDS": "0.5",
    "RING_AGAIN_SECONDS": "1",
    "CLOCK_INTERVAL_SECONDS": "0.2",
    # A store that is broken for ten seconds must not use a job's attempts up.
    "JOB_MAX_ATTEMPTS": "40",
    "SWEEP_CHUNK": "50",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stood:
    """From when to when a fault stood."""

    name: str
    since: datetime
    until: datetime


@dataclass(slots=True)
class Soak:
    """One run.

    Attributes:
        breakers: threads that end after all processes: one that was started in a thread is
            killed when that thread ends.
        pulse: tells when the machine was late.
        fired: faults that were seen, by name.
        stood: when each fault stood.
        missed: faults that met nobody, by name. A kind that met nobody at all is a problem.
        problems: what went wrong beside the promises: a fault that did not fire, a request that
            was refused or never taken.
        left_out: requests for which there was no time any more.
    """

    site: Site
    client: Client
    breakers: ThreadPoolExecutor
    pulse: Pulse
    fired: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    stood: list[Stood] = field(default_factory=list)
    left_out: int = 0

    def run(self, seed: int, seconds: float, dialect: str) -> None:
        """All requests and faults, to the end of the last of them."""
        customers = Customers(self.client)
        begin = time.monotonic()
        breaking = []
        for faults in lanes(dialect):
            planned = plan_faults(seed, seconds, list(faults))
            lane = self.breakers.submit(self._break, faults, planned, begin, begin + seconds)
            breaking.append(lane)
        with ThreadPoolExecutor(CUSTOMERS, "customer") as asking:
            for request in plan_requests(seed, seconds, customers.weights):
                _wait_for(begin + request.at)
                asking.submit(self._ask, customers, request, begin + seconds)
            for lane in breaking:
                lane.result()
        for process in self.site.stack.processes:
            if not _runs(process):
                end_of_log = process.log_text()[-2000:]
                self.problems.append(f"{process.name} does not run any more: {end_of_log}")
                print(self.problems[-1], flush=True)
                self._start_again(process)

    def _start_again(self, process: Server) -> None:
        """Start what ended, for the jobs that are left; where it does not, the verdict is told all
        the same."""
        try:
            process.restart()
        except ServerDiedError as exc:
            self.problems.append(f"{process.name} does not start any more: {exc}")
            print(self.problems[-1], flush=True)

    def _ask(self, customers: Customers, request: Planned, end: float) -> None:
        """Ask; what is late when the load ends is left out."""
        if time.monotonic() > end:
            self.left_out += 1
            return
        self._note(request, lambda r: customers.ask(r.name, r.numbers()))

    def _break(
        self, faults: Mapping[str, Fault], planned: Sequence[Planned], begin: float, end: float
    ) -> None:
        """One fault after the other; one that is late comes at once, until the load ends."""
        for each in planned:
            _wait_for(begin + each.at)
            if time.monotonic() > end:
                return
            since, began = time.monotonic(), datetime.now(UTC)
            names = [each.name]

            def act(each: Planned, names: list[str] = names) -> None:
                if more := faults[each.name](self.site, each.numbers()):
                    names.append(more)

            if self._note(each, act):
                self.fired[each.name] += 1
            until = datetime.now(UTC)
            self.stood += [Stood(name=name, since=began, until=until) for name in names]
            took = time.monotonic() - since
            print(
                f"{since - begin:7.1f} s  {each.name} at {began:%H:%M:%S}, {took:.1f} s", flush=True
            )

    def explains(self, sent: Sent) -> bool:
        """Whether a fault stood, or was over for a moment only, while a request was under way that
        was not answered or with a 503; or the machine itself was late, and so a turn did not come
        in time."""
        if sent.status == 503 and self.pulse.was_late(sent.sent_at, sent.ended_at):
            return True
        return any(
            sent.status in EXPLAINED.get(each.name, ())
            and each.since <= sent.ended_at
            and sent.sent_at <= each.until + RECOVERY
            for each in self.stood
        )

    def _note(self, planned: Planned, act: Callable[[Planned], None]) -> bool:
        try:
            act(planned)
        except NobodyThereError:
            self.missed[planned.name] += 1
            return False
        except Exception as exc:  # noqa: BLE001 - told at the end, whatever it was
            self.problems.append(f"{planned}: {type(exc).__name__}: {exc}")
            print(self.problems[-1], flush=True)
            return False
        return True


def _runs(process: Server) -> bool:
    try:
        return psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ServerDiedError):
        return False


def _wait_for(moment: float) -> None:
    threading.Event().wait(max(0.0, moment - time.monotonic()))


@contextmanager
def running(dialect: str, folder: Path) -> Iterator[tuple[Site, Client]]:
    """A whole service with two workers and two clocks, its parts behind proxies, and its tables."""
    with ExitStack() as stack:
        broker = stack.enter_context(Valkey())
        store = stack.enter_context(SeaweedFS())
        broker_proxy = stack.enter_context(Proxy(broker.port))
        store_port = int(store.endpoint.rsplit(":", 1)[1])
        store_proxy = stack.enter_context(Proxy(store_port))
        postgres, database_proxy, own_url, url = None, None, "", ""
        if dialect == "sqlite":
            own_url = url = f"sqlite:///{folder / 'stocktake.db'}"
        else:
            postgres = stack.enter_context(DurablePostgres())
            database_proxy = stack.enter_context(Proxy(postgres.port))
            own_url = postgres.create_database()
            behind = make_url(own_url).set(port=database_proxy.port)
            url = behind.render_as_string(hide_password=False)
        migrate.upgrade(own_url)
        endpoint = f"http://{HOST}:{store_proxy.port}"
        settings = service_settings(
            url,
            f"redis://{HOST}:{broker_proxy.port}/0",
            folder,
            **SETTINGS,
            TRUSTED_ENDPOINTS=endpoint,
        )
        service = stack.enter_context(open_stack(own_url, broker, settings, folder))
        web = service.start_web()
        for _ in range(2):
            service.start_worker()
            service.start_clock()
        for process in service.processes:
            # It may have to wait for a broker that is broken just then.
            process.ready_seconds = READY_SECONDS
        client = Client(web.url, service.make_key(), service.project_id)
        stack.callback(client.close)
        _register(client, service.sources, store, endpoint)
        # Customers change columns, which the first read of a table makes.
        Oracle(service, client).wait_for_ends(READY_SECONDS)
        yield (
            Site(
                stack=service,
                broker=broker,
                broker_proxy=broker_proxy,
                store_proxy=store_proxy,
                postgres=postgres,
                database_proxy=database_proxy,
            ),
            client,
        )


def _register(client: Client, folder: Path, store: SeaweedFS, endpoint: str) -> None:
    bucket = store.bucket()
    keys = {"access_key": store.access_key, "access_secret": store.secret_key}
    for number in range(TABLES):
        client.create(DeltaSource(folder / f"t{number}"))
        client.create(
            DeltaSource(
                f"s3://{bucket}/t{number}",
                url_pattern=f"{endpoint}/{bucket}/t{number}",
                storage_options=store.delta_options(),
                credential=keys,
            )
        )
    for number in range(2):
        client.create(CsvSource(folder / f"t{number}.csv"))
    sent = client.schedule("often", EVERY_MINUTE)
    assert sent.status == 201, (sent.status, sent.body, sent.why)


def judge(soak: Soak) -> tuple[Oracle, Verdict]:
    """Let all end, compare each table with its source once more, and ask the oracle."""
    client = soak.client
    oracle = Oracle(soak.site.stack, client)
    oracle.wait_for_ends(BACKLOG_SECONDS)
    for table in client.sources:
        try:
            client.insist(client.refresh(table))
        except AssertionError as exc:
            soak.problems.append(f"with nothing broken any more: {exc}")
    oracle.wait_for_ends(BACKLOG_SECONDS)
    return oracle, oracle.judge(allowed=(None, 503), explained=soak.explains)


def report(site: Site, verdict: Verdict, soak: Soak) -> str:
    """The figures."""
    log = soak.client.log
    heard = Counter("none" if sent.status is None else str(sent.status) for sent in log)
    codes = Counter(
        (job.error or {}).get("code") for job in verdict.records.jobs.values() if job.error
    )
    lines = {
        "requests": f"{len(log)}, answers {_counts(heard)}; for {soak.left_out} there was no time",
        "accepted": f"{verdict.accepted} jobs; {len(verdict.records.jobs)} with those of batches",
        "ended": f"{_counts(verdict.ended)}; errors {_counts(codes) or 'none'}",
        "attempts": f"{sum(verdict.attempts.values())}: {_counts(verdict.attempts)}",
        "rescues": verdict.attempts.get("worker_lost", 0),
        "duplicates refused": len(site.stack.logged("claim_refused")),
        "stale writes refused": len(site.stack.logged("stale_attempt")),
        "longest to its end": f"{verdict.slowest_seconds:.1f} s",
        "schedules fired": sum(map(len, verdict.records.fires.values())),
        "sweeps": f"{len(site.stack.logged('sweep_started'))}, of which "
        f"{len(site.stack.logged('sweep_ended'))} ended by themselves",
        "faults": f"{soak.fired.total()}: {_counts(soak.fired)}",
        "machine late": f"{soak.pulse.late_share:.0%} of the time",
        "met nobody": _counts(soak.missed) or "none",
    }
    return "\n".join(f"{name:<20}  {value}" for name, value in lines.items())


def _keep_logs(site: Site, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, process in enumerate(site.stack.processes):
        (folder / f"{number}-{process.name}.log").write_text(process.log_text())


def slowest(verdict: Verdict) -> UUID:
    """The job that took the longest time from its making to its end."""
    jobs = [job for job in verdict.records.jobs.values() if job.finished_at is not None]
    return max(jobs, key=lambda job: (job.finished_at or job.created_at) - job.created_at).id


def _counts(counter: Mapping[Any, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items(), key=str))


def main() -> int:
    """Run it; 0 where every promise held and every fault was seen."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=None, help="a random one if not given")
    parser.add_argument(
        "--database",
        choices=["sqlite", "postgresql"],
        help="SQLite for an odd seed, PostgreSQL for an even one if not given",
    )
    parser.add_argument("--logs", type=Path, help="a folder for what all processes wrote")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10_000) if given.seed is None else given.seed
    dialect = given.database or ("sqlite" if seed % 2 else "postgresql")
    print(f"soak: seed {seed}, {dialect}, {given.seconds:.0f} s", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="stocktake-soak-") as folder,
        ThreadPoolExecutor(2, "fault") as breakers,
        running(dialect, Path(folder)) as (site, client),
        Pulse(Path(folder)) as pulse,
    ):
        soak = Soak(site, client, breakers, pulse)
        soak.run(seed, given.seconds, dialect)
        oracle, verdict = judge(soak)
        print(report(site, verdict, soak))
        print(f"the slowest: {oracle.history(slowest(verdict), verdict.records)}")
        problems = [*soak.problems, *map(str, fires(verdict.records, datetime.now(UTC)))]
        problems += [f"{name} never fired" for name in soak.missed.keys() - soak.fired.keys()]
        if not soak.fired:
            problems.append("no fault fired")
        if not site.stack.logged("sweep_ended"):
            problems.append("no sweep ended")
        if verdict.broken:
            problems.append(oracle.told(verdict))
        if given.logs:
            _keep_logs(site, given.logs)
    print("\n".join([f"FAIL (seed {seed}, {dialect})", *problems]) if problems else "PASS")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
