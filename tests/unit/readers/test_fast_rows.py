"""Rows that are stepped over would have changed nothing, had they been looked at singly."""

import json as standard_json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stocktake.errors import JobError, RaggedRowsError
from stocktake.readers import introspect, validate
from stocktake.readers.source import Limits, Source
from stocktake.readers.text.csv.dialect import Dialect
from stocktake.readers.text.csv.lines import Lines
from stocktake.readers.text.csv.patterns import row_pattern
from stocktake.readers.text.decoding import Text
from stocktake.readers.text.fast_rows import WINDOW, Rows
from stocktake.readers.text.json.patterns import Shape
from stocktake.readers.text.values.csv_fields import infer_field, infer_quoted
from stocktake.readers.text.values.dates import DATE, DATE32, DATETIME, DATETIME64, STRING, TIMES
from stocktake.readers.text.values.json_values import decode_float, infer_json
from stocktake.readers.text.values.kinds import (
    Array,
    Kind,
    KindConflictError,
    Tuple,
    join_csv,
    join_json,
)
from stocktake.readers.text.values.numbers import (
    BOOL,
    FLOAT64,
    INT64,
    INT128,
    INTEGER_KINDS,
    LONG,
    NATURAL,
    UINT64,
    find_lossy,
    gives_back,
)
from stocktake.schema.columns import Column
from stocktake.schema.formats import TableFormat
from stocktake.schema.warnings import WarningCode
from tests.support.memory import MemoryObjects

#: Under this limit nothing is stepped over.
SINGLY = Limits(max_line_bytes=WINDOW - 1)
SCALARS = [*sorted(INTEGER_KINDS), FLOAT64, BOOL, *TIMES, STRING, None]
MOMENTS = ["2024-02-30", "1969-01-01", "1/2/2024", "13/2/2024", "2/13/2024", "2/30/2024"]
MOMENTS += ["2140-01-01", "2024-01-01 10:00:00", "2106-01-01T00:00:00Z", "0001-01-01"]
MOMENTS += ["1970-01-01 00:00:00+02:00", "2024-01-01 24:00:00", "2300-01-01", "2024-1-1"]
MOMENTS += ["2024-01-01 10:00:00.5+02:00", "1899-12-31 00:00:00", "2024-01-01 1"]
WORDS = ["", "NULL", "\\N", "text", "é", "true", "false", "True", "inf", "nan", "[1]", "{'a':1}"]
INTEGERS = ["0", "-7", "+1", "007", "9" * 18, "9" * 19, "9" * 20, "-" + "9" * 19, str(2**64)]
OTHERS = ["1.", ".5", ".", "1e5", "1.5e3", "-", "1 2", "0x1", "0.12345678901234567", "00.5"]
OTHERS += ["0.1234567890123456", "-0", "1e-05", "1e400", "1" + "0" * 40]
CELLS = st.sampled_from([*MOMENTS, *WORDS, *INTEGERS, *OTHERS]) | st.text(
    "12.-: ,;|\t\"'\\Ne\n", max_size=6
)
CHECKED = ["Int64", "Float64", "Bool", "Date", "DateTime", "DateTime64(9)", "String", "Int8"]
CHECKED += ["Array(Int64)", "UUID"]
#: How a field may stand: plain, in quotes that are right, or that are not.
FIELDS = st.builds(
    lambda cell, how: how.replace("x", cell),
    CELLS,
    st.sampled_from(["x", "x", "x", '"x"', "'x'", ' "x" ', '"x" y', '"x', 'x"', " x", '""x"']),
)  # fmt: skip


def source_of(data: bytes, table_format: TableFormat) -> Source:
    return Source(store=MemoryObjects({"x": data}), path="x", format=table_format)


def outcome(data: bytes, limits: Limits, table_format: TableFormat) -> tuple[object, ...]:
    try:
        found = introspect(source_of(data, table_format), limits)
    except JobError as error:
        return type(error), error.detail.replace(f"{limits.max_line_bytes:,}", "so many")
    return found.columns, found.row_count, found.coverage, found.warnings


