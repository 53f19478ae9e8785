"""The JSON reader beside ClickHouse: shapes, faults, limits, samples, validation."""

import json as standard_json
import os
from pathlib import Path
from typing import Any

import pytest

from stocktake.errors import (
    EmptySourceError,
    FormatMismatchError,
    InvalidSourceError,
    LimitExceededError,
)
from stocktake.readers.source import (
    ColumnCheck,
    Introspection,
    Limits,
    Source,
    Validation,
    no_progress,
)
from stocktake.readers.text.json import reader as json
from stocktake.schema.columns import Column
from stocktake.schema.formats import TableFormat
from stocktake.storage.stores.opening import LocalObjects
from tests.support.memory import MemoryObjects


def source_of(files: bytes | dict[str, bytes], **options: Any) -> Source:
    named = {"a.json": files} if isinstance(files, bytes) else files
    return Source(
        store=MemoryObjects(named), path="**", format=TableFormat.JSON_EACH_ROW, options=options
    )


def read(source: Source, limits: Limits | None = None) -> Introspection:
    return json.read(source, limits or Limits(), no_progress)


def types(source: Source, limits: Limits | None = None) -> dict[str, str]:
    return {column.name: column.clickhouse for column in read(source, limits).columns}


def validate(source: Source, *columns: tuple[str, str], limits: Limits | None = None) -> Validation:
    made = tuple(Column.of(name, clickhouse) for name, clickhouse in columns)
    return json.validate(source, made, limits or Limits(), no_progress)


@pytest.mark.parametrize(
    "data",
    [
        b'{"x":1}\n{"x":2}\n{"x":3}',
        b'{"x":1}{"x":2}{"x":3}',
        b'[{"x":1},{"x":2},{"x":3}]',
        b'[\n {"x": 1},\n {\n "x": 2\n},\n{"x":3}\n]\n',
        b'\n\n{"x":1}\r\n\r\n{"x":2},\n{"x":3}\n\n',
        '{"x":1}\n{"x":2}\n{"x":3}'.encode("utf-16"),
    ],
)
def test_rows_are_counted_in_every_shape(data: bytes) -> None:
    assert read(source_of(data)).row_count == 3
    assert validate(source_of(data), ("x", "Nullable(Int64)")).row_count == 3


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b'{"x":1}\n{"x":1,}\n{"x":1}\n' + b" " * 50, 2),
        (b'{"x":1}\n{"x":1\n{"x":1}\n' + b" " * 50, 3),
        (b'{"x":1}\n\n5\n', 3),
        (b'{"x":1}\n{"x":1, "x":2}\n', 2),
        (b'{"x":1}\n{"x":2};\n{"x":3}\n', 3),
        (b'{"x":1}\n{"x":1,\n', 2),
        (b'{"x":1}\n{"x":"\n"}\n', 2),
        (b'[{"x":1},\n{"x":1}\n{"x":1}]', 3),
        (b'[{"x":1}]\n{"x":1}', 2),
        (b'[{"x":1},\n', 2),
        (b'{"\\ud800":1}', None),
        (b'{"\\u0000":1}', None),
    ],
)
def test_fault_is_named_by_file_and_line(data: bytes, line: int | None) -> None:
    with pytest.raises(InvalidSourceError, match=rf"a\.json, line {line}:" if line else "named"):
        read(source_of(data))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"{'a':1}\n", "no valid JSON: Expecting property name"),
        (b'{"a":1,}\n', "no valid JSON: "),
        (b'{"a":01}\n', "no valid JSON: "),
        (b'{"a":tru}', "no valid JSON: Expecting value"),
        (b'{"a":"\\x"}', "no valid JSON: Invalid"),
        (b'{"a":1', "the file ends inside"),
        (b'{"a":tr', "the file ends inside"),
        (b'{"a":-', "the file ends inside"),
        (b'{"a":"x', "the file ends inside"),
        (b'{"a":"\\u12', "the file ends inside"),
        (b'{"a', "the file ends inside"),
        (b'{"a":1}\n;{"a":2}', "a semicolon stands between two objects"),
    ],
)
def test_fault_is_told_as_what_it_is(data: bytes, what: str) -> None:
    with pytest.raises(InvalidSourceError, match=what):
        read(source_of(data))


