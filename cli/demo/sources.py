"""The demo's data: the airports of the world, written as four kinds of table, then evolved.

The rows are those of the `airportsdata` package. The Delta table is written commit by commit,
log files and all, since thousands of appends through a Delta library would take minutes.
"""

import csv
import importlib.util
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

COMMITS: Final = 3000
#: The version that the checkpoint holds; later commits are read one by one.
CHECKPOINT: Final = 2900
#: The others are the empty batches of a streaming writer, which only note how far it came.
ROWS_EVERY: Final = 3
PARQUET_FILES: Final = 8
TEXT_FILES: Final = 4

_FIRST: Final = ("icao", "iata", "name", "city", "country", "elevation", "lat", "lon")
_NUMBERS: Final = {"elevation": float, "lat": float, "lon": float}
_DELTA_TYPES: Final = {"elevation": "integer", "lat": "double", "lon": "double"}

Row = dict[str, Any]
Sliceable = TypeVar("Sliceable", Sequence[Row], pa.Table)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One way in which the rows are stored.

    Attributes:
        name: for the table's name and its folder.
        pattern: the URL pattern below the folder of all sources.
        added: the columns that the evolved source has more.
        widened: the columns whose type grows with it.
    """

    name: str
    format: str
    pattern: str
    added: tuple[str, ...]
    widened: tuple[str, ...] = ()


KINDS: Final = (
    Kind(name="delta", format="Delta", pattern="delta", added=("subd", "tz")),
    Kind(
        name="parquet",
        format="Parquet",
        pattern="parquet/*.parquet",
        added=("tz",),
        widened=("elevation",),
    ),
    Kind(
        name="csv",
        format="CSVWithNames",
        pattern="csv/*.csv",
        added=("tz",),
        widened=("elevation",),
    ),
    Kind(name="json", format="JSONEachRow", pattern="json/*.jsonl", added=("tz",)),
)


def airports() -> list[Row]:
    """Return all rows, with numbers as numbers and nothing where nothing is known."""
    spec = importlib.util.find_spec("airportsdata")
    folders = (spec and spec.submodule_search_locations) or []
    with (Path(folders[0]) / "airports.csv").open(encoding="utf-8", newline="") as file:
        return [_typed(row) for row in csv.DictReader(file)]


def _typed(row: dict[str, str]) -> Row:
    typed = {
        name: (_NUMBERS[name](value) if name in _NUMBERS else value) if value else None
        for name, value in row.items()
    }
    return typed | {"elevation": None if typed["elevation"] is None else int(typed["elevation"])}


def write_all(root: Path, rows: Sequence[Row]) -> None:
    """Write the first state of every source."""
    for kind in KINDS:
        (root / kind.name).mkdir(parents=True)
    _write_delta(root / "delta", rows)
    for number, part in enumerate(_parts(rows, PARQUET_FILES)):
        # Files get a column more on the way: their union is the table's schema.
        columns = _FIRST if number < PARQUET_FILES // 2 else (*_FIRST, "subd")
        pq.write_table(_arrow(part, columns), root / "parquet" / f"part-{number}.parquet")
    for number, part in enumerate(_parts(rows, TEXT_FILES)):
        _write_csv(root / "csv" / f"part-{number}.csv", part, _FIRST)
        _write_lines(root / "json" / f"part-{number}.jsonl", (_nested(row) for row in part))


def evolve(root: Path, rows: Sequence[Row]) -> None:
    """Let each source grow as its owner would, without telling anybody."""
    from deltalake import write_deltalake

    columns = (*_FIRST, "subd", "tz")
    some = rows[:100]
    # A writer of its own kind, over the commits that were written by hand.
    write_deltalake(str(root / "delta"), _arrow(some, columns), mode="append", schema_mode="merge")
    wider = _arrow(some, columns).cast(_schema(columns, elevation=pa.int64()))
    pq.write_table(wider, root / "parquet" / f"part-{PARQUET_FILES}.parquet")
    metres = [row | {"elevation": _metres(row["elevation"])} for row in some]
    _write_csv(root / "csv" / f"part-{TEXT_FILES}.csv", metres, (*_FIRST, "tz"))
    lines = (_nested(row) | {"tz": row["tz"]} for row in some)
    _write_lines(root / "json" / f"part-{TEXT_FILES}.jsonl", lines)


def count_delta_rows(root: Path) -> int:
    """Return how many rows the deltalake package finds in the table."""
    from deltalake import DeltaTable

    return int(DeltaTable(str(root / "delta")).to_pyarrow_dataset().count_rows())


def _metres(feet: int | None) -> float | None:
    return None if feet is None else round(feet * 0.3048, 1)


def _parts(rows: Sliceable, count: int) -> Iterator[Sliceable]:
    """Yield as many parts as asked for, of sizes that differ by one at most."""
    for number in range(count):
        yield rows[len(rows) * number // count : len(rows) * (number + 1) // count]


def _schema(columns: Iterable[str], elevation: pa.DataType) -> pa.Schema:
    types = {"elevation": elevation, "lat": pa.float64(), "lon": pa.float64()}
    return pa.schema([(name, types.get(name, pa.string())) for name in columns])


def _arrow(rows: Sequence[Row], columns: Sequence[str]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=_schema(columns, elevation=pa.int32()))


def _write_csv(file: Path, rows: Sequence[Row], columns: Sequence[str]) -> None:
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def _nested(row: Row) -> Row:
    flat = {name: row[name] for name in _FIRST if name not in ("lat", "lon")}
    return flat | {"position": {"lat": row["lat"], "lon": row["lon"]}}


def _write_lines(file: Path, rows: Iterable[Row]) -> None:
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_delta(folder: Path, rows: Sequence[Row]) -> None:
    """Write a log file for each commit, data files for some, and a checkpoint near the end.

    Delta transaction log protocol: "Delta Log Entries", "Add File", "Transaction Identifiers".
    """
    from deltalake import DeltaTable

    (folder / "_delta_log").mkdir()
    parts = _parts(_arrow(rows, _FIRST), COMMITS // ROWS_EVERY)
    now = int(time.time() * 1000)
    for version in range(COMMITS):
        actions = [_protocol(), _metadata(now)] if version == 0 else []
        if version % ROWS_EVERY == 0:
            actions.append(_add(folder / f"part-{version:05}.parquet", next(parts), now + version))
        actions.append({"txn": {"appId": "demo", "version": version, "lastUpdated": now}})
        log = folder / "_delta_log" / f"{version:020}.json"
        log.write_text("\n".join(json.dumps(action) for action in actions) + "\n")
    DeltaTable(str(folder), version=CHECKPOINT).create_checkpoint()


def _protocol() -> dict[str, Any]:
    # The first reader's is enough for plain columns (Delta protocol, "Protocol Evolution").
    return {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}


def _metadata(now: int) -> dict[str, Any]:
    fields: list[dict[str, Any]] = [
        {"name": name, "type": _DELTA_TYPES.get(name, "string"), "nullable": True, "metadata": {}}
        for name in _FIRST
    ]
    return {
        "metaData": {
            "id": "6f1d1a5e-2f0c-4f4e-9f64-0d3b7e3c9a11",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": fields}),
            "partitionColumns": [],
            "configuration": {},
            "createdTime": now,
        }
    }


def _add(file: Path, rows: pa.Table, moment: int) -> dict[str, Any]:
    pq.write_table(rows, file, compression="NONE")
    return {
        "add": {
            "path": file.name,
            "partitionValues": {},
            "size": file.stat().st_size,
            "modificationTime": moment,
            "dataChange": True,
            "stats": json.dumps({"numRecords": len(rows)}),
        }
    }