# --- CSV ----------------------------------------------------------------------------------


def keeps_csv(kind: Kind, raw: str, dialect: Dialect) -> bool:
    if dialect.strip(raw) in dialect.nulls:
        return True
    text, quoted = dialect.unquote(raw)
    try:
        own = infer_quoted(text, levels=9) if quoted else infer_field(text)
        return join_csv(kind, own) == kind
    except KindConflictError:
        return kind == STRING


@settings(max_examples=500, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(SCALARS), min_size=1, max_size=3).map(tuple),
    fields=st.lists(FIELDS, min_size=1, max_size=3),
    dialect=st.builds(
        Dialect,
        delimiter=st.sampled_from([",", ";", "|", "\t"]),
        quote=st.sampled_from(['"', "'", ""]),
        nulls=st.frozensets(st.sampled_from(["NA", "0", " x", "a,b", '"', ".", "-"])).map(
            lambda more: more | {"", "\\N"}
        ),
    ),
)
@example(kinds=(STRING,), fields=['"a""'], dialect=Dialect())
@example(kinds=(STRING, STRING), fields=['"a"",b"'], dialect=Dialect())
def test_csv_row_that_matches_keeps_the_kinds(
    kinds: tuple[Kind, ...], fields: list[str], dialect: Dialect
) -> None:
    line = dialect.delimiter.join(fields) + "\n"
    end, _ = Rows(row_pattern(kinds, dialect) or b"").skim(line, 0)
    text = Text(path="x", chunks=iter([line[:end]] if end else []), complete=True)
    blocks = dialect.blocks(Lines(text, Limits()), path="x", limits=Limits(), complete=True)
    for row in (row for block in blocks for row in block.rows):
        assert len(row) == len(kinds)
        assert all(map(keeps_csv, kinds, row, [dialect] * len(row))), (kinds, row)


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        *((INT64, field) for field in ("1", " -7 ", "0", "9" * 15, "", r"\N")),
        *((LONG, field) for field in ("1", "-" + "9" * 18)),
        *((NATURAL, field) for field in ("1", "9" * 15)),
        *((UINT64, field) for field in ("1", "9" * 19)),
        *((INT128, field) for field in ("-1", "9" * 38)),
        *((FLOAT64, field) for field in ("1", "1.", "-.5", "1.25", "0", "-0.000123", "1234.5678")),
        *((BOOL, field) for field in ("true", "false", "")),
        *((DATE, field) for field in ("2024-01-31", '"2024-01-31"')),
        *((DATETIME, field) for field in ("2024-01-31", '"2024-01-31 10:00:00"')),
        *((DATETIME64, field) for field in ("2024-01-31T10:00:00.123Z", "1950-01-01")),
        *((DATE32, field) for field in ("1950-01-01", "2024-01-31")),
        *((kind, "1/2/2024") for kind in TIMES if "either" in kind or "in all" in kind),
        *((STRING, field) for field in ("", "x", 'x"y', '"x,y"', ' "x""y" z', '""')),
        (None, r"\N"),
    ],
)
def test_plain_csv_field_is_stepped_over(kind: Kind, field: str) -> None:
    row = f"1,{field}\n"
    rows = Rows(row_pattern((INT64, kind), Dialect()) or b"")
    assert rows.skim(row * 3, 0) == (3 * len(row), 3)


def test_no_pattern_for_what_has_no_sure_spelling() -> None:
    assert row_pattern((INT64, Array(element=INT64)), Dialect()) is None
    assert row_pattern((INT64,), Dialect(delimiter=" ")) is None
    assert row_pattern((INT64,), Dialect(quote="*")) is None


ROWS = st.lists(
    st.lists(st.one_of(FIELDS, st.sampled_from(INTEGERS)), min_size=2, max_size=2).map(",".join)
    | st.sampled_from(["", "1", "1,2,3", '1,"', '"a\n1,2\nb",2', "1,2\r", "[],1", '"[1]",1']),
    min_size=1,
    max_size=4,
)


