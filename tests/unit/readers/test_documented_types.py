"""The tables of docs/types.md are true: what widens, and where we differ from ClickHouse."""

import ast
import re
from pathlib import Path

import pytest

from stocktake.errors import JobError
from stocktake.readers import introspect
from stocktake.readers.source import Source
from stocktake.schema.columns import Column
from stocktake.schema.diff import ChangeClass, diff
from stocktake.schema.formats import TableFormat
from tests.support.memory import MemoryObjects
from tests.support.oracle import Case, describe

PAGE = (Path(__file__).parents[3] / "docs" / "types.md").read_text()


def rows_of(heading: str) -> list[list[str]]:
    """The rows of the first table after a heading, without the backticks."""
    lines = PAGE.partition(heading)[2].splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith("|---"))
    rows = []
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().strip("`") for cell in line.split("|")[1:-1]])
    return rows


WIDENING = rows_of("## What widens to what")
BREAKING = rows_of("Breaking:")
#: Blanks at the end of the bytes count, so they are taken from between the backticks.
DIFFERENT = [
    (table_format, ast.literal_eval(f"b'''{data}'''"), ours, theirs)
    for table_format, data, ours, theirs in re.findall(
        r"^\| (CSV\w*|JSON\w*) \| `(.*?)` \| `(.*?)` \| `(.*?)` \| [^|]+ \|$",
        PAGE.partition("## Where we differ")[2],
        re.MULTILINE,
    )
]


def change(old: str, new: str) -> ChangeClass:
    return diff((Column.of("x", old),), (Column.of("x", new),)).change


@pytest.mark.parametrize(("old", "new"), [row[:2] for row in WIDENING])
def test_change_is_widening_as_the_page_says(old: str, new: str) -> None:
    assert change(old, new) is ChangeClass.WIDENING


@pytest.mark.parametrize(("old", "new"), [row[:2] for row in BREAKING])
def test_change_is_breaking_as_the_page_says(old: str, new: str) -> None:
    assert change(old, new) is ChangeClass.BREAKING


def shown(columns: list[tuple[str, str]] | None) -> str:
    """Columns as the page writes them."""
    if columns is None:
        return "fails"
    return ", ".join(
        f"{_escaped(name)} {clickhouse.replace('Nullable', 'N')}" for name, clickhouse in columns
    )


def _escaped(name: str) -> str:
    return name.encode("unicode_escape").decode().replace("|", r"\x7c")


def ours(table_format: str, data: bytes) -> str:
    store = MemoryObjects({"x": data})
    try:
        found = introspect(Source(store=store, path="x", format=TableFormat(table_format)))
    except JobError as error:
        return f"fails: {error.code}"
    return shown([(column.name, column.clickhouse) for column in found.columns])


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> dict[bytes, str]:
    cases = [Case(table_format, data) for table_format, data, *_ in DIFFERENT]
    answers = describe(cases, tmp_path_factory.mktemp("clickhouse"))
    return {case.data: shown(answer) for case, answer in zip(cases, answers, strict=True)}


def test_every_row_of_the_page_is_tested_here() -> None:
    assert len(DIFFERENT) == len(rows_of("## Where we differ"))
    assert len({data for _, data, *_ in DIFFERENT}) == len(DIFFERENT)


@pytest.mark.chdb
@pytest.mark.parametrize(
    ("table_format", "data", "expected", "theirs"), DIFFERENT, ids=lambda value: ascii(value)[:40]
)
def test_known_difference_still_stands(
    clickhouse: dict[bytes, str], table_format: str, data: bytes, expected: str, theirs: str
) -> None:
    assert ours(table_format, data) == expected
    assert clickhouse[data] == theirs
    assert expected != theirs
