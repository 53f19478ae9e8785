"""Two writers who disagree: one unstable column, and no schema version for each swing."""

from typing import Any

import pytest
from sqlalchemy import select

from stocktake.db.models import SchemaVersion, Table
from stocktake.schema.stored_origins import StoredOrigins
from tests.integration.runs.conftest import Desk
from tests.integration.runs.test_origins import commit, refreshed, register, write


def shown(desk: Desk, name: str) -> dict[str, Any]:
    """A column's origin as the API shows it."""
    with desk.database.read() as session:
        stored = session.scalars(select(Table.origins)).one()
    found = StoredOrigins(stored).shown(name)
    assert found is not None
    return found


def types(desk: Desk) -> list[str]:
    """The type of `price` in each version, or a dash."""
    with desk.database.read() as session:
        versions = [*session.scalars(select(SchemaVersion).order_by(SchemaVersion.number))]
    found = []
    for version in versions:
        by_name = {each["name"]: each["clickhouse"] for each in version.columns}
        found.append(by_name.get("price", "-").removeprefix("Nullable(").removesuffix(")"))
    return found


def one_file(desk: Desk, day: int, **columns: Any) -> None:
    """Replace the only file, which is of another writer each time."""
    for path in (desk.sources / "orders").glob("*.parquet"):
        path.unlink()
    write(desk, day, **columns)


@pytest.mark.parametrize("kind", ["files", "delta"])
def test_two_writers_who_disagree_make_one_unstable_column(desk: Desk, kind: str) -> None:
    def swing(number: int) -> None:
        if kind == "files":
            one_file(desk, number, id=[1], price=[1.5] if number % 2 else [1])
        else:
            commit(desk, number, id="long", price="double" if number % 2 else "long")

    swing(0)
    register(desk, *(("orders/*.parquet",) if kind == "files" else ("orders", "Delta")))
    refreshed(desk)
    for number in range(1, 40):
        swing(number)
        result = refreshed(desk)

    # the first change is one; the way back is the last thing that could be
    assert types(desk) == ["Int64", "Float64"]
    found = shown(desk, "price")
    assert found["unstable"] is True
    assert {side["type"] for side in found["swings"]} == {"Nullable(Int64)", "Nullable(Float64)"}
    newest = found["swings"][-1]["newest"]
    assert (newest["file"], newest["version"]) == (
        ("59.parquet", None) if kind == "files" else (None, 39)
    )
    assert sum(side["reads"] for side in found["swings"]) == 40
    (warning,) = result["warnings"]
    assert warning["code"] == "unstable_column"
    assert '"price" goes there and back between' in warning["sentence"]
    assert desk.table().warnings == [warning]
    assert shown(desk, "id")["unstable"] is False


def test_what_no_type_but_text_holds_is_a_text_while_it_swings(desk: Desk) -> None:
    for number in range(9):
        one_file(desk, number, price=["x"] if number % 2 else [1])
        if not number:
            register(desk, "orders/*.parquet")
        refreshed(desk)
    assert types(desk) == ["Int64", "String"]


def test_a_column_is_stable_again_once_ten_reads_agree(desk: Desk) -> None:
    for number, price in enumerate([1, 1.5, 1]):
        one_file(desk, number, price=[price])
        if not number:
            register(desk, "orders/*.parquet")
        refreshed(desk)
    for number in range(3, 11):
        one_file(desk, number, price=[1])
        refreshed(desk)
        # an unchanged source says nothing new
        assert refreshed(desk)["coverage"]["unchanged"] is True
    assert shown(desk, "price")["unstable"] is True
    one_file(desk, 11, price=[1])
    assert refreshed(desk)["warnings"] == []
    assert types(desk) == ["Int64", "Float64", "Int64"]
    assert shown(desk, "price")["unstable"] is False


def test_the_user_decides_an_unstable_column(desk: Desk) -> None:
    for number, price in enumerate([1, 1.5, 1]):
        one_file(desk, number, price=[price])
        if not number:
            register(desk, "orders/*.parquet")
        refreshed(desk)
    with desk.database.write() as session:
        table = session.scalars(select(Table)).one()
        table.columns = [each | {"override": True} for each in table.columns]
    one_file(desk, 3, price=[1.5])
    assert refreshed(desk)["warnings"] == []
    assert shown(desk, "price")["unstable"] is False


def test_a_column_that_comes_and_goes_stays_once_it_has_come_back(desk: Desk) -> None:
    for number in range(12):
        columns: dict[str, Any] = {"id": [1]} | ({"price": [1.5]} if number % 2 == 0 else {})
        one_file(desk, number, **columns)
        if not number:
            register(desk, "orders/*.parquet")
        refreshed(desk)
    # gone is gone; come back it is unstable, and stays
    assert types(desk) == ["Float64", "-", "Float64"]
    assert shown(desk, "price")["unstable"] is True
    assert {side["type"] for side in shown(desk, "price")["swings"]} == {None, "Nullable(Float64)"}


def test_a_column_that_leaves_for_good_is_removed_and_forgotten(desk: Desk) -> None:
    for number in range(13):
        one_file(desk, number, **({"id": [1]} | ({"price": [1]} if number < 1 else {})))
        if not number:
            register(desk, "orders/*.parquet")
        refreshed(desk)
    assert types(desk) == ["Int64", "-"]
    with desk.database.read() as session:
        stored = session.scalars(select(Table.origins)).one()
    assert stored is not None
    assert stored["swings"]["columns"] == {}


def test_a_change_that_stays_is_no_swing(desk: Desk) -> None:
    for number, price in enumerate([1, *[1.5] * 12, 1]):
        one_file(desk, number, price=[price])
        if not number:
            register(desk, "orders/*.parquet")
        refreshed(desk)
    assert types(desk) == ["Int64", "Float64", "Int64"]
    assert shown(desk, "price")["unstable"] is False
