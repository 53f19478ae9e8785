"""The oracle must be able to say no: a finished run is falsified in every way, and it objects."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from sqlalchemy import Executable, create_engine, delete, insert, select, update

from stocktake.db.models import (
    AuditEntry,
    Batch,
    BatchItem,
    IdempotencyKey,
    Job,
    JobAttempt,
    Schedule,
    ScheduleFire,
    SchemaVersion,
    Table,
)
from stocktake.parts import managed_storage
from tests.faults.client import Client
from tests.faults.oracle import Oracle
from tests.faults.promises.schedules import EVERY_MINUTE, fires
from tests.faults.records import Records
from tests.faults.sources import DeltaSource
from tests.support.harness import Stack

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)

ROWS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run that is over and in good order, and what is in it.

    Attributes:
        table: has grown, was renamed, has an override and was read again.
        ledger: a managed table, of one upload.
    """

    stack: Stack
    client: Client
    oracle: Oracle
    table: UUID
    ledger: UUID

    def broken(self) -> set[int]:
        """The promises that the oracle finds broken."""
        return {each.promise for each in self.oracle.judge().broken}

    @contextmanager
    def falsified(self, *statements: Executable) -> Iterator[None]:
        """What the database would hold after these statements; afterwards, what it did hold."""
        models = (Table, SchemaVersion, Job, JobAttempt, Batch, BatchItem)
        tables = [each.__table__ for each in (*models, IdempotencyKey, AuditEntry)]
        # Not by the service's own engine, which holds to foreign keys.
        engine = create_engine(self.stack.database_url)
        with engine.begin() as connection:
            before = {each: connection.execute(select(each)).mappings().all() for each in tables}
            for statement in statements:
                connection.execute(statement)
        try:
            yield
        finally:
            with engine.begin() as connection:
                for table, rows in before.items():
                    connection.execute(delete(table))
                    connection.execute(insert(table), [dict(row) for row in rows])
            engine.dispose()


@pytest.fixture
def run(stack: Stack, client: Client, oracle: Oracle, new_source: Callable[[], DeltaSource]) -> Run:
    stack.start_worker()
    source = new_source()
    table = client.create(source)
    oracle.wait_for_ends(60)
    source.grow()
    client.refresh(table)
    assert client.change(table, name="renamed").status == 200
    oracle.wait_for_ends(60)
    assert client.override(table, column_0="float").status == 200
    uploaded = client.upload("ledger", rows=ROWS)
    assert uploaded.status == 201
    assert client.refresh_all().status == 202
    oracle.wait_for_ends(60)
    assert client.schedule("yearly", "0 0 1 1 *").status == 201
    assert client.read(table).status == 200
    done = client.jobs()[0]
    assert client.cancel(done).status == 409
    assert client.retry(done).status == 202
    good = oracle.check()
    assert set(good.ended) == {"succeeded"}
    return Run(
        stack=stack, client=client, oracle=oracle, table=table, ledger=UUID(uploaded.body["id"])
    )


