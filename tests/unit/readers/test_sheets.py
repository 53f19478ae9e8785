"""Workbooks: what a column of cells is, which sheet and header, and what is not opened."""

import io
import struct
import tracemalloc
import zipfile
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
import xlsxwriter

from stocktake.errors import (
    EmptySourceError,
    FormatMismatchError,
    InvalidSourceError,
    JobError,
    LimitExceededError,
    SourceNotFoundError,
    UnsupportedError,
)
from stocktake.readers import introspect, read_all
from stocktake.readers.registry import offered
from stocktake.readers.sheets.compound import holding, stream_of
from stocktake.readers.sheets.guard import MOST_CELLS
from stocktake.readers.source import Introspection, Limits, Source, no_progress
from stocktake.schema.formats import TableFormat
from tests.support.memory import MemoryObjects
from tests.support.typed_files import shown
from tests.support.workbooks import OLD, cell, ods, old_number, old_record, xls, xlsb, xlsx

EXCEL, ODS = TableFormat.EXCEL, TableFormat.ODS
MIDNIGHT, MORNING = datetime(2024, 1, 31), datetime(2024, 1, 31, 10, 20, 30)  # noqa: DTZ001  # a sheet knows no zone


def source(data: bytes, table_format: TableFormat = EXCEL, **options: Any) -> Source:
    return Source(store=MemoryObjects({"x": data}), path="x", format=table_format, options=options)


def look(data: bytes, limits: Limits | None = None, **options: Any) -> Introspection:
    return introspect(source(data, **options), limits)


def values(source_: Source) -> list[dict[str, Any]]:
    batches = offered(source_.format, "batches")(source_, Limits(), no_progress)
    return [row for _, batch in batches for row in batch.to_pylist()]


# --- types --------------------------------------------------------------------------------


KINDS: dict[str, tuple[list[Any], str, list[Any]]] = {
    "whole": ([1, 2.0, None], "Int64", [1, 2, None]),
    "number": ([1, 2.5, None], "Float64", [1.0, 2.5, None]),
    "beyond": ([1, 1e17, None], "Float64", [1.0, 1e17, None]),
    "flag": ([True, None, False], "Bool", [True, None, False]),
    "text": (["a", None, "007"], "String", ["a", None, "007"]),
    "day": ([date(2024, 1, 31), None, date(1950, 1, 1)], "Date32",
            [date(2024, 1, 31), None, date(1950, 1, 1)]),
    "moment": ([MORNING, None, date(2024, 1, 31)], "DateTime64(6)", [MORNING, None, MIDNIGHT]),
    "clock": ([time(10, 20, 30), None, None], "String", ["10:20:30", None, None]),
    "length": ([timedelta(days=1, hours=2), None, None], "String", ["26:00:00", None, None]),
    "mixed": ([1, "a", 2.5], "String", ["1", "a", "2.5"]),
    "mixed_day": ([date(2024, 1, 31), "soon", True], "String", ["2024-01-31", "soon", "true"]),
    "nothing": ([None, None, None], "String", [None, None, None]),
}  # fmt: skip


def test_a_column_has_the_type_that_all_its_cells_fit() -> None:
    columns = [[name, *cells] for name, (cells, *_) in KINDS.items()]
    found = source(xlsx([list(row) for row in zip(*columns, strict=True)]))
    answer = introspect(found)
    assert shown(answer) == {name: f"Nullable({kind})" for name, (_, kind, _) in KINDS.items()}
    assert answer.row_count == 3
    rows = values(found)
    for name, (_, _, expected) in KINDS.items():
        assert [row[name] for row in rows] == expected, name
    assert read_all(found).row_count == 3


