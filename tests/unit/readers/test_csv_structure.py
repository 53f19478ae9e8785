"""Where a CSV's table is and what its columns are called: line ends, titles, delimiters, names."""

import csv as standard_csv
import gzip
import io
import random
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stocktake.errors import (
    InvalidSourceError,
    LimitExceededError,
    RaggedRowsError,
    UnsupportedError,
)
from stocktake.readers import introspect, validate
from stocktake.readers.source import Introspection, Limits, Source
from stocktake.readers.text.csv import reader as csv
from stocktake.readers.text.csv.sniffing import sniff
from stocktake.readers.text.decoding import stream_text
from stocktake.schema.formats import TableFormat
from stocktake.schema.warnings import WarningCode
from tests.support.memory import MemoryObjects
from tests.support.read_back import Stored, losses

INT, TEXT = "Nullable(Int64)", "Nullable(String)"


def source_of(data: bytes | dict[str, bytes], **options: Any) -> Source:
    named = {"a.csv": data} if isinstance(data, bytes) else data
    return Source(
        store=MemoryObjects(named),
        path="**",
        format=TableFormat(options.pop("format", "CSVWithNames")),
        options=options,
    )


def read(data: bytes | dict[str, bytes], limits: Limits | None = None, **options: Any) -> Any:
    source = source_of(data, **options)
    found = introspect(source, limits or Limits())
    checked = validate(source, found.columns, limits or Limits())
    assert [check for check in checked.checks if not check.valid] == []
    assert found.row_count in (None, checked.row_count)
    return found


def types(found: Introspection) -> dict[str, str]:
    return {column.name: column.clickhouse for column in found.columns}


def codes(found: Introspection) -> list[str]:
    return [warning.code.value for warning in found.warnings]


def loaded(data: bytes, **options: Any) -> list[dict[str, Any]]:
    """The rows as they are loaded into a managed table."""
    source = source_of(data, **options)
    names = [column.name for column in introspect(source).columns]
    (file,) = source.store.list("")
    text = stream_text(source, file, Limits())
    blocks = list(csv.records(source, Limits(), text, names))
    return [
        {name: block.values[name][at] for name in names}
        for block in blocks
        for at in range(len(block.lines))
    ]


# --- rows longer than the sample ------------------------------------------------------------

LONG = b"x" * 300_000
SAMPLE = 64 * 1024


