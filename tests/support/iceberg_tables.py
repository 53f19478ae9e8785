"""The metadata of Iceberg tables, written by hand."""

import json
from typing import Any

from stocktake.readers import introspect
from stocktake.readers.source import Introspection, Limits, Source
from stocktake.schema.formats import TableFormat
from tests.support.memory import MemoryObjects

#: What a snapshot's summary says of a table from which nothing was deleted.
TOTALS = {
    "operation": "append",
    "total-records": "30",
    "total-files-size": "4000",
    "total-data-files": "3",
    "total-delete-files": "0",
    "total-position-deletes": "0",
    "total-equality-deletes": "0",
}


def field_of(number: int, name: str, kind: Any, *, required: bool = False) -> dict[str, Any]:
    return {"id": number, "name": name, "required": required, "type": kind}


def list_of(number: int, element: Any, *, required: bool = False) -> dict[str, Any]:
    return {
        "type": "list",
        "element-id": number,
        "element": element,
        "element-required": required,
    }


def map_of(number: int, key: Any, value: Any, *, required: bool = False) -> dict[str, Any]:
    return {
        "type": "map",
        "key-id": number,
        "key": key,
        "value-id": number + 1,
        "value": value,
        "value-required": required,
    }


def struct_of(*fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "struct", "fields": list(fields)}


def snapshot_of(number: int, *, schema: int = 0, **summary: str | None) -> dict[str, Any]:
    """A snapshot; what its summary says is changed, or left out where it is None."""
    changed = {name.replace("_", "-"): value for name, value in summary.items()}
    said = {name: value for name, value in (TOTALS | changed).items() if value is not None}
    return {
        "snapshot-id": number,
        "sequence-number": 1,
        "timestamp-ms": 1_700_000_000_000,
        "manifest-list": "s3://elsewhere/metadata/snap.avro",
        "summary": said,
        "schema-id": schema,
    }


def metadata_of(*schemas: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A table's metadata, of version 2; the last schema is the current one.

    Args:
        schemas: each a list of fields; their ids are their places.
        more: members to set, an underscore for each dash, or to leave out where they are None.
    """
    members = {
        "format-version": 2,
        "table-uuid": "9c12d441-03fe-4693-9a96-a0705ddf69c1",
        "location": "s3://elsewhere/t",
        "last-sequence-number": 1,
        "last-updated-ms": 1_700_000_000_000,
        "last-column-id": 1000,
        "current-schema-id": len(schemas) - 1,
        "schemas": [
            struct_of(*fields) | {"schema-id": number} for number, fields in enumerate(schemas)
        ],
        "default-spec-id": 0,
        "partition-specs": [{"spec-id": 0, "fields": []}],
        "last-partition-id": 999,
        "default-sort-order-id": 0,
        "sort-orders": [{"order-id": 0, "fields": []}],
        "properties": {},
        "current-snapshot-id": -1,
        "refs": {},
        "snapshots": [],
        "snapshot-log": [],
        "metadata-log": [],
    }
    changed = {name.replace("_", "-"): value for name, value in more.items()}
    return {name: value for name, value in (members | changed).items() if value is not None}


def as_file(metadata: Any) -> bytes:
    return json.dumps(metadata).encode()


def table(metadata: Any, name: str = "v1.metadata.json") -> MemoryObjects:
    """A table `t` of one metadata file, given as its JSON or as its bytes."""
    data = metadata if isinstance(metadata, bytes) else as_file(metadata)
    return MemoryObjects({f"t/metadata/{name}": data})


def read_table(
    store: MemoryObjects,
    *,
    state: dict[str, Any] | None = None,
    limits: Limits | None = None,
    **options: Any,
) -> Introspection:
    source = Source(store=store, path="t", format=TableFormat.ICEBERG, options=options, state=state)
    return introspect(source, limits)