def test_an_error_is_null_and_told() -> None:
    sink = io.BytesIO()
    with xlsxwriter.Workbook(sink) as workbook:
        workbook.add_worksheet("Other").write_formula(0, 0, "=1/0", None, "#DIV/0!")
        sheet = workbook.add_worksheet("Costs")
        sheet.write_row(0, 0, ["a"])
        sheet.write_number(1, 0, 1)
        sheet.write_formula(2, 0, "=1/0", None, "#DIV/0!")
        sheet.write_formula(3, 0, "=1+1", None, 2)
    found = source(sink.getvalue(), sheet="Costs")
    answer = introspect(found)
    assert shown(answer) == {"a": "Nullable(Int64)"}
    assert [row["a"] for row in values(found)] == [1, None, 2]
    (warning,) = answer.warnings
    assert (warning.code, warning.file) == ("error_cells", "x")
    assert warning.sentence.startswith("One cell of the sheet 'Costs', A3, holds an error")


def test_a_text_that_says_error_is_none() -> None:
    found = source(ods(cell("string", text="a"), cell("string", "error", "error")), ODS)
    assert introspect(found).warnings == ()
    assert values(found) == [{"a": "error"}]


def old_error(row: int, column: int) -> bytes:
    return old_record(0x205, struct.pack("<HHHBB", row, column, 0, 0x2A, 1))


def old_failed(row: int, column: int) -> bytes:
    body = struct.pack("<HHH", row, column, 0) + b"\2\0\7\0\0\0\xff\xff" + bytes(8)
    return old_record(0x06, body)


FAILED = (
    '<table:table-cell office:value-type="string" office:string-value="" '
    'calcext:value-type="error" xmlns:calcext="c"><text:p>#DIV/0!</text:p></table:table-cell>'
)

ONE = cell("float", "1.5")
ERRORS = old_error(1, 1) + old_failed(2, 0)


@pytest.mark.parametrize(
    ("data", "table_format", "said"),
    [
        (
            xls(old_number(0, 0) + old_error(1, 1) + old_failed(2, 0) + old_number(3, 0)),
            EXCEL,
            "B2",
        ),
        (xlsb((0, 0), (1, 1), (2, 0), (3, 0), kinds=(5, 3, 11, 5)), EXCEL, "B2"),
        (ods(ONE, cell("string") + FAILED, FAILED, ONE), ODS, "B2"),
    ],
    ids=["xls", "xlsb", "ods"],
)
def test_errors_are_counted_in_every_kind(
    data: bytes, table_format: TableFormat, said: str
) -> None:
    found = source(data, table_format, header_row=0)
    (warning,) = introspect(found).warnings
    assert warning.code == "error_cells"
    assert warning.sentence.startswith("2 cells of the sheet 'S")
    assert f"the first of them {said}, hold an error" in warning.sentence
    rows = [list(row.values()) for row in values(found)]
    assert rows == [[1.5], [None], [None], [1.5]]


def test_a_text_that_looks_like_an_error_is_a_text() -> None:
    answer = look(xlsx([["a"], ["#N/A"]]))
    assert (shown(answer), answer.warnings) == ({"a": "Nullable(String)"}, ())


def test_a_workbook_of_libreoffice_is_read() -> None:
    head = "".join(cell("string", text=name) for name in ("n", "d", "t", "b", "s"))
    row = (
        cell("float", "1.5")
        + cell("date", "2024-01-31")
        + cell("date", "2024-01-31T10:20:30")
        + cell("boolean", "true")
        + cell("string", text="é")
    )
    filling = '<table:table-cell table:number-columns-repeated="16379"/>'
    found = source(ods(head + filling, row), ODS)
    assert shown(introspect(found)) == {
        "n": "Nullable(Float64)",
        "d": "Nullable(Date32)",
        "t": "Nullable(DateTime64(6))",
        "b": "Nullable(Bool)",
        "s": "Nullable(String)",
    }
    assert values(found) == [{"n": 1.5, "d": date(2024, 1, 31), "t": MORNING, "b": True, "s": "é"}]


# --- sheet and header ---------------------------------------------------------------------


def test_the_first_sheet_is_read_or_the_one_that_an_option_names() -> None:
    data = xlsx([["a"], [1]], [["b"], ["x"]])
    assert shown(look(data)) == {"a": "Nullable(Int64)"}
    assert shown(look(data, sheet="Sheet2")) == {"b": "Nullable(String)"}
    with pytest.raises(SourceNotFoundError, match="did you mean 'Sheet2'") as error:
        look(data, sheet="Sheet22")
    assert error.value.code == "sheet_not_found"


