"""What the command line says of a file that was sent, and of the job of a dry run."""

from typing import Any

import pytest

from cli.jobs import _row, _show
from cli.uploads import _judge, _report
from stocktake.errors import CommandError

WARNING = {"code": "date_order", "sentence": "Days first.", "file": None, "line": None}
REFUSAL = {"code": "schema_conflict", "detail": "No column 'x'.", "hint": "Correct the name."}
VERDICT: dict[str, Any] = {
    "table": "orders",
    "exists": True,
    "rows_before": 2,
    "change": "none",
    "diff": {},
    "columns": [{"name": "id", "type": "Nullable(Int64)"}, {"name": "b", "type": "Bool"}],
    "row_count": 1,
    "refusal": None,
    "warnings": [],
}
JOB: dict[str, Any] = {
    "id": "7",
    "kind": "check_file",
    "table_id": None,
    "state": "succeeded",
    "done": True,
    "attempt": 1,
    "max_attempts": 5,
    "created_at": None,
    "started_at": None,
    "finished_at": None,
    "result": VERDICT,
    "error": None,
    "attempts": [],
}
TABLE: dict[str, Any] = {
    "name": "orders",
    "row_count": 1234,
    "warnings": [WARNING],
    "job_id": "7",
    "latest_job": {"id": "7", "state": "succeeded", "error": None},
}


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_a_dry_run_is_shown_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    _show(JOB)
    shown = lines_of(capsys)
    assert {"Table\torders", "Columns\t2", "Rows\t1", "Change\tnone"} <= set(shown)
    assert not any("{" in line or "refused" in line for line in shown)


def test_a_dry_run_that_refuses_says_why_and_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _show(JOB | {"result": VERDICT | {"refusal": REFUSAL, "change": "breaking"}})
    shown = lines_of(capsys)
    at = shown.index("Would be refused\tschema_conflict")
    assert shown[at + 1 : at + 3] == ["\tNo column 'x'.", "What to do\tCorrect the name."]


def test_a_list_tells_the_table_and_the_verdict_of_a_dry_run() -> None:
    assert _row(JOB, {})[2] == "orders"
    assert _row(JOB, {})[-1] is None
    assert _row(JOB | {"result": VERDICT | {"refusal": REFUSAL}}, {})[-1] == "schema_conflict"
    assert _row(JOB | {"result": None, "state": "queued"}, {})[2] is None


def test_a_dry_run_whose_job_failed_is_not_still_to_come() -> None:
    failed = JOB | {"state": "failed", "result": None, "error": REFUSAL}
    with pytest.raises(CommandError, match=r"No column 'x'\.\nCorrect the name\."):
        _judge(failed, quiet=False)
    cancelled = JOB | {"state": "cancelled", "result": None}
    with pytest.raises(CommandError, match="The job is cancelled"):
        _judge(cancelled, quiet=False)


def test_an_upload_that_was_waited_for_tells_its_warnings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _report(TABLE, quiet=False)
    assert lines_of(capsys) == [
        "orders has 1,234 rows.",
        "Warning: Days first. (date_order)",
    ]
