"""A load gives back what the file says: in the file's order, every value, or a sentence."""

from collections.abc import Iterator

import pytest

from tests.integration.runs.conftest import Desk
from tests.integration.runs.test_load import delta
from tests.support import loaded


def root(desk: Desk) -> str:
    return delta(desk).table_uri.removeprefix("file://")


def numbered(start: int, end: int) -> bytes:
    """A CSV of many batches, whose rows say where they stood."""

    def lines() -> Iterator[bytes]:
        yield b"id,note\n"
        for number in range(start, end):
            yield b"%d,%d\n" % (number, number % 7)

    return b"".join(lines())


@pytest.mark.chdb
def test_rows_stand_in_the_order_of_the_file(desk: Desk) -> None:
    desk.load(numbered(0, 200_000))
    expected = list(range(200_000))

    assert [row["id"] for row in loaded.with_deltalake(root(desk))] == expected
    assert [row[0] for row in loaded.with_duckdb(root(desk))] == expected
    found = loaded.with_clickhouse(root(desk), "id")
    assert found is not None
    assert [int(row[0]) for row in found] == expected


def test_rows_that_are_appended_or_replaced_stand_in_order_too(desk: Desk) -> None:
    desk.load(b"id,note\n0,0\n")
    desk.load(numbered(1, 60_000))
    found = [row["id"] for row in loaded.with_deltalake(root(desk))]
    assert [number for number in found if number] == list(range(1, 60_000))

    desk.load(numbered(60_000, 120_000), mode="replace")
    found = [row["id"] for row in loaded.with_deltalake(root(desk))]
    assert found == list(range(60_000, 120_000))


def test_a_load_that_brings_a_column_tells_the_history_which_upload_did(desk: Desk) -> None:
    desk.load(b"id\n1\n")
    job_id = desk.load(b"id,note\n2,x\n").claim.job_id
    newest, before, *_ = delta(desk).history()

    assert (newest["stocktakeJob"], before["stocktakeJob"]) == (str(job_id), str(job_id))
    assert before["operation"] == "ADD COLUMN"