def test_rows_that_break_a_promise_are_found(run: Run) -> None:
    table = update(Table).where(Table.id == run.table)
    with run.stack.database.read() as session:
        columns = session.get_one(Table, run.table).columns
        first = session.scalars(
            select(SchemaVersion).where(
                SchemaVersion.table_id == run.table, SchemaVersion.number == 1
            )
        ).one()
        job = session.scalars(select(Job).where(Job.table_id == run.table).limit(1)).one()
        older = session.scalars(
            select(Job.id).where(Job.table_id == run.table).order_by(Job.created_at)
        ).first()
    version = update(SchemaVersion).where(SchemaVersion.id == first.id)
    versions = update(SchemaVersion).where(SchemaVersion.table_id == run.table)
    before = job.created_at - timedelta(seconds=1)
    failed = {"code": "internal", "detail": "x", "hint": None, "retryable": False}
    other_answer = {"status": 200, "body": {"id": str(uuid4())}}
    ledger = update(Table).where(Table.id == run.ledger)
    falsehoods: dict[str, tuple[int, list[Executable]]] = {
        # 1
        "a job never ended": (1, [update(Job).values(state="queued")]),
        "a job without an end": (1, [update(Job).values(finished_at=None)]),
        "ended before it was made": (1, [update(Job).values(finished_at=before)]),
        "started before it was made": (1, [update(Job).values(started_at=before)]),
        "an attempt ended before": (1, [update(JobAttempt).values(ended_at=before)]),
        "every refresh failed": (
            1,
            [
                update(Job)
                .where(Job.kind == "refresh_schema")
                .values(state="failed", error=failed, result=None),
                update(JobAttempt).values(outcome="internal"),
            ],
        ),
        # 2
        "a gap in the versions": (2, [version.values(number=9)]),
        "attempts twice": (2, [update(JobAttempt).values(number=2)]),
        "attempts that were lost": (2, [update(JobAttempt).values(outcome="worker_lost")]),
        "no attempts": (2, [delete(JobAttempt)]),
        "a success without a result": (2, [update(Job).values(result=None)]),
        "a batch without an item": (
            2,
            [delete(BatchItem).where(BatchItem.table_id == run.table)],
        ),
        "a batch that was never expanded": (2, [update(Batch).values(expanded_at=None)]),
        "an item without its job": (2, [update(BatchItem).values(job_id=uuid4())]),
        "rows counted wrong after a load": (2, [ledger.values(row_count=ROWS - 1)]),
        # 3
        "another name": (3, [table.values(name="lost")]),
        "a table gone": (3, [delete(Table).where(Table.id == run.table)]),
        "all tables deleted": (3, [update(Table).values(deleted=True)]),
        "the latest job lost": (3, [table.values(latest_job_id=None)]),
        "an older job as the latest": (3, [table.values(latest_job_id=older)]),
        "another table's job as the latest": (
            3,
            [ledger.values(latest_job_id=job.id)],
        ),
        "an override lost": (3, _overridden(table, columns, versions, override=False)),
        "another override": (3, _overridden(table, columns, versions, type_="Nullable(String)")),
        "an accepted batch gone with its jobs": (3, [delete(BatchItem), delete(Batch)]),
        "the audit log emptied": (3, [delete(AuditEntry)]),
        "the audit log of another": (3, [update(AuditEntry).values(subject="x")]),
        "a rename that is not in the audit log": (
            3,
            [delete(AuditEntry).where(AuditEntry.action == "table.rename")],
        ),
        "the answers lost": (3, [delete(IdempotencyKey)]),
        "answers without a body": (3, [update(IdempotencyKey).values(body=None)]),
        "answers of others": (3, [update(IdempotencyKey).values(body=other_answer)]),
        # 4
        "an older version of the source": (4, [table.values(source_version=0)]),
        "a wrong type in the table and its newest version": (
            4,
            _overridden(table, columns, versions, name="column_1", type_="Nullable(String)"),
        ),
        "a wrong type in an old version": (
            4,
            [version.values(columns=[{**first.columns[0], "clickhouse": "Nullable(UInt8)"}])],
        ),
        "rows counted wrong": (4, [table.values(row_count=1)]),
        "rows not counted": (4, [table.values(row_count=None)]),
        "a wrong size": (4, [table.values(size_bytes=1)]),
        "no columns": (4, [table.values(columns=[]), versions.values(columns=[])]),
        "columns in another order": (
            4,
            [table.values(columns=columns[::-1]), versions.values(columns=columns[::-1])],
        ),
    }
    assert run.broken() == set()
    missed = []
    for what, (promise, statements) in falsehoods.items():
        with run.falsified(*statements):
            found = run.broken()
            if promise not in found:
                missed.append(f"{what}: {sorted(found)}, not {promise}")
    assert missed == []
    assert run.broken() == set()


def _overridden(
    table: Any,
    columns: list[dict[str, Any]],
    versions: Any,
    *,
    name: str = "column_0",
    type_: str | None = None,
    override: bool | None = None,
) -> list[Executable]:
    """Another type, or no override, of a column; the table's newest version says the same."""
    changed = [
        column
        | ({"clickhouse": type_} if type_ else {})
        | ({"override": override} if override is not None else {})
        if column["name"] == name
        else column
        for column in columns
    ]
    newest = versions.where(SchemaVersion.number == 3)
    return [table.values(columns=changed), newest.values(columns=changed)]


