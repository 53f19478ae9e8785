"""The two actions of a Delta log that a schema needs, and the reading of a log's JSON lines."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final, Self
from urllib.parse import unquote

from stocktake.errors import InvalidSourceError
from stocktake.storage.stores.protocol import MAX_KEY_BYTES

#: Without any of these a path is a plain one below the folder; nearly all paths have none.
_SUSPECT: Final = re.compile(r"[%:\\]|\.\.|^/|[\x00-\x1f\x7f]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
#: A scheme or a drive with a slash behind it, or a slash alone. A colon without one is no more than
#: a character of a name: `time=10:00/a.parquet`.
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[/\\]|[/\\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableProtocol:
    """A `protocol` action: what a reader must know to read the table."""

    reader_version: int
    reader_features: tuple[str, ...] = ()
    writer_features: tuple[str, ...] = ()

    @classmethod
    def of(cls, action: object, file: str) -> Self:
        """Read the action.

        Raises:
            InvalidSourceError: it is not one.
        """
        fields = action if isinstance(action, dict) else {}
        version = fields.get("minReaderVersion")
        if not isinstance(version, int):
            raise _invalid(file, "a protocol action without a minReaderVersion")
        return cls(
            reader_version=version,
            reader_features=_strings(fields.get("readerFeatures"), file),
            writer_features=_strings(fields.get("writerFeatures"), file),
        )

    def as_action(self) -> dict[str, Any]:
        """Return the action again, as a state keeps it."""
        return {
            "minReaderVersion": self.reader_version,
            "readerFeatures": list(self.reader_features),
            "writerFeatures": list(self.writer_features),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """A `metaData` action: the schema."""

    schema_string: str
    partition_columns: tuple[str, ...] = ()

    @classmethod
    def of(cls, action: object, file: str) -> Self:
        """Read the action.

        Raises:
            InvalidSourceError: it is not one.
        """
        fields = action if isinstance(action, dict) else {}
        schema_string = fields.get("schemaString")
        if not isinstance(schema_string, str):
            raise _invalid(file, "a metaData action without a schemaString")
        return cls(
            schema_string=schema_string,
            partition_columns=_strings(fields.get("partitionColumns"), file),
        )

    def as_action(self) -> dict[str, Any]:
        """Return the action again, as a state keeps it."""
        return {
            "schemaString": self.schema_string,
            "partitionColumns": list(self.partition_columns),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """What one file of a log says of the schema and the size; None where it says nothing."""

    protocol: TableProtocol | None = None
    metadata: Metadata | None = None
    row_count: int | None = None
    size_bytes: int | None = None
    file_count: int | None = None

    def then(self, newer: "Actions") -> "Actions":
        """Return these actions, and after them the newer ones. Counts hold for one version only."""
        return Actions(
            protocol=newer.protocol or self.protocol,
            metadata=newer.metadata or self.metadata,
            row_count=newer.row_count,
            size_bytes=newer.size_bytes,
            file_count=newer.file_count,
        )


#: What most commits say.
NOTHING: Final = Actions()


def merged(oldest_first: Iterable[Actions]) -> Actions:
    """Return all actions as one."""
    # Of thousands of commits nearly all are NOTHING, told by identity: leaving them out saves the
    # joining.
    return reduce(Actions.then, (each for each in oldest_first if each is not NOTHING), NOTHING)


def parse_lines(lines: Iterable[bytes], file: str) -> Actions:
    """Read a commit, a compacted log or a JSON checkpoint. Every line is parsed, the ones that
    say nothing of the schema too: a log that other libraries refuse must not pass here.

    Args:
        lines: the file's lines.
        file: its name below the table's root, for messages.

    Raises:
        InvalidSourceError: a line is not an action, or names a file outside the table.
    """
    protocol: TableProtocol | None = None
    metadata: Metadata | None = None
    for action in parsed(lines, file):
        if "protocol" in action:
            protocol = TableProtocol.of(action["protocol"], file)
        if "metaData" in action:
            metadata = Metadata.of(action["metaData"], file)
    if protocol is None and metadata is None:
        return NOTHING
    return Actions(protocol=protocol, metadata=metadata)


def parsed(lines: Iterable[bytes], file: str) -> Iterator[dict[str, Any]]:
    """Yield the actions of all lines; raises what `parse_lines` raises."""
    for number, line in enumerate(lines, 1):
        action = _action(line, number, file)
        for kind in ("add", "remove", "cdc"):
            if kind in action:
                _require_inside(action[kind], kind, number, file)
        yield action


def parse_checksum(data: bytes, file: str) -> Actions:
    """Read a `<version>.crc`: both actions where the writer put them in, the table's size and
    files, and its rows where all files are listed with their counts. One that is corrupt says
    nothing."""
    # No reader needs this file (Delta protocol, "Version Checksum File"): the log says the same.
    try:
        fields = json.loads(data)
        return Actions(
            protocol=TableProtocol.of(fields["protocol"], file) if "protocol" in fields else None,
            metadata=Metadata.of(fields["metadata"], file) if "metadata" in fields else None,
            row_count=_row_count(fields),
            size_bytes=count_or_none(fields.get("tableSizeBytes")),
            file_count=count_or_none(fields.get("numFiles")),
        )
    except (ValueError, TypeError, AttributeError, RecursionError, InvalidSourceError):
        return NOTHING


def _action(line: bytes, number: int, file: str) -> dict[str, Any]:
    if not line.strip():
        return {}
    try:
        # Given bytes, json.loads guesses UTF-16 and UTF-32 as well, and a log is UTF-8.
        action = json.loads(str(line, "utf-8"))
    except (ValueError, RecursionError) as exc:
        raise _invalid(file, f"line {number} that is not JSON") from exc
    if not isinstance(action, dict):
        raise _invalid(file, f"line {number} that is not a JSON object")
    return action


def _require_inside(action: object, kind: str, number: int, file: str) -> None:
    fields = action if isinstance(action, dict) else {}
    path = fields.get("path")
    if not isinstance(path, str):
        raise _invalid(file, f"line {number} with an {kind} action that names no file")
    vector = fields.get("deletionVector")
    if unnameable(path) or _vector_is_unnameable(vector):
        raise _invalid(file, f"line {number} with a file name that no store has")
    if escapes(path) or _vector_escapes(vector):
        raise InvalidSourceError(
            f"Line {number} of {file} names a file outside the table's folder.",
            hint="Shallow clones and tables with absolute paths are not read; copy the table.",
            file=file,
        )


def unnameable(path: str) -> bool:
    """Return whether a `path`, percent-encoded as the protocol has it, is no name that a store
    would be asked for: longer than a key can be, or with control characters.

    >>> unnameable("day=1/part%20one.parquet"), unnameable("a%0Ab"), unnameable("a" * 70_000)
    (False, True, True)
    """
    if len(path) <= MAX_KEY_BYTES and not _SUSPECT.search(path):
        return False
    # Percent-encoding triples a byte, so a long path may still name a key that is short enough.
    plain = unquote(path)
    return len(plain) > MAX_KEY_BYTES or _CONTROL.search(plain) is not None


def escapes(path: str) -> bool:
    """Return whether a `path`, percent-encoded as the protocol has it, leaves the table's folder.

    >>> escapes("day=1/part%20one.parquet"), escapes("a/%2e%2e/%2e%2e/b"), escapes("s3://b/k")
    (False, True, True)
    """
    if not _SUSPECT.search(path):
        return False
    plain = unquote(path)
    return _ABSOLUTE.match(plain) is not None or ".." in re.split(r"[/\\]", plain)


def _vector_escapes(vector: object) -> bool:
    """Return whether a deletion vector's file is named by an absolute path (`p`), or by a folder
    (what stands before the 20 characters of a `u`) outside the table's."""
    if not isinstance(vector, dict) or vector.get("storageType") not in ("p", "u"):
        return False
    # The 20 characters are a UUID in Base85 (Delta protocol, "Deletion Vector Descriptor Schema").
    name = str(vector.get("pathOrInlineDv"))
    return vector["storageType"] == "p" or escapes(name[:-20])


