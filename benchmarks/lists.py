"""What lists cost at 100,000 tables and as many jobs, by filter and by order."""

import gc
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import psutil
from pydantic_core import to_json
from sqlalchemy import event, select, text

from api.schemas.batches import ListedBatchBody
from api.schemas.jobs import job_view
from api.schemas.tables import TableCountsBody, table_view
from benchmarks.deployment import new_database
from benchmarks.figures import Figure, Outcome, Target
from benchmarks.large_project import NOW, fill
from benchmarks.options import Options
from stocktake.catalog.listing import SORTED_BY, TableFilter
from stocktake.db import migrate
from stocktake.db.session import Database
from stocktake.parts import ProcessParts
from stocktake.schema.diff import ChangeClass
from stocktake.schema.formats import TableFormat
from stocktake.services import batch_lists, identity, jobs, table_counts, table_views
from stocktake.services.batch_lists import BatchFilter
from stocktake.services.batches import BatchState
from stocktake.services.context import Caller, Context
from stocktake.services.jobs import JobFilter
from stocktake.settings import Settings
from stocktake.states import JobKind, JobState, TableState

_TABLES: Final = 100_000
_JOBS: Final = 120_000
_TIMES: Final = 7
_LIMIT: Final = 101
_MOST_MS: Final = 50.0

Work = Callable[[Context], object]


def measure(options: Options) -> Iterator[Outcome]:
    """Ask for each list many times, and tell what it costs this process and the database's."""
    with ExitStack() as started:
        folder = Path(started.enter_context(tempfile.TemporaryDirectory(prefix="stocktake-lists-")))
        url = new_database(options.database, folder, started)
        migrate.upgrade(url)
        database = Database(url, pool_size=1)
        started.callback(database.dispose)
        settings = Settings(database_url=url, data_dir=folder)
        process = ProcessParts.of(settings, database)
        with database.write() as session:
            project_id = identity.create_project(session, "Benchmark").id
        schedule = fill(
            database, project_id, tables=options.sized(_TABLES), jobs=options.sized(_JOBS)
        )
        if options.database == "postgresql":
            _settle(database)
            # Nobody would count what a helper of its process takes.
            event.listen(database.engine, "connect", _alone)
            database.engine.dispose()
        gc.collect()
        gc.freeze()  # as a server does once it has started
        caller = Caller(project_id=project_id, user_id=None)
        figures = [
            _figure(database, process, caller, name, work) for name, work in _lists(schedule)
        ]
        yield Outcome(
            figures=figures,
            conditions=[
                f"{options.sized(_TABLES):,} tables of twelve columns, {options.sized(_JOBS):,} "
                "jobs and 500 batches of one project; pages of 100 with their JSON, in this "
                "process; processor time is its own and the database's, the mean of "
                f"{_TIMES} requests"
            ],
        )


def _lists(schedule: Any) -> Iterator[tuple[str, Work]]:
    """Yield each list that is measured, by its query."""
    filters: dict[str, dict[str, Any]] = {
        "": {},
        "search=97": {"search": "97"},
        **{f"state={state}": {"state": state} for state in TableState},
        "format=Parquet": {"format": TableFormat("Parquet")},
        "error_code=access_denied": {"error_code": "access_denied"},
        "last_change=breaking": {"last_change": ChangeClass.BREAKING},
        "has_overrides=true": {"has_overrides": True},
        "schedule": {"schedule": schedule},
        "state=fresh&format=CSV&search=7": {
            "state": TableState.FRESH,
            "format": TableFormat("CSV"),
            "search": "7",
        },
    }
    for query, wanted in filters.items():
        yield f"tables/?{query}", partial(_tables, TableFilter(**wanted), "-created_at")
    for name in (*SORTED_BY, "state"):
        for order in (name, f"-{name}"):
            yield f"tables/?order_by={order}", partial(_tables, TableFilter(), order)
            fresh = TableFilter(state=TableState.FRESH)
            yield f"tables/?state=fresh&order_by={order}", partial(_tables, fresh, order)
    parquet = TableFilter(format=TableFormat("Parquet"))
    yield "tables/?format=Parquet&order_by=-size_bytes", partial(_tables, parquet, "-size_bytes")
    yield "tables/counts/", _counts
    day = timedelta(days=1)
    for query, job_filter in {
        "": {},
        **{f"state={state}": {"state": state} for state in JobState},
        "kind=refresh_schema": {"kind": JobKind.REFRESH_SCHEMA},
        "kind=ingest_file": {"kind": JobKind.INGEST_FILE},
        "error_code=access_denied": {"error_code": "access_denied"},
        "created_after (a day)": {"created_after": NOW - day},
        "created_before (20 days)": {"created_before": NOW - 20 * day},
    }.items():
        yield f"jobs/?{query}", partial(_jobs, JobFilter(**cast("dict[str, Any]", job_filter)))
    yield "jobs/?order_by=created_at", partial(_jobs, JobFilter(), oldest_first=True)
    yield "batches/", partial(_batches, BatchFilter())
    yield "batches/?state=finished", partial(_batches, BatchFilter(state=BatchState.FINISHED))


def _tables(wanted: TableFilter, order_by: str, context: Context) -> None:
    page = table_views.list_views(context, wanted, order_by=order_by, limit=_LIMIT, offset=0)
    for view in page.views:
        to_json(table_view(view, context.caller))


def _counts(context: Context) -> None:
    to_json(TableCountsBody.model_validate(table_counts.count_tables(context)))


def _jobs(wanted: JobFilter, context: Context, *, oldest_first: bool = False) -> None:
    _, found = jobs.list_jobs(context, wanted, limit=_LIMIT, offset=0, oldest_first=oldest_first)
    for job in found:
        to_json(job_view(job))


def _batches(wanted: BatchFilter, context: Context) -> None:
    _, found = batch_lists.list_batches(context, wanted, limit=_LIMIT, offset=0)
    for batch in found:
        to_json(ListedBatchBody.model_validate(batch))


def _figure(
    database: Database, process: ProcessParts, caller: Caller, name: str, work: Work
) -> Figure:
    def once() -> None:
        with database.read() as session:
            work(Context(session=session, caller=caller, process=process))

    once()  # connects, and compiles what it asks
    once()
    server = _server(database)
    began, began_there = time.process_time(), _used(server)
    for _ in range(_TIMES):
        once()
    used = time.process_time() - began + _used(server) - began_there
    target = Target(bound=_MOST_MS)
    return Figure(name=name, value=used * 1000 / _TIMES, unit="ms", target=target)


def _server(database: Database) -> psutil.Process | None:
    """Return the process that answers on the database's side; None of SQLite, which is here."""
    if database.sqlite:
        return None
    with database.read() as session:
        return psutil.Process(session.scalar(select(text("pg_backend_pid()"))))


def _used(server: psutil.Process | None) -> float:
    if server is None:
        return 0.0
    times = server.cpu_times()
    return float(times.user + times.system)


def _alone(connection: Any, _record: Any) -> None:
    connection.execute("SET max_parallel_workers_per_gather = 0")
    connection.commit()


def _settle(database: Database) -> None:
    """Do what autovacuum would have done by then."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