def test_titles_above_the_header_are_passed_over_by_an_option() -> None:
    data = xlsx([["Sales of 2024"], [], ["id", "name"], [1, "a"]])
    assert shown(look(data, header_row=3)) == {"id": "Nullable(Int64)", "name": "Nullable(String)"}
    assert shown(look(data)) == {"Sales of 2024": "Nullable(String)", "c2": "Nullable(String)"}
    assert [each.code for each in look(data).warnings] == ["renamed_columns"]
    with pytest.raises(InvalidSourceError, match=r"no row 5 .* rows are 1 to 4"):
        look(data, header_row=5)


def test_without_a_header_columns_are_called_by_their_places() -> None:
    found = source(xlsx([[1, "a"], [2, "b"]]), header_row=0)
    assert shown(introspect(found)) == {"c1": "Nullable(Int64)", "c2": "Nullable(String)"}
    assert introspect(found).row_count == 2
    assert not introspect(found).warnings


def test_names_that_come_twice_or_are_missing_are_made_unique() -> None:
    found = look(xlsx([["a", "a", None, None], [1, 2, 3, None]]))
    assert [*shown(found)] == ["a", "a_1", "c3"]
    assert [each.code for each in found.warnings] == ["renamed_columns"]


def test_a_sheet_that_begins_elsewhere_is_counted_as_the_spreadsheet_shows_it() -> None:
    data = xlsx([[], [], [None, None, "id"], [None, None, 7]])
    assert shown(look(data)) == {"id": "Nullable(Int64)"}
    assert shown(look(data, header_row=3)) == {"id": "Nullable(Int64)"}


def test_a_header_alone_gives_columns_and_no_rows() -> None:
    found = look(xlsx([["a", "b"]]))
    assert (shown(found), found.row_count) == (
        {"a": "Nullable(String)", "b": "Nullable(String)"},
        0,
    )


def test_an_empty_sheet_is_said_to_be_empty() -> None:
    with pytest.raises(EmptySourceError):
        look(xlsx([]))


def test_workbooks_are_united() -> None:
    store = MemoryObjects({"a": xlsx([["x"], [1]]), "b": xlsx([["x", "y"], [1.5, "t"]])})
    found = introspect(Source(store=store, path="*", format=EXCEL))
    assert shown(found) == {"x": "Nullable(Float64)", "y": "Nullable(String)"}
    assert found.row_count == 2


# --- what is not opened -------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"a,b\n1,2\n", b"PAR1" + b"\0" * 20, b"\0"])
def test_another_format_is_told(data: bytes) -> None:
    with pytest.raises(FormatMismatchError):
        look(data)


def test_a_zip_of_something_else_is_told() -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("readme.txt", "no workbook")
    with pytest.raises(InvalidSourceError, match="is corrupt"):
        look(sink.getvalue())


def repacked(data: bytes, name: str, content: bytes) -> bytes:
    """The workbook with another content of one entry."""
    sink = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in old.infolist():
            new.writestr(entry.filename, content if entry.filename == name else old.read(entry))
    return sink.getvalue()


SHEET = "xl/worksheets/sheet1.xml"


def test_a_bomb_is_refused_by_what_the_directory_says() -> None:
    bomb = repacked(xlsx([["a"], [1]]), SHEET, b" " * 30_000_000)
    assert len(bomb) < 100_000
    with pytest.raises(LimitExceededError, match="MAX_DECOMPRESSION_RATIO"):
        look(bomb)


