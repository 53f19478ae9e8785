"""`mode=merge`: rows of a key that the table has are updated, the others added; once."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from stocktake.errors import CommitConflictError, SchemaConflictError, StaleAttemptError
from stocktake.runs import ingest_file, load
from stocktake.runs.attempt import Attempt
from tests.integration.runs.conftest import Desk
from tests.integration.runs.test_maintain import maintain
from tests.integration.runs.test_stored_bytes import opened, told, true

FIRST = b"id,note,price\n1,one,1.5\n2,two,2.5\n3,three,3.5\n"


def merge(desk: Desk, data: bytes, key: str = "id") -> None:
    desk.load(data, mode="merge", key=key)


def rows(desk: Desk) -> list[tuple[Any, ...]]:
    return sorted(
        (tuple(row.values()) for row in opened(desk).to_pyarrow_table().to_pylist()), key=str
    )


def test_known_rows_are_updated_and_new_ones_added(any_desk: Desk) -> None:
    any_desk.load(FIRST)
    merge(any_desk, b"id,note,price\n2,zwei,9.5\n4,four,4.5\n")

    assert rows(any_desk) == [
        (1, "one", 1.5),
        (2, "zwei", 9.5),
        (3, "three", 3.5),
        (4, "four", 4.5),
    ]
    assert any_desk.table().row_count == 4
    assert told(any_desk) == true(any_desk)


def test_a_column_that_the_file_lacks_keeps_its_value_and_a_new_one_is_null_elsewhere(
    desk: Desk,
) -> None:
    desk.load(FIRST)
    merge(desk, b"id,price,seen\n2,7.5,true\n5,5.5,false\n")

    assert rows(desk) == [
        (1, "one", 1.5, None),
        (2, "two", 7.5, True),
        (3, "three", 3.5, None),
        (5, None, 5.5, False),
    ]


def test_an_empty_value_takes_the_place_of_one(desk: Desk) -> None:
    desk.load(FIRST)
    merge(desk, b"id,note,price\n2,zwei,\n")

    assert (2, "zwei", None) in rows(desk)


def test_a_key_may_be_of_several_columns_with_odd_names(desk: Desk) -> None:
    desk.load(b'the id,"a""b",n\n1,x,1\n1,y,2\n')
    merge(desk, b'the id,"a""b",n\n1,y,20\n2,x,3\n', key='the id,a"b')

    assert rows(desk) == [(1, "x", 1), (1, "y", 20), (2, "x", 3)]


def test_the_first_load_makes_the_table_and_the_same_file_again_changes_nothing(
    desk: Desk,
) -> None:
    merge(desk, FIRST)
    before = rows(desk)
    merge(desk, FIRST)

    assert rows(desk) == before
    assert len(before) == 3


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("data", "key", "told_of"),
    [
        (b"id,note\n7,a\n8,b\n7,c\n", "id", "2 rows with the key id=7"),
        (b"id,note\n7,a\n,b\n", "id", "row 2"),
        (b"id,note\n7,a\n", "nr", "no column 'nr'"),
    ],
)
def test_a_file_whose_rows_the_key_does_not_tell_is_refused(
    desk: Desk, first: bool, data: bytes, key: str, told_of: str
) -> None:
    if not first:
        desk.load(FIRST)
    job_id = desk.send(data, target="delta", mode="merge", key=key)
    error = desk.fail(job_id, SchemaConflictError)

    assert told_of in error.detail
    if not first:
        assert (len(rows(desk)), opened(desk).version()) == (3, 1)


def test_a_value_that_does_not_fit_is_refused_before_anything_is_written(desk: Desk) -> None:
    desk.load(FIRST)
    job_id = desk.send(b"id,note,price\n2,two,cheap\n", target="delta", mode="merge", key="id")
    error = desk.fail(job_id, SchemaConflictError)

    assert "price" in error.detail
    assert opened(desk).version() == 1


def _without_its_record(attempt: Attempt, work: Callable[[Attempt], None]) -> None:
    stale = replace(attempt.claim, attempt=attempt.claim.attempt - 1)
    with pytest.raises(StaleAttemptError):
        work(replace(attempt, claim=stale))


def test_a_merge_whose_record_was_lost_is_not_done_over_what_came_after(desk: Desk) -> None:
    desk.load(FIRST)
    job_id = desk.send(b"id,note,price\n2,zwei,9.5\n", target="delta", mode="merge", key="id")
    _without_its_record(desk.attempt(job_id), ingest_file.run)
    later = pa.table({"id": pa.array([2], pa.int64()), "note": ["deux"], "price": [8.5]})
    write_deltalake(opened(desk), later, mode="overwrite")
    desk.expire(job_id)
    desk.run(job_id)

    assert rows(desk) == [(2, "deux", 8.5)]


@pytest.mark.parametrize("meanwhile", ["append", "maintain"])
def test_a_merge_that_others_pass_is_tried_again_on_what_they_left(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    desk.load(FIRST)
    desk.load(b"id,note,price\n4,four,4.5\n")
    job_id = desk.send(
        b"id,note,price\n2,zwei,9.5\n5,five,5.5\n", target="delta", mode="merge", key="id"
    )
    true_merge = load.merge_rows

    def late(*given: Any) -> None:
        if meanwhile == "maintain":
            maintain(desk)
        else:
            more = pa.table({"id": pa.array([5], pa.int64()), "note": ["x"], "price": [0.0]})
            write_deltalake(opened(desk), more, mode="append")
        true_merge(*given)

    monkeypatch.setattr(load, "merge_rows", late)
    desk.end(desk.attempt(job_id), CommitConflictError)
    monkeypatch.undo()
    desk.expire(job_id)
    desk.run(job_id)

    assert [row[:2] for row in rows(desk)] == [
        (1, "one"),
        (2, "zwei"),
        (3, "three"),
        (4, "four"),
        (5, "five"),
    ]
