"""Random sources that are in order: our columns are ClickHouse's."""

import csv
import io
import json
from base64 import b64decode
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyiceberg.schema import Schema

from stocktake.schema.columns import Column
from stocktake.schema.formats import TableFormat
from tests.fuzz.children import (
    ON_PURPOSE,
    SECONDS_FOR_ALL,
    Answer,
    agree,
    asked,
    fuzzed,
    read,
    request_of,
)
from tests.fuzz.watched import Watched
from tests.support.iceberg_tables import as_file
from tests.support.iceberg_writer import PLAIN, metadata_with, schemas
from tests.support.parquet_schemas import (
    BYTES,
    INT32,
    LIST,
    MAP,
    MAP_KEY_VALUE,
    OPTIONAL,
    REPEATED,
    REQUIRED,
    UTF8,
    Element,
    group,
    leaf,
    parquet_file,
)
from tests.support.read_back import Stored, csv_said, first_loss, json_said, loss

pytestmark = [pytest.mark.fuzz, pytest.mark.chdb, pytest.mark.timeout(SECONDS_FOR_ALL)]

TIMES = st.datetimes(datetime(1971, 1, 1), datetime(2099, 12, 31))  # noqa: DTZ001  # any zone
MOMENTS = st.one_of(
    st.dates(date(1971, 1, 1), date(2099, 12, 31)).map(str),
    TIMES.map(lambda at: at.strftime("%Y-%m-%d %H:%M:%S")),
    TIMES.map(lambda at: at.isoformat()),
    TIMES.map(lambda at: at.replace(tzinfo=UTC).isoformat()),
    TIMES.map(lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ")),
    TIMES.map(lambda at: at.strftime("%m/%d/%Y")),
    TIMES.map(lambda at: at.strftime("%d %b %Y")),
    TIMES.map(lambda at: at.strftime("%H:%M:%S")),
)
WORDS = st.text("abc xyz-_'é/.%$", max_size=8).map(str.strip)
INTEGERS = st.integers(-(2**63), 2**64 - 1)
CELLS = st.one_of(
    INTEGERS.map(str),
    st.floats(-1e6, 1e6).map(lambda number: f"{number:.3f}"),
    st.sampled_from(["true", "false", "TRUE", "\\N", "", "NULL", "inf", "nan", "-inf", "007"]),
    MOMENTS,
    WORDS,
    st.lists(st.integers(-9, 9), max_size=3).map(str),
    st.lists(st.sampled_from(["a", "b"]), max_size=2).map(str),
)
#: Numbers and moments that ClickHouse's inference loses something of, or that are near to one.
ODD_CELLS = st.one_of(
    st.integers(-(2**130), 2**130).map(str),
    st.floats(allow_nan=False).map(repr),
    st.decimals(-10, 10, places=18).map(str),
    st.from_regex(r"[+-]?0{0,2}[0-9]{1,20}(\.[0-9]{0,18})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.dates().map(str),
    st.datetimes().map(str),
    st.builds("{}/{}/{}".format, st.integers(1, 31), st.integers(1, 31), st.integers(1990, 2030)),
    st.sampled_from(["2024-02-30", "2024-01-01 24:00:00", "01/02/24", "1/2/2023, 12:33 PM", "-0"]),
)
#: A column is of one kind as a rule.
COLUMNS = st.one_of(
    st.lists(CELLS, min_size=3, max_size=3),
    *(
        st.lists(kind, min_size=3, max_size=3)
        for kind in (INTEGERS.map(str), MOMENTS, WORDS, ODD_CELLS)
    ),
)


def csv_of(columns: list[list[str]]) -> bytes:
    text = io.StringIO()
    # the first column keeps a row of empty cells from being an empty line
    csv.writer(text).writerows([["k", *(f"c{n}" for n in range(len(columns)))]])
    csv.writer(text).writerows([["z", *row] for row in zip(*columns, strict=True)])
    return text.getvalue().encode()


def agree_or_lose(clickhouse: Watched, found: Answer, theirs: Answer, request: Answer) -> None:
    """Both have the same columns, or ClickHouse loses something with its own."""
    if "error" in found or "error" in theirs or found["columns"] == theirs["columns"]:
        return
    data = b64decode(request["files"]["x"])
    columns = [Column.of(*column) for column in theirs["columns"]]
    said = (csv_said if request["format"] == "CSVWithNames" else json_said)(data, columns)
    back = asked(clickhouse, request | {"read_back": theirs["columns"]}).get("rows")
    for at, (own, other) in enumerate(zip(found["columns"], theirs["columns"], strict=True)):
        assert own[0] == other[0], data
        if own == other or (own[1], other[1]) in ON_PURPOSE or back is None:
            continue
        values = [row[at] for row in said]
        assert first_loss(columns[at].type, values, [row[at] for row in back]), (own, other, data)


def given_back(ours: Watched, clickhouse: Watched, data: bytes, table_format: TableFormat) -> None:
    """What we store for a file reads all of it, and loses nothing."""
    request = request_of({"x": data}, table_format)
    found = read(ours, request)
    if "error" in found:
        return
    columns = [Column.of(*column) for column in found["columns"]]
    said = csv_said if table_format is TableFormat.CSV_WITH_NAMES else json_said
    case = Stored(table_format.value, data, columns, said(data, columns))
    theirs = asked(clickhouse, request | {"read_back": found["columns"]})
    if "lost" in theirs:
        return
    lost = loss(case, theirs.get("rows", theirs))
    assert lost is None, (lost, data)


@fuzzed
@given(columns=st.lists(COLUMNS, min_size=1, max_size=4))
def test_csv_values_are_given_back(
    ours: Watched, clickhouse: Watched, columns: list[list[str]]
) -> None:
    given_back(ours, clickhouse, csv_of(columns), TableFormat.CSV_WITH_NAMES)


@fuzzed
@given(columns=st.lists(COLUMNS, min_size=1, max_size=4))
def test_csv_columns_are_those_of_clickhouse(
    ours: Watched, clickhouse: Watched, columns: list[list[str]]
) -> None:
    request = request_of({"x": csv_of(columns)}, TableFormat.CSV_WITH_NAMES)
    agree_or_lose(clickhouse, read(ours, request), asked(clickhouse, request), request)


TITLES = st.sampled_from([[], ["Report"], ["Report of 2024", ""], ["# made; by", "#"], [""]])
NUMBERS = st.integers(0, 999).map(str)
TEXTS = st.text("ab ,;|\t'é€„“/.\n-", max_size=9).map(str.strip)


@st.composite
def disguised(draw: st.DrawFn) -> tuple[bytes, list[str]]:
    """A table in one of the shapes that exports have, and its names."""
    width = draw(st.integers(2, 5))
    names = [f"column {at}" for at in range(width - 1)] + ["number"]
    rows = draw(
        st.lists(
            st.tuples(*[TEXTS] * (width - 1), NUMBERS).map(list),
            min_size=2,
            max_size=12,
        )
    )
    text = io.StringIO()
    writer = csv.writer(
        text,
        delimiter=draw(st.sampled_from(",;|\t")),
        quoting=draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])),
        lineterminator="\n",
    )
    writer.writerows([names, *rows])
    titles = "".join(f"{title}\n" for title in draw(TITLES))
    whole = (titles + text.getvalue()).replace("\n", draw(st.sampled_from(["\n", "\r\n", "\r"])))
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le"]))
    return whole.encode(encoding), names