def test_an_archive_that_is_larger_than_its_directory_says_is_corrupt() -> None:
    bomb = repacked(xlsx([["a"], [1]]), SHEET, b" " * 30_000_000)
    lying = bomb.replace((30_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    assert lying != bomb
    with pytest.raises(InvalidSourceError, match="corrupt"):
        look(lying)


def test_a_workbook_of_too_many_bytes_is_refused() -> None:
    with pytest.raises(LimitExceededError, match="MAX_BYTES"):
        look(xlsx([["a"], [1]]), Limits(max_bytes=1000))


def test_a_sheet_whose_last_cell_is_far_away_is_refused() -> None:
    sink = io.BytesIO()
    with xlsxwriter.Workbook(sink) as workbook:
        sheet = workbook.add_worksheet()
        sheet.write_row(0, 0, ["a"])
        sheet.write_number(1_048_575, 16_383, 1)
    with pytest.raises(LimitExceededError, match=f"17,179,869,184 cells; {MOST_CELLS:,}"):
        look(sink.getvalue())


FAR = b'<row r="1"><c r="A1"><v>1</v></c></row>%s'
CELLS = {
    "one quote": b"<row><c r='CV1000000'><v>1</v></c></row>",
    "blanks": b'<row><c r\n=\n"CV1000000"><v>1</v></c></row>',
    "small letters": b'<row><c r="cv1000000"><v>1</v></c></row>',
    "zeros": b'<row><c r="CV0001000000"><v>1</v></c></row>',
    "a prefix": b'<x:row xmlns:x="x"><x:c r="CV1000000"><x:v>1</x:v></x:c></x:row>',
    "a row's place alone": b'<row r="20000000"><c><v>1</v></c></row>',
    "no place": b"<row r='1000000'>" + b"<c><v>1</v></c>" * 11 + b"</row>",
    "behind what looks like a row": b"<row r='1000000'>"
    + b"<c><v>1</v></c><!--<row>-->" * 11
    + b"</row>",
}


@pytest.mark.parametrize("name", [SHEET, "xl/elsewhere/sheet.dat"])
@pytest.mark.parametrize("cells", CELLS.values(), ids=CELLS)
def test_a_cell_far_away_is_seen_however_it_is_spelled(cells: bytes, name: str) -> None:
    whole = b"<worksheet><sheetData>" + FAR % cells + b"</sheetData></worksheet>"
    data = repacked(xlsx([["a"], [1]]), SHEET, whole)
    if name != SHEET:
        data = renamed(data, SHEET, name)
    with pytest.raises(LimitExceededError, match=f"cells; {MOST_CELLS:,}"):
        look(data)


def renamed(data: bytes, old_name: str, name: str) -> bytes:
    """The workbook with another name of an entry, which the relations know."""
    sink = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in old.infolist():
            content = old.read(entry).replace(b"worksheets/sheet1.xml", b"elsewhere/sheet.dat")
            new.writestr(name if entry.filename == old_name else entry.filename, content)
    return sink.getvalue()


def test_a_text_that_many_cells_share_counts_each_time() -> None:
    rows = [["a"], *[["x" * 30_000]] * 2_000]
    assert look(xlsx(rows)).row_count == 2_000
    with pytest.raises(LimitExceededError, match="60,000,001 characters"):
        look(xlsx(rows), Limits(max_bytes=5_000_000))


@pytest.mark.parametrize("place", ["+0", "0" * 30, "<x/>0"])
def test_a_shared_text_is_seen_however_its_place_is_spelled(place: str) -> None:
    data = xlsx([["a"], ["x" * 30_000]])
    cells = f'<row r="1"><c r="A1" t="s"><v>{place}</v></c></row>' * 2_000
    sheet = f"<worksheet><sheetData>{cells}</sheetData></worksheet>".encode()
    with pytest.raises((InvalidSourceError, LimitExceededError), match="shared"):
        look(
            repacked(repacked(data, SHEET, sheet), "xl/sharedStrings.xml", SHARED),
            Limits(max_bytes=1_000_000),
        )


SHARED = b"<sst><si><t>" + b"x" * 30_000 + b"</t></si></sst>"


def test_a_shared_text_within_another_is_refused() -> None:
    # To python-calamine the second cell's is the long one, and to a plain count the letter.
    nested = b"<sst><si><si><t>a</t></si></si><si><t>" + b"x" * 30_000 + b"</t></si></sst>"
    with pytest.raises(InvalidSourceError, match="stands in another one"):
        look(repacked(xlsx([["a"], ["b"]]), "xl/sharedStrings.xml", nested))


def moved(data: bytes, by: int) -> bytes:
    """The archive as it is behind so many bytes."""
    end = data.rfind(b"PK\x05\x06")
    size, start = struct.unpack_from("<II", data, end + 12)
    whole, at = bytearray(data), start
    while at < start + size:
        (offset,) = struct.unpack_from("<I", whole, at + 42)
        struct.pack_into("<I", whole, at + 42, offset + by)
        at += 46 + sum(struct.unpack_from("<HHH", whole, at + 28))
    struct.pack_into("<I", whole, end + 16, start + by)
    return bytes(whole)


def test_an_archive_with_two_directories_is_refused() -> None:
    hidden, shown_ = xlsx([["hidden"]]), xlsx([["shown"]])
    both = hidden + moved(shown_, len(hidden))
    assert shown(look(both)) == {"shown": "Nullable(String)"}
    # python-calamine takes the first directory, as the last one's comment has no end.
    for broken in (both[:-2] + b"\xff\xff", hidden + shown_):
        with pytest.raises(InvalidSourceError, match="directory is not where"):
            look(broken)


def wide(data: bytes) -> bytes:
    """The archive as a writer ends it that takes ZIP64 for each."""
    end = data.rfind(b"PK\x05\x06")
    count, size, start = struct.unpack_from("<HII", data, end + 10)
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start)
    return data[:end] + record + struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1) + data[end:]


