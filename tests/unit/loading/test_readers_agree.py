"""What deltalake, DuckDB and ClickHouse read of a loaded table equals the source as its own reader
sees it, in order: drawn files of every format that an upload takes, and the corpora.
"""

import datetime as dt
import io
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import python_calamine
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pyarrow import orc

from stocktake.schema.formats import TableFormat
from tests.support import loaded, workbooks
from tests.support.typed_files import arrow_file, arrow_stream, avro_file, avro_record, orc_file
from tests.unit.loading.test_round_trip import CELLS, VALUES, Loaded, as_csv, as_json, load

pytestmark = pytest.mark.chdb

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class File:
    """A file, and its rows as its own reader sees them; None of a text, which `test_round_trip`
    holds deltalake's rows to."""

    name: str
    format: TableFormat
    data: bytes
    said: Rows | None = None


# --- values, as all of them have them -----------------------------------------------------------


def plain(value: Any, arrow: Any = None, *, nested_nulls: bool = True) -> Any:
    """A value by what it says: moments in UTC, texts as their bytes, pairs in their order.

    Args:
        arrow: the type of a column of the table, where `nested_nulls` is not set.
        nested_nulls: whether a null of a list, a map or a struct is one; to ClickHouse it is empty.
    """
    if value is None and not nested_nulls:
        return _emptied(arrow)
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
    if isinstance(value, dt.date) and arrow is not None and pa.types.is_timestamp(arrow):
        return dt.datetime.combine(value, dt.time(), dt.UTC)
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else value
    if isinstance(value, dict):
        return _plain_fields(value, arrow, nested_nulls)
    if isinstance(value, list | tuple):
        return _plain_items(value, arrow, nested_nulls)
    return value


def _plain_fields(value: dict[str, Any], arrow: Any, nested_nulls: bool) -> Any:
    if arrow is not None and pa.types.is_map(arrow):
        return _plain_items(list(value.items()), arrow, nested_nulls)
    types = {each.name: each.type for each in arrow} if arrow is not None else {}
    return {
        name: plain(inner, types.get(name), nested_nulls=nested_nulls)
        for name, inner in value.items()
    }


def _plain_items(value: Sequence[Any], arrow: Any, nested_nulls: bool) -> list[Any]:
    if arrow is not None and pa.types.is_map(arrow):
        return sorted(
            (plain(key), plain(inner, arrow.item_type, nested_nulls=nested_nulls))
            for key, inner in value
        )
    inner = None if arrow is None else arrow.value_type
    return [plain(each, inner, nested_nulls=nested_nulls) for each in value]


def _emptied(arrow: Any) -> Any:
    if pa.types.is_struct(arrow):
        return {each.name: plain(None, each.type, nested_nulls=False) for each in arrow}
    if pa.types.is_list(arrow) or pa.types.is_map(arrow):
        return []
    return None


def plain_rows(rows: Rows, schema: pa.Schema, *, nested_nulls: bool = True) -> Rows:
    return [
        {
            field.name: plain(row.get(field.name), field.type, nested_nulls=nested_nulls)
            for field in schema
        }
        for row in rows
    ]


def check_agreement(files: Sequence[File], folder: Path) -> int:
    """Load each file and compare; how many were loaded, the others were refused with a sentence."""
    tables = [
        (file, load(folder, f"{number}", file.data, file.format))
        for number, file in enumerate(files)
    ]
    made: list[tuple[File, Loaded]] = [(file, table) for file, table in tables if table]
    found = loaded.as_arrow([table.root for _, table in made], str(folder))
    for at, (file, table) in enumerate(made):
        for reader, read in found.items():
            nulls = reader != "ClickHouse"
            back = read[at]
            assert not isinstance(back, str), (file.name, reader, back, table.schema)
            rows = plain_rows(back.to_pylist(), table.schema, nested_nulls=nulls)
            said = found["deltalake"][at].to_pylist() if file.said is None else file.said
            said = plain_rows(said, table.schema, nested_nulls=nulls)
            assert rows == said, (file.name, reader, table.schema, file.data[:2000])
    return len(made)