@fuzzed
@given(source=disguised())
def test_csv_is_found_in_whatever_shape(ours: Watched, source: tuple[bytes, list[str]]) -> None:
    data, names = source
    request = request_of({"x": data}, TableFormat.CSV_WITH_NAMES) | {"options": {}}
    found = read(ours, request)
    assert "error" not in found, (found, data)
    assert [name for name, _ in found["columns"]] == names, data


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    INTEGERS,
    st.floats(-1e6, 1e6),
    st.integers(-(2**66), 2**66),
    st.floats(allow_nan=False, allow_infinity=False),
    MOMENTS,
    WORDS,
)


def records(inner_keys: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Objects in whose values objects have these letters for keys."""
    values = st.recursive(
        LEAVES,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(inner_keys), inner, max_size=3)
        ),
        max_leaves=6,
    )
    names = st.sampled_from(["id", "name", "x y"])
    return st.lists(st.dictionaries(names, values, max_size=3), min_size=1, max_size=4)


def json_of(records: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


@fuzzed
@given(records=records("abcé"))  # which is spelled with an escape
def test_json_values_are_given_back(
    ours: Watched, clickhouse: Watched, records: list[dict[str, Any]]
) -> None:
    given_back(ours, clickhouse, json_of(records), TableFormat.JSON_EACH_ROW)


@fuzzed
@given(records=records("abc"))
def test_json_columns_are_those_of_clickhouse(
    ours: Watched, clickhouse: Watched, records: list[dict[str, Any]]
) -> None:
    request = request_of({"x": json_of(records)}, TableFormat.JSON_EACH_ROW)
    found, theirs = read(ours, request), asked(clickhouse, request)
    agree_or_lose(clickhouse, _alike(found, theirs), _alike(theirs, found), request)


def _alike(answer: Answer, other: Answer) -> Answer:
    """The answer without what docs/types.md says is different on purpose: which arrays of mixed
    values are Dynamic, and of objects in an array whose values differ the type is the first's."""
    if "error" in answer or "error" in other:
        return answer
    dynamic = {name for name, kind in answer["columns"] + other["columns"] if "Dynamic" in kind}
    first = {name for name, kind in answer["columns"] if "Array(Nullable(Tuple(" in kind}
    columns = [[name, kind] for name, kind in answer["columns"] if name not in dynamic | first]
    return {"columns": columns}


def _bare_tuples(answer: Answer) -> Answer:
    """The answer without what docs/types.md says is different on purpose: in a struct that may be
    null all of its fields may."""
    columns = answer.get("columns", [])
    bare = [
        [name, kind.replace("Nullable(", "").replace(")", "") if "Tuple(" in kind else kind]
        for name, kind in columns
    ]
    return answer | {"columns": bare}


@fuzzed
@given(schema=schemas(PLAIN))
def test_iceberg_columns_are_those_of_clickhouse(
    ours: Watched, clickhouse: Watched, schema: Schema
) -> None:
    data = as_file(metadata_with(schema))
    request = request_of({"t/metadata/v1.metadata.json": data}, TableFormat.ICEBERG, "t")
    found, theirs = read(ours, request), asked(clickhouse, request)
    assert "error" not in theirs or "lost" in theirs, theirs
    agree(_bare_tuples(found), _bare_tuples(theirs), request)


PRIMITIVES = st.sampled_from(
    [
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float16(), pa.float32(), pa.float64(), pa.bool_()),
        *(pa.string(), pa.large_binary(), pa.binary(7), pa.uuid()),
        *(pa.date32(), pa.date64(), pa.time32("ms"), pa.time64("ns"), pa.duration("us")),
        *(pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC")),
    ]
) | st.builds(
    lambda digits, scale: pa.decimal256(digits, min(digits, scale)),
    st.integers(1, 76),
    st.integers(0, 76),
)


def nested(inner: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[pa.DataType]:
    """Lists, maps and structs of the given types."""
    fields = st.tuples(inner, st.booleans())
    return st.one_of(
        fields.map(lambda one: pa.list_(pa.field("element", *one))),
        fields.map(lambda one: pa.map_(pa.string(), pa.field("value", *one))),
        st.lists(fields, min_size=1, max_size=3).map(
            lambda many: pa.struct([pa.field(f"f{n}", *one) for n, one in enumerate(many)])
        ),
    )


TYPES = st.recursive(PRIMITIVES, nested, max_leaves=5)


@fuzzed
@given(
    fields=st.lists(st.tuples(TYPES, st.booleans()), min_size=1, max_size=6),
    store_schema=st.booleans(),
)
def test_parquet_columns_are_those_of_clickhouse(
    ours: Watched,
    clickhouse: Watched,
    fields: list[tuple[pa.DataType, bool]],
    store_schema: bool,
) -> None:
    sink = io.BytesIO()
    schema = pa.schema([pa.field(f"c{n}", *one) for n, one in enumerate(fields)])
    pq.ParquetWriter(sink, schema, store_schema=store_schema).close()
    request = request_of({"x": sink.getvalue()}, TableFormat.PARQUET)
    agree(read(ours, request), asked(clickhouse, request), request)


MARKS = st.sampled_from([None, None, LIST, LIST, MAP, MAP, MAP_KEY_VALUE])
REPETITIONS = st.sampled_from([REQUIRED, OPTIONAL, REPEATED])
#: Names that a reader may take for a sign.
LEVELS = st.sampled_from(["list", "array", "x_tuple", "key_value", "map", "bag", "element"])


def groups(inner: st.SearchStrategy[list[Element]]) -> st.SearchStrategy[list[Element]]:
    """Groups of the given elements, under any mark, whether it fits or not."""
    return st.builds(
        lambda name, mark, repetition, first, others: group(
            name,
            first,
            *(renamed(child, f"f{at}") for at, child in enumerate(others)),
            converted=mark,
            repetition=repetition,
        ),
        LEVELS,
        MARKS,
        REPETITIONS,
        inner,
        st.lists(inner, max_size=1),
    )


def renamed(element: list[Element], name: str) -> list[Element]:
    return [element[0] | {4: name}, *element[1:]]


ELEMENTS = st.recursive(
    st.builds(
        lambda name, kind, repetition: [leaf(name, *kind, repetition=repetition)],
        LEVELS,
        st.sampled_from([(INT32, None), (BYTES, UTF8)]),
        REPETITIONS,
    ),
    groups,
    max_leaves=5,
)


@fuzzed
@given(columns=st.lists(ELEMENTS, min_size=1, max_size=3))
def test_parquet_schemas_of_any_shape_are_read_as_by_clickhouse(
    ours: Watched, clickhouse: Watched, columns: list[list[Element]]
) -> None:
    named = [renamed(each, f"c{at}") for at, each in enumerate(columns)]
    request = request_of({"x": parquet_file(*named)}, TableFormat.PARQUET)
    found, theirs = read(ours, request), asked(clickhouse, request)
    assert "error" not in found or "error" in theirs, found
    agree(found, theirs, request)
