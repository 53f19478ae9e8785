"""What a benchmark waits for, and what it tells of its processes where it fails."""

import traceback
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import deployment
from benchmarks.deployment import _LOG_BYTES, Deployment, _place, _telling_of_logs


def test_an_error_carries_the_end_of_every_log(tmp_path: Path) -> None:
    for name in ("worker", "clock"):
        log = _place(tmp_path, name) / "server.log"
        log.write_text(f"the first words of {name}" + "x" * _LOG_BYTES + f"the last of {name}\n")
    _place(tmp_path, "web")  # which never started

    with pytest.raises(TimeoutError) as caught, _telling_of_logs(tmp_path):
        raise TimeoutError("the end of all jobs did not come")

    told = "".join(traceback.format_exception(caught.value))
    assert "the end of all jobs did not come" in told
    assert "the last of worker" in told
    assert "the last of clock" in told
    assert "the first words" not in told


def test_two_processes_of_one_name_have_folders_of_their_own(tmp_path: Path) -> None:
    assert _place(tmp_path, "worker") != _place(tmp_path, "worker")


def drained(counts: list[int]) -> None:
    """Wait while the jobs that are left are so many, look by look."""
    left = iter(counts)
    fake = SimpleNamespace(count_jobs=lambda *_: next(left))
    fake._has_others_than = lambda count: Deployment._has_others_than(fake, count)  # type: ignore[arg-type]
    Deployment.drain(fake)  # type: ignore[arg-type]


def test_jobs_are_waited_for_as_long_as_they_move(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "_PATIENCE_SECONDS", -1.0)  # none for a look without a change

    drained([1, 500, 500, 499, 498, 0, 0])  # a batch's one job becomes many


def test_jobs_that_do_not_move_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "_PATIENCE_SECONDS", -1.0)

    with pytest.raises(TimeoutError, match="the end of one of 3 jobs did not come"):
        drained([4, 3, 3, 3])
