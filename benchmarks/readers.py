"""The readers beside their peers, on the same generated inputs in one run.

Each reader has a process of its own for each input and place. Its first read, timed from the
process's start, is the fresh figure; the reads that follow are the warm ones, as a worker makes
them. ``python -m benchmarks.readers`` runs this alone, and can draw the chart.
"""

import argparse
import importlib.metadata
import json
import re
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from benchmarks import chart, machine, report
from benchmarks.delay_proxy import DelayProxy
from benchmarks.figures import Outcome
from benchmarks.inputs import INPUTS, Input, default_cache, made
from benchmarks.options import Options
from benchmarks.peers import PEERS, Place
from benchmarks.readers_children import Child, PeerFailedError, TooSlowError
from benchmarks.readers_figures import OURS, RIVAL, Measured, Where, figures
from benchmarks.readers_store import BUCKET, KeptStore
from benchmarks.readers_table import table

DELAY_SECONDS: Final = 0.030
_TIMEOUT_SECONDS: Final = 60.0
#: Warm reads: the short ones are many, so that what else the machine does hits few of them.
_LEAST_READS: Final = 3
_MOST_READS: Final = 50
_WARM_SECONDS: Final = 0.8
#: A first read above this is its own warm figure: a second one would tell nothing new.
_LONG_SECONDS: Final = 5.0
_PEERS: Final = ("chdb", "deltalake", "polars", "duckdb", "duckdb-ext-delta")
_BEGIN: Final = "<!-- begin: readers, written by `python -m benchmarks.readers --write-readme` -->"
_END: Final = "<!-- end: readers -->"
_README: Final = Path(__file__).with_name("README.md")
_CHART: Final = Path(__file__).with_name("readers.png")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One reader, one input, one place."""

    peer: str
    input: Input
    where: Where
    place: Place
    proxy: DelayProxy | None


def measure(options: Options) -> Outcome:
    """Compare on all inputs, or on a few where the run is quick, and print the readers' table."""
    inputs = [each for each in INPUTS if each.quick or not options.quick]
    found = compare(inputs, list(PEERS), default_cache())
    print(table(found), end="\n\n")
    return Outcome(figures=figures(found), conditions=conditions())


def conditions() -> list[str]:
    """Without these the figures mean little."""
    versions = (f"{name} {importlib.metadata.version(name)}" for name in (*_PEERS, "obstore"))
    return [
        f"peers: {', '.join(versions)}",
        f"each reader has a process of its own; warm is the median of {_LEAST_READS} to "
        f"{_MOST_READS} reads after the first; fresh is one process from its start to its answer; "
        f"a first read above {_LONG_SECONDS:g} s is not repeated, and stands as warm too",
        f"S3 is SeaweedFS on the same machine behind a proxy that adds {DELAY_SECONDS * 1000:g} "
        "ms to each request, and counts requests and bytes",
        "ours opens a new store for each read, as each job does; the others keep their connections",
        f"{RIVAL} reads all files of a glob (schema_inference_mode = union), as ours does, with "
        "its cache of schemas on for unchanged files only; of Delta tables it has none, so an "
        "unchanged one is held against its ordinary read",
    ]


def compare(inputs: Sequence[Input], peers: Sequence[str], cache: Path) -> list[Measured]:
    """Have the peers read the inputs, locally and through the delaying proxy."""
    folders = {each.name: made(cache, each) for each in inputs}
    with ExitStack() as stack:
        remote = [each for each in inputs if each.on_s3]
        store = stack.enter_context(KeptStore(cache))
        store.hold(cache, remote)
        proxy = stack.enter_context(DelayProxy(store.port, DELAY_SECONDS))
        found: list[Measured] = []
        for each in inputs:
            for peer in (peer for peer in peers if _reads(peer, each)):
                place = _local(each, folders[each.name])
                found += _measured(
                    _Job(peer=peer, input=each, where="local", place=place, proxy=None)
                )
            for peer in (peer for peer in peers if each.on_s3 and _reads(peer, each)):
                place = _remote(each, store, proxy)
                found += _measured(
                    _Job(peer=peer, input=each, where="S3", place=place, proxy=proxy)
                )
            print(".", end="", file=sys.stderr, flush=True)
    return sorted(found, key=lambda one: (_order(one.input), one.where == "S3", one.unchanged))


def _order(name: str) -> int:
    return [each.name for each in INPUTS].index(name)


def _reads(peer: str, each: Input) -> bool:
    return peer != "deltalake" or each.format == "delta"


def _local(each: Input, folder: Path) -> Place:
    path = folder / each.pattern if each.pattern else folder
    return Place(format=each.format, path=str(path))


