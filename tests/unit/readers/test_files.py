"""Listings, the unchanged answer, and the union of many files' columns."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.errors import LimitExceededError, OnlyHiddenFilesError, SourceNotFoundError
from stocktake.readers.files.budget import Budget
from stocktake.readers.files.listing import Listing, list_files
from stocktake.readers.files.partitions import hive_partitions, with_partitions
from stocktake.readers.files.state import conclude, list_or_fetch, stored_columns, unchanged
from stocktake.readers.files.union import combine
from stocktake.readers.source import Introspection, Limits, Source
from stocktake.schema.columns import Column
from stocktake.storage.stores.opening import Chunk, ObjectInfo
from tests.support.memory import MemoryObjects, files_source

LIMITS = Limits()


def info(path: str = "f") -> ObjectInfo:
    return next(iter(MemoryObjects({path: b"x"}).list("")))


def columns(**types: str) -> tuple[Column, ...]:
    return tuple(Column.of(name, clickhouse) for name, clickhouse in types.items())


def shown(result: tuple[Column, ...]) -> dict[str, str]:
    return {column.name: column.clickhouse for column in result}


def paths(listing: Listing) -> list[str]:
    return [file.path for file in listing.files]


# --- listing ------------------------------------------------------------------------------


def test_files_are_listed_newest_first() -> None:
    store = MemoryObjects({"d/b.csv": b"1", "d/a.csv": b"2", "d/c.txt": b"3", "e/a.csv": b"4"})
    assert paths(list_files(files_source(store, "d/*.csv"), LIMITS)) == ["d/a.csv", "d/b.csv"]
    assert store.listed == ["d/"]


def test_files_of_one_age_are_listed_by_path() -> None:
    store = MemoryObjects({"b": b"1", "a": b"2"})
    same = [replace(file, modified_at=info().modified_at) for file in store.list("")]
    store.list = lambda prefix, *, start_after=None: iter(reversed(same))  # type: ignore[method-assign]
    assert paths(list_files(files_source(store), LIMITS)) == ["a", "b"]


def test_key_without_wildcards_is_that_key_alone() -> None:
    store = MemoryObjects({"a.csv": b"1", "a.csv.bak": b"2"})
    assert paths(list_files(files_source(store, "a.csv"), LIMITS)) == ["a.csv"]


def test_a_single_file_is_listed_by_what_its_first_read_says() -> None:
    store = MemoryObjects({"a.csv": b"x\n1\n"})
    source = files_source(store, "a.csv")

    listing, chunk = list_or_fetch(source, LIMITS, lambda path: store.get(path, length=1))

    assert chunk is not None
    assert chunk.data == b"x"
    assert listing == list_files(source, LIMITS)
    assert store.listed == []


def test_a_file_that_was_read_before_is_not_fetched_to_be_listed() -> None:
    store = MemoryObjects({"a.csv": b"1"})
    source = files_source(store, "a.csv")
    listing = list_files(source, LIMITS)
    known = conclude(
        source, listing, (), budget=Budget(LIMITS), limits=LIMITS, row_count=None
    ).state

    assert list_or_fetch(replace(source, state=known), LIMITS, _no_fetch) == (listing, None)


def test_files_of_a_glob_are_listed() -> None:
    store = MemoryObjects({"a.csv": b"1", "b.csv": b"2"})
    listing, chunk = list_or_fetch(files_source(store), LIMITS, _no_fetch)
    assert (paths(listing), chunk) == (["b.csv", "a.csv"], None)


def _no_fetch(path: str) -> Chunk:
    raise AssertionError(f"{path} was fetched")


@pytest.mark.parametrize("path", ["a", "b*", "a.csv/"])
def test_nothing_that_matches_is_not_found(path: str) -> None:
    with pytest.raises(SourceNotFoundError):
        list_files(files_source(MemoryObjects({"a.csv": b"1"}), path), LIMITS)


def test_folder_markers_are_left_out() -> None:
    store = MemoryObjects({"d/": b"", "d/a": b"1"})
    assert paths(list_files(files_source(store, "**"), LIMITS)) == ["d/a"]


def test_hidden_files_are_passed_over_and_named() -> None:
    store = MemoryObjects({"d/a": b"1", "d/_SUCCESS": b"", "d/.a.crc": b"2", "d/_b=1/c": b"3"})
    source = files_source(store, "d/**")
    listing = list_files(source, LIMITS)
    assert paths(listing) == ["d/_b=1/c", "d/a"]
    assert listing.hidden == ("d/.a.crc", "d/_SUCCESS")
    (warning,) = answered(source).warnings
    assert warning.code == "hidden_files"
    assert warning.sentence.startswith('Passed over 2 files (".a.crc", "_SUCCESS"), hidden')


def test_only_the_first_few_of_many_hidden_files_are_named() -> None:
    hidden = {f"_{n}{'x' * 300}": b"" for n in range(2_000)}
    (warning,) = answered(files_source(MemoryObjects(hidden | {"a": b"1"}))).warnings
    assert "2,000 files" in warning.sentence
    assert warning.as_dict()["sentence"] == warning.sentence
    assert "_1000" in warning.sentence
    assert "_1002" not in warning.sentence


def test_hidden_files_alone_are_not_found_and_named() -> None:
    store = MemoryObjects({"d/_a.csv": b"1"})
    with pytest.raises(OnlyHiddenFilesError, match=r'no file but 1 file \("_a\.csv"\)') as caught:
        list_files(files_source(store, "d/*.csv"), LIMITS)
    assert (caught.value.code, caught.value.retryable) == ("only_hidden_files", False)
    assert "/_staging/*.csv" in caught.value.hint
    assert paths(list_files(files_source(store, "d/_*.csv"), LIMITS)) == ["d/_a.csv"]
    assert paths(list_files(files_source(store, "d/_a.csv"), LIMITS)) == ["d/_a.csv"]


def test_files_of_no_bytes_are_named() -> None:
    source = files_source(MemoryObjects({"d/a": b"1", "d/b": b""}), "d/*")
    (warning,) = answered(source).warnings
    assert (warning.code, warning.sentence) == (
        "empty_files",
        'Passed over 1 file ("b") of no bytes.',
    )


def test_hidden_files_that_come_leave_a_source_unchanged_and_are_told() -> None:
    store = MemoryObjects({"a": b"1", "b": b""})
    source = files_source(store)
    state = answered(source).state
    store.put("_SUCCESS", b"")
    answer = unchanged(replace(source, state=state), list_files(source, LIMITS), LIMITS)
    assert answer is not None
    assert [warning.code for warning in answer.warnings] == ["hidden_files", "empty_files"]
    store.remove("_SUCCESS")
    answer = unchanged(replace(source, state=answer.state), list_files(source, LIMITS), LIMITS)
    assert answer is not None
    assert [warning.code for warning in answer.warnings] == ["empty_files"]


def test_listing_past_the_limit_is_refused() -> None:
    store = MemoryObjects({f"{n}.txt": b"" for n in range(4)})
    with pytest.raises(LimitExceededError, match="4 objects or more"):
        list_files(files_source(store, "*.csv"), Limits(max_listed=3))


def test_fingerprint_follows_content_and_names() -> None:
    store = MemoryObjects({"a": b"1", "b": b"2"})
    source = files_source(store)
    first = list_files(source, LIMITS).fingerprint
    assert list_files(source, LIMITS).fingerprint == first
    store.put("b", b"3")
    second = list_files(source, LIMITS).fingerprint
    store.put("c", b"4")
    assert len({first, second, list_files(source, LIMITS).fingerprint}) == 3


# --- the state of the last read -----------------------------------------------------------


def answered(source: Source, *, limits: Limits = LIMITS, cut: bool = False) -> Introspection:
    budget = Budget(limits)
    if cut:
        budget.cut()
    return conclude(
        source,
        list_files(source, limits),
        columns(a="Int64"),
        budget=budget,
        limits=limits,
        row_count=7,
    )


def test_same_listing_is_unchanged() -> None:
    source = files_source(MemoryObjects({"a": b"1"}))
    first = answered(source)
    again = replace(source, state=first.state)
    answer = unchanged(again, list_files(again, LIMITS), LIMITS)
    assert answer is not None
    assert answer.coverage.unchanged
    assert (answer.columns, answer.row_count, answer.state) == ((), 7, first.state)
    assert (answer.source_version, answer.size_bytes) == (first.source_version, 1)
    assert stored_columns(again) == columns(a="Int64")


def test_new_file_is_a_change() -> None:
    store = MemoryObjects({"a": b"1"})
    source = replace(files_source(store), state=answered(files_source(store)).state)
    store.put("b", b"2")
    assert unchanged(source, list_files(source, LIMITS), LIMITS) is None


@pytest.mark.parametrize("other", [{"reader_version": 0}, {"kind": "delta"}, {"options": {"x": 1}}])
def test_state_of_another_reader_does_not_count(other: dict[str, object]) -> None:
    source = files_source(MemoryObjects({"a": b"1"}))
    source = replace(source, state=answered(source).state | other)
    assert unchanged(source, list_files(source, LIMITS), LIMITS) is None
    assert stored_columns(source) == ()


def test_sample_is_taken_again_under_a_larger_budget() -> None:
    source = files_source(MemoryObjects({"a": b"1"}))
    small, large = Limits(max_files=1), Limits(max_files=2)
    source = replace(source, state=answered(source, limits=small, cut=True).state)
    listing = list_files(source, LIMITS)
    assert unchanged(source, listing, large) is None
    answer = unchanged(source, listing, small)
    assert answer is not None
    assert answer.coverage.truncated


# --- the budget ---------------------------------------------------------------------------


def test_budget_ends_at_the_file_limit() -> None:
    budget = Budget(Limits(max_files=2))
    assert [budget.admit() for _ in range(3)] == [True, True, False]
    assert budget.truncated


def test_budget_ends_when_the_bytes_are_spent() -> None:
    budget = Budget(Limits(max_bytes=10))
    assert budget.admit()
    budget.spend(10, files=1)
    assert not budget.admit()
    assert (budget.bytes_left, budget.files_read) == (0, 1)


def test_budget_ends_when_the_time_is_up_but_never_before_the_first_file() -> None:
    now = iter([0.0, 5.0, 100.0])
    budget = Budget(Limits(max_seconds=10), clock=lambda: next(now))
    assert [budget.admit(), budget.admit(), budget.admit()] == [True, True, False]


def test_budget_that_was_not_reached_is_not_truncated() -> None:
    budget = Budget(Limits(max_files=1))
    assert budget.admit()
    assert not budget.truncated


# --- the union ----------------------------------------------------------------------------


def test_union_goes_by_name_and_widens() -> None:
    new, old = columns(b="Int64", a="Nullable(String)"), columns(a="String", b="Float32")
    result = combine([(info(), new), (info(), old)])
    assert shown(result) == {"b": "Float64", "a": "Nullable(String)"}
    assert list(shown(result)) == ["b", "a"]
    assert result[0].hogql == "FloatDatabaseField"
    assert [column.nullable for column in result] == [False, True]


def test_column_that_a_file_lacks_is_nullable() -> None:
    result = combine([(info(), columns(a="Int64")), (info(), columns(a="Int64", b="Int8"))])
    assert shown(result) == {"a": "Int64", "b": "Nullable(Int8)"}


def test_array_that_a_file_lacks_is_marked_nullable_without_a_wrapper() -> None:
    result = combine([(info(), columns(x="Array(Int8)")), (info(), columns(y="Int8"))])
    assert result[0].clickhouse == "Array(Int8)"
    assert result[0].nullable


def test_order_is_the_stored_one_then_the_newest_files() -> None:
    previous = columns(c="Int8", gone="Int8", a="Int8")
    result = combine(
        [(info(), columns(x="Int8", a="Int8", c="Int8")), (info(), columns(y="Int8"))],
        previous=previous,
    )
    assert [column.name for column in result] == ["c", "a", "x", "y"]


def test_sample_adds_and_widens_and_never_removes() -> None:
    previous = columns(gone="Int8", a="Int64")
    result = combine([(info(), columns(a="Int32", b="Int8"))], previous=previous, truncated=True)
    assert shown(result) == {"gone": "Nullable(Int8)", "a": "Int64", "b": "Nullable(Int8)"}


TYPES = st.sampled_from(["Int8", "Nullable(Int64)", "Float32", "Date", "String", "Array(Int8)"])
FILES = st.lists(st.dictionaries(st.sampled_from("abcd"), TYPES), min_size=1, max_size=4)


@given(files=FILES, previous=st.dictionaries(st.sampled_from("abcd"), TYPES))
def test_sample_keeps_every_column_that_was_ever_seen(
    files: list[dict[str, str]], previous: dict[str, str]
) -> None:
    read = [(info(), columns(**file)) for file in files]
    result = shown(combine(read, previous=columns(**previous), truncated=True))
    assert set(result) == set(previous).union(*files)


@given(files=FILES)
def test_order_of_the_files_does_not_change_what_the_columns_are(
    files: list[dict[str, str]],
) -> None:
    read = [(info(), columns(**file)) for file in files]
    assert shown(combine(read)) == shown(combine(read[::-1]))


# --- partitions ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "clickhouse"),
    [
        (["1", "-20"], "Nullable(Int64)"),
        (["01", "12"], "Nullable(Int64)"),
        (["02139", "12345"], "Nullable(String)"),
        (["007"], "Nullable(String)"),
        (["-0"], "Nullable(String)"),
        (["\u0661"], "Nullable(String)"),
        (["1950-01-01", "2024-01-31"], "Nullable(Date32)"),
        (["2149-06-06"], "Nullable(Date)"),
        (["2149-06-07"], "Nullable(Date32)"),
        (["9999-12-31"], "Nullable(Date32)"),
        (["2024-01-31", "2024-02-29"], "Nullable(Date)"),
        (["2023-02-29"], "Nullable(String)"),
        (["1", "2024-01-31"], "Nullable(String)"),
        (["9" * 19], "Nullable(String)"),
        (["1", "__HIVE_DEFAULT_PARTITION__"], "Nullable(Int64)"),
        (["__HIVE_DEFAULT_PARTITION__"], "Nullable(String)"),
        (["a%20b"], "Nullable(String)"),
    ],
)
def test_partition_has_a_type_only_where_every_value_reads_as_it(
    values: list[str], clickhouse: str
) -> None:
    (column,) = hive_partitions(f"t/k={value}/f.parquet" for value in values)
    assert (column.name, column.clickhouse, column.partition) == ("k", clickhouse, True)


def test_file_name_and_nameless_folders_are_no_partitions() -> None:
    assert hive_partitions(["t/=1/a=b.csv"]) == ()


def test_files_own_column_wins_over_a_partition() -> None:
    result = with_partitions(columns(k="String"), hive_partitions(["k=1/j=2/f"]))
    assert shown(result) == {"k": "String", "j": "Nullable(Int64)"}
    assert [column.partition for column in result] == [False, True]
