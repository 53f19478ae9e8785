"""Drawn files, loaded and read back: the table has what the file's own reader sees, in its order,
or the load was refused.
"""

import datetime as dt
import io
import json
import math
import zoneinfo
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import Phase, given, reject, settings
from hypothesis import strategies as st

from stocktake.errors import JobError
from stocktake.loading.batches import Rows
from stocktake.loading.data_files import data_files
from stocktake.loading.evolution import load_schema
from stocktake.readers import introspect, read_all
from stocktake.readers.source import Limits, Source, no_progress
from stocktake.schema.columns import Column
from stocktake.schema.formats import TableFormat
from stocktake.schema.types import Type, scalar
from stocktake.storage.managed import storage_at
from stocktake.storage.stores.opening import LocalObjects
from tests.support import loaded
from tests.support.oracle import ask_why
from tests.support.read_back import Number, csv_said, first_loss, json_said

#: How ClickHouse writes its answer; nothing here changes what it reads.
_WRITTEN: Final = (
    "output_format_json_quote_64bit_integers=1, output_format_json_quote_denormals=1, "
    "output_format_json_quote_decimals=1, session_timezone='UTC', max_threads=1"
)


@dataclass(frozen=True)
class Loaded:
    """A table that was made of a file."""

    root: str
    columns: tuple[Column, ...]
    schema: pa.Schema


def load(folder: Path, name: str, data: bytes, format_: TableFormat) -> Loaded | None:
    """The table; None where the load was refused with a sentence."""
    (folder / name).write_bytes(data)
    source = Source(store=LocalObjects(folder), path=name, format=format_)
    try:
        columns = (read_all if format_.facts.inferred else introspect)(source).columns
        rows = Rows.of(source, Limits(), no_progress)
        schema = load_schema(columns, {}, rows.types)
        key = f"delta/{name}"
        with data_files(storage_at(str(folder)), key, schema, rows.batches(schema)) as files:
            table = DeltaTable.create(str(folder / key), schema)
            table.create_write_transaction([*files.adds], "append", schema)
    except JobError:
        return None
    return Loaded(root=str(folder / key), columns=columns, schema=schema)


# --- texts, as Python's csv and json see them, and ClickHouse the table --------------------

#: Without a zone, as hypothesis wants them: years in which each zone has whole minutes.
_LATEST: Final = (dt.datetime(1950, 1, 1), dt.datetime(2200, 1, 1))  # noqa: DTZ001
_NUMBERS: Final = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.integers(-99, 99).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(str),
    st.sampled_from(["1.10", "007", "100000000000000000000.5", "9007199254740993", "1e400", "+5"]),
)
_MOMENTS: Final = st.one_of(
    st.dates(dt.date(1900, 1, 1)).map(str),
    st.datetimes(*_LATEST).map(str),
    st.sampled_from(["2024-01-31T10:00:00Z", "2024-01-31 10:00:00+02:00", "2024-02-30"]),
    st.sampled_from(["2024-01-31 10:00:00.123456789", "1969-12-31", "0001-01-01", "9999-12-31"]),
)
_TEXTS: Final = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=9)
_COLUMNS: Final = st.sampled_from([_NUMBERS, _MOMENTS, _TEXTS, _NUMBERS | _TEXTS])
#: A quoted null, and what to ClickHouse is none, are another branch of the readers' rules.
CELLS: Final = _COLUMNS.flatmap(lambda cells: st.lists(cells, min_size=1, max_size=5)).filter(
    lambda cells: all(cell.strip() and cell != r"\N" for cell in cells)
)


def as_csv(cells: list[str], delimiter: str) -> bytes:
    quoted = (cell.replace('"', '""') for cell in cells)
    rows = (f'{n}{delimiter}"{cell}"' for n, cell in enumerate(quoted))
    return "\n".join([f"id{delimiter}x", *rows, ""]).encode()


VALUES: Final = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        _TEXTS,
        _MOMENTS,
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=5,
)


def as_json(values: list[Any], *, array: bool = False) -> bytes:
    rows = [json.dumps({"id": n, "x": value}) for n, value in enumerate(values)]
    return (f"[{', '.join(rows)}]" if array else "\n".join(rows)).encode()


@pytest.mark.chdb
def test_csv_comes_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    seen = {"loaded": 0, "refused": 0}

    # Many files an example, for ClickHouse starts once for each; and none is made smaller.
    @settings(max_examples=4, deadline=None, phases=[Phase.generate])
    @given(
        files=st.lists(CELLS, min_size=20, max_size=40),
        delimiter=st.sampled_from(",\t;|"),
    )
    def check(files: list[list[str]], delimiter: str) -> None:
        folder = tmp_path_factory.mktemp("files")
        datas = [as_csv(file, delimiter) for file in files]
        names = [f"f{number}" for number in range(len(datas))]
        tables = [
            load(folder, name, data, TableFormat.CSV_WITH_NAMES)
            for name, data in zip(names, datas, strict=True)
        ]
        pairs = [(data, table) for data, table in zip(datas, tables, strict=True) if table]
        answers = _asked([table for _, table in pairs], folder)
        for (data, table), answer in zip(pairs, answers, strict=True):
            assert isinstance(answer, list), (data, answer)
            said = csv_said(data, table.columns, delimiter=delimiter)
            _compare(said, answer, table, data)
        seen["loaded"] += len(pairs)
        seen["refused"] += len(files) - len(pairs)

    check()
    assert seen["loaded"] > seen["refused"], seen