@pytest.mark.parametrize(
    "data",
    [
        b"id,txt,x\n1," + LONG + b",2\n",
        b'id,txt,x\n1,"' + LONG + b'",2\n2,b,3\n',
        b'id,txt,x\n1,"' + b"line\n" * 50_000 + b'",2\n2,b,3\n',
        b"id,txt,x\n\n\n1," + LONG + b",2\n",
        b"id,txt,x\r1," + LONG + b",2\r",
        "id,txt,x\n1,".encode("utf-16") + ("x" * 300_000 + ",2\n").encode("utf-16")[2:],
    ],
    ids=["plain", "quoted", "lines in quotes", "blank lines", "CR", "UTF-16"],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_first_row_longer_than_the_sample_tells_the_types(
    data: bytes, pack: Callable[[bytes], bytes]
) -> None:
    found = read(pack(data), sample_bytes=SAMPLE)
    assert types(found) == {"id": INT, "txt": TEXT, "x": INT}


def test_compressed_row_longer_than_the_least_text_of_a_sample_tells_the_types() -> None:
    noise = random.Random(1).randbytes(2_000_000).hex().encode()
    found = read(gzip.compress(b"id,txt,x\n1," + noise + b",2\n"), sample_bytes=SAMPLE)
    assert types(found) == {"id": INT, "txt": TEXT, "x": INT}


def test_header_longer_than_the_sample_and_the_row_behind_it_are_read() -> None:
    names = ",".join(f"column_{number}" for number in range(9_000)).encode()
    values = ",".join(str(number) for number in range(9_000)).encode()
    found = read(names + b"\n" + values + b"\n", sample_bytes=1000)
    assert {column.clickhouse for column in found.columns} == {INT}


def test_row_longer_than_the_limit_is_refused_with_its_line() -> None:
    limits = Limits(max_line_bytes=100_000)
    for data in (b"id,x\n1," + LONG, b'id,x\n1,"' + b"line\n" * 50_000 + b'"\n'):
        with pytest.raises(LimitExceededError, match=r"a\.csv, line 2, is longer than 100,000"):
            introspect(source_of(data, sample_bytes=SAMPLE), limits)


def test_each_of_several_files_gives_its_first_row() -> None:
    row = b"id,txt,x\n1," + LONG + b",2\n"
    limits = Limits(max_bytes=4 << 20)
    found = read({f"{number}.csv": row for number in range(4)}, limits, sample_bytes=SAMPLE)
    assert types(found) == {"id": INT, "txt": TEXT, "x": INT}


def test_row_that_the_budget_has_no_room_for_names_its_columns_and_cuts_the_read() -> None:
    files = {"1.csv": b"a,b\n1,2\n", "2.csv": b"a,c\n1," + LONG + b"\n" + LONG}
    found = introspect(source_of(files), Limits(max_bytes=SAMPLE + 8))
    assert types(found) == {"a": INT, "b": INT, "c": TEXT}
    assert found.coverage.truncated


# --- the delimiter --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (b'"id";"name, first";"EUR, x"\n"1";"Doe, J";"1,50"\n', ["id", "name, first", "EUR, x"]),
        (b'"id"|"a;b"|"c,d"\n"1"|"x;y;z"|"1,2"\n', ["id", "a;b", "c,d"]),
        (b'id,ua,n\n1,"Moz (X11; Linux; rv)",2\n2,"Moz (X11; BSD; rv)",3\n', ["id", "ua", "n"]),
        (b"id;price;weight\n1;1,50;2,25\n2;2,50;3,25\n", ["id", "price", "weight"]),
        (b"id\ttext\n1\tone, two, three\n2\tfour, five, six\n", ["id", "text"]),
        (b"id|a;b,c|d\n1|2;3,4|5\n", ["id", "a;b,c", "d"]),
        (b"name;when\nA;April 15, 2023\nB;April 9, 2023\n", ["name", "when"]),
        (b'id,size\n1,5" pipe; long; red\n2,6" pipe; short; blue\n', ["id", "size"]),
        (b"id,tags\n1,a|b|c\n2,d|e|f\n", ["id", "tags"]),
        (b"a;b\n1,5;2\n1;2,5\n", ["a", "b"]),
        (b"name\na;b\nc;d\n", ["name"]),
    ],
)  # fmt: skip
def test_delimiter_is_not_what_cuts_through_values(data: bytes, names: list[str]) -> None:
    assert [*types(read(data))] == names


def test_delimiter_of_rows_without_a_header_is_not_one_in_quotes() -> None:
    data = b"".join(
        b'2024-01-0%d,10.0.0.%d,"Mozilla/5.0 (X11; Linux; rv) Gecko; x",200\n' % (n, n)
        for n in range(1, 6)
    )
    found = read(data, format="CSV")
    assert [*types(found).values()] == ["Nullable(Date)", TEXT, TEXT, INT]


@pytest.mark.parametrize("delimiter", [";", "|", "\t"])
def test_ragged_rows_are_told_with_the_delimiter_of_the_others(delimiter: str) -> None:
    rows = ["April 15, 2023;4028722987;25.00;Ray;pending;"] * 3
    rows += ["April 9, 2023;6783434534;25.00;Lonny;"] * 2
    data = "".join(f"{row}\n" for row in rows).replace(";", delimiter).encode()
    with pytest.raises(RaggedRowsError) as caught:
        read(data, format="CSV")
    assert "line 4, has 5, expected 6;" in caught.value.detail
    assert caught.value.detail.endswith(f"the delimiter is {delimiter!r}.")


WORDS = ["Ann", "Bob", "Doe, Jane", "a;b", 'say "hi"', "x|y", "1,50", "1.234,50", "two\nlines", ""]
VALUES = [WORDS, ["1", "27", "-3"], ["1.5", "2.25"], ["2024-01-01", "2023-12-31"], ["true"]]


@settings(max_examples=300, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(VALUES), min_size=2, max_size=6),
    count=st.integers(3, 30),
    delimiter=st.sampled_from(",;|\t"),
    quoting=st.sampled_from([standard_csv.QUOTE_ALL, standard_csv.QUOTE_NONNUMERIC]),
    seed=st.randoms(use_true_random=False),
)
def test_delimiter_of_a_quoted_table_is_found(
    kinds: list[list[str]], count: int, delimiter: str, quoting: Any, seed: random.Random
) -> None:
    rows = [[f"column {at}" for at in range(len(kinds))]]
    rows += [[seed.choice(kind) for kind in kinds] for _ in range(count)]
    text = io.StringIO()
    standard_csv.writer(text, delimiter=delimiter, quoting=quoting).writerows(rows)
    found = read(text.getvalue().encode())
    assert [*types(found)] == rows[0]
    assert found.row_count == count