def test_an_archive_that_ends_as_zip64_is_read_where_both_its_ends_agree() -> None:
    data = wide(xlsx([["a"], ["b"]]))
    end = data.rfind(b"PK\x05\x06")
    marked = data[: end + 12] + b"\xff" * 8 + data[end + 20 :]
    for each in (data, marked):
        assert shown(look(each)) == {"a": "Nullable(String)"}
    # by the end, by the wide record, and where the locator finds that
    for at in (end + 12, end + 16, end - 76 + 40, end - 76 + 48, end - 76 + 4, end - 20 + 8):
        forged = bytearray(data)
        forged[at] ^= 1
        with pytest.raises(InvalidSourceError, match="directory is not where"):
            look(bytes(forged))


@pytest.mark.parametrize(
    "name", ["XL/sharedstrings.xml", "xl\\sharedStrings.xml", "other/sharedStrings.xml"]
)
def test_an_archive_with_two_entries_for_one_name_is_refused(name: str) -> None:
    sink = io.BytesIO(xlsx([["a"]]))
    with zipfile.ZipFile(sink, "a") as archive:
        archive.writestr(name, "<sst/>")
    with pytest.raises(InvalidSourceError, match=r"entries that are called|more than one"):
        look(sink.getvalue())


def test_a_sheet_of_opendocument_is_held_to_its_repeats() -> None:
    one = cell("float", "1", "1")
    many = one.replace("<table:table-cell", '<table:table-cell table:number-columns-repeated="%d"')
    text = cell("string", text="x" * 1_000_000).replace(
        "<table:table-cell", '<table:table-cell table:number-columns-repeated="9000"'
    )
    blanks = cell("string", text='a<text:s text:c="2000000000"/>')
    for row, said in ((many % 10**9, "cells"), (text, "characters"), (blanks, "characters")):
        with pytest.raises(LimitExceededError, match=said):
            introspect(source(ods(one, row), ODS))
    # What LibreOffice writes behind the last value.
    empty = '<table:table-cell table:number-columns-repeated="16383" table:style-name="ce1"/>'
    assert len(introspect(source(ods(one + empty, one), ODS)).columns) == 1