@pytest.mark.parametrize(
    ("data", "expected", "line"),
    [
        (b'{"x":{"a":1}}\n{"x":"secret"}\n', "Nullable(String)", 2),
        (b'{"x":["secret"]}\n{"x":1}\n', "Nullable(String)", 2),
        (b'{"x":"secret"}\n{"x":"b"}\n{"x":1}\n', "Nullable(String)", 3),
        (b'{"x":{"g":[1.5]}}\n{"x":{"g":[[1]]}}\n', None, 2),
        (b'{"x":[{"a":1},{"a":"b"}]}\n', None, 1),
        (b'{"x":{"":1}}\n', "Nullable(String)", 1),
    ],
)
def test_key_of_mixed_kinds_is_a_text_and_a_warning(
    data: bytes, expected: str | None, line: int
) -> None:
    found = read(source_of(data))
    (warning,) = found.warnings
    assert (warning.code, warning.file, warning.line) == ("mixed_kinds", "a.json", line)
    assert "'x" in warning.sentence
    assert "secret" not in warning.sentence
    assert expected in (None, found.columns[0].clickhouse)
    assert validate(source_of(data), ("x", found.columns[0].clickhouse)).checks[0].valid


def test_dates_and_texts_are_no_mixed_kinds() -> None:
    assert read(source_of(b'{"x":"2024-01-01"}\n{"x":"b"}\n{"x":null}\n')).warnings == ()


def test_key_without_a_name_is_left_out_and_told() -> None:
    found = read(source_of(b'{"a":1,"":4}\n{"a":2,"":5}\n'))
    assert [column.name for column in found.columns] == ["a"]
    assert [(each.code, each.line) for each in found.warnings] == [("empty_key", 1)]
    assert found.row_count == 2


def test_key_of_mixed_kinds_in_many_files_is_a_text_and_a_warning() -> None:
    found = read(source_of({"1.json": b'{"x":[1]}', "2.json": b'{"x":{"a":1}}'}))
    assert found.columns[0].clickhouse == "Nullable(String)"
    assert [each.code for each in found.warnings] == ["mixed_kinds"]


@pytest.mark.parametrize(
    ("values", "expected", "codes"),
    [
        (["1/2/2024", "3/4/2024"], "Nullable(DateTime)", ["date_order"]),
        (["1/2/2024", "31/4/2024"], "Nullable(String)", []),
        (["1/2/2024", "30/4/2024"], "Nullable(DateTime)", []),
        (["1/2/2024", "4/30/2024"], "Nullable(String)", ["date_order"]),
        (["2/2/2024", "4/4/2024"], "Nullable(DateTime)", []),
    ],
)
def test_order_of_day_and_month_is_decided_for_all_files(
    values: list[str], expected: str, codes: list[str]
) -> None:
    files = {f"{n}.json": f'{{"x":{{"d":"{v}"}}}}'.encode() for n, v in enumerate(values)}
    found = read(source_of(files))
    assert found.columns[0].clickhouse == f"Nullable(Tuple(d {expected}))"
    assert [each.code for each in found.warnings] == codes


@pytest.mark.parametrize("data", [b"", b" \n", b"[]", b"[ \n]", b"{}\n{}\n"])
def test_file_without_a_key_is_empty(data: bytes) -> None:
    with pytest.raises(EmptySourceError):
        read(source_of(data))
    with pytest.raises(EmptySourceError):
        validate(source_of(data))


def test_csv_file_is_named() -> None:
    with pytest.raises(FormatMismatchError, match="CSV"):
        read(source_of(b"a,b\n1,2\n"))


