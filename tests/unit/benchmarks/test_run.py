"""A run keeps every figure, whatever becomes of a benchmark or of the run."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks import run as running
from benchmarks.catalogue import BENCHMARKS, Benchmark
from benchmarks.child import _found
from benchmarks.options import Options
from benchmarks.results import Record, read
from benchmarks.run import Unit, run
from tests.unit.benchmarks import fakes

FACTS = {"run": "2026-11-29 02:00", "run as": "`x`", "machine": "m", "disk": "d", "versions": "v"}


def unit(name: str, limit_minutes: float = 5.0) -> Unit:
    benchmark = Benchmark(
        function=f"{fakes.HERE}:{name}", question="?", limit_minutes=limit_minutes
    )
    return Unit(name=name, benchmark=benchmark, options=Options())


def run_all(*units: Unit) -> list[Record]:
    kept: list[Record] = []
    run(units, FACTS, kept.append, lambda _: None)
    return kept


def told(records: list[Record], name: str) -> list[str]:
    """The figures of a benchmark, and the reason where it failed, as they came."""
    mine = [each for each in records if each.benchmark == name]
    return [each.failure or each.figures[0].name for each in mine]


def wait_for_end(pid: float) -> None:
    try:
        psutil.Process(int(pid)).wait(60)
    except psutil.NoSuchProcess:
        return


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("raises", "RuntimeError: the workers are gone"),
        ("is_killed", "its process was ended by SIGKILL before it had told everything"),
        ("leaves", "its process was ended with status 0 before it had told everything"),
        ("raises_no_error", "its process was ended with status 0 before it had told everything"),
    ],
)
def test_a_benchmark_that_ends_early_keeps_its_figures_and_costs_no_other(
    name: str, reason: str
) -> None:
    kept = run_all(unit(name), unit("works"))

    [before, failure] = told(kept, name)
    assert before.startswith("before")
    assert failure == reason
    assert told(kept, "works") == ["first on sqlite", "second on sqlite"]


def test_the_place_of_an_error_is_kept_beside_its_reason() -> None:
    [_, failed] = run_all(unit("raises"))

    assert "in raises" in failed.trace


@pytest.mark.parametrize("name", ["hangs", "hangs_and_ignores_ctrl_c"])
def test_a_benchmark_that_takes_too_long_is_stopped_and_the_others_run(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_STOP_SECONDS", 0.5)
    # Counted from the start of its process, so on a slow machine it may end before its first part.
    kept = run_all(unit(name, limit_minutes=0.05), unit("works"))

    assert told(kept, name)[-1] == "it did not end within 0.05 min, and was stopped"
    assert told(kept, "works") == ["first on sqlite", "second on sqlite"]
    for each in kept[0].figures:
        assert not psutil.pid_exists(int(each.value))


@pytest.fixture
def ctrl_c_is_heard() -> Iterator[None]:
    """A shell has what it runs in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_ctrl_c_ends_one_benchmark_and_a_second_one_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(running, "_AGAIN_SECONDS", 0.2)
    kept: list[Record] = []
    said: list[str] = []
    units = [unit("hangs"), unit("works"), unit("hangs"), unit("works")]

    def keep(record: Record) -> None:
        kept.append(record)
        if record.figures and record.benchmark == "hangs":
            os.kill(os.getpid(), signal.SIGINT)

    def announce(text: str) -> None:
        said.append(text)
        asked_for_more = [each for each in said if "Ctrl-C once more" in each]
        if text in asked_for_more and len(asked_for_more) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    run(units, FACTS, keep, announce)

    assert told(kept, "hangs") == ["its process", "interrupted by Ctrl-C"] * 2
    assert told(kept, "works") == ["first on sqlite", "second on sqlite"]
    for each in (each for record in kept if record.benchmark == "hangs" for each in record.figures):
        wait_for_end(each.value)


KILLED = """
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from benchmarks.results import append
from benchmarks.run import run
from tests.unit.benchmarks.test_run import FACTS, unit

def keep(record):
    append(Path(sys.argv[1]), record)
    print(record.figures[0].name, flush=True)

run([unit("works"), unit("hangs"), unit("works")], FACTS, keep, lambda _: None)
"""


def test_a_run_that_is_killed_has_kept_all_that_it_had_measured(tmp_path: Path) -> None:
    file = tmp_path / "results" / "run.jsonl"
    command = [sys.executable, "-c", KILLED, str(file)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(tmp_path)}
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout)
        while next(lines) != "its process\n":
            pass
        process.kill()

    kept = read(file)

    assert told(kept, "works") == ["first on sqlite", "second on sqlite"]
    [hung] = [each for each in kept if each.benchmark == "hangs"]
    wait_for_end(hung.figures[0].value)


def test_temporary_files_of_a_benchmark_that_was_killed_are_removed() -> None:
    [left, _] = run_all(unit("leaves_files_and_is_killed"))

    [folder] = left.figures
    assert folder.name.startswith(tempfile.gettempdir())
    assert not Path(folder.name).exists()


def test_a_part_says_when_it_was_measured_and_beside_which_load() -> None:
    [first, _] = run_all(unit("works"))

    assert first.facts.keys() - FACTS.keys() == {"measured", "load", "took"}
    assert " to " in first.facts["load"]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_of_the_catalogue_is_where_it_says(name: str) -> None:
    assert callable(_found(BENCHMARKS[name].function))