def test_all_sheets_of_opendocument_count_for_all_are_read() -> None:
    one = cell("float", "1", "1")
    far = f'</table:table-row><table:table-row table:number-rows-repeated="6000000">{one}'
    next_sheet = '</table:table-row></table:table><table:table table:name="S"><table:table-row>'
    with pytest.raises(LimitExceededError, match="12,000,002 cells"):
        introspect(source(ods(far + next_sheet + far), ODS))
    assert introspect(source(ods(one + next_sheet + one), ODS, sheet="S")).row_count == 0


def test_a_sheet_of_records_is_held_to_its_cells() -> None:
    assert look(xlsb((0, 0), (1, 1))).row_count == 1
    with pytest.raises(LimitExceededError, match=f"17,179,869,184 cells; {MOST_CELLS:,}"):
        look(xlsb((0, 0), (1_048_575, 16_383)))
    texts = xlsb(*((row, 0) for row in range(5_000)), shared="x" * 900)
    assert look(texts).row_count == 4_999
    with pytest.raises(LimitExceededError, match="4,500,000 characters"):
        look(texts, Limits(max_bytes=500_000))


def test_a_panic_of_native_code_is_a_sentence() -> None:
    with pytest.raises(InvalidSourceError, match="no entry found for key"):
        look(xlsb((0, 0), relation="rId2"))
    assert look(xlsb((0, 0), (1, 1))).row_count == 1


# --- old workbooks ------------------------------------------------------------------------


def test_an_old_workbook_is_read() -> None:
    found = source(OLD)
    assert shown(introspect(found)) == {
        "id": "Nullable(Int64)",
        "name": "Nullable(String)",
        "day": "Nullable(Date32)",
        "x": "Nullable(Float64)",
        "sum": "Nullable(String)",
    }
    first = {"id": 1, "name": "né1", "day": date(2024, 1, 1), "x": 0.25, "sum": None}
    assert values(found)[0] == first
    assert values(source(OLD, sheet="Two")) == [{"flag": True}]
    with pytest.raises(SourceNotFoundError, match="'One', 'Two'"):
        look(OLD, sheet="Three")


def old_sheet(place: int) -> bytes:
    return old_record(0x85, struct.pack("<IBBBB", place, 0, 0, 1, 0) + b"x")


def text_of(*, claims: int = 1, length: int = 3, text: bytes = b"abc", flags: int = 0) -> bytes:
    return struct.pack("<iiHB", 1, claims, length, flags) + text


SHARED_CELL = old_record(0xFD, struct.pack("<HHHI", 0, 0, 0, 0))
WIDE = struct.pack("<IIHHH", 0, 0x7FFFFFFF, 0, 0xFFFF, 0)


@pytest.mark.parametrize(
    "kept",
    [
        old_record(0x200, WIDE),  # the size that a sheet claims
        old_record(0x200, b"\0"),
        old_record(0xE5, struct.pack("<H", 0xFFFF)),  # cells that are merged
        old_record(0x18, b"\0"),  # a name
        old_record(0x17, b"\0"),
        old_record(0x06, struct.pack("<HHHdHIH", 0, 1, 0, 2.0, 0, 0, 0xFFFF)),  # an expression
        old_record(0x06, struct.pack("<HHHdHIH", 0, 1, 0, 2.0, 0, 0, 3) + b"\x1e\1\0"),
    ],
)
def test_what_a_value_does_not_need_is_not_looked_at(kept: bytes) -> None:
    answer = look(xls(old_number(0, 0) + kept, before=kept if kept[0] != 6 else b""), header_row=0)
    assert answer.row_count == 1


def test_shared_texts_go_on_in_other_records() -> None:
    # where a text goes on, it may be spelled in another width
    more = old_record(0x3C, b"\1" + "dé".encode("utf-16-le"))
    answer = look(xls(SHARED_CELL + old_number(1, 0), shared=text_of(length=5), more=more))
    assert [column.name for column in answer.columns] == ["abcdé"]