# --- drawn files that carry their types ----------------------------------------------------------

#: What ClickHouse's Date32 and DateTime64 hold.
_DAYS: Final = st.dates(dt.date(1900, 1, 1), dt.date(2299, 12, 31))
_MOMENTS: Final = st.datetimes(
    *(dt.datetime(1900, 1, 2), dt.datetime(2299, 12, 30)),  # noqa: DTZ001
    timezones=st.just(dt.UTC),
)
_TEXTS: Final = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=9)
_LEAVES: Final[list[tuple[pa.DataType, st.SearchStrategy[Any]]]] = [
    (pa.int8(), st.integers(-128, 127)),
    (pa.int16(), st.integers(-(2**15), 2**15 - 1)),
    (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint16(), st.integers(0, 2**16 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float32(), st.floats(width=32)),
    (pa.float64(), st.floats()),
    (pa.bool_(), st.booleans()),
    (pa.string(), _TEXTS),
    (pa.binary(), st.binary(max_size=9)),
    (pa.date32(), _DAYS),
    (pa.timestamp("us", "UTC"), _MOMENTS),
    (pa.decimal128(20, 3), st.decimals(-(10**15), 10**15, places=3)),
]  # fmt: skip


@st.composite
def _typed(draw: st.DrawFn, depth: int = 2) -> tuple[pa.DataType, st.SearchStrategy[Any]]:
    kind = draw(st.sampled_from(["leaf", "leaf", "list", "struct", "map"])) if depth else "leaf"
    if kind == "leaf":
        return draw(st.sampled_from(_LEAVES))
    arrow, values = draw(_typed(depth=depth - 1))
    values = st.none() | values
    if kind == "list":
        return pa.list_(arrow), st.lists(values, max_size=3)
    if kind == "map":
        return pa.map_(pa.string(), arrow), st.dictionaries(_TEXTS, values, max_size=3).map(
            lambda pairs: list(pairs.items())
        )
    return pa.struct([("f", arrow), ("g", pa.int64())]), st.fixed_dictionaries(
        {"f": values, "g": st.none() | st.integers(-9, 9)}
    )


@st.composite
def _tables(draw: st.DrawFn) -> pa.Table:
    arrow, values = draw(_typed())
    column = draw(st.lists(st.none() | values, min_size=1, max_size=6))
    return pa.table({"id": list(range(len(column))), "x": pa.array(column, arrow)})


def parquet(table: pa.Table) -> File:
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=2)
    said = pq.read_table(io.BytesIO(sink.getvalue())).to_pylist()
    return File("parquet", TableFormat.PARQUET, sink.getvalue(), said)


def arrow(table: pa.Table) -> File:
    data = arrow_file(table)
    return File("arrow", TableFormat.ARROW, data, pa.ipc.open_file(data).read_all().to_pylist())


def arrows(table: pa.Table) -> File:
    data = arrow_stream(table)
    said = pa.ipc.open_stream(data).read_all().to_pylist()
    return File("arrow stream", TableFormat.ARROW_STREAM, data, said)


def orcs(table: pa.Table) -> File:
    """The table as ORC.

    Raises:
        pa.ArrowNotImplementedError: pyarrow reads no such moment of ORC, so nor do loads.
    """
    data = orc_file(table)
    try:
        said = orc.read_table(io.BytesIO(data)).to_pylist()
    except pa.ArrowInvalid as exc:
        raise pa.ArrowNotImplementedError(str(exc)) from exc
    return File("orc", TableFormat.ORC, data, said)