def test_rows_of_a_load_that_are_lost_or_changed_are_found(run: Run) -> None:
    storage = managed_storage(run.stack.parsed_settings())
    uri, options = storage.delta_root(run.stack.project_id, str(run.ledger))
    rows = DeltaTable(uri, storage_options=options).to_pyarrow_table()
    numbers = rows["number"].to_pylist()
    assert numbers == list(range(ROWS))

    def broken_by(wrong: list[int]) -> set[int]:
        marker = rows["marker"][0].as_py()
        made = pa.table({"marker": [marker] * len(wrong), "number": pa.array(wrong, pa.int64())})
        write_deltalake(uri, made, mode="overwrite", storage_options=options)
        return run.broken()

    assert broken_by([0] * ROWS) == {2}
    assert broken_by(numbers[::-1]) == {2}
    assert broken_by([*numbers[:-1], 99]) == {2}
    assert broken_by(numbers[:-1]) == {2}
    assert broken_by([*numbers, 0]) == {2}
    assert broken_by([*numbers, *numbers]) == {2}
    assert broken_by([]) == {2}
    assert broken_by(numbers) == set()


def test_answers_that_break_a_promise_are_found(run: Run) -> None:
    heard = run.client.log[:]
    upload = next(sent for sent in heard if sent.action == "upload")
    table = run.table

    def broken_by(**values: Any) -> set[int]:
        run.client.log[:] = [*heard, replace(upload, **values)]
        return run.broken()

    assert broken_by() == set()
    lost = f"/jobs/{uuid4()}/"
    assert broken_by(location=lost, action="refresh") == {1, 2}
    assert 1 in broken_by(location=lost, key="another", action="refresh")
    assert broken_by(asked={"marker": upload.asked["marker"], "rows": ROWS + 1}) == {2}
    assert broken_by(action="change", table=table, asked={"name": "another"}) == {3, 4}
    assert broken_by(action="override", table=table, asked={"column_0": "string"}) == {3}
    assert broken_by(action="override", table=table, asked={"column_0": None}) == {3}
    assert broken_by(action="create", body={"id": str(uuid4())}) == {3}
    assert broken_by(action="delete", table=table) == {3, 4}
    assert broken_by(action="refresh_all", body={"id": str(uuid4())}) == {3}
    assert broken_by(key="a key that nobody kept") == {3}
    assert broken_by(status=None) == broken_by(status=503) == {5}
    assert run.oracle.judge(allowed={503}).broken == ()
    explained = run.oracle.judge(allowed={503}, explained=lambda sent: sent.status != 503)
    assert {each.promise for each in explained.broken} == {5}
    assert f"job {upload.job}: {{" in run.oracle.history(upload.job or uuid4())


def test_a_source_that_went_on_is_found(run: Run) -> None:
    source = run.client.sources[run.table]
    assert isinstance(source, DeltaSource)
    source.grow()
    assert run.broken() == {4}
    assert run.oracle.check().broken == ()


def test_a_schedule_that_does_not_fire_is_found(stack: Stack) -> None:
    start = datetime(2026, 5, 1, 12, 0, 30, tzinfo=UTC)
    until = start + timedelta(minutes=10)
    whole = _schedule_of_ten_minutes(start)

    def broken(records: Records) -> int:
        return len(list(fires(records, until)))

    [schedule], [fired] = whole.schedules.values(), whole.fires.values()
    assert broken(whole) == 0
    assert broken(replace(whole, fires={})) == 1
    assert broken(replace(whole, fires={schedule.id: fired[:5]})) == 1
    assert broken(replace(whole, fires={schedule.id: [*fired[:2], *fired[6:]]})) == 1
    assert broken(replace(whole, batches={})) == len(fired)
    early = ScheduleFire(
        schedule_id=schedule.id,
        fire_at=until + timedelta(seconds=30),
        fired_at=until,
        batch_id=fired[0].batch_id,
    )
    assert broken(replace(whole, fires={schedule.id: [*fired, early]})) == 1


def _schedule_of_ten_minutes(start: datetime) -> Records:
    """What is stored of a schedule that fired each minute."""
    schedule = Schedule(id=uuid4(), name="often", cron=EVERY_MINUTE, paused=False, created_at=start)
    fired, batches = [], {}
    for number in range(1, 10):
        moment = start.replace(second=0) + timedelta(minutes=number)
        batch = Batch(id=uuid4(), expanded_at=moment + timedelta(seconds=2))
        batches[batch.id] = batch
        fired.append(
            ScheduleFire(
                schedule_id=schedule.id,
                fire_at=moment,
                fired_at=moment + timedelta(seconds=1),
                batch_id=batch.id,
            )
        )
    return Records(
        jobs={},
        attempts={},
        tables={},
        versions={},
        batches=batches,
        items={},
        answers={},
        audit={},
        schedules={schedule.id: schedule},
        fires={schedule.id: fired},
    )
