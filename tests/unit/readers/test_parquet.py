"""Parquet sources: footers by ranged reads, budgets, and files that are not what they claim."""

import gzip
import io
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stocktake.errors import (
    DuplicateColumnError,
    EmptySourceError,
    FormatMismatchError,
    InvalidSourceError,
    JobError,
    LimitExceededError,
    SourceChangedError,
    SourceNotFoundError,
    UnsupportedError,
)
from stocktake.readers import introspect
from stocktake.readers.arrow_types import columns
from stocktake.readers.files.schemas import FIRST_BYTES
from stocktake.readers.parquet.reader import read, read_all
from stocktake.readers.parquet.schema import file_schema
from stocktake.readers.source import Introspection, Limits, Source, no_progress
from stocktake.schema.formats import TableFormat
from stocktake.schema.types import scalar
from stocktake.schema.widening import settled
from stocktake.storage.stores.opening import Chunk, LocalObjects
from tests.support.clickhouse import describe_parquet
from tests.support.memory import MemoryObjects, files_source

LONG = pa.int64()
INT32 = scalar("Int32", nullable=True)


def parquet(rows: int = 1, **types: pa.DataType) -> bytes:
    schema = pa.schema(types)
    table = pa.table({name: pa.nulls(rows, kind) for name, kind in types.items()}, schema=schema)
    return dump(table)


def dump(table: pa.Table, **options: object) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def store_of(**files: bytes) -> MemoryObjects:
    return MemoryObjects({f"{name}.parquet": data for name, data in files.items()})


def run(source: Source | MemoryObjects, limits: Limits | None = None) -> Introspection:
    source = files_source(source) if isinstance(source, MemoryObjects) else source
    return read(source, limits or Limits(), no_progress)


def shown(answer: Introspection) -> dict[str, str]:
    return {column.name: column.clickhouse for column in answer.columns}


def with_footer(footer: bytes, *, magic: bytes = b"PAR1", length: int | None = None) -> bytes:
    trailer = struct.pack("<I4s", len(footer) if length is None else length, magic)
    return b"PAR1" + footer + trailer


# --- what is read -------------------------------------------------------------------------


def test_one_file_gives_columns_rows_and_size() -> None:
    data = parquet(3, a=LONG, b=pa.string())
    answer = run(store_of(x=data))
    assert shown(answer) == {"a": "Nullable(Int64)", "b": "Nullable(String)"}
    assert (answer.row_count, answer.size_bytes) == (3, len(data))
    coverage = answer.coverage
    assert (coverage.files_matched, coverage.files_read) == (1, 1)
    assert (coverage.bytes_read, coverage.truncated) == (len(data), False)


def test_reader_is_the_one_that_introspect_calls() -> None:
    store = store_of(x=parquet(a=LONG))
    assert shown(introspect(files_source(store, table_format=TableFormat.PARQUET)))


def test_large_file_costs_one_read_of_its_tail() -> None:
    buffer = pa.py_buffer(bytes(range(200)) * 800)
    numbers = pa.table({"a": pa.Array.from_buffers(LONG, 20_000, [None, buffer])})
    store = store_of(x=dump(numbers, compression="none", use_dictionary=False))
    assert run(store).row_count == 20_000
    assert store.reads == [("x.parquet", FIRST_BYTES)]


def test_large_footer_costs_two_reads_and_no_byte_twice() -> None:
    wide = {f"column_{n:05}": LONG for n in range(3000)}
    store = store_of(x=parquet(**wide))
    answer = run(store)
    assert list(shown(answer)) == list(wide)
    assert len(store.reads) == 2
    assert answer.coverage.bytes_read == sum(size for _, size in store.reads)
    assert answer.coverage.files_read == 1


def test_row_groups_without_end_are_not_read() -> None:
    data = dump(pa.table({f"column_{n}": range(600) for n in range(20)}), row_group_size=1)
    store = store_of(x=data)
    assert run(store).row_count == 600
    assert sum(size for _, size in store.reads) < len(data) // 3
    assert run(store).columns == columns(pq.read_schema(io.BytesIO(data)), Limits())


def test_schema_longer_than_the_first_read_takes_one_more() -> None:
    long_names = {f"{'column' * 20}_{n:05}": LONG for n in range(3000)}
    store = store_of(x=dump(pa.schema(long_names).empty_table()))
    assert list(shown(run(store))) == list(long_names)
    assert len(store.reads) == 3


