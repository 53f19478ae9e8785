"""The oracle must be able to say no: each promise is broken by hand, and found broken."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Executable, delete, update

from stocktake.db.models import Job, JobAttempt, SchemaVersion, Table
from tests.faults.client import Client
from tests.faults.oracle import Oracle
from tests.faults.sources import DeltaSource
from tests.support.harness import Stack

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


@pytest.fixture
def table(
    stack: Stack, client: Client, oracle: Oracle, new_source: Callable[[], DeltaSource]
) -> UUID:
    """A service in good health: one table that has grown and was renamed, and one upload."""
    stack.start_worker()
    source = new_source()
    table_id = client.create(source)
    oracle.wait_for_ends(60)
    source.grow()
    client.refresh(table_id)
    assert client.change(table_id, name="renamed").status == 200
    assert client.upload("ledger", rows=3).status == 201
    good = oracle.check()
    assert good.ended == {"succeeded": 4}
    assert good.accepted == 4
    return table_id


def test_rows_that_break_a_promise_are_found(stack: Stack, oracle: Oracle, table: UUID) -> None:
    known: set[str] = set()

    def broken_by(breaking: Executable) -> set[int]:
        with stack.database.write() as session:
            session.execute(breaking)
        new = [each for each in oracle.judge().broken if each.what not in known]
        known.update(each.what for each in new)
        return {each.promise for each in new}

    second = SchemaVersion.number == 2
    assert broken_by(update(Table).where(Table.id == table).values(name="lost")) == {3}
    assert broken_by(update(Table).where(Table.id == table).values(source_version=0)) == {4}
    assert broken_by(update(SchemaVersion).where(second).values(number=4)) == {2}
    assert broken_by(update(JobAttempt).values(number=2)) == {2}
    assert broken_by(update(JobAttempt).values(outcome="worker_lost")) == {2}
    assert broken_by(delete(JobAttempt)) == {2}
    assert 1 in broken_by(update(Job).values(state="queued"))
    verdict = oracle.judge()
    assert f"job {verdict.broken[0].jobs[0]}: {{" in oracle.told(verdict)


def test_answers_that_break_a_promise_are_found(
    oracle: Oracle, client: Client, table: UUID
) -> None:
    heard = client.log[:]
    upload = next(sent for sent in heard if sent.action == "upload")

    def broken_by(**values: Any) -> set[int]:
        client.log[:] = [*heard, replace(upload, **values)]
        return {each.promise for each in oracle.judge().broken}

    assert broken_by() == set()
    assert broken_by(location=f"/jobs/{uuid4()}/", key="another", action="refresh") == {1}
    assert broken_by(location=f"/jobs/{uuid4()}/", action="refresh") == {1, 2}
    assert broken_by(asked={"marker": upload.asked["marker"], "rows": 4}) == {2}
    assert broken_by(action="change", table=table, asked={"name": "another"}) == {3}
    assert broken_by(action="override", table=table, asked={"column_0": "float"}) == {3}
    assert broken_by(action="create", body={"id": str(uuid4())}) == {3}
    assert broken_by(status=None) == broken_by(status=503) == {5}
    assert oracle.judge(allowed={503}).broken == ()


def test_a_source_that_went_on_is_found(oracle: Oracle, client: Client, table: UUID) -> None:
    source = client.sources[table]
    assert isinstance(source, DeltaSource)
    source.grow()
    assert {each.promise for each in oracle.judge().broken} == {4}
    assert oracle.check().broken == ()