# --- Excel's line, titles, comments, blank lines ----------------------------------------------


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=;", "sep=;\r"])
@pytest.mark.parametrize("table_format", ["CSVWithNames", "CSV"])
def test_line_of_excel_names_the_delimiter_and_is_no_row(line: str, table_format: str) -> None:
    found = read(f"{line}\n1;a,b\n2;c,d\n".encode(), format=table_format, csv_header=False)
    assert types(found) == {"c1": INT, "c2": TEXT}
    assert codes(found) == ["skipped_lines"]


def test_line_of_excel_may_name_any_character() -> None:
    assert types(read("\ufeffsep=^\r\nid^n\r\n1^2,5\r\n".encode())) == {"id": INT, "n": TEXT}
    assert types(read(b"sep=\t\r\nid\tn\r\n1\t2,5\r\n")) == {"id": INT, "n": TEXT}


def test_option_wins_over_the_line_of_excel() -> None:
    found = read(b"sep=,\nid;n\n1;2\n", csv_delimiter=";")
    assert types(found) == {"id": INT, "n": INT}
    assert [*types(read(b"sep=;\n1;2\n", csv_skip_lines=0, csv_delimiter=","))] == ["sep=;"]


TITLES = [
    ["Sales report"],
    ["Sales report, 2024", "made by Ann"],
    ["Sales report", ""],
    ["Region,EU", "", "Made,by us", ""],
    ["", "Sales report", ""],
    ['"Report; of 1,5"', '"January 1, 2024 - March 1, 2024"'],
    ["# made by x, y", "# 2024"],
    ["#!x"],
    ["Sales report,,", ",,"],
]


@pytest.mark.parametrize("titles", TITLES, ids=" / ".join)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_before_the_table_are_passed_over_and_told(titles: list[str], end: str) -> None:
    lines = [*titles, "id,name,price", "1,a,2", "2,b,3", ""]
    found = read(end.join(lines).encode())
    assert types(found) == {"id": INT, "name": TEXT, "price": INT}
    (warning,) = (each for each in found.warnings if each.code is WarningCode.SKIPPED_LINES)
    assert f"input_format_csv_skip_first_lines is {len(titles)};" in warning.sentence
    assert found.row_count == 2


def test_title_of_a_table_with_another_delimiter_is_passed_over() -> None:
    found = read(b"Report, January 2024\n\nid;name\n1;a\n2;b\n")
    assert types(found) == {"id": INT, "name": TEXT}


def test_title_over_rows_without_a_header_is_passed_over() -> None:
    assert types(read(b"Report\n1,a\n2,b\n", format="CSV")) == {"c1": INT, "c2": TEXT}


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        # a header that lacks its other names, or a title: nothing tells
        (b"name\na,b\nc,d\n", "line 2, has 2, expected 1"),
        (b"id,name\nx,y,1\nz,w,2\n", "line 2, has 3, expected 2"),
        # a table of its own
        (b"a,b\n1,2\n3,4\n\nx,y,z\n1,2,3\n4,5,6\n", "line 5, has 3, expected 2"),
        (b"a,b,c\n1,2\n3,4,5\n", "line 2, has 2, expected 3"),
        (b"T\n" * 40 + b"a,b\n1,2\n", "line 41, has 2, expected 1"),
    ],
)
def test_what_may_be_a_row_is_not_passed_over(data: bytes, fault: str) -> None:
    with pytest.raises(RaggedRowsError, match=fault) as caught:
        read(data)
    assert "csv_skip_lines" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (b"#id,name\n1,a\n2,b\n", ["#id", "name"]),
        (b"##meta=1\n##meta=2,3\n#id\tname\n1\ta\n", ["#id", "name"]),
        (b"#color,name\n#ff0000,red\n#00ff00,green\n", ["#color", "name"]),
    ],
)
def test_name_that_begins_as_a_comment_is_a_name(data: bytes, names: list[str]) -> None:
    assert [*types(read(data))] == names


def test_comments_between_rows_are_passed_over_and_told() -> None:
    found = read(b"id,name\n1,a\n# half of it\n2,b\n# end, it is, said\n")
    assert types(found) == {"id": INT, "name": TEXT}
    assert found.row_count == 2
    (warning,) = found.warnings
    assert (warning.code, warning.line) == (WarningCode.SKIPPED_LINES, 3)