def test_files_that_begin_alike_are_told_apart() -> None:
    """A schema that is known is found by its bytes: all of them, and under the same limits."""
    same = [(f"a{n}", LONG) for n in range(20)]
    store = store_of(
        x=parquet(1, **dict(same), last=LONG),
        y=parquet(2, **dict(same), lost=LONG),
        z=parquet(4, **dict(same), last=LONG),
    )
    assert list(shown(run(store))) == [*dict(same), "last", "lost"]
    assert run(store).row_count == 7
    with pytest.raises(LimitExceededError, match="21 columns"):
        run(store, Limits(max_columns=20))


def test_files_are_united_newest_first() -> None:
    store = store_of(old=parquet(2, b=pa.int32(), a=pa.int32()), new=parquet(3, a=LONG, c=LONG))
    answer = run(store)
    assert list(shown(answer).items()) == [
        ("a", "Nullable(Int64)"),
        ("c", "Nullable(Int64)"),
        ("b", "Nullable(Int32)"),
    ]
    assert (answer.row_count, answer.size_bytes) == (5, sum(f.size for f in store.list("")))


def test_required_column_that_one_file_lacks_becomes_nullable() -> None:
    required = pa.schema([pa.field("a", LONG, nullable=False)])
    store = store_of(old=dump(required.empty_table()))
    assert shown(run(store)) == {"a": "Int64"}
    store.put("new.parquet", parquet(b=LONG))
    assert shown(run(store))["a"] == "Nullable(Int64)"


TYPED = [
    pa.bool_(),
    pa.uint8(),
    pa.float32(),
    pa.string(),
    pa.date32(),
    pa.time64("us"),
    pa.timestamp("us"),
    pa.decimal128(20, 3),
    pa.uuid(),
    pa.list_(LONG),
    pa.map_(pa.string(), LONG),
    pa.struct({"a": LONG, "b": pa.list_(pa.bool_())}),
]


@pytest.mark.parametrize("kind", TYPED, ids=str)
@pytest.mark.parametrize(
    "around",
    [
        lambda inner: inner,
        pa.list_,
        lambda inner: pa.struct({"f": inner, "g": LONG}),
        lambda inner: pa.map_(pa.string(), pa.list_(inner)),
    ],
    ids=["column", "list", "struct", "map"],
)
def test_what_is_null_in_one_file_takes_the_type_of_another(
    kind: pa.DataType, around: Callable[[pa.DataType], pa.DataType]
) -> None:
    typed, null = parquet(1, x=around(kind)), parquet(1, x=around(pa.null()))
    expected = shown(run(store_of(x=typed)))
    assert shown(run(store_of(a=typed, b=null))) == expected
    assert shown(run(store_of(a=null, b=typed))) == expected
    # a sample that does not come to the typed one, and one that does not come to the other
    store = store_of(a=typed, b=null)
    sample = run(store, Limits(max_files=1))
    assert sample.coverage.truncated
    store.put("c.parquet", typed)
    again = run(replace(files_source(store), state=sample.state), Limits(max_files=1))
    assert shown(again) == expected
    store.put("d.parquet", null)
    again = run(replace(files_source(store), state=again.state), Limits(max_files=1))
    assert shown(again) == expected


def test_a_file_in_which_a_column_has_no_type_is_named() -> None:
    store = store_of(
        a=parquet(1, x=pa.bool_(), y=pa.null()), b=parquet(1, x=pa.null(), y=pa.null())
    )
    answer = run(store)
    assert shown(answer) == {"x": "Nullable(Bool)", "y": "Nullable(Int32)"}
    (warning,) = answer.warnings
    assert (warning.code, warning.file) == ("null_typed_part", "b.parquet")
    assert '"x" holds only nulls' in warning.sentence
    assert answer.columns[1].hogql == "IntegerDatabaseField"


@pytest.mark.parametrize(
    ("type_", "is_lost"), [(LONG, False), (pa.list_(LONG), True), (pa.struct({"f": LONG}), True)]
)
def test_a_column_that_only_a_text_holds_is_told(type_: pa.DataType, is_lost: bool) -> None:
    store = store_of(a=parquet(1, x=pa.string(), y=LONG), b=parquet(1, x=type_, y=pa.float64()))
    answer = run(store)
    assert shown(answer) == {"x": "Nullable(String)", "y": "Nullable(Float64)"}
    (warning,) = answer.warnings
    assert (warning.code, warning.file) == ("mixed_kinds", "b.parquet")
    assert ("ClickHouse reads none" in warning.sentence) == is_lost


