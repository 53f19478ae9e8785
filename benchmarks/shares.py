"""What a project feels of others whose reads are slow: they hang, in every child they can get."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select

from benchmarks.busy import ringing_database
from benchmarks.deployment import Deployment, deployed, wait_until
from benchmarks.figures import Figure, Outcome, Target, distributed, ratio
from benchmarks.options import Options
from benchmarks.sources import delta_tables
from servers.scripted_store import ScriptedStore
from servers.service import Worker
from stocktake.db.models import Job, Table
from stocktake.db.session import Database
from stocktake.jobs.queueing import JobRequest, enqueue
from stocktake.schema.formats import TableFormat
from stocktake.services import identity
from stocktake.states import JobKind, JobState, Queue

_JOBS: Final = 300
#: Of the greedy project: many times what has a place.
_SLOW_READS: Final = 50
_MANY: Final = 5
_TWICE: Final = Target(bound=2.0)
_FIVE_SECONDS: Final = Target(bound=5.0)


def measure(options: Options) -> Iterator[Outcome]:
    """Refresh one table after another of a modest project: alone, beside one greedy project, and
    beside so many slow ones that they fill the reserve too."""
    count = options.sized(_JOBS)
    with ScriptedStore() as store, deployed(options, TRUSTED_ENDPOINTS=store.endpoint) as service:
        tables = service.register(delta_tables(service.sources, count), TableFormat.DELTA)
        with (
            ringing_database(service.settings) as database,
            Worker(service.settings, service.place("worker")),
        ):
            _each(service, tables[:20])  # children connect and import; not counted
            alone = _figure("POST to the job's end, alone", _each(service, tables))
            _read_slowly(database, store, [_project(database, "Greedy")] * _SLOW_READS)
            wait_until(lambda: _running(database) == Worker.concurrency, "slow reads everywhere")
            beside = _figure("POST to the job's end, beside slow reads", _each(service, tables))
            yield _compared(alone, beside, count)
            many = [_project(database, f"Slow {number}") for number in range(_MANY)]
            _read_slowly(database, store, many)
            wait_until(lambda: _running(database) > Worker.concurrency, "a slow read in reserve")
            yield _in_reserve(_each(service, tables[:1])[0] / 1000)


def _each(service: Deployment, table_ids: Sequence[UUID]) -> list[float]:
    """Return milliseconds from each POST to its job's end, by this process's clock."""
    taken = []
    for table_id in table_ids:
        asked_at = datetime.now(UTC)
        job_id = UUID(service.post(f"warehouse_tables/{table_id}/refresh_schema/")["id"])
        service.wait_for_end(job_id)
        with service.database.read() as session:
            finished_at = session.get_one(Job, job_id).finished_at
        assert finished_at is not None
        taken.append((finished_at - asked_at).total_seconds() * 1000)
    return taken


def _project(database: Database, name: str) -> int:
    with database.write() as session:
        return identity.create_project(session, name).id


def _read_slowly(database: Database, store: ScriptedStore, projects: Sequence[int]) -> None:
    for number, project_id in enumerate(projects):
        with database.write() as session:
            table = Table(
                project_id=project_id,
                name=f"slow_{number}",
                format=TableFormat.DELTA.value,
                url_pattern=store.url(f"{project_id}/slow_{number}"),
                options={"public": True},
            )
            session.add(table)
            session.flush()
            request = JobRequest(
                project_id=project_id,
                kind=JobKind.REFRESH_SCHEMA,
                queue=Queue.INTERACTIVE,
                max_attempts=1000,
                table_id=table.id,
            )
            enqueue(session, request)


def _running(database: Database) -> int:
    with database.read() as session:
        found = select(Job.id).where(Job.state == JobState.RUNNING.value)
        return len(session.scalars(found).all())


def _figure(name: str, milliseconds: Sequence[float]) -> Figure:
    return distributed(name, milliseconds, "ms")


def _compared(alone: Figure, beside: Figure, count: int) -> Outcome:
    assert alone.spread is not None
    assert beside.spread is not None
    return Outcome(
        figures=[
            alone,
            beside,
            ratio("beside slow reads : alone, p99", beside.spread.p99, alone.spread.p99, _TWICE),
        ],
        conditions=[
            f"{count} interactive refreshes of one project, one after the other; one worker of "
            f"{Worker.concurrency} children and one in reserve; beside: {_SLOW_READS} interactive "
            "refreshes of another project whose store does not answer"
        ],
    )


def _in_reserve(seconds: float) -> Outcome:
    name = "POST to the job's end, slow reads of other projects in every child"
    return Outcome(
        figures=[Figure(name=name, value=seconds, unit="s", target=_FIVE_SECONDS)],
        conditions=[
            f"one refresh of a project of which nothing runs, while stores that do not answer keep "
            f"every child, the reserve too, for the greedy project and {_MANY} others"
        ],
    )