def _vector_is_unnameable(vector: object) -> bool:
    """Return whether a deletion vector that is a file of its own has no name that a store would
    have. The last 20 characters of a `u` are Base85, where a percent sign is a digit."""
    if not isinstance(vector, dict) or vector.get("storageType") != "u":
        return False
    name = str(vector.get("pathOrInlineDv"))
    return unnameable(name[:-20]) or _CONTROL.search(name[-20:]) is not None


def _row_count(fields: dict[str, Any]) -> int | None:
    """Sum the rows of all files but the deleted ones; None unless every file gives its count."""
    files = fields.get("allFiles")
    if not isinstance(files, list) or len(files) != fields.get("numFiles"):
        return None
    counts = [
        count_or_none(json.loads(each["stats"]).get("numRecords"))
        for each in files
        if isinstance(each.get("stats"), str)
    ]
    known = [count for count in counts if count is not None]
    deleted = sum((each.get("deletionVector") or {}).get("cardinality", 0) for each in files)
    return sum(known) - deleted if len(known) == len(files) else None


def count_or_none(value: object) -> int | None:
    """Return the value where it is a count, else None."""
    return value if isinstance(value, int) and value >= 0 else None


def _strings(value: object, file: str) -> tuple[str, ...]:
    names = [] if value is None else value
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise _invalid(file, "a list of names that is not one")
    return tuple(names)


def _invalid(file: str, found: str) -> InvalidSourceError:
    return InvalidSourceError(f"{file} has {found}; expected Delta actions.", file=file)