def test_texts_of_several_types_are_of_one_kind() -> None:
    store = store_of(a=parquet(1, x=pa.string()), b=parquet(1, x=pa.binary(3)))
    assert run(store).warnings == ()


def test_budget_of_files_reads_the_newest_and_says_so() -> None:
    store = store_of(a=parquet(1, a=LONG), b=parquet(1, b=LONG), c=parquet(1, c=LONG))
    answer = run(store, Limits(max_files=2))
    assert set(shown(answer)) == {"b", "c"}
    assert (answer.coverage.files_matched, answer.coverage.files_read) == (3, 2)
    assert answer.coverage.truncated
    assert answer.row_count is None


def test_budget_of_bytes_ends_the_sample() -> None:
    files = {f"f{n:03}": parquet(1, a=LONG) for n in range(200)}
    answer = run(store_of(**files), Limits(max_bytes=1))
    assert answer.coverage.truncated
    assert 1 <= answer.coverage.files_read < 200


def test_truncated_read_never_removes_a_column() -> None:
    store = store_of(old=parquet(1, gone=LONG, a=pa.int32()))
    source = files_source(store)
    source = replace(source, state=run(source).state)
    store.put("new.parquet", parquet(1, a=LONG))
    answer = run(source, Limits(max_files=1))
    assert shown(answer) == {"gone": "Nullable(Int64)", "a": "Nullable(Int64)"}


def test_full_read_removes_a_column_that_no_file_has() -> None:
    store = store_of(x=parquet(1, gone=LONG, a=LONG))
    source = replace(files_source(store), state=run(store).state)
    store.put("x.parquet", parquet(1, a=LONG))
    assert set(shown(run(source))) == {"a"}


def test_unchanged_source_is_listed_and_not_read() -> None:
    store = store_of(x=parquet(4, a=LONG))
    first = run(store)
    store.reads.clear()
    again = run(replace(files_source(store), state=first.state))
    assert store.reads == []
    assert again.coverage.unchanged
    assert (again.columns, again.row_count) == ((), 4)
    assert again.source_version == first.source_version


def test_folders_of_a_partitioned_source_are_columns() -> None:
    store = MemoryObjects(
        {
            "t/day=2024-01-01/n=1/x.parquet": parquet(1, a=LONG),
            "t/day=2024-01-02/n=__HIVE_DEFAULT_PARTITION__/x.parquet": parquet(1, a=LONG),
        }
    )
    answer = run(files_source(store, "t/**/*.parquet"))
    assert shown(answer) == {
        "a": "Nullable(Int64)",
        "day": "Nullable(Date)",
        "n": "Nullable(Int64)",
    }
    assert [column.partition for column in answer.columns] == [False, True, True]


def test_empty_file_among_others_is_passed_over() -> None:
    answer = run(store_of(a=parquet(2, a=LONG), marker=b""))
    assert (shown(answer), answer.row_count) == ({"a": "Nullable(Int64)"}, 2)
    assert not answer.coverage.truncated


def test_summaries_beside_the_parts_count_no_row_twice() -> None:
    part = pa.table({"id": [1, 2]})
    seen: list[pq.FileMetaData] = []
    pq.write_table(part, io.BytesIO(), metadata_collector=seen)
    seen[0].set_file_path("0.parquet")
    summary, common = io.BytesIO(), io.BytesIO()
    pq.write_metadata(part.schema, summary, metadata_collector=seen)
    pq.write_metadata(part.schema, common)
    files = {"0.parquet": dump(part), "_metadata": summary.getvalue()}
    store = MemoryObjects(files | {"_common_metadata": common.getvalue()})
    answer = read_all(files_source(store), Limits(), no_progress)
    assert (shown(answer), answer.row_count) == ({"id": "Nullable(Int64)"}, 2)
    assert [warning.code for warning in answer.warnings] == ["hidden_files"]


def test_progress_names_files_done_and_in_all() -> None:
    told: list[tuple[str, int, int | None]] = []
    store = store_of(a=parquet(1, a=LONG), b=parquet(1, a=LONG))
    read(files_source(store), Limits(), lambda *progress: told.append(progress))
    assert told == [("list", 0, None), ("read", 0, 2), ("read", 2, 2)]


# --- what is refused ----------------------------------------------------------------------


def test_no_file_is_not_found() -> None:
    with pytest.raises(SourceNotFoundError):
        run(MemoryObjects())