def test_row_of_the_tables_width_is_no_comment() -> None:
    found = read(b"id,name\n1,a\n# half of it\n#2,b\n")
    assert types(found) == {"id": TEXT, "name": TEXT}
    assert found.row_count == 2


def test_options_say_which_lines_are_no_rows() -> None:
    found = read(b"x,y,z\na,b\n\n1,2\n", csv_skip_lines=1)
    assert types(found) == {"a": INT, "b": INT}
    assert codes(found) == ["blank_lines"]
    found = read(b'%x\nid,s\n%1,a\n1,a\n"q\n%z",b\n%\n' + b"2,c\n" * 9000, csv_comment="%")
    assert found.row_count == 9002
    assert types(found) == {"id": TEXT, "s": TEXT}
    assert codes(found) == []
    rows = b"x,c\n" * 9000
    assert read(b"id,s\n" + rows + b"%x,c\n" + rows, csv_comment="%").row_count == 18_000
    with pytest.raises(RaggedRowsError):
        read(b"Report\n\na,b\n1,2\n", csv_skip_lines=0)
    assert introspect(source_of(b"a\n1\n", csv_skip_lines=1)).columns[0].name == "1"


@pytest.mark.parametrize("comment", [",", '"', "##", "\n"])
def test_comment_that_means_something_else_is_refused(comment: str) -> None:
    with pytest.raises(UnsupportedError, match="csv_comment"):
        read(b"a,b\n1,2\n", csv_comment=comment, csv_delimiter=",")


@pytest.mark.parametrize("blank", ["", " ", "\t", " \t "])
@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_blank_lines_are_passed_over_and_told(blank: str, at: int) -> None:
    lines = ["id,name", "1,a", "2,b"]
    lines.insert(at, blank)
    found = read("\r\n".join([*lines, ""]).encode())
    assert types(found) == {"id": INT, "name": TEXT}
    assert found.row_count == 2
    (warning,) = found.warnings
    assert (warning.code, warning.line) == (WarningCode.BLANK_LINES, at + 1)


def test_blank_line_of_one_column_is_a_null() -> None:
    found = read(b"a\n1\n\n2\n")
    assert (types(found), found.row_count, codes(found)) == ({"a": INT}, 3, [])


# --- line ends --------------------------------------------------------------------------------

CELLS = ["1", '"a"', '"x,y"', '"two\nlines"', '"two\rlines"', '"two\r\nlines"']


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_lines_end_as_they_may(end: str, last: bool) -> None:
    rows = ["id,note", *(f"{number},{cell}" for number, cell in enumerate(CELLS))]
    data = (end.join(rows) + (end if last else "")).encode()
    found = read(data)
    assert types(found) == {"id": INT, "note": TEXT}
    assert found.row_count == len(CELLS)
    assert codes(found) == (["line_ends"] if end in ("\r", "\r\r\n") else [])
    notes = [row["note"].replace("\r", "\n") for row in loaded(data)]
    assert notes == ["1", "a", "x,y", *["two\nlines"] * 3]


@pytest.mark.parametrize("end", ["\r", "\r\r\n"])
def test_long_text_has_one_kind_of_line_end(end: str) -> None:
    data = f'"id","x"{end}' + f'"1","2"{end}' * 200_000
    found = read(data.encode(), sample_bytes=4 << 20)
    assert types(found) == {"id": TEXT, "x": TEXT}
    assert found.row_count == 200_000


def test_line_ends_of_this_kind_and_that_are_refused() -> None:
    with pytest.raises(InvalidSourceError, match="carriage return"):
        read(b'"id","x"\r"1","2"\n"3","4"\n')


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("a,a,a", ["a", "a_1", "a_2"]),
        ("a,a_1,a", ["a", "a_1", "a_1_1"]),
        ("a,a,a_1,a", ["a", "a_1", "a_1_1", "a_2"]),
        ("c2,,x", ["c2", "c2_1", "x"]),
        (",c1,x", ["c1_1", "c1", "x"]),
        (",,c1,c2", ["c1_1", "c2_1", "c1", "c2"]),
        ("\u00a0,\u3000 ,x", ["c1", "c2", "x"]),
        ("City\u00a0,\u00a0Bank Name\u2003,\ufeffid", ["City", "Bank Name", "id"]),
        ('"City\u00a0","\u3000x","y"', ["City", "x", "y"]),
        ("a\u00a0,a", ["a", "a_1"]),
    ],
)
def test_each_column_has_a_name_of_its_own(header: str, names: list[str]) -> None:
    count = len(names)
    data = f"{header}\n{','.join(map(str, range(count)))}\n".encode()
    found = read(data)
    assert [*types(found)] == names
    assert codes(found) == ["renamed_columns"]
    assert loaded(data) == [dict(zip(names, map(str, range(count)), strict=True))]