@settings(max_examples=100, deadline=None)
@given(usual=ROWS, rare=ROWS, header=st.sampled_from(["a,b", '"a,b",c', "a;b,c"]))
def test_csv_file_is_read_as_if_every_row_were_looked_at(
    usual: list[str], rare: list[str], header: str
) -> None:
    block = "".join(f"{row}\n" for row in usual) * (20_000 // sum(len(row) + 1 for row in usual))
    data = "".join([f"{header}\n", block, *(f"{row}\n" for row in rare), block]).encode()
    for table_format in (TableFormat.CSV_WITH_NAMES, TableFormat.CSV):
        assert outcome(data, Limits(), table_format) == outcome(data, SINGLY, table_format)


@settings(max_examples=100, deadline=None)
@given(usual=ROWS, rare=ROWS, types=st.lists(st.sampled_from(CHECKED), min_size=2, max_size=2))
def test_csv_file_is_validated_as_if_every_row_were_looked_at(
    usual: list[str], rare: list[str], types: list[str]
) -> None:
    block = "".join(f"{row}\n" for row in usual) * (20_000 // sum(len(row) + 1 for row in usual))
    data = "".join(["a,b\n", block, *(f"{row}\n" for row in rare), block]).encode()
    columns = tuple(map(Column.of, "ab", types))

    def checked(limits: Limits) -> object:
        source = source_of(data, TableFormat.CSV_WITH_NAMES)
        try:
            return validate(source, columns, limits)
        except JobError as error:
            return type(error), error.detail

    assert checked(Limits()) == checked(SINGLY)


@pytest.mark.parametrize("size", [1 << power for power in range(9, 18)])
def test_odd_lines_between_rows_are_found_wherever_a_block_ends(size: int) -> None:
    before, after = b"a,b\n" + b"1,2\n" * (size // 4 - 1), b"1,2\n" * 10_000
    error, detail = outcome(before + b"1\n" + after, Limits(), TableFormat.CSV_WITH_NAMES)
    assert error is RaggedRowsError
    assert f"line {size // 4 + 1}, has 1" in str(detail)

    blank = introspect(source_of(before + b"\n" + after, TableFormat.CSV_WITH_NAMES))
    assert blank.row_count == size // 4 - 1 + 10_000
    assert [(each.code, each.line) for each in blank.warnings] == [
        (WarningCode.BLANK_LINES, size // 4 + 1)
    ]


@settings(max_examples=100, deadline=None)
@given(files=st.lists(ROWS, min_size=2, max_size=5), header=st.sampled_from(["a,b", "a;b,c"]))
@example(files=[["1,1"], ["[],1"]], header="a,b")
@example(files=[['"[]",1'], ["1,1"]], header="a,b")
@example(files=[["1,1"], ['"[]",1']], header="a,b")
def test_files_are_read_as_if_each_were_the_only_one(files: list[list[str]], header: str) -> None:
    texts = [header + "\n" + "\n".join(rows) for rows in files]
    store = MemoryObjects({f"{n}.csv": text.encode() for n, text in enumerate(texts)})

    def columns(limits: Limits) -> tuple[object, ...]:
        source = Source(store=store, path="*.csv", format=TableFormat.CSV_WITH_NAMES)
        try:
            found = introspect(source, limits)
        except JobError as error:
            return type(error), error.detail
        return found.columns, found.row_count

    assert columns(Limits()) == columns(SINGLY)


# --- JSON ---------------------------------------------------------------------------------

KINDS = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: (
        inner.map(lambda kind: Array(element=kind))
        | st.dictionaries(st.sampled_from(["a", "é", 'x"y', "\x00"]), inner, max_size=3).map(
            lambda fields: Tuple(fields=fields)
        )
    ),
    max_leaves=4,
)
NUMBERS = st.sampled_from([0, -1, 10**17, 10**18, 2**63, 2**64, -(10**18), 1.5, -0.0, 1e300])
TEXTS = st.sampled_from([*MOMENTS, "", "x", 'x"\\', "é\u2028", "\x01", "/", "\ud800"])


def value_of(kind: Kind, draw: st.DataObject) -> Any:
    """A value that is likely to be of the kind."""
    if isinstance(kind, Array):
        return [value_of(kind.element, draw) for _ in range(draw.draw(st.integers(0, 2)))]
    if isinstance(kind, Tuple):
        missing = draw.draw(st.sampled_from([0, 0, 1]))
        keys = draw.draw(st.permutations(list(kind.fields)))[missing:]
        return {key: value_of(kind.fields[key], draw) for key in keys}
    likely = {None: st.none(), STRING: TEXTS, BOOL: st.booleans()} | dict.fromkeys(
        (*INTEGER_KINDS, FLOAT64), NUMBERS
    )
    return draw.draw(likely.get(kind, st.sampled_from(MOMENTS)))


def keeps_json(kind: Kind, value: Any) -> bool:
    return join_json(deepcopy(kind), infer_json(value, levels=100)) == kind


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


@settings(max_examples=200, deadline=None)
@given(kinds=st.dictionaries(st.sampled_from(["k", "l", "é"]), KINDS, min_size=1), draw=st.data())
def test_json_object_that_matches_keeps_the_kinds(
    kinds: dict[str, Kind], draw: st.DataObject
) -> None:
    shape = Shape()
    kind = Tuple(fields=kinds)
    for _ in range(draw.draw(st.integers(1, 3))):
        shape.learn(value_of(kind, draw))
    value = value_of(kind, draw)
    spaced = {"separators": (" , ", ": ")} if draw.draw(st.booleans()) else {}
    line = standard_json.dumps(value, ensure_ascii=draw.draw(st.booleans()), **spaced)
    rows = Rows(b"\n" + shape.object_pattern(kinds))
    for altered in [line, *alterations(line)]:
        end, count = rows.skim("\n" + altered, 0)
        if count:
            found = standard_json.loads(
                altered[: end - 1], object_pairs_hook=unique, parse_float=decode_float
            )
            assert set(found) <= set(kinds)
            assert all(keeps_json(kinds[key], value) for key, value in found.items()), altered


def alterations(line: str) -> Iterator[str]:
    """The line with one character less, with one more, and with a part of it twice."""
    parts = line.split(",")
    for at, part in enumerate(parts):
        yield ",".join([*parts[: at + 1], part.strip("{ }"), *parts[at + 1 :]])
    for at in range(len(line)):
        yield line[:at] + line[at + 1 :]
        yield from (line[:at] + more + line[at:] for more in ',": 0e.-{}[]\\\t')


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *((INT64, value) for value in (0, -7, 10**14, None)),
        *((LONG, value) for value in (0, -7, 10**17, None)),
        *((FLOAT64, value) for value in (0, 1.5, -1e-30, 0.30000000000004, None)),
        (UINT64, 2**63),
        (BOOL, True),
        *((STRING, value) for value in ("", "x", 'é"\\\n\u2028', "\U0001f600")),
        (DATE, "2024-01-31"),
        (DATETIME, "2024-01-31T10:00:00Z"),
        (DATETIME64, "2024-01-31 10:00:00.5"),
        (Array(element=INT64), [1, None]),
        (Array(element=None), []),
        (Array(element=Tuple(fields={"a": INT64})), [{"a": 1}, {}, None]),
        (Tuple(fields={"a": Tuple(fields={"b": BOOL})}), {"a": {"b": False}}),
    ],
)
@pytest.mark.parametrize("ascii_", [True, False])
def test_plain_json_value_is_stepped_over(kind: Kind, value: Any, ascii_: bool) -> None:
    shape = Shape()
    shape.learn({"é": value, "k": 1})
    rows = Rows(b"\n" + shape.object_pattern({"k": INT64, "é": kind}))
    line = "\n" + standard_json.dumps({"é": value, "k": 1}, ensure_ascii=ascii_)
    assert rows.skim(line * 3, 0) == (3 * len(line), 3)
    assert rows.skim("\n" + '{"k":1}', 0)[1] == 0, "the first key was never missing"


def test_keys_that_are_missing_now_and_then_are_stepped_over_in_their_order() -> None:
    shape = Shape()
    for keys in ("bd", "abd", "bcd", "bde"):
        shape.learn(dict.fromkeys(keys, 1))
    rows = Rows(b"\n" + shape.object_pattern(dict.fromkeys("bdace", INT64)))
    for keys in ("b", "bd", "abcde", "abe"):
        assert rows.skim("\n" + standard_json.dumps(dict.fromkeys(keys, 1)), 0)[1] == 1, keys
    for keys in ("a", "", "db", "bdf"):
        assert rows.skim("\n" + standard_json.dumps(dict.fromkeys(keys, 1)), 0)[1] == 0, keys


def test_shape_stays_small_whatever_the_objects_hold() -> None:
    shape = Shape()
    shape.learn({str(number): number for number in range(5_000)})
    assert len(shape.object_pattern({str(number): INT64 for number in range(5_000)})) < 100
    deep: Kind = INT64
    value: Any = 1
    for _ in range(90):
        deep, value = Array(element=deep), [value]
    shape.learn({"k": value})
    assert len(shape.object_pattern({"k": deep})) < 1_000


OBJECTS = st.lists(
    st.dictionaries(
        st.sampled_from(["id", "é", "x y"]),
        st.recursive(
            NUMBERS | TEXTS | st.booleans() | st.none(),
            lambda inner: (
                st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner)
            ),
            max_leaves=4,
        ),
    ),
    min_size=1,
    max_size=4,
)
ODD_LINES = st.lists(
    st.sampled_from(["", " ", "{}", "{", '{"id":1}{"id":2}', '{"id":1},', '{"id":1,"id":2}', "1"])
    | OBJECTS.map(lambda objects: "\n".join(map(standard_json.dumps, objects))),
    max_size=2,
)