def test_only_empty_files_is_an_empty_source() -> None:
    with pytest.raises(EmptySourceError) as caught:
        run(store_of(x=b""))
    assert caught.value.file == "x.parquet"


@pytest.mark.parametrize("data", [b"a,b\n1,2\n", b"x", b"PK\x03\x04" + bytes(100)])
def test_another_format_is_a_mismatch(data: bytes) -> None:
    with pytest.raises(FormatMismatchError, match="not in Parquet format") as caught:
        run(store_of(x=data))
    assert caught.value.file == "x.parquet"


@pytest.mark.parametrize(
    ("data", "looks", "advice"),
    [
        (gzip.compress(b"PAR1", mtime=0), "compressed with gzip", "Decompress"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "Git LFS", "format"),
        (b"ORC" + bytes(40), "ORC", "format"),
    ],
)
def test_another_format_is_named_where_it_is_known(data: bytes, looks: str, advice: str) -> None:
    with pytest.raises(FormatMismatchError, match=r"not in Parquet format$") as caught:
        run(store_of(x=data))
    assert looks in caught.value.hint
    assert advice in caught.value.hint


def test_file_that_was_cut_off_is_truncated() -> None:
    with pytest.raises(InvalidSourceError, match=r'"x\.parquet" is truncated'):
        run(store_of(x=parquet(a=LONG)[:-1]))


def test_encrypted_footer_is_unsupported() -> None:
    with pytest.raises(UnsupportedError, match="encrypted") as caught:
        run(store_of(x=with_footer(b"x" * 50, magic=b"PARE")))
    assert caught.value.code == "encrypted_parquet"


@pytest.mark.parametrize(
    "data",
    [
        b"PAR1",
        b"PAR1PAR1",
        with_footer(b""),
        with_footer(b"x" * 40, length=0xFFFFFFFF),
        with_footer(b"x" * 40, length=41),
        with_footer(b"x" * 40),
        with_footer(bytes(40)),
    ],
)
def test_footer_that_makes_no_sense_is_invalid(data: bytes) -> None:
    with pytest.raises(InvalidSourceError) as caught:
        run(store_of(x=data))
    assert caught.value.file == "x.parquet"


def test_footer_past_the_limit_is_refused_before_it_is_read() -> None:
    store = store_of(x=parquet(**{f"column_{n:05}": LONG for n in range(3000)}))
    with pytest.raises(LimitExceededError, match="MAX_FOOTER_BYTES allows 100,000"):
        run(store, Limits(max_footer_bytes=100_000))
    assert store.reads == [("x.parquet", FIRST_BYTES)]


def nested_footer(depth: int) -> bytes:
    """A footer of structs inside of structs, in Thrift's compact protocol."""

    # repetition optional, name "a", one child; and an optional INT32 named "a"
    struct_, leaf = b"\x35\x02\x18\x01a\x15\x02\0", b"\x15\x02\x25\x02\x18\x01a\0"
    count, number = b"", depth + 1
    while number > 127:
        count, number = count + bytes([number & 127 | 128]), number >> 7
    elements = struct_ * depth + leaf
    return b"\x15\x02\x19\xfc" + count + bytes([number]) + elements + b"\x16\0\x19\x0c\0"


def test_nesting_is_read_up_to_the_limit() -> None:
    answer = run(store_of(x=with_footer(nested_footer(50))))
    # the outermost is the file itself
    assert answer.columns[0].clickhouse.count("Tuple(") == 49
    with pytest.raises(LimitExceededError, match="nested deeper"):
        run(store_of(x=with_footer(nested_footer(50))), Limits(max_nesting=20))


@pytest.mark.parametrize("depth", [300, 100_000])
def test_nesting_without_end_is_refused(depth: int) -> None:
    with pytest.raises(LimitExceededError, match="nested deeper"):
        run(store_of(x=with_footer(nested_footer(depth))))


def test_footer_of_endless_columns_is_refused_before_they_are_built() -> None:
    with pytest.raises(LimitExceededError, match="more than 200,000 columns"):
        run(store_of(x=with_footer(nested_footer(200_001))))


def test_footer_whose_schema_never_ends_is_read_so_far_only() -> None:
    # after the schema's size one element with a name of 40 MB
    footer = b"\x15\x02\x19\x1c\x18" + b"\x80\xd0\xac\x13" + b"a" * 40_000_000
    store = store_of(x=with_footer(footer))
    with pytest.raises(LimitExceededError, match="schema of more than"):
        run(store)
    assert sum(size for _, size in store.reads) < 17 * 1024 * 1024


