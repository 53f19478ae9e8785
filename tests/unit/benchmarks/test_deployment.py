"""A benchmark that fails tells what its processes said, for their folder goes with them."""

import traceback
from pathlib import Path

import pytest

from benchmarks.deployment import _LOG_BYTES, _place, _telling_of_logs


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
