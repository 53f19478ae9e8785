"""Metadata of Iceberg tables, written by hand: no reader opens a data file to tell the columns."""

import json
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final
from uuid import UUID

_TIME: Final = 1_700_000_000_000
#: Where the table was when it was written: readers take what follows it.
_LOCATION: Final = "s3://tables/events"
_COLUMNS: Final = 50
_TYPES: Final = ("long", "string", "timestamptz", "decimal(18, 2)", "double", "boolean", "date")


def committed(folder: Path, snapshots: int, kept: int) -> None:
    """Write the metadata that a table has after many commits.

    Args:
        snapshots: those that the newest file holds; each left a list of manifests and a manifest.
        kept: metadata files, the newest among them. Its number is the commits'.
    """
    metadata = folder / "metadata"
    metadata.mkdir()
    for number in range(snapshots):
        (metadata / _list_of(number)).touch()
        (metadata / f"{UUID(int=number)}-m0.avro").touch()
    _write_list(metadata / _list_of(snapshots - 1), snapshots - 1)
    for back in reversed(range(kept)):
        number = snapshots - back
        name = f"{number:05}-{UUID(int=number)}"
        (metadata / f"{name}.metadata.json").write_text(json.dumps(_metadata(number)))
    (metadata / "version-hint.text").write_text(name)


def _list_of(number: int) -> str:
    return f"snap-{_id(number)}-1-{UUID(int=number)}.avro"


def _write_list(path: Path, number: int) -> None:
    """Write a list without a manifest in it: chdb opens the current snapshot's."""
    from pyiceberg.io.pyarrow import PyArrowFileIO
    from pyiceberg.manifest import write_manifest_list

    path.unlink()
    output = PyArrowFileIO().new_output(f"file://{path}")
    with write_manifest_list(2, output, _id(number), None, number + 1, "null"):
        pass


def _metadata(snapshots: int) -> dict[str, Any]:
    fields = [
        {"id": at + 1, "name": f"column_{at}", "required": at == 0, "type": kind}
        for at, kind in enumerate(islice(cycle(_TYPES), _COLUMNS))
    ]
    return {
        "format-version": 2,
        "table-uuid": str(UUID(int=1)),
        "location": _LOCATION,
        "last-sequence-number": snapshots,
        "last-updated-ms": _TIME,
        "last-column-id": _COLUMNS,
        "current-schema-id": 0,
        "schemas": [{"type": "struct", "schema-id": 0, "fields": fields}],
        "default-spec-id": 0,
        "partition-specs": [{"spec-id": 0, "fields": []}],
        "last-partition-id": 999,
        "default-sort-order-id": 0,
        "sort-orders": [{"order-id": 0, "fields": []}],
        "properties": {},
        "current-snapshot-id": _id(snapshots - 1),
        "refs": {"main": {"snapshot-id": _id(snapshots - 1), "type": "branch"}},
        "snapshots": [_snapshot(number) for number in range(snapshots)],
        "snapshot-log": [
            {"snapshot-id": _id(number), "timestamp-ms": _TIME + number}
            for number in range(snapshots)
        ],
        "metadata-log": [],
    }


def _id(number: int) -> int:
    return 10**18 + number


def _snapshot(number: int) -> dict[str, Any]:
    totals = ("records", "files-size", "data-files", "delete-files", "position-deletes")
    return {
        "snapshot-id": _id(number),
        "sequence-number": number + 1,
        "timestamp-ms": _TIME + number,
        "manifest-list": f"{_LOCATION}/metadata/{_list_of(number)}",
        "summary": {
            "operation": "append",
            "added-data-files": "1",
            "added-records": "1000",
            "added-files-size": "100000",
            **{f"total-{each}": str(number) for each in totals},
            "total-equality-deletes": "0",
        },
        "schema-id": 0,
    }
