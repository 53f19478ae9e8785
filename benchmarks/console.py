"""What each page of the console costs and moves, at 10,000 tables and with a table of extremes."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final
from uuid import UUID

import httpx
import psutil
from sqlalchemy import insert, select, text

from benchmarks.deployment import Deployment, deployed
from benchmarks.figures import Figure, Outcome, Target, distributed
from benchmarks.large_project import NOW, fill
from benchmarks.options import Options
from stocktake.catalog import changes
from stocktake.db.models import (
    Batch,
    BatchItem,
    Job,
    Schedule,
    SchemaChange,
    SchemaVersion,
    Table,
)
from stocktake.schema.columns import Column
from stocktake.schema.diff import diff
from stocktake.states import JobKind, JobState, Queue

_TABLES: Final = 10_000
_JOBS: Final = 30_000
_SCHEDULES: Final = 200
_COLUMNS: Final = 5_000
#: Columns of names of 10,000 characters: more than a page shows.
_LONG: Final = 70
_LONG_NAME: Final = "n" * 10_000
#: Of its columns, version by version.
_TYPES: Final = ("Float64", "String", "Int64")
_TIMES: Final = 9
_MOST_MS: Final = 200.0
_MOST_KB: Final = 100.0
_TIMEOUT_SECONDS: Final = 60.0


def measure(options: Options) -> Iterator[Outcome]:
    """Ask for each page some times, and tell how long it takes, what it costs and how large it
    is."""
    tables, jobs = options.sized(_TABLES), options.sized(_JOBS)
    with deployed(options) as deployment, _browser(deployment) as browser:
        fill(deployment.database, deployment.project_id, tables=tables, jobs=jobs)
        pages = _pages(deployment, _extremes(deployment), _batch(deployment))
        if options.database == "postgresql":
            _settle(deployment)
        for name, path in pages.items():
            yield _asked(name, deployment, partial(browser.get, path))
        yield Outcome(
            figures=[],
            conditions=[
                f"{tables:,} tables, {jobs:,} jobs, 500 batches and {_SCHEDULES} schedules of one "
                f"project; a table of {_COLUMNS:,} columns, {_LONG} of them with names of 10,000 "
                "characters, three versions of all of them, and a change of all that waits; the "
                f"service as it runs, and one browser, {_TIMES} times each page; processor time "
                "is that of the web process and the database's; sizes are of the HTML, not packed"
            ],
        )


@contextmanager
def _browser(deployment: Deployment) -> Iterator[httpx.Client]:
    """Give a client that has signed in."""
    with httpx.Client(
        base_url=f"{deployment.web.url}/p/{deployment.project_id}/",
        headers={"Accept": "text/html", "Sec-Fetch-Site": "same-origin"},
        timeout=_TIMEOUT_SECONDS,
    ) as client:
        client.post(f"{deployment.web.url}/sign-in", data={"key": deployment.key})
        yield client


def _extremes(deployment: Deployment) -> UUID:
    """Add a table that has all that is large, and schedules; return the table's id."""
    names = [f"c{at}" + _LONG_NAME * (at < _LONG) for at in range(_COLUMNS)]
    old = [Column.of(name, "Int64").as_dict() for name in names]
    project_id = deployment.project_id
    with deployment.database.write() as session:
        table = Table(
            project_id=project_id,
            name="t" * 128,
            format="Parquet",
            url_pattern="https://bucket.s3.amazonaws.com/wide/*.parquet",
            columns=old,
            schema_version=len(_TYPES),
            change_policy="manual",
            warnings=[{"code": "x", "sentence": "s" * 10_000, "file": "f" * 1_000}] * 20,
        )
        session.add(table)
        session.add_all(
            Schedule(project_id=project_id, name=f"s{at}", cron="0 3 * * *", selector={"all": True})
            for at in range(_SCHEDULES)
        )
        session.flush()
        session.add_all(_versions(table.id, names))
        fresh = tuple(Column.of(name, "String") for name in names)
        changes.settle(session, table, fresh, sampled=False, source_version="v", job_id=None)
        return table.id


def _versions(table_id: UUID, names: Sequence[str]) -> Iterator[SchemaVersion]:
    """Yield versions of a table, of which each changes the types of all columns."""
    before: tuple[Column, ...] = ()
    for number, kind in enumerate(_TYPES, 1):
        columns = tuple(Column.of(name, kind) for name in names)
        change = diff(before, columns)
        yield SchemaVersion(
            table_id=table_id,
            number=number,
            columns=[column.as_dict() for column in columns],
            diff=change.as_dict(),
            change=change.change.value,
        )
        before = columns