@settings(max_examples=150, deadline=None)
@given(values=st.lists(VALUES, min_size=1, max_size=4), array=st.booleans())
def test_json_comes_back(
    values: list[Any], array: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = as_json(values, array=array)
    table = load(tmp_path_factory.mktemp("json"), "file", data, TableFormat.JSON_EACH_ROW)
    if table is None:
        # of what is drawn here only moments between two microseconds
        assert b".123456789" in data
        return
    rows = loaded.with_deltalake(table.root)
    said = json_said(data, table.columns)
    assert len(rows) == len(said)
    for row, record in zip(rows, said, strict=True):
        for column, value in zip(table.columns, record, strict=True):
            arrow = table.schema.field(column.name).type
            assert _came_back(arrow, value, row[column.name]), (data, column, row)


def _came_back(arrow: Any, said: Any, back: Any) -> bool:
    if said is None or back is None:
        return said is back
    if pa.types.is_string(arrow):
        return back == said if type(said) is str else _decoded(back) == said
    if pa.types.is_struct(arrow):
        return all(_came_back(each.type, said.get(each.name), back[each.name]) for each in arrow)
    if pa.types.is_list(arrow):
        pairs = zip(said, back, strict=True)
        return all(_came_back(arrow.value_type, one, other) for one, other in pairs)
    if pa.types.is_date(arrow):
        return bool(dt.date.fromisoformat(said) == back)
    if pa.types.is_timestamp(arrow):
        return bool(_plain(dt.datetime.fromisoformat(said)) == _plain(back))
    if isinstance(said, bool):
        return bool(back == int(said))
    return bool(back == (float(said) if pa.types.is_floating(arrow) else Decimal(said)))


def _decoded(text: str) -> Any:
    return json.loads(text, parse_float=Number, parse_int=Number)


def _asked(tables: list[Loaded], folder: Path) -> list[Any]:
    queries = [
        f"SELECT * FROM deltaLakeLocal('{table.root}') SETTINGS {_WRITTEN}" for table in tables
    ]
    return ask_why(queries, str(folder))


def _compare(said: list[list[Any]], back: list[list[Any]], table: Loaded, data: bytes) -> None:
    assert len(said) == len(back), data
    for at, column in enumerate(table.columns):
        kept = _kept_as(column.type, table.schema.field(column.name).type)
        lost = first_loss(kept, [row[at] for row in said], [row[at] for row in back])
        assert lost is None, (data, column, lost)


def _kept_as(type_: Type, arrow: Any) -> Type:
    return scalar("String", nullable=True) if pa.types.is_string(arrow) else type_


# --- files with types, as pyarrow sees them, and deltalake and DuckDB the table -------------

_ZONE: Final = zoneinfo.ZoneInfo("Europe/Berlin")
_LEAVES: Final[list[tuple[pa.DataType, st.SearchStrategy[Any]]]] = [
    (pa.int8(), st.integers(-128, 127)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint32(), st.integers(0, 2**32 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float32(), st.floats(width=32)),
    (pa.float64(), st.floats()),
    (pa.bool_(), st.booleans()),
    (pa.string(), _TEXTS),
    (pa.binary(), st.binary(max_size=9)),
    (pa.binary(4), st.binary(min_size=4, max_size=4)),
    (pa.date32(), st.dates()),
    (pa.timestamp("ms"), st.datetimes().map(lambda when: when.replace(microsecond=0))),
    (pa.timestamp("us", "UTC"), st.datetimes(timezones=st.just(dt.UTC))),
    (pa.timestamp("us", _ZONE.key), st.datetimes(*_LATEST, timezones=st.just(_ZONE))),
    (pa.timestamp("ns"), st.integers(0, 2**60)),
    (pa.decimal128(20, 3), st.decimals(-(10**15), 10**15, places=3)),
    (pa.dictionary(pa.int32(), pa.string()), _TEXTS),
    (pa.null(), st.none()),
]  # fmt: skip


@st.composite
def typed(draw: st.DrawFn, depth: int = 2) -> tuple[pa.DataType, st.SearchStrategy[Any]]:
    kind = draw(st.sampled_from(["leaf", "leaf", "list", "struct", "map"])) if depth else "leaf"
    if kind == "leaf":
        return draw(st.sampled_from(_LEAVES))
    arrow, values = draw(typed(depth=depth - 1).filter(lambda pair: pair[0] != pa.null()))
    values = st.none() | values
    if kind == "list":
        return pa.list_(arrow), st.lists(values, max_size=3)
    if kind == "map":
        pairs = st.lists(st.tuples(_TEXTS, values), max_size=3, unique_by=lambda pair: pair[0])
        return pa.map_(pa.string(), arrow), pairs
    return pa.struct([("f", arrow), ("g", pa.int64())]), st.fixed_dictionaries(
        {"f": values, "g": st.none() | st.integers(-9, 9)}
    )


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    arrow, values = draw(typed())
    column = draw(st.lists(st.none() | values, min_size=1, max_size=6))
    array = pa.array(column, arrow)
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        reject()  # pyarrow 26 makes a dictionary inside of a struct with indices beyond it
    return pa.table({"id": list(range(len(column))), "x": array})


def as_parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    # many row groups, so that there are batches whose order could be lost
    pq.write_table(table, buffer, row_group_size=2)
    return buffer.getvalue()


def as_arrow(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    with pa.ipc.new_file(buffer, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return buffer.getvalue()


@settings(max_examples=80, deadline=None)
@given(table=tables(), parquet=st.booleans())
def test_values_with_types_come_back(
    table: pa.Table, parquet: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("typed")
    data = as_parquet(table) if parquet else as_arrow(table)
    found = load(folder, "file", data, TableFormat.PARQUET if parquet else TableFormat.ARROW)
    if found is None:
        assert _has_nanoseconds(table), "only these are refused here"
        return
    seen = pq.read_table(io.BytesIO(data)) if parquet else table
    expected = [_plain(value) for value in seen.column("x").cast(_micro(seen)).to_pylist()]
    rows = loaded.with_deltalake(found.root)
    assert [row["id"] for row in rows] == table["id"].to_pylist()
    for row, value in zip(rows, expected, strict=True):
        assert _same(_plain(row["x"]), value), (row["x"], value)
    assert [row[0] for row in loaded.with_duckdb(found.root)] == table["id"].to_pylist()


def _has_nanoseconds(table: pa.Table) -> bool:
    return "[ns]" in str(table.schema.field("x").type)


def _micro(table: pa.Table) -> pa.DataType:
    """The column's type; of what was not refused, microseconds tell nanoseconds."""
    return _replaced(table.schema.field("x").type)


def _replaced(arrow: Any) -> pa.DataType:
    if pa.types.is_struct(arrow):
        return pa.struct([(field.name, _replaced(field.type)) for field in arrow])
    if pa.types.is_map(arrow):
        return pa.map_(arrow.key_type, _replaced(arrow.item_type))
    if pa.types.is_list(arrow):
        return pa.list_(_replaced(arrow.value_type))
    if isinstance(arrow, pa.DictionaryType):
        return arrow.value_type
    return pa.timestamp("us") if arrow == pa.timestamp("ns") else arrow


def _plain(value: Any) -> Any:
    """A value as both sides have it: moments in UTC, numbers by their value, pairs as a dict."""
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return int(value) if isinstance(value, Decimal) and value == int(value) else value


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


# --- dates in a column of moments -----------------------------------------------------------

_DAYS: Final = st.lists(st.dates(dt.date(1970, 1, 1), dt.date(2100, 1, 1)), min_size=1, max_size=6)


def _loaded_days(folder: Path, texts: list[str], option: str | None) -> list[dt.date] | None:
    """The days that a load into a column of moments makes of texts; None where it is refused."""
    (folder / "days.csv").write_text("\n".join(["n,d", *(f"1,{text}" for text in texts), ""]))
    options = {"date_order": option} if option else {}
    source = Source(
        store=LocalObjects(folder),
        path="days.csv",
        format=TableFormat.CSV_WITH_NAMES,
        options=options,
    )
    months = read_all(source).month_first
    rows = Rows.of(source, Limits(), no_progress, month_first=months)
    schema = pa.schema([("d", pa.timestamp("us", "UTC"))])
    try:
        batches = list(rows.batches(schema))
    except JobError:
        return None
    return [moment.date() for batch in batches for moment in batch.column(0).to_pylist()]


def _in(order: str, text: str) -> dt.date | None:
    one, two, year = map(int, text.split("/"))
    day, month = (one, two) if order == "day_first" else (two, one)
    return dt.date(year, month, day) if month <= 12 else None


@settings(max_examples=200, deadline=None)
@given(
    days=_DAYS,
    written=st.sampled_from(["day_first", "month_first", "both"]),
    option=st.sampled_from([None, "day_first", "month_first"]),
)
def test_days_are_loaded_in_one_order_or_not_at_all(
    days: list[dt.date],
    written: str,
    option: str | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    spelled = {"day_first": "%d/%m/%Y", "month_first": "%m/%d/%Y"}
    orders = [written if written != "both" else list(spelled)[n % 2] for n in range(len(days))]
    texts = [day.strftime(spelled[order]) for day, order in zip(days, orders, strict=True)]
    back = _loaded_days(tmp_path_factory.mktemp("days"), texts, option)

    # which orders all values of the file, and the option, leave
    read = {order: [_in(order, text) for text in texts] for order in spelled}
    left = [each for each in spelled if None not in read[each] and option in (None, each)]
    # the day first where both are left, as ClickHouse has it
    assert back == (read[left[0]] if left else None), texts