@pytest.mark.parametrize(
    "footer",
    [
        b"\x15\x02\x16\x00\x19\x0c\x00",  # no schema
        b"\x29\x0c\x25\x00\x00",  # what follows the schema is no number of rows
        b"\x29\x0c\x16\x01\x19\x0c\x00",  # fewer than no rows
        b"\x05\x04\x29\x0c\x16\x00\x00",  # a field id in its long form
    ],
)
def test_footer_that_is_not_as_writers_write_it_is_invalid(footer: bytes) -> None:
    with pytest.raises(InvalidSourceError, match="cannot be read"):
        run(store_of(x=with_footer(footer)))


def test_more_rows_than_a_database_counts_are_refused() -> None:
    # one column, then 2^62 rows
    schema = b"\x15\x02\x19\x2c\x48\x00\x15\x02\x00\x15\x04\x25\x02\x18\x01a\x00"
    file = with_footer(schema + b"\x16" + b"\x80" * 9 + b"\x01" + b"\x19\x0c\x00")
    one = files_source(store_of(x=file), table_format=TableFormat.PARQUET)
    assert introspect(one).row_count == 2**62
    two = files_source(store_of(x=file, y=file), table_format=TableFormat.PARQUET)
    with pytest.raises(InvalidSourceError, match="claims more than"):
        introspect(two)


def test_schemas_are_kept_until_they_are_a_megabyte() -> None:
    def columns_of(number: int) -> object:
        data = parquet(**{f"{number:08}{'x' * 60_000}": LONG})
        footer = data[-8 - int.from_bytes(data[-8:-4], "little") : -8]
        return file_schema(footer, "x", Limits(max_name_length=100_000)).columns

    first = columns_of(0)
    assert columns_of(0) is first
    assert columns_of(1) is not first
    assert columns_of(0) is first
    for number in range(2, 20):
        columns_of(number)
    assert columns_of(0) is not first


def test_columns_of_one_name_are_refused_with_the_file() -> None:
    table = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(DuplicateColumnError, match='"a"') as caught:
        run(store_of(x=dump(table)))
    assert caught.value.file == "x.parquet"


def test_too_many_columns_in_one_file_or_in_all_are_refused() -> None:
    limits = Limits(max_columns=2)
    with pytest.raises(LimitExceededError, match="3 columns"):
        run(store_of(x=parquet(a=LONG, b=LONG, c=LONG)), limits)
    with pytest.raises(LimitExceededError, match="3 columns"):
        run(store_of(x=parquet(a=LONG, b=LONG), y=parquet(c=LONG)), limits)


def test_file_that_is_rewritten_between_two_reads_is_tried_again() -> None:
    class Rewritten(MemoryObjects):
        def get(self, path: str, *, start: int = 0, length: int | None = None) -> Chunk:
            chunk = super().get(path, start=start, length=length)
            return replace(chunk, info=replace(chunk.info, etag="other"))

    wide = parquet(**{f"column_{n:05}": LONG for n in range(3000)})
    with pytest.raises(SourceChangedError, match="rewritten"):
        run(Rewritten({"x.parquet": wide}))


@pytest.mark.parametrize("pattern", ["x.parquet", "*.parquet"])
def test_file_that_is_rewritten_after_it_was_listed_is_tried_again(pattern: str) -> None:
    class Rewritten(MemoryObjects):
        def get_tail(self, path: str, length: int, *, size_bytes: int | None = None) -> Chunk:
            self.put(path, parquet(a=LONG, b=LONG))
            return super().get_tail(path, length)

    source = files_source(store_of(x=parquet(a=LONG)), pattern)
    store = Rewritten({"x.parquet": parquet(c=LONG)})
    again = replace(source, store=store, state=run(source).state)
    with pytest.raises(SourceChangedError, match=r'"x\.parquet" was rewritten'):
        run(again)


def test_message_names_the_file_below_the_patterns_folder() -> None:
    store = MemoryObjects({"secret/folder/day=1/x.parquet": b"PAR1 cut off"})
    with pytest.raises(InvalidSourceError) as caught:
        run(files_source(store, "secret/folder/**"))
    assert caught.value.file == "day=1/x.parquet"
    assert "secret" not in caught.value.detail


