"""What a kind of job needs beside its ids, typed; a job's row keeps it as JSON.

Only `ingest_file`, `check_file`, `restore_table`, `check_source` and `preview_file` need any. Names
and values are read by processes of other releases too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from stocktake.schema.formats import TableFormat


class Target(StrEnum):
    """What an upload becomes."""

    #: The file itself is the table's content, in the place of the one before.
    FILE = "file"
    #: Its rows are loaded into a managed Delta table.
    DELTA = "delta"


class Mode(StrEnum):
    """How rows go into a managed Delta table."""

    APPEND = "append"
    REPLACE = "replace"
    #: Rows whose key the table has are updated, the others added.
    MERGE = "merge"


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestArguments:
    """How an upload is read, and what becomes of it.

    Attributes:
        format: the upload's own.
        mode: None but for `Target.DELTA`.
        key: the columns that tell a row, for `Mode.MERGE`.
        options: those that this upload was sent with; over the table's, and kept with it.
        types: by column, the words under which its types were sent; kept with the table, too.
        partition_by: the columns by which a managed Delta table is partitioned when it is made.
        table: of a check, the name of the table that the upload is held to.
        beside: of a check, whether the file would land among the table's others, and not in the
            place of what it has.
        url_pattern: of a check, where the file is; empty where it was uploaded.
        replace_source: whether it may take the place of files of the user's own that the table
            reads.
        request: a digest of what the client would send again; empty where a repetition of the
            request is another request, or an older release received it (ADR 21).
    """

    format: TableFormat
    target: Target = Target.FILE
    mode: Mode | None = None
    key: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    partition_by: tuple[str, ...] = ()
    table: str = ""
    beside: bool = False
    url_pattern: str = ""
    replace_source: bool = True
    request: str = ""

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """Read what a job's row keeps.

        Raises:
            ValueError, KeyError: a newer release wrote it, with what this one does not know.

        >>> IngestArguments.of({"format": "Parquet", "target": "delta", "mode": "append"}).mode
        <Mode.APPEND: 'append'>
        """
        mode = stored.get("mode")
        return cls(
            format=TableFormat(stored["format"]),
            target=Target(stored.get("target", Target.FILE)),
            mode=Mode(mode) if mode else None,
            key=tuple(stored.get("key", ())),
            options=dict(stored.get("options", {})),
            types=dict(stored.get("types", {})),
            partition_by=tuple(stored.get("partition_by", ())),
            table=stored.get("table", ""),
            beside=bool(stored.get("beside")),
            url_pattern=stored.get("url_pattern", ""),
            replace_source=bool(stored.get("replace_source", True)),
            request=stored.get("request", ""),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return what a job's row is to keep.

        >>> IngestArguments(format=TableFormat.CSV).as_dict()
        {'target': 'file', 'format': 'CSV'}
        """
        kept: dict[str, Any] = {"target": self.target.value, "format": self.format.value}
        kept |= {"mode": self.mode.value} if self.mode else {}
        kept |= {} if self.replace_source else {"replace_source": False}
        rest = {
            "key": list(self.key),
            "options": dict(self.options),
            "types": dict(self.types),
            "partition_by": list(self.partition_by),
            "table": self.table,
            "beside": self.beside,
            "url_pattern": self.url_pattern,
            "request": self.request,
        }
        return kept | {name: value for name, value in rest.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreArguments:
    """Which version of a managed Delta table is wanted back.

    Attributes:
        version: None for the one before the last load.
        as_of: the table's version when it was asked for; rows that came later are not dropped.
    """

    version: int | None
    as_of: int

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """Read what a job's row keeps.

        >>> RestoreArguments.of({"version": None, "as_of": 7})
        RestoreArguments(version=None, as_of=7)
        """
        version = stored.get("version")
        return cls(version=None if version is None else int(version), as_of=int(stored["as_of"]))

    def as_dict(self) -> dict[str, int | None]:
        """Return what a job's row is to keep."""
        return {"version": self.version, "as_of": self.as_of}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceArguments:
    """A source that is to be tried, and no table yet. Its keys are not among them.

    Attributes:
        format: None where it is to be found out.
        has_key: whether a credential was sealed for this job, which takes it when it begins.
    """

    url_pattern: str
    format: TableFormat | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    has_key: bool = False

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """Read what a job's row keeps.

        Raises:
            ValueError, KeyError: a newer release wrote it, with what this one does not know.

        >>> SourceArguments.of({"url_pattern": "https://b.s3.amazonaws.com/a"}).has_key
        False
        """
        known = stored.get("format")
        return cls(
            url_pattern=stored["url_pattern"],
            format=TableFormat(known) if known else None,
            options=dict(stored.get("options", {})),
            has_key=bool(stored.get("has_key")),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return what a job's row is to keep."""
        kept: dict[str, Any] = {"url_pattern": self.url_pattern, "options": dict(self.options)}
        kept |= {"format": self.format.value} if self.format else {}
        return kept | ({"has_key": True} if self.has_key else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewArguments:
    """Of which file somebody wants to see rows.

    Attributes:
        file: its name below the pattern's literal folders; None for the newest.
    """

    table_id: UUID
    file: str | None = None

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """Read what a job's row keeps."""
        return cls(table_id=UUID(stored["table"]), file=stored.get("file"))

    def as_dict(self) -> dict[str, Any]:
        """Return what a job's row is to keep."""
        return {"table": str(self.table_id)} | ({"file": self.file} if self.file else {})


def is_for_file(stored: Mapping[str, Any]) -> bool:
    """Return whether an upload's job, of any release, is to make the file itself the table's
    content.
    """
    return bool(stored.get("target") == Target.FILE)
