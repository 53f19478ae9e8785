"""What the command line says of a check of a source."""

from typing import Any

import pytest

from cli.checking import _show

STEP: dict[str, Any] = {
    "step": "dns",
    "outcome": "passed",
    "detail": "It has 1 address.",
    "code": None,
    "hint": None,
}
RESULT: dict[str, Any] = {
    "passed": True,
    "url_pattern": "https://b.s3.amazonaws.com/a.csv",
    "format": "CSVWithNames",
    "steps": [STEP],
    "columns": [{"name": "id", "type": "Nullable(Int64)"}],
    "row_count": None,
    "warnings": [],
    "grant": {"title": "A policy", "text": "{}"},
}


def test_each_step_is_shown_with_the_columns_and_the_policy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _show(RESULT)
    said = capsys.readouterr()

    assert "DNS\tpassed\tIt has 1 address." in said.out.splitlines()
    assert "id\tNullable(Int64)" in said.out.splitlines()
    assert "A policy allows the least that this pattern needs:\n\n{}\n" in said.out
    assert "--format CSVWithNames" in said.err


def test_a_step_that_failed_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    step = STEP | {"outcome": "failed", "code": "storage_unavailable", "hint": "Check the name."}
    _show(RESULT | {"passed": False, "steps": [step], "columns": [], "grant": None})
    said = capsys.readouterr()

    assert said.out.splitlines()[-1] == "Check the name."
    assert said.err == ""
