"""What an Iceberg table's metadata file says of the table."""

import json
from dataclasses import dataclass
from typing import Any, Final

from stocktake.errors import FormatMismatchError, UnsupportedError
from stocktake.readers.iceberg.document import Document, First, is_id
from stocktake.readers.limits import check_size
from stocktake.readers.source import Limits

#: Of the specification, "Table Metadata".
_MOST_FORMAT_VERSION: Final = 3
_MOST_COUNT: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a snapshot holds, as far as its summary tells it exactly."""

    rows: int | None = None
    size_bytes: int | None = None
    files: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierSchema:
    """A schema that was current before.

    Attributes:
        text: its JSON, decoded by `decoded`: there may be hundreds.
        first: the first snapshot that was written with it, where that is still known.
    """

    text: str
    first: First | None

    @property
    def snapshot_id(self) -> int | None:
        """Of `first`."""
        return None if self.first is None else self.first.snapshot_id

    def decoded(self) -> dict[str, Any]:
        """Return the schema."""
        found: dict[str, Any] = json.loads(self.text)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class TableMetadata:
    """A table as its metadata file has it.

    Attributes:
        schema: the current one.
        earlier: the others in the order in which they were made, the current one among them where
            it is not the last: it was gone back to.
        partition_ids: the ids of the fields by whose plain values the table is partitioned.
        snapshot_id: of the current snapshot; None where nothing was ever written.
        counts: of the current snapshot.
        written: when that was written, in milliseconds since 1970, or whatever stands there.
        first: the first snapshot that was written with the current schema.
        location: the table's root, as the writer has it; empty where there is none.
        manifest_list: of the current snapshot, as the writer has it.
    """

    schema: dict[str, Any]
    earlier: tuple[EarlierSchema, ...]
    partition_ids: frozenset[int]
    snapshot_id: int | None
    counts: Counts
    written: object = None
    first: First | None = None
    location: str = ""
    manifest_list: str | None = None


def parse(text: str, limits: Limits, file: str) -> TableMetadata:
    """Read a metadata file.

    Args:
        text: all of it.
        limits: `max_schema_bytes` bounds the current schema's text.
        file: its name below the table's root, for messages.

    Raises:
        InvalidSourceError: it is not JSON, not a table's metadata, or names what it does not hold.
        FormatMismatchError: it is a view's.
        UnsupportedError: `unsupported_reader_feature`, a version of the format that is not known.
        LimitExceededError: `max_schema_bytes`.
    """
    document = Document.of(text, limits, file)
    version, current = _format_version(document), _snapshot_id(document)
    schema, earlier = _schemas(document, version, limits)
    schema_id, location = (document.members.get(each) for each in ("current-schema-id", "location"))
    return TableMetadata(
        schema=schema,
        earlier=earlier,
        partition_ids=_partition_ids(document, version),
        snapshot_id=current,
        counts=_counts(document, current, version),
        written=document.snapshot and document.snapshot.written,
        first=document.first_snapshots.get(schema_id) if is_id(schema_id) else None,
        location=location if isinstance(location, str) else "",
        manifest_list=document.snapshot.manifest_list if document.snapshot else None,
    )


def _format_version(document: Document) -> int:
    if "view-uuid" in document.members:
        raise FormatMismatchError(
            f"{document.file} is the metadata of an Iceberg view, which has no data.",
            hint="Point the table at the root folder of a table.",
            file=document.file,
        )
    version = document.members.get("format-version")
    if not isinstance(version, int) or version < 1 or isinstance(version, bool):
        document.refuse("has no format-version, so it is no table's metadata")
    if version > _MOST_FORMAT_VERSION:
        raise UnsupportedError(
            f"{document.file} is of version {_shown(version)} of the Iceberg format; this reader "
            f"knows versions up to {_MOST_FORMAT_VERSION}.",
            code="unsupported_reader_feature",
            file=document.file,
        )
    return version


def _schemas(
    document: Document, version: int, limits: Limits
) -> tuple[dict[str, Any], tuple[EarlierSchema, ...]]:
    """Return the current schema, and the earlier ones."""
    found, current = document.schemas, document.members.get("current-schema-id")
    if version == 1 and not (found and is_id(current)):
        # the first version of the format had this one alone
        schema = document.members.get("schema")
        if not isinstance(schema, dict):
            document.refuse("has neither a schema nor a current-schema-id")
        return schema, ()
    if not is_id(current):
        document.refuse("has no current-schema-id")
    if current not in found:
        document.refuse(
            f"says that its current schema is the one of the id {current}, and holds "
            f"{_listed(found)}"
        )
    check_size(len(found[current]), limits, what="The Iceberg schema", file=document.file)
    return json.loads(found[current]), _earlier(document, current)


def _earlier(document: Document, current: int) -> tuple[EarlierSchema, ...]:
    # an id is given out when a schema is made, and kept when it is gone back to
    *others, last = sorted(document.schemas)
    made = others if last == current else [*others, last]
    first = document.first_snapshots
    return tuple(EarlierSchema(text=document.schemas[each], first=first.get(each)) for each in made)


def _snapshot_id(document: Document) -> int | None:
    found = document.members.get("current-snapshot-id")
    # Older writers have -1 for none.
    if found is None or found == -1:
        return None
    if not is_id(found):
        document.refuse("has a current-snapshot-id that is no number of 64 bits")
    return found


def _partition_ids(document: Document, version: int) -> frozenset[int]:
    """Return the ids of the fields that the default spec takes as they are."""
    fields: object = [json.loads(each) for each in document.fields] if version == 1 else []
    if document.specs or "partition-specs" in document.members:
        fields = _default_spec(document).get("fields")
    if not isinstance(fields, list) or not all(isinstance(each, dict) for each in fields):
        document.refuse("has a partition spec that is not a list of fields")
    sources = (each.get("source-id") for each in fields if each.get("transform") == "identity")
    return frozenset(filter(is_id, sources))


def _default_spec(document: Document) -> dict[str, Any]:
    wanted = document.members.get("default-spec-id")
    if not is_id(wanted) or wanted not in document.specs:
        document.refuse(f"has no partition spec of its default-spec-id, {_shown(wanted)}")
    found: dict[str, Any] = json.loads(document.specs[wanted])
    return found


def _counts(document: Document, current: int | None, version: int) -> Counts:
    """Return what the current snapshot's summary tells exactly. Rows that delete files take away
    may be gone already, so with any of them how many are left is not known."""
    if current is None:
        return Counts(rows=0, size_bytes=0, files=0)
    totals = document.snapshot.totals if document.snapshot else {}
    undeleted = (
        version == 1
        or _count(totals, "delete-files") == 0
        or _count(totals, "position-deletes") == _count(totals, "equality-deletes") == 0
    )
    return Counts(
        rows=_count(totals, "records") if undeleted else None,
        size_bytes=_count(totals, "files-size"),
        files=_count(totals, "data-files"),
    )


def _count(totals: dict[str, Any], what: str) -> int | None:
    # A summary maps texts to texts (specification, "Snapshots").
    found = totals.get(f"total-{what}")
    if not isinstance(found, str) or not (found.isascii() and found.isdecimal()):
        return None
    return number if len(found) < 20 and (number := int(found)) <= _MOST_COUNT else None


def _shown(value: object) -> str:
    return ascii(value)[:40]


def _listed(ids: dict[int, str]) -> str:
    shown = ", ".join(map(str, [*ids][:10]))
    more = f" and {len(ids) - 10} more" if len(ids) > 10 else ""
    return f"the schemas {shown}{more}" if ids else "no schemas"