def _batch(deployment: Deployment) -> UUID:
    """Add a batch of all tables, whose jobs are among those that there are; return its id."""
    with deployment.database.write() as session:
        batch = Batch(project_id=deployment.project_id, selector={"all": True}, expanded_at=NOW)
        session.add(batch)
        session.flush()
        of_batch = {"batch_id": batch.id, "project_id": deployment.project_id}
        expansion = Job(
            kind=JobKind.EXPAND_BATCH, state=JobState.SUCCEEDED, queue=Queue.BULK, max_attempts=5,
            finished_at=NOW, **of_batch,
        )  # fmt: skip
        session.add(expansion)
        mine = Job.project_id == deployment.project_id, Job.table_id.is_not(None)
        jobs = {
            row.table_id: row.id
            for row in session.execute(select(Job.id, Job.table_id).where(*mine))
        }
        rows = [
            {"batch_id": batch.id, "table_id": table, "job_id": job} for table, job in jobs.items()
        ]
        session.execute(insert(BatchItem), rows)
        return batch.id


def _settle(deployment: Deployment) -> None:
    """Do what autovacuum would have done by then."""
    engine = deployment.database.engine
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def _pages(deployment: Deployment, wide: UUID, batch: UUID) -> Mapping[str, str]:
    """Return the pages by what they are called here."""
    with deployment.database.read() as session:
        change = session.scalars(select(SchemaChange.id)).one()
        plain = session.scalars(select(Table.id).where(Table.id != wide).limit(1)).one()
        failed = session.scalars(select(Job.id).where(Job.state == "failed").limit(1)).one()
        schedule = session.scalars(select(Schedule.id).limit(1)).one()
    tabs = ("", "/history", "/data", "/files", "/jobs", "/source")
    return {
        "home": "",
        "tables": "tables",
        "tables, by a word and a state": "tables?q=97+state:fresh&order=-row_count",
        "tables, the last page": "tables?offset=9950",
        "tables, none found": "tables?q=nothing+state:fresh+format:csv",
        **{f"a table{tab}": f"tables/{plain}{tab}" for tab in tabs},
        **{f"the widest table{tab}": f"tables/{wide}{tab}" for tab in tabs},
        "the widest table, a column searched": f"tables/{wide}?find=c499",
        "the widest table, two versions compared": f"tables/{wide}/history?since=1&to=3",
        "changes": "changes",
        "the widest change": f"changes/{change}",
        "jobs": "jobs",
        "jobs, failed by a code": "jobs?state=failed&code=access_denied",
        "a failed job": f"jobs/{failed}",
        "batches": "batches",
        "a batch": f"batches/{batch}",
        "schedules": "schedules",
        "a schedule of all tables": f"schedules/{schedule}",
        "a new schedule, tried": "schedules/new?name=n&cron=0+6+*+*+*&tables=state:stale",
        "add": "add?url=https://bucket.s3.amazonaws.com/orders/2026.parquet",
        "health": "health",
        "settings": "settings",
        "all keys": "settings/keys",
        "the audit log": "settings/audit",
    }


def _asked(name: str, deployment: Deployment, ask: Callable[[], httpx.Response]) -> Outcome:
    ask().raise_for_status()  # its template is compiled, and its rows are in memory
    taken: list[float] = []
    size = 0
    begun = _used(deployment)
    for _ in range(_TIMES):
        before = time.perf_counter()
        answer = ask().raise_for_status()
        taken.append((time.perf_counter() - before) * 1000)
        size = max(size, len(answer.content))
    # A process of the database that began meanwhile counts in full, one that ended not at all.
    ended = _used(deployment)
    used = sum(after - begun.get(pid, 0.0) for pid, after in ended.items()) * 1000 / _TIMES
    quick, small = Target(bound=_MOST_MS), Target(bound=_MOST_KB)
    return Outcome(
        figures=[
            distributed(name, taken, "ms", quick),
            Figure(name=f"{name}: processor", value=used, unit="ms", target=quick),
            Figure(name=f"{name}: size", value=size / 1000, unit="kB", target=small),
        ]
    )


def _used(deployment: Deployment) -> dict[int, float]:
    """Return the seconds of processor that the web process has used, and each of the database's."""
    pids = [deployment.web.pid]
    if not deployment.database.sqlite:
        with deployment.database.read() as session:
            own = text(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid()"
            )
            pids += session.scalars(own).all()
    found = {}
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            times = psutil.Process(pid).cpu_times()
            found[pid] = float(times.user + times.system)
    return found
