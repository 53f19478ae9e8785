"""What a load into a managed table costs: beside other writers, and behind many loads before it."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import uuid4

import pyarrow.csv
import pyarrow.parquet as pq

from benchmarks.figures import Figure, Outcome, distributed, ratio
from benchmarks.inputs import INPUTS, made
from benchmarks.loaders import LOADERS
from benchmarks.managed_loads import attempt_in, load
from benchmarks.options import Options
from stocktake.runs import maintain_table
from stocktake.runs.managed_table import ManagedTable
from stocktake.runs.own_commits import commit, transaction
from stocktake.runs.table_log import job_transaction, upload_transaction

_ROOT: Final = Path(__file__).parent.parent
_ROUNDS: Final = 3
_LIMIT_SECONDS: Final = 600.0
#: So many loads are measured, one after the other.
_WINDOW: Final = 30
#: As the clock has a table maintained by default.
_LOADS_BETWEEN_UPKEEP: Final = 100


def measure(options: Options) -> Iterator[Outcome]:
    """Load each file with each loader in turn; then measure appends to a table of many commits."""
    with tempfile.TemporaryDirectory(prefix="stocktake-bench-") as folder:
        for file in _files(Path(options.cache), Path(folder), quick=options.quick):
            yield _beside_others(file, Path(folder), rounds=1 if options.quick else _ROUNDS)
        yield _behind_many(Path(folder), options.sized(10_000))


# --- beside others ------------------------------------------------------------------------


def _files(cache: Path, folder: Path, *, quick: bool) -> list[Path]:
    known = {each.name: each for each in INPUTS}
    csv = made(cache, known["csv_one"]) / "big.csv"
    json_lines = made(cache, known["json_one"]) / "big.jsonl"
    whole = [csv, json_lines]
    if quick:
        whole = [_beginning(file, folder) for file in whole]
    parquet = folder / "big.parquet"
    pq.write_table(pyarrow.csv.read_csv(whole[0]), parquet)
    return [*whole, parquet]


def _beginning(file: Path, folder: Path) -> Path:
    """Copy a tenth of a file of lines."""
    text = file.read_bytes()
    shorter = folder / file.name
    shorter.write_bytes(text[: text.rindex(b"\n", 0, len(text) // 10) + 1])
    return shorter


#: What is measured of a load: its key in a loader's answer, for people, and its unit.
_MEASURED: Final = (
    ("seconds", "", "s"),
    ("processor_seconds", ", processor time", "s"),
    ("peak_mib", ", memory", "MiB"),
)


def _beside_others(file: Path, folder: Path, *, rounds: int) -> Outcome:
    told: dict[str, list[dict[str, float]]] = {name: [] for name in LOADERS}
    for _ in range(rounds):
        for name in LOADERS:
            with tempfile.TemporaryDirectory(dir=folder) as place:
                told[name].append(_loaded(name, file, Path(place)))
    kind = file.suffix.removeprefix(".")
    figures: list[Figure] = []
    for key, what, unit in _MEASURED:
        found = {
            name: distributed(f"{kind}, {name}{what}", [each[key] for each in answers], unit)
            for name, answers in told.items()
        }
        figures += found.values()
        figures += [
            ratio(f"{kind}, ours : {name}{what}", found["ours"].value, other.value)
            for name, other in found.items()
            if name != "ours"
        ]
    size = file.stat().st_size / 1e6
    return Outcome(
        figures=figures,
        conditions=[
            f"{file.name}: {size:,.0f} MB of events of ten columns, into a new table; each load in "
            "a process of its own, in turns; the time without imports, the most memory with them",
        ],
    )


def _loaded(name: str, file: Path, place: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.loaders", name, str(file), str(place)],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=_LIMIT_SECONDS,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{name} did not load {file.name}: {done.stderr[-500:]}")
    told: dict[str, float] = json.loads(done.stdout)
    return told


# --- behind many loads --------------------------------------------------------------------


def _behind_many(folder: Path, most: int) -> Outcome:
    file = folder / "few.csv"
    file.write_text("id,note\n1,one\n2,two\n3,three\n")
    figures: list[Figure] = []
    spent: dict[int, float] = {}
    for at in (most // 100, most // 10, most):
        found = _figures(f"append behind {at:,} commits", _behind(at, folder / "kept", file))
        spent[at], figures = found[1].value, figures + found
    name = f"append behind {most:,} commits, all of them kept"
    all_kept = _figures(name, _behind(most, folder / "whole", file, retain_commits=0))
    few = most // 100
    return Outcome(
        figures=[
            *figures,
            *all_kept,
            ratio(f"processor time behind {most:,} : {few:,} commits", spent[most], spent[few]),
            ratio(
                f"processor time behind {most:,} : {few:,} commits, all kept",
                all_kept[1].value,
                spent[few],
            ),
        ],
        conditions=[
            f"{_WINDOW} loads of three rows into a table of a local folder, without the job's rows "
            "in the database; the commits before them have the two application transactions of a "
            f"load and no file; upkeep after each {_LOADS_BETWEEN_UPKEEP}",
        ],
    )


def _figures(name: str, took: list[tuple[float, float]]) -> list[Figure]:
    elapsed, spent = zip(*took, strict=True)
    return [
        distributed(name, elapsed, "ms"),
        distributed(f"{name}, processor time", spent, "ms"),
    ]


def _behind(
    commits: int, folder: Path, file: Path, *, retain_commits: int = 1000
) -> list[tuple[float, float]]:
    """Bring a folder's table to so many commits, and load into it; the milliseconds of each load,
    and those of processors in it."""
    folder.mkdir(exist_ok=True)
    managed = ManagedTable.of(attempt_in(folder, retain_commits=retain_commits))
    if managed.open() is None:
        load(file, folder, retain_commits=retain_commits)
    version = _version(managed)
    while version < commits:
        commit(managed, version, "WRITE", {}, _marks())
        version += 1
        if version % _LOADS_BETWEEN_UPKEEP == 0:
            maintain_table.maintain(managed)
            version = _version(managed)
    took = []
    for _ in range(_WINDOW):
        started, spent = time.perf_counter(), time.process_time()
        load(file, folder, retain_commits=retain_commits)
        elapsed = 1000 * (time.perf_counter() - started)
        took.append((elapsed, 1000 * (time.process_time() - spent)))
    return took


def _version(managed: ManagedTable) -> int:
    table = managed.open()
    assert table is not None
    return table.version()


def _marks() -> list[dict[str, object]]:
    return [transaction(job_transaction(uuid4())), transaction(upload_transaction(uuid4()))]