def avro(table: pa.Table) -> File:
    schema = avro_record(id="long", x=_avro(table.schema.field("x").type, [0]))
    rows = [
        {"id": row["id"], "x": _avro_value(row["x"], table.schema.field("x").type)}
        for row in table.to_pylist()
    ]
    data = avro_file(schema, rows)
    return File("avro", TableFormat.AVRO, data, list(fastavro.reader(io.BytesIO(data))))


_AVRO: Final = {
    pa.int8(): "int",
    pa.int16(): "int",
    pa.int32(): "int",
    pa.int64(): "long",
    pa.uint16(): "int",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.string(): "string",
    pa.binary(): "bytes",
    pa.date32(): {"type": "int", "logicalType": "date"},
    pa.timestamp("us", "UTC"): {"type": "long", "logicalType": "timestamp-micros"},
    pa.decimal128(20, 3): {
        "type": "bytes",
        "logicalType": "decimal",
        "precision": 20,
        "scale": 3,
    },
}


def _avro(arrow: Any, count: list[int]) -> list[Any]:
    """The union of null and the type.

    Args:
        count: of the records so far, each of which needs a name of its own.

    Raises:
        pa.ArrowNotImplementedError: Avro has no such type.
    """
    if pa.types.is_list(arrow):
        return ["null", {"type": "array", "items": _avro(arrow.value_type, count)}]
    if pa.types.is_map(arrow):
        return ["null", {"type": "map", "values": _avro(arrow.item_type, count)}]
    if pa.types.is_struct(arrow):
        count[0] += 1
        name = f"r{count[0]}"
        fields = [{"name": each.name, "type": _avro(each.type, count)} for each in arrow]
        return ["null", {"type": "record", "name": name, "fields": fields}]
    if arrow not in _AVRO:
        raise pa.ArrowNotImplementedError(str(arrow))
    return ["null", _AVRO[arrow]]


def _avro_value(value: Any, arrow: Any) -> Any:
    if value is None:
        return None
    if pa.types.is_map(arrow):
        return {key: _avro_value(inner, arrow.item_type) for key, inner in value}
    if pa.types.is_list(arrow):
        return [_avro_value(inner, arrow.value_type) for inner in value]
    if pa.types.is_struct(arrow):
        return {each.name: _avro_value(value[each.name], each.type) for each in arrow}
    return value


_WRITERS: Final[list[Callable[[pa.Table], File]]] = [parquet, arrow, arrows, orcs, avro]


def written(table: pa.Table) -> list[File]:
    """The table in each format that has its types."""
    files = []
    for write in _WRITERS:
        try:
            files.append(write(table))
        except pa.ArrowNotImplementedError:
            continue
    return files


def test_files_with_types(tmp_path_factory: pytest.TempPathFactory) -> None:
    seen: set[str] = set()

    # Many files an example, for ClickHouse starts once for each; and none is made smaller.
    @settings(max_examples=2, deadline=None, phases=[Phase.generate])
    @given(tables=st.lists(_tables(), min_size=15, max_size=25))
    def check(tables: list[pa.Table]) -> None:
        files = [file for table in tables for file in written(table)]
        assert check_agreement(files, tmp_path_factory.mktemp("typed")) == len(files)
        seen.update(file.name for file in files)

    check()
    assert seen == {"parquet", "arrow", "arrow stream", "orc", "avro"}


# --- workbooks -----------------------------------------------------------------------------------

#: Excel's numbers are doubles, which it writes with 17 digits at most, and its days begin in 1900.
_CELLS: Final = st.sampled_from(
    [
        st.integers(-(2**53), 2**53).map(float),
        st.floats(-1e300, 1e300, allow_subnormal=False),
        st.booleans(),
        st.text(st.characters(codec="ascii", categories=["L"]), min_size=1, max_size=9),
        st.dates(dt.date(1901, 1, 1), dt.date(2299, 12, 31)),
        st.datetimes(dt.datetime(1901, 1, 1), dt.datetime(2200, 1, 1)).map(  # noqa: DTZ001
            lambda moment: moment.replace(microsecond=0)
        ),
    ]
).flatmap(lambda cells: st.lists(st.none() | cells, min_size=1, max_size=6))


