"""What a tick costs the clock, by how many jobs wait."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from sqlalchemy import insert

from benchmarks.deployment import new_database
from benchmarks.figures import Figure, Outcome, distributed, ratio
from benchmarks.options import Options
from stocktake.clock.ticks import ClockWork
from stocktake.db import migrate
from stocktake.db.clock import now
from stocktake.db.models import JOBS, TABLES, new_id
from stocktake.db.session import Database
from stocktake.jobs.shares import Presence
from stocktake.parts import managed_storage
from stocktake.services import identity
from stocktake.settings import Settings
from stocktake.states import JobKind, JobState, Queue

_FEW: Final = 10
_MANY: Final = 100_000
_TICKS: Final = 40
_ROWS_AT_ONCE: Final = 5000


def _nothing_waits() -> Mapping[Queue, int]:
    return dict.fromkeys(Queue, 0)


def measure(options: Options) -> Iterator[Outcome]:
    """Tick with few jobs queued, and again with a hundred thousand."""
    with ExitStack() as started:
        folder = Path(started.enter_context(tempfile.TemporaryDirectory(prefix="stocktake-tick-")))
        url = new_database(options.database, folder, started)
        migrate.upgrade(url)
        database = Database(url, pool_size=1)
        started.callback(database.dispose)
        settings = Settings(database_url=url, data_dir=folder, canary_interval_seconds=3600)
        with database.write() as session:
            project_id = identity.create_project(session, "Benchmark").id
            Presence(worker="node", places=3, project_places=3, lease_seconds=3600).keep(session)
        clock = ClockWork(database, settings, managed_storage(settings), _nothing_waits)
        _queue(database, project_id, 3, state=JobState.RUNNING, worker="node/1/1")
        many = options.sized(_MANY)
        figures = _ticks(database, clock, project_id, _FEW)
        figures += _ticks(database, clock, project_id, many)
        few_ms, many_ms = figures[0].value, figures[2].value
        yield Outcome(
            figures=[*figures, ratio(f"a tick at {many:,} : at {_FEW}", many_ms, few_ms)],
            conditions=[
                "the clock's own steps in this process, as beat calls them, while one project's "
                "jobs wait for the places that three others of it have, as in the middle of a bulk "
                "refresh"
            ],
        )


def _ticks(database: Database, clock: ClockWork, project_id: int, count: int) -> list[Figure]:
    _queue(database, project_id, count)
    clock.tick()  # connects, and compiles what it asks
    processor_ms, elapsed_ms = [], []
    for _ in range(_TICKS):
        began, began_at = time.process_time(), time.perf_counter()
        if not clock.tick():
            raise RuntimeError("a tick failed: its line in the log says why")
        processor_ms.append((time.process_time() - began) * 1000)
        elapsed_ms.append((time.perf_counter() - began_at) * 1000)
    name = f"a tick of the clock, {count:,} jobs queued"
    return [
        distributed(f"{name}: processor time", processor_ms, "ms"),
        distributed(f"{name}: elapsed", elapsed_ms, "ms"),
    ]


def _queue(
    database: Database,
    project_id: int,
    count: int,
    state: JobState = JobState.QUEUED,
    worker: str | None = None,
) -> None:
    ids = [(new_id(), new_id()) for _ in range(count)]
    for begin in range(0, count, _ROWS_AT_ONCE):
        some = ids[begin : begin + _ROWS_AT_ONCE]
        with database.write() as session:
            tables = [
                {
                    "id": table_id,
                    "project_id": project_id,
                    "name": f"t{table_id.hex}",
                    "folded_name": f"t{table_id.hex}",
                    "format": "Delta",
                    "url_pattern": "file:///none",
                }
                for table_id, _ in some
            ]
            jobs = [
                {
                    "id": job_id,
                    "project_id": project_id,
                    "table_id": table_id,
                    "kind": JobKind.REFRESH_SCHEMA,
                    "queue": Queue.BULK,
                    "state": state,
                    "worker": worker,
                    "max_attempts": 5,
                }
                for table_id, job_id in some
            ]
            session.execute(insert(TABLES), tables)
            times = {"created_at": now(), "next_run_at": now(), "lease_expires_at": now(3600)}
            session.execute(insert(JOBS).values(**times), jobs)