@pytest.mark.parametrize(
    "data",
    [
        xls(old_number(0, 0) + old_record(0x06, bytes(12))),
        xls(old_number(0, 0) + old_record(0xBD, struct.pack("<HHHHH", 0, 5, 0, 0, 1))),
        xls(old_number(0, 0) + b"\xff\xff\xff\xff"),
        xls(SHARED_CELL, shared=text_of(claims=0x7FFFFFFF)),
        xls(SHARED_CELL, shared=text_of(claims=-1)),
        xls(SHARED_CELL, shared=text_of(length=9)),
        xls(SHARED_CELL, shared=text_of(flags=8, text=b"")),
        xls(SHARED_CELL, shared=text_of(), more=old_record(0x3C) * 40_000),
        xls(SHARED_CELL, before=old_sheet(1 << 30)),
        xls(SHARED_CELL, before=old_sheet(0)),
        xls(SHARED_CELL, before=old_record(0x85, b"\0\0")),
        xls(old_number(0, 0), before=old_record(0x42)),
        xls(old_number(0, 0), before=old_record(0x809, b"\0")),
    ],
)  # fmt: skip
def test_records_that_lie_are_told(data: bytes) -> None:
    with pytest.raises(InvalidSourceError, match="is corrupt") as error:
        look(data, header_row=0)
    assert error.value.file == "x"


def test_an_old_workbook_is_held_to_what_all_its_sheets_become() -> None:
    far = old_number(0, 0) + old_number(50_000, 99)
    assert look(xls(far), header_row=0).row_count == 50_001
    with pytest.raises(LimitExceededError, match=f"10,000,200 cells; {MOST_CELLS:,}"):
        look(xls(far, far), header_row=0)
    shared = text_of(length=900, text=b"x" * 900)
    cells = b"".join(old_record(0xFD, struct.pack("<HHHI", row, 0, 0, 0)) for row in range(5_000))
    assert look(xls(cells, shared=shared)).row_count == 4_999
    with pytest.raises(LimitExceededError, match="4,500,000 characters"):
        look(xls(cells, shared=shared), Limits(max_bytes=500_000))


def patched(at: int, number: int, data: bytes = OLD) -> bytes:
    return data[:at] + struct.pack("<I", number) + data[at + 4 :]


#: Of the header: where the directory, the small sectors' table and more of the table begin; the
#: first entry of the table, and how the directory goes on in it.
@pytest.mark.parametrize("at", [48, 68, 76])
@pytest.mark.parametrize("number", [0, 1 << 20, 0x7FFFFFFF])
def test_a_compound_file_whose_chains_lie_is_told(at: int, number: int) -> None:
    with pytest.raises(JobError) as error:
        look(patched(at, number))
    assert (error.value.retryable, error.value.file) == (False, "x")


def test_a_chain_that_bites_its_tail_is_told() -> None:
    (table,) = struct.unpack_from("<I", OLD, 76)
    (directory,) = struct.unpack_from("<I", OLD, 48)
    with pytest.raises(InvalidSourceError, match="has no end"):
        look(patched((table + 1) * 512 + 4 * directory, directory))


def test_a_chain_that_goes_around_costs_no_more_than_the_file_has() -> None:
    """A header that names one sector as each of its 109 tables, in which the directory follows
    itself: 400 MB of one sector."""
    size = 4096
    header = struct.pack(
        "<8s16xHHHHH6xIIIIIIIII",
        OLD[:8], 0x3E, 4, 0xFFFE, 12, 6, 1, 109, 1, 0, 4096, 2, 1, 0xFFFFFFFE, 0,
    ) + struct.pack("<109I", *[0] * 109)  # fmt: skip
    table = struct.pack("<1024I", 0xFFFFFFFD, 1, *[0xFFFFFFFE] * 1022)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidSourceError, match="has no end"):
            look(header.ljust(size, b"\0") + table + bytes(size))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 * 1024**2


def test_a_stream_of_a_few_bytes_stands_in_small_sectors() -> None:
    content = xls(old_number(0, 0) + old_number(1, 0))
    stream = stream_of(content, ("Workbook",))
    assert stream is not None
    found = stream_of(small(stream[:400]), ("workbook",))
    assert found == stream[:400]