def _remote(each: Input, store: KeptStore, proxy: DelayProxy) -> Place:
    return Place(
        format=each.format,
        path=f"{BUCKET}/{each.name}/{each.pattern}".rstrip("/"),
        endpoint=proxy.endpoint,
        key=store.access_key,
        secret=store.secret_key,
    )


def _measured(job: _Job) -> Iterator[Measured]:
    one = Measured(
        input=job.input.name, what=job.input.what, where=job.where, peer=job.peer
    )  # fmt: skip
    try:
        with Child(job.peer, _TIMEOUT_SECONDS) as child:
            first = _warm(child, job.place, job.proxy, one, fresh=True)
            yield first
            if _remembers(job.peer, first):
                again = replace(job.place, unchanged=True)
                yield _warm(child, again, job.proxy, replace(one, unchanged=True), fresh=False)
    except TooSlowError:
        yield replace(one, error=f">{_TIMEOUT_SECONDS:g} s")
    except PeerFailedError as exc:
        yield replace(one, error="fails")
        print(f"\n{job.peer} on {job.input.name}, {job.where}: {exc}", file=sys.stderr)


def _remembers(peer: str, first: Measured) -> bool:
    """Whether the reader makes use of an earlier read; one that takes long is not asked again."""
    if peer == OURS:
        return True
    return peer == RIVAL and not first.is_delta and (first.warm_seconds or 0) < _LONG_SECONDS


def _warm(
    child: Child, place: Place, proxy: DelayProxy | None, one: Measured, *, fresh: bool
) -> Measured:
    first = child.ask(place)
    fresh_seconds = child.age_seconds if fresh else None
    if proxy is not None:
        traffic = proxy.traffic()
    answers = [first]
    if first["seconds"] < _LONG_SECONDS:
        answers = _repeated(child, place)
        if proxy is not None:
            traffic = proxy.traffic()
    return replace(
        one,
        fresh_seconds=fresh_seconds,
        warm_seconds=statistics.median(answer["seconds"] for answer in answers),
        requests=traffic.requests / len(answers) if proxy else None,
        megabytes=traffic.bytes / len(answers) / 1e6 if proxy else None,
        idle_mib=child.idle_mib,
        peak_mib=max(answer["peak_mib"] for answer in [first, *answers]),
    )


def _repeated(child: Child, place: Place) -> list[dict[str, float]]:
    answers: list[dict[str, float]] = []
    while len(answers) < _MOST_READS:
        answers.append(child.ask(place))
        spent = sum(answer["seconds"] for answer in answers)
        if len(answers) >= _LEAST_READS and spent > _WARM_SECONDS:
            break
    return answers


def page(found: Sequence[Measured], facts: dict[str, str]) -> str:
    """The readers' part of the README."""
    described = [*(f"- {name}: {fact}" for name, fact in facts.items())]
    described += [f"- {sentence}" for sentence in conditions()]
    parts = [
        f"![Time and memory of the readers]({_CHART.name})",
        table(found),
        report.table(figures(found)),
        "Conditions:",
        "\n".join(described),
    ]
    return "\n\n".join(parts)


def with_page(readme: str, text: str) -> str:
    """The README with what stands between the readers' two markers replaced.

    Raises:
        ValueError: it has not one pair of markers.
    """
    pattern = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)
    if len(pattern.findall(readme)) != 1:
        raise ValueError(f"the page must have one place between {_BEGIN!r} and {_END!r}")
    return pattern.sub(lambda _: f"{_BEGIN}\n\n{text}\n\n{_END}", readme)


def main() -> None:
    """Run the comparison alone, and write what the command line names."""
    asked = _parser().parse_args()
    chosen = [each for each in INPUTS if each.name in asked.only] if asked.only else list(INPUTS)
    inputs = [each for each in chosen if each.quick or not asked.quick]
    facts = machine.facts("`python -m benchmarks.readers`")
    found = compare(inputs, asked.peer or list(PEERS), asked.cache)
    print(table(found), report.table(figures(found)), sep="\n\n")
    if asked.json is not None:
        asked.json.write_text(json.dumps([each.as_dict() for each in found], indent=1))
    if asked.write_readme:
        chart.draw(found, _CHART, caption=f"{facts['machine']}, {facts['date']}")
        _README.write_text(with_page(_README.read_text(), page(found, facts)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readers", description=__doc__)
    names = [each.name for each in INPUTS]
    parser.add_argument("--only", action="append", choices=names, help="this input; repeatable")
    parser.add_argument("--peer", action="append", choices=PEERS, help="this reader; repeatable")
    parser.add_argument("--quick", action="store_true", help="a few inputs, not to quote")
    parser.add_argument("--cache", type=Path, default=default_cache(), metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    parser.add_argument("--write-readme", action="store_true", help="also write README and chart")
    return parser


if __name__ == "__main__":
    main()
