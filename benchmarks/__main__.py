"""Measure the running service, and the readers beside their peers.

Each benchmark has a process of its own. What it finds is shown, and appended to a file of lines of
JSON, as soon as it is measured; one that fails costs no other. The exit status is 1 where one
failed, and says nothing of how good the figures are.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from benchmarks import machine, report, results
from benchmarks.catalogue import BENCHMARKS
from benchmarks.inputs import INPUTS
from benchmarks.options import DatabaseKind, Options, default_cache
from benchmarks.peers import PEERS
from benchmarks.publish import publish
from benchmarks.results import Record
from benchmarks.run import Unit, run

_RESULTS: Final = Path(__file__).with_name("results")
_DATABASES: Final[dict[str, tuple[DatabaseKind, ...]]] = {
    "sqlite": ("sqlite",),
    "postgresql": ("postgresql",),
    "both": ("sqlite", "postgresql"),
}
#: A tenth of the work, or a reader without those that it stands beside.
_UNFIT: Final = ("--quick", "--peer")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for; 1 where a benchmark failed."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    if asked.read and not asked.read.is_file():
        parser.error(f"--read {asked.read}: there is no such file")
    records = results.read(asked.read) if asked.read else []
    said = [each.facts["run as"] for each in records] or [_described(asked)]
    if asked.write_readme and any(flag in each for each in said for flag in _UNFIT):
        parser.error(f"a run with {' or '.join(_UNFIT)} is not for the README")
    signal.signal(signal.SIGTERM, _end)
    try:
        if not asked.read:
            _measure(asked, records)
    except KeyboardInterrupt:
        _say("Ended by Ctrl-C.")
    finally:
        print(f"\n{report.text(records)}" if records else "Nothing was measured.")
        if asked.write_readme:
            publish(records)
    return int(any(each.failure is not None for each in records) or not records)


def _measure(asked: argparse.Namespace, records: list[Record]) -> None:
    facts = machine.facts(_described(asked))
    file = asked.results or _RESULTS / f"{facts['run'].replace(' ', 'T').replace(':', '-')}.jsonl"
    _say(f"Each figure is kept in {file} as soon as it is measured.\n")

    def keep(record: Record) -> None:
        results.append(file, record)
        records.append(record)
        _show(record)

    run(_units(asked), facts, keep, _say)


def _units(asked: argparse.Namespace) -> list[Unit]:
    units = []
    for name in asked.only or BENCHMARKS:
        benchmark = BENCHMARKS[name]
        databases = _DATABASES[asked.database] if benchmark.by_database else ("sqlite",)
        units += [Unit(name=name, benchmark=benchmark, options=_options(asked, database))
                  for database in databases]  # fmt: skip
    return units


def _options(asked: argparse.Namespace, database: DatabaseKind) -> Options:
    return Options(
        database=database,
        quick=asked.quick,
        inputs=tuple(asked.input or ()),
        peers=tuple(asked.peer or ()),
        cache=str(asked.cache.resolve()),
    )


def _show(record: Record) -> None:
    if record.figures:
        print(report.lines(record.figures), flush=True)
    if record.failure is not None:
        _say(f"  FAILED: {record.failure}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _end(number: int, _: FrameType | None) -> None:
    """Leave as after the last benchmark: what was measured is shown and published."""
    sys.exit(128 + number)


def _described(asked: argparse.Namespace) -> str:
    said = ["--database", asked.database, *(["--quick"] if asked.quick else [])]
    for name in ("only", "input", "peer"):
        said += [part for value in getattr(asked, name) or () for part in (f"--{name}", value)]
    return f"`{' '.join(['python -m benchmarks', *said])}`"


def _parser() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {name:<12}{each.question}" for name, each in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog=f"benchmarks, in this order:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--only", action="append", choices=BENCHMARKS, metavar="NAME",
        help="this benchmark; may be repeated")  # fmt: skip
    add("--database", choices=_DATABASES, default="both", help="the service's; both by default")
    add("--quick", action="store_true", help="a tenth of the work: to see that it runs")
    add("--write-readme", action="store_true",
        help="put what was measured into README.md, and leave its other figures")  # fmt: skip
    add("--results", type=Path, metavar="FILE",
        help="keep the figures here; by default in a new file in benchmarks/results")  # fmt: skip
    add("--read", type=Path, metavar="FILE",
        help="measure nothing; show, or publish, what an earlier run has kept")  # fmt: skip
    readers = parser.add_argument_group("of the readers")
    names = [each.name for each in INPUTS]
    readers.add_argument("--input", action="append", choices=names, metavar="NAME",
                         help=f"this input; may be repeated: {', '.join(names)}")  # fmt: skip
    readers.add_argument("--peer", action="append", choices=PEERS, metavar="NAME",
                         help=f"this reader; may be repeated: {', '.join(PEERS)}")  # fmt: skip
    readers.add_argument("--cache", type=Path, default=default_cache(), metavar="FOLDER",
                         help="for two gigabytes of generated inputs")  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
