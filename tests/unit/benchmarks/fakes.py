"""Benchmarks that end in every way, quickly: `benchmarks.child` finds them here by name."""

import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator

from benchmarks.figures import Figure, Outcome, Target
from benchmarks.options import Options

HERE = __name__


def part(name: str, value: float = 1.0) -> Outcome:
    target = Target(bound=20.0)
    figures = [Figure(name=name, value=value, unit="ms", target=target)]
    return Outcome(figures=figures, conditions=[f"of {name}"])


def works(options: Options) -> Iterator[Outcome]:
    yield part(f"first on {options.database}")
    sys.stdout.write("what a library says on its standard output\n")
    yield part(f"second on {options.database}")


def raises(_: Options) -> Iterator[Outcome]:
    yield part("before the error")
    raise RuntimeError("the workers are gone")


def raises_no_error(_: Options) -> Iterator[Outcome]:
    yield part("before the exit")
    sys.exit(0)


def is_killed(_: Options) -> Iterator[Outcome]:
    yield part("before the kill")
    os.kill(os.getpid(), signal.SIGKILL)


def leaves_files_and_is_killed(_: Options) -> Iterator[Outcome]:
    yield part(tempfile.mkdtemp())
    os.kill(os.getpid(), signal.SIGKILL)


def leaves(_: Options) -> Iterator[Outcome]:
    yield part("before it left")
    os._exit(0)


def hangs(_: Options) -> Iterator[Outcome]:
    yield part("its process", os.getpid())
    threading.Event().wait()


def hangs_and_ignores_ctrl_c(_: Options) -> Iterator[Outcome]:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield part("its process", os.getpid())
    threading.Event().wait()
