"""docs/loads.md's table of types, drawn: each value is kept exactly or refused with its place.

What is right is reckoned here with Python's own numbers, and not asked of the code under test.
"""

import ctypes
import datetime as dt
import math
import re
from collections.abc import Callable
from decimal import Context, Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stocktake.loading.casting import cast_batch
from stocktake.loading.conflicts import ColumnConflictError

DOCUMENT: Final = Path(__file__).parents[3] / "docs" / "loads.md"
REFUSED: Final = object()
UTC_US: Final = pa.timestamp("us", "UTC")
BITS: Final = (8, 16, 32, 64)
THOUSANDS: Final = st.integers(-10, 10).map(lambda number: number * 1000)
EXACT: Final = Context(prec=100)
UNITS: Final = {"s": 0, "ms": 3, "us": 6, "ns": 9}


def documented() -> dict[tuple[str, str], str]:
    """The cells of the table: from, into, and what becomes of a value."""
    lines = DOCUMENT.read_text().splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith(r"| from \ into"))
    into = [cell.strip() for cell in lines[start].split("|")[2:-1]]
    cells = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        source, *words = (cell.strip() for cell in line.split("|")[1:-1])
        cells |= {(source, name): word for name, word in zip(into, words, strict=True)}
    return cells


CELLS: Final = documented()

