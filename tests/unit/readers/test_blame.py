"""Which of the files that were read has which column, as which type."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stocktake.readers import introspect
from stocktake.readers.files.blame import alike, alike_types, origins_of
from stocktake.schema.columns import Column
from stocktake.schema.formats import TableFormat
from stocktake.schema.origin import Origins
from stocktake.schema.stored_origins import StoredOrigins, stored_origins
from stocktake.schema.types import Type, parse
from stocktake.storage.stores.opening import ObjectInfo
from tests.support.memory import MemoryObjects, files_source

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SOURCE = files_source(MemoryObjects({"x": b"x"}), "t/*.parquet")


def file(number: int, name: str | None = None) -> ObjectInfo:
    """A file; a higher number is newer."""
    return ObjectInfo(
        path=f"t/{name or f'{number:05}.parquet'}",
        size=1,
        etag=str(number),
        modified_at=BEGIN + timedelta(hours=number),
    )


def told(*files: dict[str, str], sampled: bool = False) -> Origins:
    """The origins of files, each with the types of its columns, oldest first."""
    per_file = [
        (file(number), tuple(Column.of(name, text) for name, text in types.items()))
        for number, types in enumerate(files)
    ]
    return origins_of(SOURCE, alike(reversed(per_file)), sampled=sampled)


def camps_of(found: Origins, name: str) -> dict[str, int]:
    return {str(camp.type.bare): camp.files for camp in found.columns[name].camps}


def test_files_of_one_tuple_and_of_equal_ones_are_one_group() -> None:
    columns = (Column.of("id", "Int64"),)
    equal = (Column.of("id", "Int64"),)
    assert len(alike([(file(2), columns), (file(1), equal), (file(0), columns)])) == 1


def test_first_and_newest_are_by_time_and_by_name_where_that_is_one() -> None:
    found = told({"a": "Int64"}, {"a": "Int64", "b": "Date"}, {"a": "Int64"})
    assert (found.columns["a"].first.file, found.columns["a"].newest.file) == (
        "00000.parquet",
        "00002.parquet",
    )
    assert found.columns["b"].first == found.columns["b"].newest
    same = [replace(file(0, name), modified_at=BEGIN) for name in ("a", "b", "c")]
    columns = (Column.of("id", "Int64"),)
    one = origins_of(SOURCE, alike((each, columns) for each in same), sampled=False)
    assert (one.columns["id"].first.file, one.columns["id"].newest.file) == ("a", "c")


def test_types_beyond_the_fourth_count_for_it() -> None:
    found = told(*({"a": f"Decimal({number}, 0)"} for number in range(1, 31)))
    origin = found.columns["a"]
    assert len(origin.camps) == 4
    assert (origin.files, sum(camp.files for camp in origin.camps)) == (30, 30)
    assert (origin.first.file, origin.newest.file) == ("00000.parquet", "00029.parquet")


def test_what_brought_a_type_is_the_first_file_that_the_old_type_does_not_read() -> None:
    found = told({"a": "Int64"}, {"a": "Int32"}, {"a": "Float64"}, {"a": "Float64"})
    assert found.columns["a"].brought(parse("Int64")).file == "00002.parquet"
    assert found.columns["a"].brought(None).file == "00000.parquet"


@pytest.mark.parametrize("kinds", [1, 3])
def test_many_columns_of_many_files_are_told_in_few_bytes(kinds: int) -> None:
    wide: list[dict[str, Type]] = [
        {f"column_{number}": parse("Int64") for number in range(5_000 - kind)}
        for kind in range(kinds)
    ]
    groups = alike_types((file(10_000 - number), wide[number % kinds]) for number in range(10_000))
    assert len(groups) == kinds
    found = origins_of(SOURCE, groups, sampled=False)
    assert len({id(origin) for origin in found.columns.values()}) == kinds
    stored = stored_origins(found, found.columns)
    assert len(stored["places"]) <= 2 * kinds + 2
    assert len(str(stored)) < 2_000


def test_long_names_and_types_are_cut() -> None:
    wide = f"Tuple({', '.join(f'field_{n} Int64' for n in range(2_000))})"
    columns = [(Column.of("a", "Int64"),), (Column.of("a", wide),)]
    files = [(file(number, "x" * 900), each) for number, each in enumerate(columns)]
    found = origins_of(SOURCE, alike(reversed(files)), sampled=False)
    assert len(str(stored_origins(found, ["a"]))) < 2_000
    shown = StoredOrigins(stored_origins(found, ["a"])).shown("a")
    assert shown is not None
    assert len(shown["first"]["file"]) == 200


def test_what_is_stored_is_read_back() -> None:
    found = told({"a": "Int64"}, {"a": "Int64", "b": "Date"}, {"a": "Int64", "c": "Date"})
    stored = stored_origins(found, ["a", "b", "c", "d"])
    again = StoredOrigins(stored).origins(["a", "b", "c", "d"])
    assert again is not None
    assert again.columns.keys() == {"a", "b", "c"}
    for name, origin in again.columns.items():
        assert origin == replace(found.columns[name], camps=())
    assert StoredOrigins(stored).shown("d") is None
    assert StoredOrigins(None).shown("a") is None


# --- of texts, most of which are not looked at value by value -------------------------------


INTS, FLOATS, TEXTS = "n\n1\n", "n\n1.5\n", "n\nx\n"


def csv_camps(files: list[str], state: dict[str, Any] | None = None) -> dict[str, int]:
    """By type how many files have it, of files newest first."""
    store = MemoryObjects()
    for number, text in reversed([*enumerate(files)]):
        store.put(f"{number}.csv", text.encode())
    source = files_source(store, "*.csv", TableFormat.CSV_WITH_NAMES)
    found = introspect(replace(source, state=state)).origins
    assert found is not None
    return camps_of(found, "n")


def test_a_newer_file_of_a_wider_type_is_told_from_the_others() -> None:
    assert csv_camps([FLOATS, *[INTS] * 11]) == {"Int64": 11, "Float64": 1}
    assert csv_camps([TEXTS, *[INTS] * 11]) == {"Int64": 11, "String": 1}
    assert csv_camps([INTS, INTS, FLOATS, INTS, FLOATS]) == {"Int64": 3, "Float64": 2}


def test_the_types_of_the_last_read_tell_the_files_that_have_them_still() -> None:
    store = MemoryObjects({"a.csv": INTS.encode()})
    before = introspect(files_source(store, "*.csv", TableFormat.CSV_WITH_NAMES)).state
    assert csv_camps([FLOATS] * 3 + [INTS] * 9, before) == {"Int64": 9, "Float64": 3}


def test_files_of_json_have_camps_of_their_own_types() -> None:
    store = MemoryObjects({"a": b'{"n": {"a": 1}}\n', "b": b'{"n": {"a": 1, "b": 2}}\n{"n": null}'})
    found = introspect(files_source(store, "*", TableFormat.JSON_EACH_ROW)).origins
    assert found is not None
    assert [str(camp.type) for camp in found.columns["n"].camps] == [
        "Nullable(Tuple(a Nullable(Int64)))",
        "Nullable(Tuple(a Nullable(Int64), b Nullable(Int64)))",
    ]
