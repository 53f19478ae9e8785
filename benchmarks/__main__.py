"""``python -m benchmarks``: run the benchmarks one after the other and print one table.

Each benchmark is a module with one function, ``measure(options) -> Outcome``; a new one is a
new module and a line in ``BENCHMARKS``. The exit status says whether they ran, not how well.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks import accept, broker, machine, readers, ready, report, start, throughput
from benchmarks.figures import Outcome
from benchmarks.options import Options

BENCHMARKS: Final[dict[str, Callable[[Options], Outcome]]] = {
    "ready": ready.measure,
    "accept": accept.measure,
    "broker": broker.measure,
    "start": start.measure,
    "throughput": throughput.measure,
    "readers": readers.measure,
}
_README: Final = Path(__file__).with_name("README.md")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line asks for, print it, and write the files that it names."""
    asked = _parser().parse_args(arguments)
    options = Options(database=asked.database, quick=asked.quick)
    facts = machine.facts(_described(asked))
    outcomes = {name: _measured(name, options) for name in asked.only or BENCHMARKS}
    text = report.text(outcomes, facts)
    print(text)
    if asked.json is not None:
        asked.json.write_text(report.as_json(outcomes, facts))
    if asked.write_readme:
        _README.write_text(report.with_last_run(_README.read_text(), text))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=BENCHMARKS, help="run this one; may be repeated"
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, not to quote")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    parser.add_argument(
        "--write-readme", action="store_true", help="also put the table into benchmarks/README.md"
    )
    return parser


def _described(asked: argparse.Namespace) -> str:
    only = [part for name in asked.only or () for part in ("--only", name)]
    quick = ["--quick"] if asked.quick else []
    return " ".join(["`python -m benchmarks", "--database", asked.database, *quick, *only]) + "`"


def _measured(name: str, options: Options) -> Outcome:
    print(f"{name} …", end=" ", file=sys.stderr, flush=True)
    started = time.monotonic()
    outcome = BENCHMARKS[name](options)
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
    return outcome


if __name__ == "__main__":
    main()