@settings(max_examples=100, deadline=None)
@given(usual=OBJECTS, rare=ODD_LINES, frame=st.sampled_from([("", "\n", ""), ("[", ",\n", "]")]))
def test_json_file_is_read_as_if_every_object_were_looked_at(
    usual: list[dict[str, Any]], rare: list[str], frame: tuple[str, str, str]
) -> None:
    lines = [standard_json.dumps(each) for each in usual]
    block = lines * (20_000 // sum(len(line) for line in lines))
    begin, between, end = frame
    data = (begin + between.join([*block, *rare, *block]) + end).encode()
    of_format = TableFormat.JSON_EACH_ROW
    assert outcome(data, Limits(), of_format) == outcome(data, SINGLY, of_format)


SPELLINGS = st.builds(
    lambda number, form: form % number,
    st.floats(1e-12, 9e6),
    st.sampled_from(["%r", "%.9f", "%.14f", "%.16g", "%.17g", "%.20f", "%.16e", "%.17E"]),
) | st.from_regex(r"(0|[1-9][0-9]{0,6})?\.[0-9]{8,20}(e-[0-9]{1,2})?", fullmatch=True)


@given(st.lists(SPELLINGS, max_size=20))
@example(["0.5", "1.12345678901234", "99.12345678901234", "999.123456789"])
@example(["123.1234567890123", "0.1234567890123456", "1234567.123456789012345"])
@example(["0.30000000000000004", "10.30000000000000004", "0.12345678901234567"])
@example(["0.30000000000000004", "20.123456789012345678", "0.5"])
def test_the_first_number_is_found_that_a_double_does_not_give_back(numbers: list[str]) -> None:
    text = "\n".join(numbers).encode()
    found = find_lossy(text)
    lost = [line for line, number in enumerate(numbers) if not gives_back(number)]
    line = None if found is None else text.count(b"\n", 0, found)
    assert line == next(iter(lost), None)
