"""The readers beside their peers, on the same generated inputs in one run.

Each reader has a process of its own for each input and place. Its first read, timed from the
process's start, is the fresh figure; the reads that follow are the warm ones, as a worker makes
them.
"""

import importlib.metadata
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from benchmarks.delay_proxy import DelayProxy
from benchmarks.figures import Outcome
from benchmarks.inputs import INPUTS, Input, made
from benchmarks.options import Options
from benchmarks.peers import PEERS, Place
from benchmarks.readers_children import Child, PeerFailedError, TooSlowError
from benchmarks.readers_figures import OURS, RIVAL, SHEETS_RIVAL, Measured, Where, figures
from benchmarks.readers_store import BUCKET, KeptStore

DELAY_SECONDS: Final = 0.030
_TIMEOUT_SECONDS: Final = 60.0
#: Warm reads: the short ones are many, so that what else the machine does hits few of them.
_LEAST_READS: Final = 3
_MOST_READS: Final = 50
_WARM_SECONDS: Final = 0.8
#: A first read above this is its own warm figure: a second one would tell nothing new.
_LONG_SECONDS: Final = 5.0
_PEERS: Final = ("chdb", "deltalake", "polars", "duckdb", "duckdb-ext-delta", "pyiceberg", "pandas")
#: Peers that are asked for these formats alone.
_ONLY: Final = MappingProxyType(
    {"deltalake": ("delta",), "pyiceberg": ("iceberg",), SHEETS_RIVAL: ("excel", "ods")}
)
#: Formats that of the others two alone read.
_FEW_READ: Final = ("iceberg", "orc", "arrow", "avro")
#: Formats that no other peer reads.
_SHEETS: Final = ("excel", "ods")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One reader, one input, one place."""

    peer: str
    input: Input
    where: Where
    place: Place
    proxy: DelayProxy | None


def measure(options: Options) -> Iterator[Outcome]:
    """Compare on all inputs, or on a few where the run is quick; one part for each input.

    Raises:
        PeerFailedError: ours did, somewhere; all inputs have been read by then.
    """
    inputs = [each for each in INPUTS if each.quick or not options.quick]
    chosen = [each for each in inputs if not options.inputs or each.name in options.inputs]
    found: list[Measured] = []
    told: set[str] = set()
    for new in compare(chosen, options.peers or tuple(PEERS), Path(options.cache)):
        found += new
        # One figure is of two inputs, and comes with the second.
        fresh = [each for each in figures(found) if each.name not in told]
        told |= {each.name for each in fresh}
        rows = [each.as_dict() for each in new]
        yield Outcome(figures=fresh, conditions=conditions(), rows=rows)
    _refuse_failures([each for each in found if each.peer == OURS and each.error])


def _refuse_failures(failed: Sequence[Measured]) -> None:
    if failed:
        where = "; ".join(f"{each.label}, {each.where}: {each.error}" for each in failed)
        raise PeerFailedError(f"our own reader failed on {where}")


def conditions() -> list[str]:
    """List the conditions without which the figures mean little."""
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
        f"{SHEETS_RIVAL} stands beside ours on workbooks, which {RIVAL} does not read: it takes "
        "the whole sheet by the same library, python-calamine, and tells its columns' types",
    ]


def compare(inputs: Sequence[Input], peers: Sequence[str], cache: Path) -> Iterator[list[Measured]]:
    """Have the peers read the inputs, locally and through the delaying proxy; input by input."""
    folders = {each.name: made(cache, each) for each in inputs}
    with KeptStore(cache) as store:
        store.hold(cache, [each for each in inputs if each.on_s3])
        with DelayProxy(store.port, DELAY_SECONDS) as proxy:
            for each in inputs:
                jobs = _jobs(each, peers, _local(each, folders[each.name]), None)
                if each.on_s3:
                    jobs += _jobs(each, peers, _remote(each, store, proxy), proxy)
                found = [one for job in jobs for one in _measured(job)]
                yield sorted(found, key=lambda one: (one.where == "S3", one.unchanged))


def _jobs(each: Input, peers: Sequence[str], place: Place, proxy: DelayProxy | None) -> list[_Job]:
    where: Where = "local" if proxy is None else "S3"
    return [
        _Job(peer=peer, input=each, where=where, place=place, proxy=proxy)
        for peer in peers
        if _reads(peer, each)
    ]


def _reads(peer: str, each: Input) -> bool:
    only = _ONLY.get(peer)
    # Polars reads Iceberg through pyiceberg, and DuckDB's extensions for these come in no wheel.
    if only:
        return each.format in only
    if each.format in _SHEETS:
        return peer == OURS
    return each.format not in _FEW_READ or peer in (OURS, RIVAL)


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
    """Return whether the reader makes use of an earlier read; one that takes long is not asked
    again.
    """
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
