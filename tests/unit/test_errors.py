"""Every error of a job, and every warning of a read, has a row in docs/errors.md that tells the
truth."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from stocktake import errors
from stocktake.errors import HandedBackError, JobError, RequestError, TerminalError, TransientError
from stocktake.schema.warnings import WarningCode

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "errors.md").read_text()
#: The page's codes, and whether it says that they are retried.
DOCUMENTED = dict(re.findall(r"^\| `(\w+)` \| (yes|no) \| [^|]+ \| [^|]+ \|$", PAGE, re.MULTILINE))
#: Bases without a code of their own.
BASES = {JobError, TerminalError, TransientError, HandedBackError}


def all_below(base: type[JobError]) -> Iterator[type[JobError]]:
    for each in base.__subclasses__():
        if each.__module__ == errors.__name__:
            yield each
            yield from all_below(each)


CLASSES = sorted({*all_below(JobError)} - BASES, key=lambda each: each.__name__)


def raised() -> dict[str, type[JobError]]:
    """Every code that is given where an error is built, by the class that it is given to."""
    found = {}
    for package in ("stocktake", "tasks", "workers", "api"):
        for path in (ROOT / package).rglob("*.py"):
            for call in ast.walk(ast.parse(path.read_text())):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                    found |= _codes(call, call.func.id)
    return found


def _codes(call: ast.Call, name: str) -> dict[str, type[JobError]]:
    kind = getattr(errors, name, None)
    if not (isinstance(kind, type) and issubclass(kind, JobError)):
        return {}
    values = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
    assert all(isinstance(value, ast.Constant) for value in values), "a code is written out"
    if kind in BASES:
        assert values, f"a bare {name} has no code"
    return {str(value.value): kind for value in values if isinstance(value, ast.Constant)}


RAISED = raised() | {each.default_code: each for each in CLASSES}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_error_has_a_code_of_its_own_and_says_what_to_do(kind: type[JobError]) -> None:
    error = kind("What happened.", file="a/b.csv")
    told = error.as_dict()
    assert set(told) == {"code", "retryable", "detail", "hint", "file"}
    assert [each for each in CLASSES if each.default_code == error.code] == [kind]
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error.code)
    assert error.hint.endswith((".", ")"))
    assert (told["detail"], told["file"]) == ("What happened.", "a/b.csv")
    assert told["retryable"] is issubclass(kind, TransientError)


def test_error_says_what_a_source_holds_in_words_that_can_be_sent() -> None:
    assert JobError("A column is named \ud800.").as_dict()["detail"] == r"A column is named \ud800."


@pytest.mark.parametrize("code", sorted(RAISED))
def test_code_is_on_the_page_with_whether_it_is_retried(code: str) -> None:
    assert DOCUMENTED.get(code) == ("yes" if RAISED[code].retryable else "no")


def test_page_names_no_code_that_is_never_raised() -> None:
    assert set(DOCUMENTED) - set(RAISED) == set()
    assert len(DOCUMENTED) > 30


def test_every_code_of_a_refused_request_is_documented() -> None:
    kinds = [each for each in RequestError.__subclasses__() if each.__module__ == errors.__name__]
    rows = re.findall(r"^\| \d{3} \| (.+?) \|", PAGE, re.MULTILINE)
    documented = {code for row in rows for code in re.findall(r"`(\w+)`", row)}
    assert {each.default_code for each in kinds} <= documented


def test_each_warning_stands_on_the_page() -> None:
    page = PAGE.partition("# Warnings of a read")[2].partition("\n# ")[0]
    rows = re.findall(r"^\| (`[^|]+)\|", page, re.MULTILINE)
    assert {code for row in rows for code in re.findall(r"\w+", row)} == set(WarningCode)


def test_no_sentence_names_a_replacement_without_what_it_removes() -> None:
    """Whoever does as a hint says must not lose rows by surprise."""
    found = [text for text in sentences() if "mode=replace" in text]
    assert len(found) > 2
    assert [text for text in found if "remove" not in text] == []


def sentences() -> Iterator[str]:
    """All texts of the code but its docstrings; each part of an f-string alone."""
    for folder in ("api", "cli", "stocktake", "workers"):
        for file in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(file.read_text())
            told = {each.value for each in ast.walk(tree) if isinstance(each, ast.Expr)}
            for each in ast.walk(tree):
                if isinstance(each, ast.Constant) and each not in told:
                    yield str(each.value)
