"""No pattern of the standard library's engine takes more than linear steps, whatever the text.

Every one of them in the service is here, found by its syntax; each is tried on thousands of texts
that are made of its own parts. What cannot be linear there is matched by RE2.
"""

import ast
import random
import re
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from stocktake.readers.text.csv.dialect import Dialect
from stocktake.readers.text.csv.patterns import _TOKENS, block_pattern
from tests.security.backtracking import Stepper, TooManyStepsError, letters, pumped

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "stocktake", "tasks", "workers")
#: Functions that make a pattern of what they are given: `made` below has what they make.
MAKERS = {"stocktake/readers/text/csv/dialect.py", "stocktake/readers/text/csv/patterns.py"}
FUNCTIONS = {
    "compile",
    "match",
    "fullmatch",
    "search",
    "sub",
    "subn",
    "split",
    "findall",
    "finditer",
}
#: Repetitions of a text's part. From one to the next the steps of a linear pattern double, and
#: those of a quadratic one are four times as many.
TIMES, MANY_TIMES = (8, 16, 32), (160, 320, 640)
MOST_TEXTS, LEAST_TEXTS, ENOUGH_STEPS = 300, 60, 60_000


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id == "re" and node.func.attr in FUNCTIONS:
                yield node


def files() -> list[Path]:
    found = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return sorted(path for path in found if any(calls(ast.parse(path.read_text()))))


def written(path: Path) -> dict[str, re.Pattern[Any]]:
    """The patterns of a module by their names: those that it holds, and those in a call."""
    name = str(path.relative_to(ROOT).with_suffix("")).replace("/", ".").removesuffix(".__init__")
    patterns: dict[str, re.Pattern[Any]] = {}
    for key, value in vars(import_module(name)).items():
        patterns |= {f"{key}/{at}": each for at, each in enumerate(_held(value))}
    for at, call in enumerate(calls(ast.parse(path.read_text()))):
        assert isinstance(call.func, ast.Attribute)
        if call.func.attr != "compile" and isinstance(call.args[0], ast.Constant):
            patterns[f"re.{call.func.attr}/{at}"] = re.compile(call.args[0].value)
    return patterns


def _held(value: Any) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(getattr(value, "__self__", None), re.Pattern):
        yield value.__self__
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _held(each)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _held(getattr(value, field.name))
    elif type(value) is dict:
        for each in value.values():
            yield from _held(each)


def anchored(name: str, source: str) -> bool:
    """Whether a module holds the pattern of this name to the beginning of a text alone."""
    plain = name.partition("/")[0]
    if plain.startswith("re."):
        return plain in ("re.match", "re.fullmatch")
    used = set(re.findall(rf"\b{plain}\.([a-z]+)\b", source))
    used = used or set(re.findall(r"\.(subn?|search|findall|finditer)\(", source))
    return used <= {"match", "fullmatch"}


def made() -> tuple[list[re.Pattern[Any]], list[re.Pattern[Any]]]:
    """What is made of a CSV's dialect: what splits a line, and what is held to its beginning."""
    fields, others = [], []
    for delimiter, quote in (
        (",", '"'),
        (" ", "'"),
        ("x", "]"),
        ("\\", "^"),
        ("]", "\\"),
        (";", ";"),
    ):
        dialect = Dialect(delimiter=delimiter, quote=quote)
        fields.append(dialect._fields)
        others += [dialect._open, dialect._close]
    for quote, nulls in (('"', ("", "\\N")), ("'", ("a" * 9, "a" * 8 + "b", "1", "null"))):
        dialect = Dialect(quote=quote, nulls=frozenset(nulls))
        others += [block_pattern(kind, dialect, quotes=True) for kind in (None, *_TOKENS)]
    return fields, others


def find(pattern: re.Pattern[Any], *, whole: bool) -> str | None:
    """A text on which the steps more than double; None where none is met."""
    draw = random.Random(repr(pattern.pattern))
    stepper, spent = Stepper(pattern), 0
    own, steps_of = letters(stepper.tree), stepper.whole if whole else stepper.scan
    for count in range(MOST_TEXTS):
        if spent > ENOUGH_STEPS and count > LEAST_TEXTS:
            break
        text = pumped(stepper.tree, own, draw)
        # what is bounded, such as {1,63}, grows until it is there, and no more
        if _grows(steps_of, text, TIMES) and _grows(steps_of, text, MANY_TIMES):
            return text(3)
        spent += stepper.steps
    return None


def _grows(
    steps_of: Callable[[str], int], text: Callable[[int], str], times: tuple[int, int, int]
) -> bool:
    """Whether twice the text takes more than twice the steps. It may be tried in some ways, but
    not in more ways the longer it is."""
    try:
        few, more, most = (steps_of(text(each)) for each in times)
    except TooManyStepsError:
        return True
    return most - more > 2.6 * (more - few) + 30


def on_a_deep_stack(work: Callable[[], None]) -> None:
    """The stepper recurses for each repetition of a group."""
    failure: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as exc:  # noqa: BLE001  # raised again in the test's own thread
            failure.append(exc)

    limit, size = sys.getrecursionlimit(), threading.stack_size(512 << 20)
    sys.setrecursionlimit(100_000)
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        sys.setrecursionlimit(limit)
        threading.stack_size(size)
    if failure:
        raise failure[0]


@pytest.mark.parametrize(
    "pattern",
    [
        # the pattern that this project had for what ClickHouse quotes in a CSV field
        r"'(?P<text>(?:[^'\\]++|\\.)*+)'|\b(?P<null>NULL)\b|\bnull\b",
        # and the one that masked the user in a URL
        r"([a-z][a-z0-9+.\-]*://)[^\s/?#\"'<>]+@",
        r"(a+)+b",
        r"(?:a|aa)*b",
        r"\s*\d*\s*x",
        r"[a-z]*[a-y]*!",
        r".*=.*;",
    ],
)
def test_what_is_not_linear_is_found(pattern: str) -> None:
    on_a_deep_stack(lambda: _assert_found(pattern))


def _assert_found(pattern: str) -> None:
    assert find(re.compile(pattern), whole=False) is not None


@pytest.mark.thorough
@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_pattern_of_a_module_is_linear(path: Path) -> None:
    source, patterns = path.read_text(), written(path)
    made_here = [
        call for call in calls(ast.parse(source)) if str(path.relative_to(ROOT)) not in MAKERS
    ]
    assert patterns or not made_here, "its patterns are not found"
    on_a_deep_stack(lambda: _assert_linear(patterns, source))


def _assert_linear(patterns: dict[str, re.Pattern[Any]], source: str) -> None:
    slow = {name: find(each, whole=anchored(name, source)) for name, each in patterns.items()}
    assert not {name: text for name, text in slow.items() if text is not None}


def test_patterns_made_of_a_dialect_are_linear() -> None:
    fields, others = made()
    on_a_deep_stack(lambda: _assert_all(fields, whole=False))
    on_a_deep_stack(lambda: _assert_all(others, whole=True))


def _assert_all(patterns: list[re.Pattern[Any]], *, whole: bool) -> None:
    for pattern in patterns:
        assert find(pattern, whole=whole) is None, pattern.pattern
