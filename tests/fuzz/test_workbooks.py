"""Workbooks at random: in order, the table that was written; damaged, a typed error or a table, in
bounds of time and memory. That python-calamine panics, aborts or hangs is a failure."""

import io
import zipfile
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from stocktake.schema.formats import TableFormat
from tests.fuzz.children import SECONDS_FOR_ALL, fuzzed, read, request_of
from tests.fuzz.mutations import TOKENS, Edit, applied, edits
from tests.fuzz.watched import Watched
from tests.support.workbooks import FORMATS, cell, ods, xlsb, xlsx

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(SECONDS_FOR_ALL)]

DAY, AT = date(2024, 1, 31), datetime(2024, 1, 31, 10, 20, 30)  # noqa: DTZ001  # a sheet knows no zone
ROWS: list[list[Any]] = [
    ["id", "name", "day", "at", "ok", "how long"],
    [1, "é", DAY, AT, True, time(1, 2, 3)],
    [2.5, "a" * 20, None, AT, False, timedelta(days=2)],
    [],
    [1e17, "é", DAY, DAY, None, None],
]


def _with_all_sorts() -> bytes:
    """What a workbook may have beside cells: merged ones, links, formulas, pictures, comments."""
    sink = io.BytesIO()
    with xlsxwriter.Workbook(sink, {"in_memory": True}) as workbook:
        sheet = workbook.add_worksheet("First & last")
        day = workbook.add_format({"num_format": FORMATS[date]})
        sheet.merge_range(0, 0, 0, 2, "a title")
        sheet.write_row(1, 0, ["k", "v", "w"])
        sheet.write_url(2, 0, "https://example.com/")
        sheet.write_formula(3, 0, "=SUM(B3:B5)", None, 7)
        sheet.write_formula(4, 0, "=1/0", None, "#DIV/0!")
        sheet.write_array_formula(5, 0, 6, 0, "{=B3:B4*2}", None, 4)
        sheet.write_rich_string(3, 2, "a", workbook.add_format({"bold": True}), "b", "c")
        sheet.write_comment(3, 2, "said")
        sheet.write_datetime(4, 2, AT, day)
        sheet.add_table(2, 4, 5, 6, {"data": [[1, 2, 3], [4, 5, 6]]})
        workbook.define_name("Sales", "='First & last'!$B$3:$B$5")
        workbook.add_worksheet("hidden").hide()
    return sink.getvalue()


def _repeated(many: str) -> str:
    return many.replace("<table:table-cell", '<table:table-cell table:number-columns-repeated="2"')


_TEXTS = "".join(cell("string", text=name) for name in ("n", "d", "t", "b", "s"))
_VALUES = (
    cell("float", "1.5", "1,5")
    + cell("date", "2024-01-31")
    + cell("date", "2024-01-31T10:20:30")
    + cell("boolean", "true")
    + cell("string", text='a<text:s text:c="3"/>b')
)
_OTHERS = (
    cell("percentage", "0.5", "50%")
    + cell("currency", "3", "3 €")
    + cell("time", "PT26H00M01S")
    + "<table:covered-table-cell/>"
    + _repeated(cell("float", "7", "7"))
)
_FILLING = '<table:table-cell table:number-columns-repeated="16379" table:style-name="ce1"/>'

XLSX = xlsx(ROWS, [["other"], [1]])
SEEDS = [
    (TableFormat.EXCEL, XLSX),
    (TableFormat.EXCEL, _with_all_sorts()),
    (TableFormat.EXCEL, xlsb((0, 0), (1, 1), (2, 0), shared="text")),
    (TableFormat.ODS, ods(_TEXTS + _FILLING, _VALUES, _OTHERS)),
]
#: Pieces of what workbooks are made of: cells far away, types, formats, relations, entities.
XML = (
    b"<", b">", b"/>", b"</", b'"', b"&", b"&#0;", b"&amp;", b"<!--", b"-->", b"<![CDATA[", b"]]>",
    b"<?xml?>", b"<v>", b"</v>", b"<c>", b"</c>", b"</row>", b'<c r="XFD1048576">', b"<row>",
    b'<c r="A1" t="s"><v>0</v></c>', b'<c r="A0"><v>1</v></c>', b'<c r="ZZZZZZZ1"><v>1</v></c>',
    b'<c r="A4294967296"><v>1</v></c>', b'<c t="d"><v>2024-13-45T99:99:99Z</v></c>', b' t="e"',
    b'<c t="inlineStr"><is><t>x</t></is></c>', b"<f>", b'<f t="shared" ref="A1:XFD9" si="0">A1</f>',
    b'<dimension ref="A1:XFD1048576"/>', b'<dimension ref="B2:A1"/>', b' t="b"', b' s="99"',
    b'<mergeCell ref="A1:XFD1048576"/>', b' date1904="1"', b'<numFmt numFmtId="9" formatCode="["/>',
    b'Target="../../x"', b'Target="/"', b"xl/", b"<si>", b"</si>", b"<table:table-row>",
    b"<table:table>", b' table:number-rows-repeated="1000000"', b' office:value-type="float"',
    b' table:number-columns-repeated="9999999"', b' office:date-value="2024-01-31T10:20:30.5"',
    b' office:time-value="PT9999999999999H"', b"<text:p/>", b"<text:p>", b"<text:s/>",
)  # fmt: skip
DAMAGE = "flip number number cut repeat end insert fit fit fit"
#: What python-calamine does not look at.
UNREAD = ("docProps/", "xl/theme/", "xl/drawings/")


def entries_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [name for name in archive.namelist() if not name.startswith(UNREAD)]
        return {name: archive.read(name) for name in names}


def packed(entries: dict[str, bytes], method: int) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as archive:
        for name, content in entries.items():
            # alike each time, whatever the clock says
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return sink.getvalue()


@st.composite
def damaged_entries(draw: st.DrawFn) -> tuple[TableFormat, bytes]:
    """A workbook of whose archive one or two entries were changed, lost, called otherwise, or have
    what another one has."""
    table_format, data = draw(st.sampled_from(SEEDS))
    entries = entries_of(data)
    for name in draw(st.lists(st.sampled_from(sorted(entries)), min_size=1, max_size=2)):
        what = draw(st.sampled_from(["change"] * 8 + ["lose", "name", "swap"]))
        if what == "change":
            changes = draw(edits(DAMAGE, tokens=XML + TOKENS))
            entries[name] = applied(entries.get(name, b""), changes)
        elif what == "lose":
            entries.pop(name, None)
        elif what == "name":
            called = draw(st.sampled_from([name.upper(), name.replace("/", "\\"), f"/{name}", "é"]))
            entries[called] = entries.pop(name, b"")
        else:
            entries[name] = entries.get(draw(st.sampled_from(sorted(entries))), b"")
    method = draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    return table_format, packed(entries, method)


@fuzzed
@given(source=damaged_entries())
def test_workbook_of_damaged_entries(ours: Watched, source: tuple[TableFormat, bytes]) -> None:
    table_format, data = source
    read(ours, request_of({"x": data}, table_format))


@fuzzed
@given(
    seed=st.sampled_from(SEEDS),
    changes=edits("flip flip flip cut repeat end insert"),
    options=st.sampled_from([{}, {"header_row": 0}, {"header_row": 3}, {"sheet": "Sheet2"}]),
)
def test_damaged_archive_of_a_workbook(
    ours: Watched,
    seed: tuple[TableFormat, bytes],
    changes: list[Edit],
    options: dict[str, Any],
) -> None:
    table_format, data = seed
    request = request_of({"x": applied(data, changes)}, table_format)
    read(ours, request | {"options": options})