@pytest.mark.parametrize("header", ["a,A", "a b,a\u00a0b", "é,e\u0301", '" a ",a'])
def test_names_that_only_look_alike_are_kept_apart(header: str) -> None:
    found = read(f"{header}\n1,2\n".encode())
    assert len(types(found)) == 2
    assert codes(found) == []


def test_renamed_columns_are_told_within_bounds() -> None:
    header = ",".join(["x" * 900] * 300)
    found = read(f"{header}\n{','.join('1' * 300)}\n".encode())
    (warning,) = found.warnings
    assert len(warning.sentence) < 800
    assert "and 294 more." in warning.sentence


# --- letters ------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-16", "utf-16-le", "utf-32-be"])
def test_names_and_values_keep_their_letters(encoding: str) -> None:
    data = "id,größe,€ pro Stück\n1,“smart”,„Fuß“\n".encode(encoding)
    assert loaded(data) == [{"id": "1", "größe": "“smart”", "€ pro Stück": "„Fuß“"}]
    assert codes(read(data)) == ([] if encoding == "utf-8" else ["encoding"])


def test_encoding_that_an_option_names_is_not_told() -> None:
    found = read("größe\n1\n".encode("cp1252"), encoding="windows-1252")
    assert (types(found), codes(found)) == ({"größe": INT}, [])


# --- what ClickHouse reads back -------------------------------------------------------------------

ROWS = [["1", "a"], ["2", "b"]]
BY_POSITION = {"input_format_with_names_use_header": 0}
#: Files and what docs/types.md says that a reader must set for them.
READ_BACK: list[tuple[bytes, list[list[str | None]], dict[str, Any]]] = [
    (b"id,name\n1,a\n2,b\n\n\n", ROWS, {"input_format_csv_skip_trailing_empty_lines": 1}),
    (
        b"id,name\n1,a\n\n2,b\n",
        [ROWS[0], [None, None], ROWS[1]],
        {"input_format_csv_allow_variable_number_of_columns": 1},
    ),
    (b"id,name\r1,a\r2,b\r", ROWS, {"input_format_csv_allow_cr_end_of_line": 1}),
    (b'"id","name"\r1,"a"\r2,"b"\r', ROWS, {"input_format_csv_allow_cr_end_of_line": 1}),
    (
        b"sep=;\nid;name\n1;a\n2;b\n",
        ROWS,
        {"input_format_csv_skip_first_lines": 1, "format_csv_delimiter": "';'"},
    ),
    (b"Report 2024\n\nid,name\n1,a\n2,b\n", ROWS, {"input_format_csv_skip_first_lines": 2}),
    (b"# by, x\n# y\nid,name\n1,a\n2,b\n", ROWS, {"input_format_csv_skip_first_lines": 2}),
    (b"x,x\n1,a\n2,b\n", ROWS, BY_POSITION),
    (b"c2,\n1,a\n2,b\n", ROWS, BY_POSITION),
    ("id\u00a0,\u3000name\n1,a\n2,b\n".encode(), ROWS, BY_POSITION),
    ("größe,€\n1,a\n2,b\n".encode("cp1252"), ROWS, BY_POSITION),
]


@pytest.mark.chdb
def test_clickhouse_reads_back_what_the_page_says_it_does(tmp_path: Path) -> None:
    stored = [
        Stored("CSVWithNames", data, read(data).columns, said, settings)
        for data, said, settings in READ_BACK
    ]
    assert losses(stored, tmp_path) == [None] * len(stored)
    page = (Path(__file__).parents[3] / "docs" / "types.md").read_text()
    named = {name for _, _, settings in READ_BACK for name in settings}
    assert [name for name in named if name not in page] == []


def test_sniffer_looks_at_the_first_lines_only_as_often_as_there_are_delimiters() -> None:
    row = ",".join('"a;b|c"' for _ in range(500))
    sample = [row] * 1000
    assert sniff({}, sample, Limits(), has_header=False).dialect.delimiter == ","


def test_files_with_titles_are_united_with_those_without() -> None:
    tables = [b"id,name\n1,a\n", b"Report\n\nid,name\n2,b\n", b"id;name\n3;c\n", b"id,name\r4,d\r"]
    for order in product(range(4), repeat=2):
        files = {f"{at}.csv": tables[which] for at, which in enumerate(order)}
        found = read(files)
        assert types(found) == {"id": INT, "name": TEXT}
        assert found.row_count == 2


