"""Run benchmarks one after the other, each in a process of its own, and keep what they find.

What a benchmark tells is in the file before the next thing is measured; one that fails, hangs,
dies or is interrupted costs its own remaining figures and no others.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from benchmarks import machine
from benchmarks.catalogue import Benchmark
from benchmarks.figures import from_dict
from benchmarks.options import Options
from benchmarks.results import Record
from servers.process import LAUNCH

_ROOT: Final = Path(__file__).parent.parent
#: For the servers of a benchmark to end in good order.
_STOP_SECONDS: Final = 40.0
#: In which a second Ctrl-C ends the whole run.
_AGAIN_SECONDS: Final = 3.0


class BenchmarkFailedError(Exception):
    """A benchmark ended before it had measured everything; the message is the reason."""

    def __init__(self, reason: str, trace: str = "") -> None:
        super().__init__(reason)
        self.trace = trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One benchmark, on one database where that matters."""

    name: str
    benchmark: Benchmark
    options: Options

    @property
    def database(self) -> str | None:
        """None where it does not matter."""
        return self.options.database if self.benchmark.by_database else None

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.name} on {self.database}" if self.database else self.name


def run(
    units: Sequence[Unit],
    facts: Mapping[str, str],
    keep: Callable[[Record], None],
    announce: Callable[[str], None],
) -> None:
    """Measure all units, whatever becomes of any of them.

    Args:
        facts: the conditions that all share.
        keep: is given a record for each part, as soon as it is measured, and one for each failure.
        announce: is told what happens, in words for people.
    """
    for number, unit in enumerate(units, 1):
        limit = unit.benchmark.limit_minutes
        announce(f"{unit.label} ({number} of {len(units)}; for {limit:g} min at most) …")
        started = time.monotonic()
        try:
            with closing(_records(unit, facts)) as records:
                for record in records:
                    keep(record)
        except KeyboardInterrupt:
            keep(_failed(unit, facts, "interrupted by Ctrl-C"))
            if _interrupted_again(announce):
                return
        announce(f"  took {time.monotonic() - started:.0f} s")


def _interrupted_again(announce: Callable[[str], None]) -> bool:
    """Return whether a second Ctrl-C ends the whole run."""
    try:
        announce(f"Ctrl-C once more within {_AGAIN_SECONDS:g} s ends the whole run.")
        threading.Event().wait(_AGAIN_SECONDS)
    except KeyboardInterrupt:
        return True
    return False


def _records(unit: Unit, facts: Mapping[str, str]) -> Generator[Record, None, None]:
    load, since = machine.load(), time.monotonic()
    try:
        for told in measured(unit):
            before, load = load, machine.load()
            began, since = since, time.monotonic()
            part = {
                "measured": machine.now(),
                "load": f"{before:.1f} to {load:.1f}",
                "took": f"{since - began:.0f} s",
            }
            yield Record(
                benchmark=unit.name,
                database=unit.database,
                facts={**facts, **part},
                figures=tuple(from_dict(one) for one in told["figures"]),
                conditions=tuple(told["conditions"]),
                rows=tuple(told["rows"]),
            )
    except BenchmarkFailedError as exc:
        yield _failed(unit, facts, str(exc), exc.trace)


def _failed(unit: Unit, facts: Mapping[str, str], reason: str, trace: str = "") -> Record:
    now = {"measured": machine.now(), "load": f"{machine.load():.1f}"}
    return Record(
        benchmark=unit.name,
        database=unit.database,
        facts=dict(facts) | now,
        failure=reason,
        trace=trace,
    )


def measured(unit: Unit) -> Iterator[dict[str, Any]]:
    """Yield what the benchmark's process tells, part by part.

    Raises:
        BenchmarkFailedError: it failed, took too long, or its process ended.
    """
    give_up_at = time.monotonic() + unit.benchmark.limit_minutes * 60
    with _process(unit) as (process, lines):
        while line := _next_line(lines, give_up_at - time.monotonic(), unit):
            told: dict[str, Any] = json.loads(line)
            if "failure" in told:
                raise BenchmarkFailedError(told["failure"], told["traceback"])
            if "done" in told:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_STOP_SECONDS)
                return
            yield told
        raise BenchmarkFailedError(_ended(process.wait()))


def _next_line(lines: "queue.SimpleQueue[str]", seconds: float, unit: Unit) -> str:
    try:
        return lines.get(timeout=max(0.0, seconds))
    except queue.Empty:
        limit = unit.benchmark.limit_minutes
        raise BenchmarkFailedError(
            f"it did not end within {limit:g} min, and was stopped"
        ) from None


def _ended(status: int) -> str:
    how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
    return f"its process was ended {how} before it had told everything"


@contextmanager
def _process(
    unit: Unit,
) -> Iterator[tuple["subprocess.Popen[str]", "queue.SimpleQueue[str]"]]:
    """Run the benchmark's process, and yield it with the lines that it writes; the last one is
    empty.

    Its temporary files, and those of all its servers, are in one folder, which is removed.
    """
    launcher = [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid())]
    command = [sys.executable, "-m", "benchmarks.child"]
    with tempfile.TemporaryDirectory(prefix="stocktake-bench-", ignore_cleanup_errors=True) as own:
        os.chmod(own, 0o711)  # PostgreSQL may run as another user, below it
        process = subprocess.Popen(
            [
                *(*launcher, str(int(signal.SIGKILL)), "same"),
                *(*command, unit.benchmark.function, unit.options.line()),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            cwd=_ROOT,
            env=os.environ | {"TMPDIR": own},
            text=True,
            start_new_session=True,  # Ctrl-C is for us, who stop it
        )
        assert process.stdout is not None
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        collecting = threading.Thread(target=_collect, args=(process.stdout, lines), daemon=True)
        collecting.start()
        try:
            yield process, lines
        finally:
            _stop(process)
            collecting.join()


def _collect(written: IO[str], lines: "queue.SimpleQueue[str]") -> None:
    with written:
        for line in written:
            if line.endswith("\n"):  # one that is not was cut off by the end of its process
                lines.put(line)
    lines.put("")


def _stop(process: "subprocess.Popen[str]") -> None:
    try:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with suppress(ProcessLookupError):
            # With what it left of its own group; its servers end with their parent.
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
