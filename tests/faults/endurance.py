"""A load without faults and without restarts, and what the processes hold after each part of it.

``python -m tests.faults.endurance --seconds 3600 --database postgresql`` prints a line of each
process and PASS, or what grows; it then ends with 1. Trends are held to jobs and not to the clock:
a slow machine does fewer jobs, and the verdict is the same.
"""

import argparse
import io
import itertools
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import write_deltalake
from obstore.store import S3Store
from sqlalchemy import func, select

from servers.postgres import Postgres
from servers.seaweedfs import SeaweedFS
from servers.service import Clock, Web, Worker, service_settings
from servers.valkey import Valkey
from stocktake.db import migrate
from stocktake.db.models import JobAttempt, Table
from tests.faults.client import Client
from tests.faults.trends import Bound, Bounds, Trends
from tests.support.harness import Stack, open_stack

CUSTOMERS: Final = 6
#: Each has a client of its own, with connections that stay for a while.
BUCKETS: Final = 6
COMMITS: Final = 40
FILES: Final = 6
#: Uploads that one managed table gets before the next takes its place.
UPLOADS: Final = 40
LOOK_JOBS: Final = 25
#: After which it is told how far it has come.
TELL_JOBS: Final = 500
#: Jobs after which a process holds what it needs: of a child its own, a fifth of its life.
WARM_UP: Final = 200
#: What a process of the service may hold, and how that may grow in a thousand jobs.
BOUNDS: Final[dict[str, Bounds]] = {
    name: {
        "memory_mib": Bound(slope=memory, most=most),
        "threads": Bound(slope=threads, most=most_threads),
        "descriptors": Bound(slope=descriptors, most=most_descriptors),
        "connections": Bound(slope=descriptors, most=most_descriptors),
    }
    # Measured over an hour on each database, of 26,021 and 24,006 jobs: web +1.4 and 0 MiB, parent,
    # guard and clock 0, the median child +15 and +17 MiB; of a child at most 239 MiB and 130
    # threads. Of 5,009 jobs at 29 a second it had 376 descriptors at most: a connection takes
    # three, those to the relay and those from it; of 128 threads, and of each bucket 16 that stay.
    for name, memory, most, threads, most_threads, descriptors, most_descriptors in (
        ("web", 6, 300, 2, 100, 4, 120),
        ("parent", 2, 300, 1, 20, 2, 60),
        ("child", 30, 300, 60, 180, 150, 500),
        ("guard", 1, 100, 1, 10, 2, 40),
        ("clock", 2, 200, 1, 20, 2, 40),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A table, and what is changed of it in turn, so that each read starts afresh."""

    table: UUID
    changes: tuple[dict[str, Any], dict[str, Any]]


@dataclass(slots=True)
class Endurance:
    """One run: customers who wait for each answer, and looks at the processes between."""

    stack: Stack
    web: Web
    worker: Worker
    clock: Clock
    client: Client
    tables: list[Asked]
    trends: Trends
    problems: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _uploads: Iterator[int] = field(default_factory=itertools.count)

    def run(self, jobs: int | None, seconds: float | None) -> int:
        """Load until so many jobs have ended or so long; how many have."""
        end = time.monotonic() + seconds if seconds is not None else None
        done = looked = 0
        with ThreadPoolExecutor(CUSTOMERS, "customer") as customers:
            asking = [customers.submit(self._customer, seed) for seed in range(CUSTOMERS)]
            try:
                while not any(each.done() for each in asking):
                    by_child = self._ended()
                    done = by_child.total()
                    if done - looked >= LOOK_JOBS:
                        if done // TELL_JOBS > looked // TELL_JOBS:
                            print(f"{done} jobs", *self.trends.told(), sep="\n", flush=True)
                        looked = done
                        self.trends.look(self._processes(by_child))
                    if (jobs is not None and done >= jobs) or (end and time.monotonic() > end):
                        break
                    self._over.wait(0.2)
            finally:
                self._over.set()
            for each in asking:
                each.result()
        return done

    def _customer(self, seed: int) -> None:
        numbers = random.Random(seed)
        turn = itertools.count()
        while not self._over.is_set():
            what = numbers.random()
            if what < 0.15:
                self._upload(next(self._uploads))
            elif what < 0.25:
                self._took(self.client.read(numbers.choice(self.tables).table).status, 200)
            else:
                asked = numbers.choice(self.tables)
                if what < 0.85:
                    change = asked.changes[next(turn) % 2]
                    self._took(self.client.change(asked.table, **change).status, 200)
                sent = self.client.refresh(asked.table, prefer="wait=20")
                self._took(sent.status, 200, 202)

    def _upload(self, number: int) -> None:
        sent = self.client.upload(f"ledger_{number // UPLOADS}", rows=20)
        self._took(sent.status, 200, 201, 202)
        if number % UPLOADS == 0 and number >= 2 * UPLOADS:
            with self.stack.database.read() as session:
                name = f"ledger_{number // UPLOADS - 2}"
                old = session.scalar(select(Table.id).where(Table.name == name, ~Table.deleted))
            if old is not None:
                self._took(self.client.delete(old).status, 204)

    def _took(self, status: int | None, *wanted: int) -> None:
        if status not in wanted:
            self.problems.append(f"answered {status}, not {wanted}")

    def _ended(self) -> Counter[int]:
        """Return how many attempts each child has ended, by its process id."""
        counted = select(JobAttempt.worker, func.count()).where(JobAttempt.ended_at.is_not(None))
        with self.stack.database.read() as session:
            rows = session.execute(counted.group_by(JobAttempt.worker)).all()
        return Counter({int(worker.rsplit("/", 1)[1]): count for worker, count in rows})

    def _processes(self, ended: Counter[int]) -> Iterator[tuple[str, int, int]]:
        everybody = ended.total()
        yield "web", self.web.pid, everybody
        yield "parent", self.worker.pid, everybody
        yield "guard", self.worker.guard().pid, everybody
        yield "clock", self.clock.pid, everybody
        for child in self.worker.children():
            yield f"child {child.pid}", child.pid, ended[child.pid]


@contextmanager
def running(dialect: str, folder: Path) -> Iterator[Endurance]:
    """A whole service, a process of each kind, with tables in a store."""
    with ExitStack() as stack:
        broker = stack.enter_context(Valkey())
        store = stack.enter_context(SeaweedFS())
        url = f"sqlite:///{folder / 'stocktake.db'}"
        if dialect == "postgresql":
            url = stack.enter_context(Postgres()).create_database()
        migrate.upgrade(url)
        settings = service_settings(
            url,
            broker.url,
            folder,
            TRUSTED_ENDPOINTS=store.endpoint,
            CLOCK_INTERVAL_SECONDS="0.5",
        )
        service = stack.enter_context(open_stack(url, broker, settings, folder))
        web = service.start_web()
        worker, clock = service.start_worker(), service.start_clock()
        client = Client(web.url, service.make_key(), service.project_id)
        stack.callback(client.close)
        tables = [each for _ in range(BUCKETS) for each in _register(client, store, folder)]
        yield Endurance(
            stack=service,
            web=web,
            worker=worker,
            clock=clock,
            client=client,
            tables=tables,
            trends=Trends(WARM_UP),
        )


def _register(client: Client, store: SeaweedFS, folder: Path) -> Iterator[Asked]:
    bucket = store.bucket()
    objects = S3Store(
        bucket,
        endpoint=store.endpoint,
        access_key_id=store.access_key,
        secret_access_key=store.secret_key,
        region=store.region,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
    for path, data in _objects(folder / "delta"):
        objects.put(path, data)
    for kind, format_, changes in (
        ("delta", "Delta", [{"options": {"delta_count": count}} for count in (True, False)]),
        ("parquet", "Parquet", [{"url_pattern": f"parquet/{glob}"} for glob in ("part*", "*")]),
        ("csv", "CSVWithNames", [{"options": {"sample_bytes": n}} for n in (5_000, 6_000)]),
        ("json", "JSONEachRow", [{"options": {"sample_bytes": n}} for n in (5_000, 6_000)]),
    ):
        pattern = kind if kind == "delta" else f"{kind}/*"
        body = {
            "name": f"{kind}_{bucket}",
            "format": format_,
            "url_pattern": store.url(bucket, pattern),
            "credential": {"access_key": store.access_key, "access_secret": store.secret_key},
        }
        sent = client.ask("create", "POST", "warehouse_tables/", json=body)
        assert sent.status == 201, (sent.status, sent.body)
        for change in changes:
            if "url_pattern" in change:
                change["url_pattern"] = store.url(bucket, str(change["url_pattern"]))
        yield Asked(table=sent.table_id, changes=(changes[0], changes[1]))


def _objects(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield a Delta table with a log of many commits, and some files of each other format."""
    rows = pa.table({f"column_{n}": pa.array(range(50), pa.int64()) for n in range(20)})
    if not folder.exists():
        for _ in range(COMMITS):
            write_deltalake(folder, rows, mode="append")
    for file in folder.rglob("*.*"):
        if file.is_file():
            yield f"delta/{file.relative_to(folder)}", file.read_bytes()
    parquet = io.BytesIO()
    pq.write_table(rows, parquet)
    lines = [",".join(rows.column_names)]
    lines += [",".join(map(str, row.values())) for row in rows.to_pylist()]
    csv = "\n".join(lines).encode()
    texts = "\n".join(map(json.dumps, rows.to_pylist())).encode()
    for number in range(FILES):
        for kind, data in (("parquet", parquet.getvalue()), ("csv", csv), ("json", texts)):
            yield f"{kind}/part{number}.{kind}", data


def main() -> int:
    """Run it; 0 where nothing grows beyond its bounds."""
    parser = argparse.ArgumentParser(prog="endurance", description=__doc__)
    parser.add_argument("--seconds", type=float, default=None)
    parser.add_argument("--jobs", type=int, default=None)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    given = parser.parse_args()
    seconds = 3600.0 if given.seconds is None and given.jobs is None else given.seconds
    with (
        tempfile.TemporaryDirectory(prefix="stocktake-endurance-") as folder,
        running(given.database, Path(folder)) as endurance,
    ):
        began = time.monotonic()
        done = endurance.run(given.jobs, seconds)
        print(f"endurance: {done} jobs in {time.monotonic() - began:.0f} s, {given.database}")
        print("\n".join(endurance.trends.told()))
        problems = [*endurance.problems, *endurance.trends.broken(BOUNDS)]
    print("\n".join(["FAIL", *problems[:50]]) if problems else "PASS")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