def _said_by_calamine(data: bytes) -> Rows:
    sheet = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(data)).get_sheet_by_index(0)
    [names, *rows] = sheet.to_python(skip_empty_area=False)
    return [
        dict(zip(names, (None if cell == "" else cell for cell in row), strict=True))
        for row in rows
    ]


def excel(cells: list[Any]) -> File:
    data = workbooks.xlsx([["id", "x"], *([n, cell] for n, cell in enumerate(cells))])
    return File("xlsx", TableFormat.EXCEL, data, _said_by_calamine(data))


def opened(cells: list[Any]) -> File:
    rows = [workbooks.cell("string", text="id") + workbooks.cell("string", text="x")]
    for number, cell in enumerate(cells):
        rows.append(workbooks.cell("float", str(number)) + _ods_cell(cell))
    data = workbooks.ods(*rows)
    return File("ods", TableFormat.ODS, data, _said_by_calamine(data))


def _ods_cell(cell: Any) -> str:
    if cell is None:
        return "<table:table-cell/>"
    if isinstance(cell, bool):
        return workbooks.cell("boolean", str(cell).lower())
    if isinstance(cell, float):
        return workbooks.cell("float", repr(cell))
    if isinstance(cell, dt.date):
        return workbooks.cell("date", cell.isoformat())
    return workbooks.cell("string", text=cell)


def test_workbooks(tmp_path_factory: pytest.TempPathFactory) -> None:
    @settings(max_examples=2, deadline=None, phases=[Phase.generate])
    @given(columns=st.lists(_CELLS, min_size=15, max_size=25))
    def check(columns: list[list[Any]]) -> None:
        files = [write(cells) for cells in columns for write in (excel, opened)]
        assert check_agreement(files, tmp_path_factory.mktemp("sheets")) == len(files)

    check()


# --- texts ----------------------------------------------------------------------------------------


def test_texts(tmp_path_factory: pytest.TempPathFactory) -> None:
    @settings(max_examples=2, deadline=None, phases=[Phase.generate])
    @given(
        cells=st.lists(CELLS, min_size=15, max_size=25),
        values=st.lists(st.lists(VALUES, min_size=1, max_size=4), min_size=15, max_size=25),
    )
    def check(cells: list[list[str]], values: list[list[Any]]) -> None:
        files = [
            *(File("csv", TableFormat.CSV_WITH_NAMES, as_csv(each, ",")) for each in cells),
            *(File("tsv", TableFormat.CSV_WITH_NAMES, as_csv(each, "\t")) for each in cells),
            *(File("lines", TableFormat.JSON_EACH_ROW, as_json(each)) for each in values),
            *(
                File("array", TableFormat.JSON_EACH_ROW, as_json(each, array=True))
                for each in values
            ),
        ]
        assert check_agreement(files, tmp_path_factory.mktemp("texts")) > len(files) / 2

    check()


# --- files of others -----------------------------------------------------------------------------

CORPUS = os.environ.get("STOCKTAKE_CORPUS")


@pytest.mark.skipif(not CORPUS, reason="STOCKTAKE_CORPUS names no folder of files by others")
def test_files_of_others(tmp_path: Path) -> None:
    assert CORPUS
    files = [
        File(path.name, format_, path.read_bytes())
        for kind, format_ in (
            ("csv", TableFormat.CSV_WITH_NAMES),
            ("json", TableFormat.JSON_EACH_ROW),
        )
        for path in sorted(Path(CORPUS, kind).iterdir())
    ]
    for path in sorted(Path(CORPUS, "parquet").glob("*.parquet")):
        said = pq.read_table(path).to_pylist()
        files.append(File(path.name, TableFormat.PARQUET, path.read_bytes(), said))
    assert check_agreement(files, tmp_path) > 14
