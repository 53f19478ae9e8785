"""The two actions of a Delta log that a schema needs, and the reading of a log's JSON lines."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from typing import Any, Final, Self

from stocktake.errors import InvalidSourceError
from stocktake.readers.delta.lines import objects
from stocktake.readers.delta.numbers import version_number
from stocktake.readers.moments import moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An action as a file has it. Only the newest of a kind is ever looked into: one that is
    incomplete and was superseded, as Databricks' streaming tables begin, harms nobody.

    Attributes:
        file: its name below the table's root, for messages.
    """

    action: object
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableProtocol:
    """A `protocol` action: what a reader must know to read the table.

    Attributes:
        file: where it stands.
    """

    reader_version: int
    reader_features: tuple[str, ...] = ()
    writer_features: tuple[str, ...] = ()
    file: str = field(default="", compare=False)

    @classmethod
    def of(cls, said: Said) -> Self:
        """Read the action.

        Raises:
            InvalidSourceError: it is not one.
        """
        fields = said.action if isinstance(said.action, dict) else {}
        asked = fields.get("minReaderVersion")
        if asked is None:
            raise _invalid(said.file, "a protocol action without a minReaderVersion")
        version = version_number(asked)
        if not version:
            found = f"a protocol action with the minReaderVersion {_shown(asked)}"
            raise _invalid(said.file, found)
        return cls(
            reader_version=version,
            reader_features=_strings(fields, "readerFeatures", said.file),
            writer_features=_strings(fields, "writerFeatures", said.file),
            file=said.file,
        )

    def said(self) -> Said:
        """Return the action again, as a state keeps it."""
        action = {
            "minReaderVersion": self.reader_version,
            "readerFeatures": list(self.reader_features),
            "writerFeatures": list(self.writer_features),
        }
        return Said(action=action, file=self.file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """A `metaData` action: the schema.

    Attributes:
        file: where it stands.
    """

    schema_string: str
    partition_columns: tuple[str, ...] = ()
    file: str = field(default="", compare=False)

    @classmethod
    def of(cls, said: Said) -> Self:
        """Read the action.

        Raises:
            InvalidSourceError: it is not one.
        """
        fields = said.action if isinstance(said.action, dict) else {}
        schema_string = fields.get("schemaString")
        if schema_string is None:
            raise _invalid(said.file, "a metaData action without a schemaString")
        if not isinstance(schema_string, str):
            raise _invalid(said.file, "a metaData action with a schemaString that is no text")
        return cls(
            schema_string=schema_string,
            partition_columns=_strings(fields, "partitionColumns", said.file),
            file=said.file,
        )

    def said(self) -> Said:
        """Return the action again, as a state keeps it."""
        action = {
            "schemaString": self.schema_string,
            "partitionColumns": list(self.partition_columns),
        }
        return Said(action=action, file=self.file)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitId:
    """What tells one writing of a version from another: both also stand in its checksum file."""

    transaction: object = None
    timestamp: object = None
    #: when the writer says that it wrote it; no checksum file has that
    written: object = field(default=None, compare=False)

    @classmethod
    def of(cls, info: object) -> Self:
        """Read a `commitInfo` action."""
        fields = info if isinstance(info, dict) else {}
        return cls(
            transaction=fields.get("txnId"),
            timestamp=fields.get("inCommitTimestamp"),
            written=fields.get("timestamp"),
        )

    @property
    def written_at(self) -> datetime | None:
        """When it was written, by the first of its two times that is one."""
        times = (self.timestamp, self.written)
        return next(filter(None, map(moment, times)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """What one file of a log says of the schema; None where it says nothing.

    Attributes:
        commit: of a commit, which it is.
    """

    protocol: Said | None = None
    metadata: Said | None = None
    commit: CommitId | None = None

    def then(self, newer: "Actions") -> "Actions":
        """Return these actions, and after them the newer ones."""
        return Actions(
            protocol=newer.protocol or self.protocol, metadata=newer.metadata or self.metadata
        )

    def require_complete(self) -> None:
        """Refuse an action that is incomplete.

        Raises:
            InvalidSourceError: one is.
        """
        if self.protocol:
            TableProtocol.of(self.protocol)
        if self.metadata:
            Metadata.of(self.metadata)


#: What most commits say.
NOTHING: Final = Actions()


def merged(oldest_first: Iterable[Actions]) -> Actions:
    """Return all actions as one."""
    # Of thousands of commits nearly all are NOTHING, told by identity: leaving them out saves the
    # joining.
    return reduce(Actions.then, (each for each in oldest_first if each is not NOTHING), NOTHING)


def parse_lines(lines: Iterable[bytes], file: str) -> Actions:
    """Read a commit or a JSON checkpoint. Every line is parsed, the ones that say nothing of the
    schema too: a log that other libraries refuse must not pass here.

    Args:
        lines: the file's lines.
        file: its name below the table's root, for messages.

    Raises:
        InvalidSourceError: a line is not an action.
    """
    protocol: Said | None = None
    metadata: Said | None = None
    commit: CommitId | None = None
    for action in parsed(lines, file):
        if (found := action.get("protocol")) is not None:
            protocol = Said(action=found, file=file)
        if (found := action.get("metaData")) is not None:
            metadata = Said(action=found, file=file)
        if (found := action.get("commitInfo")) is not None:
            commit = CommitId.of(found)
    if protocol is None and metadata is None and commit is None:
        return NOTHING
    return Actions(protocol=protocol, metadata=metadata, commit=commit)


def parsed(lines: Iterable[bytes], file: str) -> Iterator[dict[str, Any]]:
    """Yield the actions of all lines; a member that is null is none. Raises what `parse_lines`
    raises."""
    for number, action in objects(lines, file):
        for kind in ("add", "remove", "cdc"):
            if (fields := action.get(kind)) is not None and not _names_a_file(fields):
                found = f"line {number} with an {kind} action that names no file"
                raise _invalid(file, found)
        yield action


def _names_a_file(fields: object) -> bool:
    return isinstance(fields, dict) and isinstance(fields.get("path"), str)


def _strings(fields: dict[str, Any], name: str, file: str) -> tuple[str, ...]:
    value = fields.get(name)
    names = [] if value is None else value
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise _invalid(file, f"{name} that are no list of names")
    return tuple(names)


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:40]}…"


def _invalid(file: str, found: str) -> InvalidSourceError:
    return InvalidSourceError(f"{file} has {found}; expected Delta actions.", file=file)