@pytest.mark.parametrize("depth", [102, 10_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    data = b'{"x":' + b"[" * depth + b"]" * depth + b"}"
    with pytest.raises(LimitExceededError, match="MAX_NESTING"):
        read(source_of(data))


def test_more_keys_than_allowed_are_refused() -> None:
    for data in (b'{"a":1,"b":1,"c":1}', b'{"a":1}{"b":1}{"c":1}'):
        with pytest.raises(LimitExceededError, match="MAX_COLUMNS"):
            read(source_of(data), Limits(max_columns=2))
    for data in (
        b'{"a":[{"b":1,"c":1,"d":1}]}',
        b'{"a":[{"b":1},{"c":1},{"d":1}]}',
        b'{"a":{"b":1}}{"a":{"c":1}}{"a":{"d":{}}}',
        b'{"a":1,"b":{"c":[[{"d":1}]]}}',
    ):
        with pytest.raises(LimitExceededError, match=r"4 fields, .*MAX_FIELDS"):
            read(source_of(data), Limits(max_fields=3))
        assert read(source_of(data), Limits(max_fields=4)).columns


def test_object_above_the_limit_is_refused() -> None:
    limits = Limits(max_line_bytes=1000)
    for data in (b'{"x":"' + b"x" * 2000, b'{"x":"' + b"x" * 2000 + b'"}\n'):
        with pytest.raises(LimitExceededError, match="line 1, is longer than 1,000 bytes"):
            read(source_of(data), limits)


def test_integer_of_thousands_of_digits_is_a_text() -> None:
    data = b'{"x":' + b"9" * 5000 + b',"y":1}\n'
    assert types(source_of(data)) == {"x": "Nullable(String)", "y": "Nullable(Int64)"}


def test_array_above_the_line_limit_is_read_object_by_object() -> None:
    data = b"[" + b",".join([b'{"x":1}'] * 1000) + b"]"
    assert read(source_of(data), Limits(max_line_bytes=100)).row_count == 1000


def test_cut_sample_ends_at_its_last_whole_object() -> None:
    found = read(source_of(b'{"x":1}\n{"x":"text"}\n', sample_bytes=12))
    assert [column.clickhouse for column in found.columns] == ["Nullable(Int64)"]
    assert (found.row_count, found.coverage.truncated) == (None, True)


def test_cut_sample_of_an_array_is_no_fault() -> None:
    found = read(source_of(b'[{"x":1},{"x":2}]', sample_bytes=10))
    assert (found.row_count, len(found.columns)) == (None, 1)


def test_files_are_united_by_the_rules_of_one_file() -> None:
    files = {"1.json": b'{"x":true,"o":{"a":null}}', "2.json": b'{"x":1,"o":{"a":1}}'}
    assert types(source_of(files)) == {
        "x": "Nullable(Int64)",
        "o": "Nullable(Tuple(a Nullable(Int64)))",
    }


def test_validation_names_the_first_line_that_breaks_a_type() -> None:
    data = b'{"x":1,"y":[1]}\n{"x":null,"y":[null]}\n{"x":1.5}\n{"y":["a"]}\n{"x":"a"}\n'
    found = validate(
        source_of(data),
        ("x", "Nullable(Int64)"),
        ("y", "Array(Nullable(Int64))"),
        ("z", "Nullable(Int64)"),
    )
    assert found.checks == (
        ColumnCheck(name="x", valid=False, file="a.json", line=3, found="Float64"),
        ColumnCheck(name="y", valid=False, file="a.json", line=4, found="Array"),
        ColumnCheck(name="z", valid=True),
    )
    assert found.row_count == 5


def test_validation_keeps_count_of_lines_over_many_chunks() -> None:
    data = b'{"x":1}\n' * 400_000 + b'{"x":\n"a"}\n'
    found = validate(source_of(data), ("x", "Nullable(Int64)"))
    assert (found.checks[0].line, found.row_count) == (400_001, 400_001)


@pytest.mark.parametrize(
    ("values", "order", "line"),
    [
        (["01/02/2024", "01/31/2024"], None, 2),
        (["01/31/2024", "01/02/2024"], None, 2),
        (["31/01/2024", "2024-01-01", "01/31/2024"], None, 3),
        (["01/02/2024", "31/01/2024", "02/02/2024"], None, None),
        (["01/31/2024", "02/28/2024"], None, None),
        (["01/02/2024", "01/31/2024"], "month_first", None),
        (["01/02/2024", "31/01/2024"], "month_first", 2),
        (["01/02/2024", "01/31/2024"], "day_first", 2),
    ],
)
def test_validation_holds_a_column_to_one_order_of_day_and_month(
    values: list[str], order: str | None, line: int | None
) -> None:
    data = "".join(f'{{"x":"{value}"}}\n' for value in values).encode()
    (check,) = validate(source_of(data, date_order=order), ("x", "Nullable(DateTime)")).checks
    assert (check.valid, check.line) == (line is None, line)
    files = {f"{n}.json": f'{{"x":"{value}"}}'.encode() for n, value in enumerate(values)}
    (check,) = validate(source_of(files, date_order=order), ("x", "Nullable(DateTime)")).checks
    assert check.file == (f"{line - 1}.json" if line else None)


def test_inferred_nested_types_hold() -> None:
    row = {"o": {"a b": 1, "t": {"x": [1.5, 2]}}, "l": [{"k": "2024-01-01"}, {}], "m": [1, "a"]}
    source = source_of(standard_json.dumps(row).encode())
    found = json.validate(source, read(source).columns, Limits(), no_progress)
    assert [check.valid for check in found.checks] == [True, True, True]


CORPUS = os.environ.get("STOCKTAKE_CORPUS")


@pytest.mark.skipif(not CORPUS, reason="STOCKTAKE_CORPUS names no folder of files by others")
@pytest.mark.parametrize(("name", "rows"), [("cars", 406), ("crimea", 24)])
def test_inferred_types_hold_over_real_files(name: str, rows: int) -> None:
    store = LocalObjects(Path(str(CORPUS)) / "json")
    source = Source(store=store, path=f"{name}.json", format=TableFormat.JSON_EACH_ROW)
    found = read(source)
    checked = json.validate(source, found.columns, Limits(), no_progress)
    assert all(check.valid for check in checked.checks)
    assert checked.row_count == found.row_count == rows


# --- hidden files -------------------------------------------------------------------------


def test_what_a_writer_notes_of_its_commit_is_no_row() -> None:
    """Databricks leaves JSON beside its JSON."""
    answer = read(
        source_of(
            {
                "t/_SUCCESS": b"",
                "t/_started_1": b"",
                "t/_committed_1": b'{"added":["part-0.json"],"removed":[]}',
                "t/.part-0.json.crc": b"crc\0",
                "t/part-0.json": b'{"id":1,"x":"a"}\n',
            }
        )
    )
    assert [column.name for column in answer.columns] == ["id", "x"]
    assert answer.row_count == 1
    assert [warning.code for warning in answer.warnings] == ["hidden_files"]


def test_a_delta_log_is_told_where_a_pattern_matches_nothing_else() -> None:
    files = {"t/_delta_log/00000000000000000000.json": b"{}", "t/a.parquet": b"x"}
    source = Source(
        store=MemoryObjects(files), path="t/**/*.json", format=TableFormat.JSON_EACH_ROW
    )
    with pytest.raises(FormatMismatchError, match="Delta"):
        read(source)


# --- signs, surrogates and keys without a name --------------------------------------------


@pytest.mark.parametrize("zero", ["-0", " -0 ", "-0\n"])
def test_a_zero_keeps_its_sign(zero: str) -> None:
    data = f'{{"a":{zero},"b":[1,{zero}],"c":"-0","d":1}}\n'.encode()
    assert types(source_of(data + b'{"a":5,"b":[],"c":"x","d":-1}')) == {
        "a": "Nullable(Float64)",
        "b": "Array(Nullable(Float64))",
        "c": "Nullable(String)",
        "d": "Nullable(Int64)",
    }


def test_a_zero_that_comes_late_is_not_stepped_over() -> None:
    data = b'{"a":5}\n' * 5_000 + b'{"a":-0}\n' + b'{"a":5}\n' * 5_000
    assert types(source_of(data)) == {"a": "Nullable(Float64)"}


@pytest.mark.parametrize("text", [r"\ud800", r"x\uDC00y", r"\udfff\ud800", r"\ud83dx"])
@pytest.mark.parametrize("before", [0, 5_000])
def test_half_of_a_surrogate_pair_is_told_once(text: str, before: int) -> None:
    lines = ['{"a":"ok"}'] * before + [f'{{"a":"{text}"}}'] * 2
    (warning,) = read(source_of("\n".join(lines).encode())).warnings
    assert (warning.code, warning.line) == ("encoding", before + 1)
    assert "half of a" in warning.sentence


@pytest.mark.parametrize("text", [r"\ud83d\ude00", r"\\ud800", r"\u00e9", r"\uD7FF"])
def test_a_whole_pair_is_nothing_to_tell(text: str) -> None:
    assert read(source_of(f'{{"a":"{text}"}}'.encode() * 50)).warnings == ()


#: Objects in a row with a key that is spelled by a number, and the types that their columns have.
ESCAPED_KEYS = [
    (r'{"x":{"\u00e9":1}}', {"x": "Nullable(String)"}),
    (r'{"x":{"a":{"\u0062":1}}}', {"x": "Nullable(Tuple(a Nullable(String)))"}),
    (r'{"x":[{"c":1,"\u65e5\u672c" : 1}]}', {"x": "Array(Nullable(String))"}),
    (r'{"x":{"\ud83d\ude00":1,"b":2}}', {"x": "Nullable(String)"}),
]


@pytest.mark.parametrize(("row", "expected"), ESCAPED_KEYS)
@pytest.mark.parametrize("before", [0, 5_000])
def test_an_object_with_an_escaped_key_is_a_text(
    row: str, expected: dict[str, str], before: int
) -> None:
    plain = standard_json.dumps(standard_json.loads(row), ensure_ascii=False)
    found = read(source_of("\n".join([plain] * before + [row] * 2).encode()))
    assert {column.name: column.clickhouse for column in found.columns} == expected
    first = found.warnings[0]
    assert (first.code, first.line) == ("mixed_kinds", before + 1)
    assert r"an escape such as \u00e9" in first.sentence


@pytest.mark.parametrize(
    "row",
    [
        r'{"\u00e9":{"a":1}}',  # a column of its own
        r'{"x":{"a\n\"\\\/":1}}',  # escapes that ClickHouse undoes
        r'{"x":{"a":"\u00e9","\\u00e9":1}}',  # in a text, and no escape
    ],
)
@pytest.mark.parametrize("rows", [1, 5_000])
def test_other_escapes_leave_an_object_as_it_is(row: str, rows: int) -> None:
    found = read(source_of("\n".join([row] * rows).encode()))
    assert found.columns[0].clickhouse.startswith("Nullable(Tuple(")
    assert found.warnings == ()


def test_validation_tells_of_a_key_that_is_not_found() -> None:
    data = rb'{"x":{"\u00e9":1,"b":2}}'
    assert validate(source_of(data), ("x", "Tuple(b Nullable(Int64))")).checks[0].valid
    assert not validate(source_of(data), ("x", "Tuple(`é` Nullable(Int64))")).checks[0].valid


def test_nothing_but_empty_keys_is_no_column() -> None:
    with pytest.raises(EmptySourceError, match="none that has a name"):
        read(source_of(b'{"":1}\n{"":2}\n'))
    assert types(source_of({"a.json": b'{"":1}', "b.json": b'{"x":1}'})) == {"x": "Nullable(Int64)"}