#: By row of the table, Arrow types and the values of each: integers for what counts time.
SOURCES: Final[dict[str, list[tuple[pa.DataType, st.SearchStrategy[Any]]]]] = {
    "integer": [
        *((getattr(pa, f"int{b}")(), st.integers(-(2**b) // 2, 2**b // 2 - 1)) for b in BITS),
        *((getattr(pa, f"uint{b}")(), st.integers(0, 2**b - 1)) for b in BITS),
        (pa.int64(), st.integers(2**53 - 2, 2**53 + 2)),
        (pa.int64(), st.integers(-9, 9)),
    ],
    "float": [
        (pa.float64(), st.floats()),
        (pa.float64(), st.floats(width=32)),
        (pa.float32(), st.floats(width=32)),
        (pa.float16(), st.floats(width=16)),
    ],
    "decimal": [
        (pa.decimal128(10, 2), st.decimals(-99_999_999, 99_999_999, places=2)),
        (pa.decimal128(38, 6), st.decimals(-(10**30), 10**30, places=6)),
        (pa.decimal128(20, 0), st.decimals(2**53 - 2, 2**53 + 2, places=0)),
        (pa.decimal128(10, 2), st.integers(-9, 9).map(Decimal)),
    ],
    "boolean": [(pa.bool_(), st.booleans())],
    "date": [(pa.date32(), st.integers(-200_000, 200_000))],
    "timestamp": [
        (pa.timestamp(unit, zone), st.integers(-(2**58), 2**58) | THOUSANDS)
        for unit in UNITS
        for zone in (None, "UTC", "Europe/Berlin")
    ],
    "time": [
        (pa.time32("ms"), st.integers(0, 86_399_999)),
        (pa.time64("us"), st.integers(0, 86_399_999_999)),
        (pa.time64("ns"), st.integers(0, 86_399_999).map(lambda n: n * 1_000_000)),
        (pa.time64("ns"), st.integers(0, 999)),
    ],
    "duration": [(pa.duration(unit), st.integers(-(2**62), 2**62)) for unit in UNITS],
    "string, UUID": [
        (pa.string(), st.text(st.characters(exclude_categories=["Cs"]))),
        (pa.large_string(), st.sampled_from(["1", "1.5", "true", "2024-01-31", ""])),
    ],
    "binary": [(pa.binary(), st.binary()), (pa.large_binary(), st.just(b"x"))],
}

TARGETS: Final[dict[str, list[pa.DataType]]] = {
    "integer": [pa.int8(), pa.int16(), pa.int32(), pa.int64()],
    "float, double": [pa.float32(), pa.float64()],
    "decimal": [pa.decimal128(5, 2), pa.decimal128(20, 0), pa.decimal128(38, 10)],
    "boolean": [pa.bool_()],
    "date": [pa.date32()],
    "timestamp": [UTC_US],
    "string": [pa.string()],
    "binary": [pa.binary()],
}


# --- what is right --------------------------------------------------------------------------


def _integer(value: int, target: Any) -> Any:
    if pa.types.is_integer(target):
        bits = target.bit_width
        return value if -(2 ** (bits - 1)) <= value < 2 ** (bits - 1) else REFUSED
    if pa.types.is_floating(target):
        number = float(value)
        if target.bit_width == 32:
            number = ctypes.c_float(number).value
        return number if math.isfinite(number) and int(number) == value else REFUSED
    return _rescaled(Decimal(value), target)


def _float(value: float, target: Any) -> Any:
    if math.isnan(value) or target.bit_width == 64:
        return value
    return value if ctypes.c_float(value).value == value else REFUSED


def _decimal(value: Decimal, target: Any) -> Any:
    if pa.types.is_decimal(target):
        return _rescaled(value, target)
    number = float(value)
    if target.bit_width == 32:
        number = ctypes.c_float(number).value
        return number if Decimal(number) == value else REFUSED
    digits = len("".join(map(str, value.as_tuple().digits)).strip("0"))
    return number if Decimal(f"{number:.{max(digits, 1) - 1}e}") == value else REFUSED


def _rescaled(value: Decimal, target: Any) -> Any:
    shifted = value.scaleb(target.scale, context=EXACT)
    whole = int(shifted)
    return value if whole == shifted and len(str(abs(whole))) <= target.precision else REFUSED


def _micros(ticks: int, unit: str) -> Any:
    exact, rest = divmod(ticks * 10**6, 10 ** UNITS[unit])
    return exact if rest == 0 and -(2**63) <= exact < 2**63 else REFUSED


def _bytes(value: bytes, target: Any) -> Any:
    if pa.types.is_binary(target):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return REFUSED


def _text(value: str, target: Any) -> Any:
    return value if pa.types.is_string(target) else value.encode()


RIGHT: Final[dict[str, Callable[[Any, Any, Any], Any]]] = {
    "integer": lambda value, _, target: _integer(value, target),
    "float": lambda value, _, target: _float(value, target),
    "decimal": lambda value, _, target: _decimal(value, target),
    "boolean": lambda value, _, __: value,
    "date": lambda value, _, target: value * 86_400_000_000 if target == UTC_US else value,
    "timestamp": lambda value, source, _: _micros(value, source.unit),
    "time": lambda value, source, _: _micros(value, source.unit),
    "duration": lambda value, _, target: _integer(value, target),
    "string, UUID": lambda value, _, target: _text(value, target),
    "binary": lambda value, _, target: _bytes(value, target),
}

#: How the text of a value is read again.
READ: Final[dict[str, Callable[[str], Any]]] = {
    "integer": int,
    "float": float,
    "decimal": Decimal,
    "boolean": {"true": True, "false": False}.__getitem__,
    "date": lambda text: (dt.date.fromisoformat(text) - dt.date(1970, 1, 1)).days,
    "duration": int,
}


# --- the test -------------------------------------------------------------------------------


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, pa.DataType, Any, str, pa.DataType]:
    row = draw(st.sampled_from(sorted(SOURCES)))
    source, values = draw(st.sampled_from(SOURCES[row]))
    column = draw(st.sampled_from(sorted(TARGETS)))
    return row, source, draw(values), column, draw(st.sampled_from(TARGETS[column]))


@settings(max_examples=1_500, deadline=None)
@given(case=cases(), nested=st.booleans())
def test_a_value_is_kept_exactly_or_refused_as_the_document_says(
    case: tuple[str, pa.DataType, Any, str, pa.DataType], nested: bool
) -> None:
    row, source, value, column, target = case
    cell = CELLS[row, column]
    array = pa.array([value, None], source)
    kept = _cast(array, target, nested=nested)

    if cell == "no":
        assert kept is REFUSED
    elif cell == "text":
        assert kept is not REFUSED
        text = kept[0].as_py()
        if row in READ and (row != "date" or re.fullmatch(r"\d{4}-\d\d-\d\d", text)):
            again = READ[row](text)
            if source == pa.float32():
                again = ctypes.c_float(again).value
            assert again == value or (again != again and value != value)
    else:
        right = RIGHT[row](value, source, target)
        assert cell == "exact" or right is not REFUSED
        assert (kept is REFUSED) == (right is REFUSED), (kept, right)
        if right is not REFUSED:
            found = _plain(kept, target)
            assert found == right or (found != found and right != right)


def _cast(array: pa.Array, target: pa.DataType, *, nested: bool) -> Any:
    if nested:
        array = pa.StructArray.from_arrays([pa.ListArray.from_arrays([0, 1, 2], array)], ["f"])
        target = pa.struct([("f", pa.list_(target))])
    batch = pa.RecordBatch.from_arrays([array], names=["x"])
    try:
        cast = cast_batch(batch, pa.schema([("x", target)]), "file").column(0)
    except ColumnConflictError as exc:
        refused = exc.detail
    else:
        refused = ""
    if refused:
        assert refused.startswith(f"file, row 1: column '{'x.f' if nested else 'x'}' holds ")
        return REFUSED
    values = cast.field(0).flatten() if nested else cast
    assert values[1].as_py() is None
    return values


def _plain(values: Any, target: pa.DataType) -> Any:
    if target == UTC_US:
        return values.cast(pa.int64())[0].as_py()
    if target == pa.date32():
        return values.cast(pa.int32())[0].as_py()
    return values[0].as_py()


def test_the_document_has_a_cell_for_each_pair() -> None:
    assert {row for row, _ in CELLS} == set(SOURCES)
    assert {column for _, column in CELLS} == set(TARGETS)
    assert set(CELLS.values()) == {"kept", "exact", "text", "no"}


@pytest.mark.parametrize("target", [each for types in TARGETS.values() for each in types])
def test_a_null_goes_into_every_column(target: pa.DataType) -> None:
    for sources in SOURCES.values():
        for source, _ in sources:
            kept = _cast(pa.nulls(2, source), target, nested=False)
            assert kept.null_count == 2
