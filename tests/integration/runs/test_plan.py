"""A plan says what a refresh would change, and stores nothing."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import select

from stocktake.db.models import Base
from stocktake.errors import SourceNotFoundError
from stocktake.runs import plan_refresh
from stocktake.schema.decisions import Verdict
from stocktake.states import JobKind
from tests.integration.runs.conftest import Desk
from tests.integration.runs.test_policies import decide, file, pending, set_policy, write
from tests.integration.runs.test_refresh import refreshed
from tests.support.rows import enqueue, refresh_of

__all__ = ["file"]


def planned(desk: Desk) -> dict[str, Any]:
    """The result of a plan; nothing but its job has changed."""
    before = rows(desk)
    job_id = enqueue(desk.database, refresh_of(desk.table(), kind=JobKind.PLAN_REFRESH))
    desk.run(job_id, plan_refresh.run)
    assert rows(desk) == before
    return desk.result(job_id)


def rows(desk: Desk) -> dict[str, list[str]]:
    others = [each for each in Base.metadata.sorted_tables if not each.name.startswith("job")]
    with desk.database.read() as session:
        return {each.name: sorted(map(repr, session.execute(select(each)))) for each in others}


@pytest.mark.parametrize(
    ("types", "change"),
    [
        ({"id": pa.int64(), "n": pa.int32(), "note": pa.string()}, "additive"),
        ({"id": pa.int64(), "n": pa.int64()}, "widening"),
        ({"id": pa.int64()}, "breaking"),
    ],
)
def test_a_plan_is_told_by_class(
    desk: Desk, file: Path, types: dict[str, pa.DataType], change: str
) -> None:
    set_policy(desk, "additive_only")
    assert planned(desk)["change"] == "none"
    write(file, **types)
    result = planned(desk)
    assert (result["change"], result["policy"]) == (change, "additive_only")
    assert result["waits"] == ("none" if change == "additive" else change)
    assert any(result["diff"][kind] for kind in ("added", "changed", "removed"))


def test_what_waits_is_still_to_come_and_what_was_rejected_is_not(desk: Desk, file: Path) -> None:
    write(file, id=pa.int64(), n=pa.string(), note=pa.string())
    refreshed(desk)
    result = planned(desk)
    assert result["coverage"]["unchanged"]
    assert (result["change"], result["waits"]) == ("breaking", "breaking")
    decide(desk, pending(desk).id, n=Verdict.REJECT)
    assert planned(desk)["diff"]["added"] == [{"name": "note", "type": "Nullable(String)"}]
    assert planned(desk)["change"] == "additive"


def test_a_column_that_swings_is_planned_as_a_refresh_would_store_it(
    desk: Desk, file: Path
) -> None:
    set_policy(desk, "auto")
    write(file, id=pa.int64(), n=pa.string())
    refreshed(desk)
    write(file, id=pa.int64(), n=pa.int32())
    result = planned(desk)
    assert refreshed(desk)["change"] == result["change"]


def test_a_source_that_cannot_be_read_fails_the_plan_alone(desk: Desk, file: Path) -> None:
    file.unlink()
    before = rows(desk)
    job_id = enqueue(desk.database, refresh_of(desk.table(), kind=JobKind.PLAN_REFRESH))
    desk.fail(job_id, SourceNotFoundError, plan_refresh.run)
    assert rows(desk) == before