# --- further line ends and titles ---------------------------------------------------------


def seen(data: bytes, **options: Any) -> tuple[dict[str, str], list[str]]:
    found = introspect(source_of(data, **options))
    shown = {column.name: column.clickhouse for column in found.columns}
    return shown, [warning.code.value for warning in found.warnings]


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (b"a,b\n\r1,2\n\r3,4\n\r", {"a": INT, "b": INT}),
        (b"a,b\n\r1,2\n\r3,4", {"a": INT, "b": INT}),
        (b'a,b\n\r1,"x\ny"\n\r3,4\n\r', {"a": INT, "b": TEXT}),
        (b"a,b\n\r" + b"1,2\n\r" * 100_000, {"a": INT, "b": INT}),
    ],
    ids=["whole", "no last", "quoted", "many chunks"],
)
def test_lines_may_end_in_lf_cr(data: bytes, names: dict[str, str]) -> None:
    assert seen(data) == (names, ["line_ends"])


def test_a_blank_line_between_crlf_is_no_lf_cr() -> None:
    assert seen(b"a,b\r\n\r\n1,2\r\n") == ({"a": INT, "b": INT}, ["blank_lines"])


@pytest.mark.parametrize("line", ["sep= ;", "sep=;", "sep= ; ", '"sep= ;"', "SEP=;;;", "sep=;\r"])
def test_a_line_of_excel_may_have_blanks_and_more_signs(line: str) -> None:
    data = f"{line}\na;b\n1;2\n".encode()
    assert seen(data) == ({"a": INT, "b": INT}, ["skipped_lines"])


def test_a_line_of_excel_may_spell_a_tab() -> None:
    assert seen(b"sep=\\t\na\tb\n1\t2\n")[0] == {"a": INT, "b": INT}


ROWS = "N,1\nS,2\nW,3\n"


@pytest.mark.parametrize("title", ["Report, Q1", "Sales, 2024", '"Report", v2'])
def test_a_title_that_splits_like_the_table_is_passed_over(title: str) -> None:
    data = f"{title}\nregion,amount\n{ROWS}".encode()
    assert seen(data) == ({"region": TEXT, "amount": INT}, ["skipped_lines"])


@pytest.mark.parametrize(
    ("header", "below"),
    [
        ("width, height2", "kg,m\n1,2\n3,4\n"),  # a row of units
        ("name, score2", "Anna,none\n" + ROWS.replace(",", ", ")),  # blanks everywhere
        ("name, score", "Anna,missing\n" + ROWS),
        ("name,score2", "Anna,missing\n" + ROWS),
        ("name, score2", "Anna,missing\nBen,yes\nCy,no\n"),
        ("Report, Q1", "region,amount\nN,1\n"),  # too few rows to be sure
    ],
)
def test_a_header_that_may_be_one_stays(header: str, below: str) -> None:
    names, _ = seen(f"{header}\n{below}".encode())
    assert list(names) == [name.strip() for name in header.split(",")]


@pytest.mark.parametrize("mark", ["^", "~", ":"])
def test_a_delimiter_that_is_never_found_is_named(mark: str) -> None:
    data = f"id{mark}name{mark}n\n1{mark}a b{mark}2.5\n\n2{mark}c{mark}3.5\n".encode()
    found = read(data)
    (warning,) = (each for each in found.warnings if each.code is WarningCode.DIALECT_UNSURE)
    assert f"its first 3 lines has 2 of {mark!r}; options.csv_delimiter" in warning.sentence
    told = read(data, csv_delimiter=mark)
    assert list(types(told)) == ["id", "name", "n"]
    assert "dialect_unsure" not in codes(told)


@pytest.mark.parametrize(
    "data", [b"note\na^b\nc\n", b"at\n10:30\n11:30\n", b"a^b,c\n1^2,3\n", b"a:b\n", b"it's\n1\n"]
)
def test_a_text_that_is_like_none_is_in_no_doubt(data: bytes) -> None:
    assert codes(read(data)) == []


def test_single_quotes_around_all_names_are_told() -> None:
    data = b"'id','n'\n'1','a'\n'2','b'\n"
    found = read(data)
    assert codes(found) == ["dialect_unsure"]
    assert "options.csv_quote" in found.warnings[0].sentence
    told = read(data, csv_quote="'")
    assert (types(told), codes(told)) == ({"id": TEXT, "n": TEXT}, [])
