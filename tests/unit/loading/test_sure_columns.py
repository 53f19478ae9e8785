"""A column that Arrow makes at once is the one that is made value by value."""

import math
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stocktake.loading.sure_columns import sure_array
from stocktake.loading.values import converter, to_array
from stocktake.readers.text.json.spelling import spelled_float
from stocktake.readers.text.values.json_values import EscapedText

TYPES = [
    pa.int8(),
    pa.int32(),
    pa.int64(),
    pa.float64(),
    pa.float32(),
    pa.decimal128(5, 2),
    pa.decimal128(38, 9),
    pa.bool_(),
    pa.date32(),
    pa.timestamp("us", "UTC"),
    pa.string(),
    pa.binary(),
    pa.list_(pa.int64()),
]
TEXTS = st.one_of(
    st.from_regex(r"\A[+-]?[0-9]{1,20}(\.[0-9]{0,20})?\Z"),
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(repr),
    st.floats(-1e6, 1e6).map(lambda number: f"{number:.17f}"),
    st.dates().map(str),
    st.datetimes().map(str),
    st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
    st.from_regex(r"\A(19|20)[0-9]{2}-[0-3][0-9]-[0-3][0-9]( [0-2][0-9]:[0-6][0-9]:[0-6][0-9])?\Z"),
    st.sampled_from(["true", "false", "True", "1", "-0", "00", "1e3", " 7", "7 "]),
    st.sampled_from(["", "nan", "\ud800", "2024-01-31T10:00Z"]),
    st.sampled_from(["2024-02-30", "2024-01-31 23:59:60", "2024-01-31 24:00:00"]),
    st.text(max_size=5),
)  # fmt: skip


#: As the reader of JSON decodes them.
NUMBERS = st.one_of(
    st.integers(-(2**66), 2**66),
    st.integers(-200, 200),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["1.10", "0.10000000000000001", "1e400", "-0.0", "1.0"]).map(spelled_float),
    st.booleans(),
    st.sampled_from([EscapedText("2024-01-31"), "2024-01-31", EscapedText("a")]),
)


@settings(max_examples=3_000, deadline=None)
@given(
    values=st.lists(TEXTS | st.none(), min_size=1, max_size=3)
    | st.lists(NUMBERS | st.none(), min_size=1, max_size=3),
    arrow=st.sampled_from(TYPES),
    csv=st.booleans(),
)
def test_it_is_made_as_value_by_value_or_not_at_all(
    values: list[Any], arrow: Any, csv: bool
) -> None:
    csv = csv and all(value is None or isinstance(value, str) for value in values)
    sure = sure_array(values, arrow, csv=csv)
    if sure is None:
        return
    one_by_one = to_array(values, converter(arrow, csv=csv), arrow)
    assert sure.type == one_by_one.type == arrow
    assert list(map(_bits, sure.to_pylist())) == list(map(_bits, one_by_one.to_pylist()))


def _bits(value: Any) -> Any:
    """Zeros with their sign."""
    return (value, math.copysign(1, value)) if isinstance(value, float) else value


@pytest.mark.parametrize(
    ("arrow", "plain"),
    [
        (pa.int64(), ["-12", None, "0"]),
        (pa.float64(), ["1.50", "0.1", "12.345678901234567", "7"]),
        (pa.decimal128(9, 2), ["1.10", "-7"]),
        (pa.bool_(), ["true", "false"]),
        (pa.date32(), ["2024-02-29"]),
        (pa.timestamp("us", "UTC"), ["2024-02-29 10:00:00", "2024-02-29T10:00:00.5Z"]),
        (pa.string(), ["a", "", None]),
    ],
)
def test_plain_columns_are_made_at_once(arrow: Any, plain: list[str | None]) -> None:
    assert sure_array(plain, arrow, csv=True) is not None


@pytest.mark.parametrize("value", [7, 1.5, True, [1], {"a": 1}])
def test_what_is_no_text_is_asked_value_by_value(value: Any) -> None:
    assert sure_array([value], pa.string(), csv=False) is None


@pytest.mark.parametrize(
    ("arrow", "value"),
    [
        (pa.date32(), EscapedText("2024-01-31")),
        (pa.int64(), True),
        (pa.int64(), 1.0),
        (pa.float64(), 7),
        (pa.bool_(), 1),
        (pa.int8(), 300),
    ],
)
def test_a_number_of_another_kind_is_asked(arrow: Any, value: Any) -> None:
    assert sure_array([value], arrow, csv=False) is None


def test_a_number_that_the_double_does_not_give_back_is_not_sure() -> None:
    for text in ("9007199254740993", "0.10000000000000001", "100000000000000000000.5"):
        assert sure_array(["1", text], pa.float64(), csv=True) is None