NAMES = st.text("abcxyz_ .é", min_size=1, max_size=8)
PLAIN_TYPES = st.sampled_from(
    [
        *(pa.int8(), pa.uint16(), pa.int64(), pa.uint64(), pa.float16(), pa.float64(), pa.bool_()),
        *(pa.string(), pa.large_string(), pa.binary(), pa.binary(7), pa.date32(), pa.date64()),
        *(pa.time32("ms"), pa.time64("us"), pa.time64("ns"), pa.duration("ns"), pa.null()),
        *(pa.timestamp("ms"), pa.timestamp("us", "Europe/Paris"), pa.timestamp("ns", "UTC")),
        *(pa.decimal128(9, 2), pa.decimal128(38, 10), pa.decimal256(60, 5), pa.string_view()),
        *(pa.dictionary(pa.int32(), pa.string()), pa.uuid(), pa.json_(), pa.bool8()),
    ]
)


def fields(types: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[list[pa.Field]]:
    each = st.tuples(NAMES, types, st.booleans())
    made = each.map(lambda one: pa.field(*one[:2], nullable=one[2] or one[1] == pa.null()))
    return st.lists(made, min_size=1, max_size=5, unique_by=lambda field: field.name)


TYPES = st.recursive(
    PLAIN_TYPES,
    lambda inner: st.one_of(
        st.builds(pa.list_, inner),
        st.builds(lambda kind: pa.list_(kind, 3), inner),
        st.builds(pa.map_, st.just(pa.string()), inner),
        fields(inner).map(pa.struct),
    ),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(fields(TYPES), st.sampled_from(["1.0", "2.4", "2.6"]), st.booleans())
def test_columns_are_those_of_pyarrows_whole_schema(
    written: list[pa.Field], version: str, store_schema: bool
) -> None:
    """The one that takes the Arrow schema in the key-value metadata into account as well."""
    sink = io.BytesIO()
    pq.ParquetWriter(sink, pa.schema(written), version=version, store_schema=store_schema).close()
    with pq.ParquetFile(sink, arrow_extensions_enabled=True) as file:
        expected = columns(file.schema_arrow, Limits())
    assert [
        (each.name, each.type, each.nullable) for each in run(store_of(x=sink.getvalue())).columns
    ] == [(each.name, settled(each.type, INT32), each.nullable) for each in expected]


SAMPLE = parquet(2, a=LONG, b=pa.list_(pa.string()))


def outcome(data: bytes) -> JobError | None:
    try:
        run(store_of(x=data))
    except JobError as error:
        return error
    return None


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255))
def test_any_damaged_byte_ends_in_an_answer_or_a_typed_error(at: int, byte: int) -> None:
    error = outcome(SAMPLE[:at] + bytes([byte]) + SAMPLE[at + 1 :])
    assert error is None or (error.file, error.retryable) == ("x.parquet", False)


# --- files that others wrote --------------------------------------------------------------

CORPUS = os.environ.get("STOCKTAKE_CORPUS")
with_corpus = pytest.mark.skipif(
    CORPUS is None, reason="set STOCKTAKE_CORPUS to a folder with apache/parquet-testing's files"
)


def corpus_files() -> list[Path]:
    return sorted(Path(CORPUS or "", "parquet").rglob("*.parquet"))


@with_corpus
def test_corpus_reads_as_clickhouse_reads_it() -> None:
    paths = corpus_files()
    assert len(paths) >= 10
    for path, theirs in zip(paths, describe_parquet(paths), strict=True):
        source = Source(store=LocalObjects(path.parent), path=path.name, format=TableFormat.PARQUET)
        if theirs is None:
            with pytest.raises(JobError):
                run(source)
        else:
            assert shown(run(source)) == theirs, path.name


@with_corpus
def test_corpus_looked_at_by_eye() -> None:
    source = Source(
        store=LocalObjects(Path(CORPUS or "", "parquet")),
        path="nonnullable.impala.parquet",
        format=TableFormat.PARQUET,
    )
    answer = run(source)
    assert answer.row_count == 1
    assert shown(answer) == {
        "ID": "Int64",
        "Int_Array": "Array(Int32)",
        "int_array_array": "Array(Array(Int32))",
        "Int_Map": "Map(String, Int32)",
        "int_map_array": "Array(Map(String, Int32))",
        "nested_Struct": (
            "Tuple(a Int32, B Array(Int32), c Tuple(D Array(Array(Tuple(e Int32, f String)))), "
            "G Map(String, Tuple(h Tuple(i Array(Float64)))))"
        ),
    }
