"""Texts and patterns that make a careless reader work for each character again and again.

What is counted is lines of our own code, expressions' sizes and objects, never time.
"""

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import pytest

import stocktake
from stocktake.errors import InvalidSourceError, LimitExceededError
from stocktake.readers import introspect
from stocktake.readers.files.partitions import hive_partitions
from stocktake.readers.source import Limits, Source
from stocktake.readers.text.values.csv_fields import infer_field, infer_quoted, parse_literal
from stocktake.readers.text.values.kinds import (
    STRING,
    Array,
    NestingError,
    Tuple,
    count_fields,
    join_json,
)
from stocktake.readers.text.values.numbers import FLOAT64, INT64
from stocktake.redaction import redact_text
from stocktake.schema import types, widening
from stocktake.schema.extent import extent
from stocktake.schema.formats import TableFormat
from stocktake.schema.types import make_nullable, parse
from stocktake.schema.widening import widen
from stocktake.storage.places.globs import _translate, matcher
from tests.support.commands import stocktake as command
from tests.support.memory import MemoryObjects

CODE = str(Path(stocktake.__file__).parent)
LARGE = Limits(max_fields=10**6, max_columns=10**6, max_schema_bytes=10**8)


def lines_of(work: Callable[[], Any]) -> int:
    """How many lines of the service's own code run."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.startswith(CODE):
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def read(data: str, table_format: TableFormat) -> Any:
    store = MemoryObjects({"a": data.encode()})
    return introspect(Source(store=store, path="a", format=table_format), LARGE)


def csv(field: str) -> Any:
    return read(f'a\n"{field}"\n', TableFormat.CSV_WITH_NAMES)


def lines(*objects: Any) -> Any:
    return read("\n".join(map(json.dumps, objects)), TableFormat.JSON_EACH_ROW)


#: What is made so many times as large.
GROWING: dict[str, Callable[[int], Any]] = {
    "quotes that never close": lambda n: csv("['" + r"\'" * n),
    "quotes that never close and nulls": lambda n: csv("['" + r"\' NULL " * n),
    "quotes that close": lambda n: csv("[" + ",".join(["'a'"] * n) + "]"),
    "a map of lists": lambda n: csv("{" + ",".join(f"'{k}':[{k}]" for k in range(n)) + "}"),
    "fields that begin with a quote": lambda n: (
        read(
            "a" + ",a".join(map(str, range(n))) + "\n" + ',"x' * (n - 1) + "\n",
            TableFormat.CSV_WITH_NAMES,
        )
        and None
    ),
    "objects with a key of their own in a list": lambda n: lines(
        {"a": [{f"k{k}": 1} for k in range(n)]}
    ),
    "objects with a key of their own": lambda n: lines(*({"a": {f"k{k}": 1}} for k in range(n))),
    "objects that say nothing new": lambda n: lines(
        {"a": {f"k{k}": 1 for k in range(n)}}, *({"a": {"k1": True}} for _ in range(n))
    ),
    "a type of many elements": lambda n: parse(
        f"Tuple({', '.join(f'a{k} Int8' for k in range(n))})"
    ),
    "a type of open quotes": lambda n: parse("Tuple(" + r"`\`" * n),
    "a type of parentheses": lambda n: parse("Tuple(" + "a(" * min(n, 300)),
    "a wide type's extent": lambda n: extent(
        parse(f"Tuple({', '.join(f'a{k} Array(Int8)' for k in range(n))})")
    ),
    "two wide types": lambda n: widen(
        parse(f"Tuple({', '.join(f'a{k} Int8' for k in range(n))})"),
        parse(f"Tuple({', '.join(f'a{2 * k} Int16' for k in range(n))})"),
    ),
    "a pattern of braces": lambda n: matcher("{a,aa}" * n)("a" * n + "b"),
    "a pattern of stars": lambda n: matcher("**/*a" * n)("a/" * n + "b"),
}


@pytest.mark.parametrize("name", GROWING)
def test_twice_the_text_runs_twice_the_lines(name: str) -> None:
    work = GROWING[name]

    def quietly(n: int) -> None:
        with suppress(LimitExceededError, InvalidSourceError):
            work(n)

    quietly(50)
    few, many = (lines_of(lambda n=n: quietly(n)) for n in (400, 1600))  # type: ignore[misc]
    assert many <= 4.4 * few + 500, (few, many)


def test_a_new_key_costs_no_copy_of_those_before() -> None:
    grown = Tuple(fields={f"k{n}": INT64 for n in range(1000)})
    known = grown.fields
    joined = join_json(grown, Tuple(fields={"new": Tuple(fields={"x": INT64})}))
    assert isinstance(joined, Tuple)
    assert joined.fields is known
    assert (len(known), count_fields(joined)) == (1001, 1002)
    join_json(joined, Tuple(fields={"new": Tuple(fields={"x": FLOAT64, "y": INT64})}))
    assert count_fields(joined) == 1003
    assert count_fields(Array(element=joined)) == 1003


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("['it\\'s', NULL, 'NULL']", ["it\\'s", None, "NULL"]),
        ("{'a':[1,NULL],'b,c':[]}", {"a": [1, None], "b,c": []}),
        ("['','null']", ["", "null"]),
        ("[NULL]", [None]),
    ],
)
def test_a_literal_still_says_what_it_said(text: str, value: Any) -> None:
    assert parse_literal(text) == value


@pytest.mark.parametrize(
    "text", ["['a", "[null]", "['a''b']", "[']", "[xNULL]", "['a'b]", "['\\\n']"]
)
def test_what_is_no_literal_is_a_text(text: str) -> None:
    assert infer_quoted(text, levels=9) == STRING


def test_a_literal_is_as_deep_as_a_schema_may_be() -> None:
    assert infer_quoted("[" * 9 + "]" * 9, levels=9) != STRING
    for depth in (10, 500, 100_000):
        with pytest.raises(NestingError):
            infer_quoted("[" * depth + "]" * depth, levels=9)
        # what is not whole is a text, however deep
        assert infer_quoted("[" * depth, levels=9) == STRING


@pytest.mark.parametrize("zeros", [1, 30, 5_000, 200_000])
def test_leading_zeros_are_no_digits(zeros: int) -> None:
    # A number that is not spelled as it would be printed is a text: a zip code.
    assert infer_field("0" * zeros + "7") == STRING
    assert infer_field("-" + "0" * (zeros + 1)) == STRING
    assert infer_field("+" + "9" * (zeros + 20)) == STRING


def test_user_info_is_masked_whatever_stands_before_it() -> None:
    assert redact_text("a" * 9 + "http://u:p@w@host/x u:p") == "a" * 9 + "http://***@host/x u:p"


def test_types_are_remembered_only_while_they_are_small() -> None:
    types._remembered.cache_clear()
    wide = f"Tuple({', '.join(f'a{n} Int8' for n in range(100))})"
    parsed = parse(wide)
    assert types._remembered.cache_info().currsize == 0
    assert parse("Array(Int8)") is parse("Array(Int8)")
    assert types._remembered.cache_info().currsize == 1
    widening._joined_scalars.cache_clear()
    wider = parse(wide.replace("a0 Int8", "a0 Int16"))
    assert "a0 Int16" in str(widen(parsed, wider))
    # of the elements, never of the whole
    assert widening._joined_scalars.cache_info().currsize == 1
    assert make_nullable(parsed) == parsed


# --- patterns -----------------------------------------------------------------------------

BUCKET = "https://bucket.s3.amazonaws.com/orders/"
TOO_MUCH = ["{1..10001}.csv", "{1..6000}/{1..6000}", "{1..999}*" * 12, "{0..999999999999999999}"]
WELL = ["{a,aa}" * 60, "{a*,b?}" * 40, "{1..9999}.csv", "{01..12}/{01..31}/*.csv", "**/*{a,b}*" * 9]


@pytest.mark.parametrize("pattern", [*WELL, "*a" * 100, "**a" * 100, "{*,?}" * 90])
def test_an_expression_is_about_as_long_as_its_pattern(pattern: str) -> None:
    assert len(_translate(pattern, at_folder=True)) <= 12 * len(pattern) + 60_000
    matches = matcher(pattern)
    assert not matches("a/" * 500 + "!")


def test_a_key_that_sixty_braces_match() -> None:
    matches = matcher("{a,aa}" * 60)
    assert matches("a" * 60)
    assert matches("a" * 120)
    assert not matches("a" * 121)


@pytest.mark.parametrize("pattern", TOO_MUCH)
def test_the_api_refuses_braces_that_stand_for_too_much(client: httpx.Client, pattern: str) -> None:
    table = {"name": "orders", "format": "CSV", "options": {"public": True}}
    answer = client.post("warehouse_tables/", json=table | {"url_pattern": BUCKET + pattern})
    assert (answer.status_code, answer.json()["attr"]) == (400, "url_pattern"), answer.text
    assert "alternatives; at most 10,000 are allowed" in answer.json()["detail"]

    made = client.post("warehouse_tables/", json=table | {"url_pattern": BUCKET + "*.csv"})
    assert made.status_code == 201, made.text
    path = f"warehouse_tables/{made.json()['id']}/"
    changed = client.patch(path, json={"url_pattern": BUCKET + pattern})
    assert (changed.status_code, changed.json()["attr"]) == (400, "url_pattern")
    assert client.get(path).json()["url_pattern"] == BUCKET + "*.csv"


def test_the_api_takes_patterns_that_are_only_long(client: httpx.Client) -> None:
    for number, pattern in enumerate(WELL):
        table = {"name": f"t{number}", "format": "CSV", "options": {"public": True}}
        answer = client.post("warehouse_tables/", json=table | {"url_pattern": BUCKET + pattern})
        assert answer.status_code == 201, answer.text


def test_a_row_that_is_older_than_the_bound_is_not_listed() -> None:
    store = MemoryObjects({"a": b"x\n1\n"})
    source = Source(store=store, path="{1..999}*" * 12, format=TableFormat.CSV)
    with pytest.raises(LimitExceededError, match="alternatives"):
        introspect(source)
    assert not store.listed


def test_the_command_line_says_so_too(tmp_path: Path) -> None:
    done = command("inspect", f"{tmp_path}/{{1..10001}}.csv", "--format", "CSV", folder=tmp_path)
    assert done.returncode != 0
    assert "10,001 alternatives; at most 10,000 are allowed" in " ".join(done.stderr.split())


# --- names in keys ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paths", "error"),
    [
        (["%00=1/a"], InvalidSourceError),
        ([f"{'k' * 1001}=1/a"], LimitExceededError),
        (["k" * 300 + "%C3%A9" * 701 + "=1/a"], LimitExceededError),
        (["/".join(f"k{n}=1" for n in range(10_001)) + "/a"], LimitExceededError),
        ([f"k{n}=1/a" for n in range(10_001)], LimitExceededError),
    ],
)
def test_partitions_are_held_to_the_bounds(paths: list[str], error: type[Exception]) -> None:
    with pytest.raises(error):
        hive_partitions(paths)