def small(stream: bytes) -> bytes:
    """A compound file of sectors of 512 bytes, in which a stream stands in small ones."""
    end, free = 0xFFFFFFFE, 0xFFFFFFFF
    count = -(-len(stream) // 64)
    header = struct.pack(
        "<8s16xHHHHH6xIIIIIIIII",
        OLD[:8], 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, 2, 1, end, 0,
    ) + struct.pack("<109I", 0, *[free] * 108)  # fmt: skip
    table = [0xFFFFFFFD, end, end, end] + [free] * 124
    entries = b"".join(
        f"{name}\0".encode("utf-16-le").ljust(64, b"\0")
        + struct.pack("<HBBIII36xIQ", 2 * len(name) + 2, kind, 1, free, free, free, start, size)
        for name, kind, start, size in (
            ("Root Entry", 5, 3, count * 64),
            ("Workbook", 2, 0, len(stream)),
        )
    )
    follows = [*range(1, count), end] + [free] * (128 - count)
    return b"".join(
        (
            header,
            struct.pack("<128I", *table),
            entries.ljust(512, b"\0"),
            struct.pack("<128I", *follows),
            stream.ljust(512, b"\0"),
        )
    )


def test_a_compound_file_that_is_no_workbook_is_told() -> None:
    with pytest.raises(FormatMismatchError, match="an old file of Office that is no workbook"):
        look(holding(bytes(5_000), "WordDocument"))


def test_an_old_workbook_that_is_locked_is_told() -> None:
    with pytest.raises(UnsupportedError, match="locked by a password"):
        look(xls(old_number(0, 0), before=old_record(0x2F, bytes(6))))


def test_a_sheet_that_declares_entities_is_refused() -> None:
    sheet = b'<!DOCTYPE x [<!ENTITY r "CV1">]><worksheet><sheetData></sheetData></worksheet>'
    with pytest.raises(InvalidSourceError, match="declares a document type"):
        look(repacked(xlsx([["a"], [1]]), SHEET, sheet))


def test_a_workbook_that_is_locked_is_told() -> None:
    with pytest.raises(UnsupportedError, match="locked by a password") as error:
        look(holding(bytes(5_000), "EncryptedPackage"))
    assert error.value.code == "encrypted_workbook"
    manifest = "<manifest:encryption-data/>"
    with pytest.raises(UnsupportedError, match="locked by a password"):
        introspect(source(ods(cell("string", text="a"), manifest=manifest), ODS))


def test_a_workbook_that_says_what_a_locked_one_is_called_is_not_locked() -> None:
    said = "EncryptedPackage"
    label = struct.pack("<HHHHB", 0, 0, 0, len(said), 1) + said.encode("utf-16-le")
    data = xls(old_record(0x204, label), old_number(1, 0))
    assert said.encode("utf-16-le") in data
    assert [column.name for column in look(data).columns] == [said]
    manifest = '<manifest:file-entry manifest:full-path="Pictures/encryption-data.png"/>'
    data = ods(cell("string", text="a"), cell("string", text="x"), manifest=manifest)
    assert [column.name for column in introspect(source(data, ODS)).columns] == ["a"]


def test_an_entity_from_elsewhere_is_not_read() -> None:
    doctype = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
    data = ods(cell("string", text="a"), cell("string", text="&e;"), doctype=doctype)
    try:
        rows = values(source(data, ODS))
    except JobError as error:
        assert "corrupt" in error.detail  # noqa: PT017  # refused is as well
    else:
        assert [row["a"] for row in rows] in ([None], ["&e;"], ["e"])


@pytest.mark.parametrize("mask", [1, 0x80])
def test_every_flipped_byte_ends_in_columns_or_in_a_sentence(mask: int) -> None:
    data = xlsx([["a", "b"], [1, "x"]])
    refused = []
    for at in range(0, len(data), 23):
        flipped = bytearray(data)
        flipped[at] ^= mask
        try:
            look(bytes(flipped))
        except JobError as error:
            refused.append((error.retryable, error.file))
    assert len(refused) > 10
    assert set(refused) == {(False, "x")}
