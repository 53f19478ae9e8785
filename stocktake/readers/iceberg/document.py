"""The JSON of an Iceberg table's metadata file, gone through piece by piece.

A file may be tens of megabytes of snapshots around a few kilobytes of schema. So the elements of
its lists are decoded one at a time, and what nobody asks for is dropped at once.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, Self, TypeGuard

from stocktake.errors import InvalidSourceError, LimitExceededError
from stocktake.readers.limits import exceeded
from stocktake.readers.source import Limits

_MOST_ID: Final = 2**63 - 1
#: What is kept of the file's members, beside what is kept of its lists.
_KEPT: Final = frozenset(
    {"format-version", "current-schema-id", "current-snapshot-id", "schema", "view-uuid"}
    | {"partition-spec", "partition-specs", "default-spec-id", "location"}
)
#: What is kept of a snapshot's summary.
_TOTALS: Final = frozenset(
    {"total-records", "total-files-size", "total-data-files"}
    | {"total-delete-files", "total-position-deletes", "total-equality-deletes"}
)
#: Of a total: 2^63 - 1 has nineteen.
_DIGITS: Final = 40
#: Of schemas, and of partition specs: no table has so many.
_MOST_PARTS: Final = 10_000
#: Snapshots that are held until it is known which is the current one; writers say that before.
_MOST_HELD: Final = 100_000
#: What is decoded at first; nearly all values are shorter.
_PIECE_CHARACTERS: Final = 4096
#: An error this near to the end of a piece may come from its being one.
_NEAR: Final = 16
_BLANKS: Final = re.compile(r"[ \t\r\n]*+")
_COLON: Final = re.compile(r"[ \t\r\n]*+:[ \t\r\n]*+")
_OPENING: Final = {
    "{}": re.compile(r"[ \t\r\n]*+\{[ \t\r\n]*+"),
    "[]": re.compile(r"[ \t\r\n]*+\[[ \t\r\n]*+"),
}
#: A closing bracket, or a comma with something behind it.
_CLOSING: Final = {
    "{}": re.compile(r"[ \t\r\n]*+(}|,(?![ \t\r\n]*+}))[ \t\r\n]*+"),
    "[]": re.compile(r"[ \t\r\n]*+(]|,(?![ \t\r\n]*+]))[ \t\r\n]*+"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What counts of a snapshot.

    Attributes:
        schema_id: of the schema that it was written with, where it says so.
        totals: of its summary.
        written: milliseconds since 1970, or whatever stands there.
        has_parent: whether it says that there was one before it.
        manifest_list: the path of the file that lists its manifests, as the writer has it.
    """

    snapshot_id: int
    schema_id: int | None
    totals: dict[str, Any]
    written: object = None
    has_parent: bool = False
    manifest_list: str | None = None

    @classmethod
    def of(cls, element: object) -> Self | None:
        """Read one; None for what is none: only the current one matters, and it may be missing."""
        fields = element if isinstance(element, dict) else {}
        snapshot_id, schema_id = fields.get("snapshot-id"), fields.get("schema-id")
        if not is_id(snapshot_id):
            return None
        summary, manifest_list = fields.get("summary"), fields.get("manifest-list")
        totals = summary.items() if isinstance(summary, dict) else ()
        return cls(
            snapshot_id=snapshot_id,
            schema_id=schema_id if is_id(schema_id) else None,
            written=written if is_id(written := fields.get("timestamp-ms")) else None,
            has_parent=is_id(fields.get("parent-snapshot-id")),
            manifest_list=manifest_list if isinstance(manifest_list, str) else None,
            # Numbers, as texts; what else stands there may be of any size, and many are held.
            totals={
                key: value
                for key, value in totals
                if key in _TOTALS and isinstance(value, str | int) and len(str(value)) <= _DIGITS
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """The first snapshot that is known to be written with a schema.

    Attributes:
        written: milliseconds since 1970, or whatever stands there.
        exact: whether none before it can have been.
    """

    snapshot_id: int
    written: object = None
    exact: bool = True


@dataclass(slots=True, kw_only=True)
class Document:
    """What is of use of a metadata file.

    Attributes:
        file: its name below the table's root, for messages.
        members: of the file's object, those that are small.
        schemas: the JSON of each by its id, decoded once and found whole.
        specs: the JSON of each partition spec by its id.
        fields: the JSON of each field of `partition-spec`, which is the first version's only one.
        snapshot: the current one, where it is there.
        first_snapshots: by a schema's id the first snapshot that was written with it.
    """

    file: str
    members: dict[str, Any] = field(default_factory=dict)
    schemas: dict[int, str] = field(default_factory=dict)
    specs: dict[int, str] = field(default_factory=dict)
    fields: list[str] = field(default_factory=list)
    snapshot: Snapshot | None = None
    first_snapshots: dict[int, "First"] = field(default_factory=dict)
    _held: dict[int, Snapshot] = field(default_factory=dict)
    _snapshots: int = 0

    @classmethod
    def of(cls, text: str, limits: Limits, file: str) -> Self:
        """Read all of a file's text.

        Raises:
            InvalidSourceError: it is not one JSON object, or has schemas without an id of their
                own.
            LimitExceededError: one value in it is larger than a schema may be, or there are too
                many schemas or partition specs.
        """
        found = cls(file=file)
        try:
            for key, value, part in _Scan(text, limits.max_schema_bytes).members():
                found._keep(key, value, part)
        except _TooLargeError as exc:
            said, advice = f"A value in {file} is larger", "Expire snapshots of the table"
            raise exceeded(limits, "max_schema_bytes", said, advice=advice, file=file) from exc
        except (ValueError, RecursionError) as exc:
            raise InvalidSourceError(
                f"{file} is not a JSON object, or is cut off.",
                hint="Restore the file, or name an older one by options.metadata_file.",
                file=file,
            ) from exc
        found._settle()
        return found

    def _keep(self, key: str, value: Any, part: str | None) -> None:
        if part is None:
            if key in _KEPT:
                self.members[key] = value
        elif key == "schemas":
            self._keep_schema(value, part)
        elif key == "snapshots":
            self._keep_snapshot(Snapshot.of(value))
        elif key == "partition-specs" and isinstance(value, dict) and is_id(value.get("spec-id")):
            self.specs.setdefault(value["spec-id"], part)
            self._bound(len(self.specs), "partition specs")
        elif key == "partition-spec":
            self.fields.append(part)
            self._bound(len(self.fields), "partition fields")

    def _keep_schema(self, value: object, part: str) -> None:
        schema_id = value.get("schema-id") if isinstance(value, dict) else None
        if not is_id(schema_id):
            self.refuse("has something among its schemas that has no schema-id")
        if schema_id in self.schemas:
            self.refuse(f"has two schemas of the id {schema_id}")
        self.schemas[schema_id] = part
        self._bound(len(self.schemas), "schemas")

    def _keep_snapshot(self, snapshot: Snapshot | None) -> None:
        if snapshot is None:
            return
        if snapshot.schema_id is not None and len(self.first_snapshots) < _MOST_PARTS:
            # One whose parent was expired with others may not be the first.
            first = First(
                snapshot_id=snapshot.snapshot_id,
                written=snapshot.written,
                exact=bool(self._snapshots) or not snapshot.has_parent,
            )
            self.first_snapshots.setdefault(snapshot.schema_id, first)
        self._snapshots += 1
        current = self.members.get("current-snapshot-id")
        if snapshot.snapshot_id == current or (current is None and len(self._held) < _MOST_HELD):
            self._held[snapshot.snapshot_id] = snapshot

    def _settle(self) -> None:
        current = self.members.get("current-snapshot-id")
        self.snapshot = self._held.get(current) if is_id(current) else None
        self._held.clear()

    def _bound(self, count: int, what: str) -> None:
        if count > _MOST_PARTS:
            raise LimitExceededError(
                f"{self.file} has more than {_MOST_PARTS:,} {what}, which is too many.",
                hint="Write the table anew. No setting raises this.",
                file=self.file,
            )

    def refuse(self, found: str) -> NoReturn:
        """Say what is wrong with the file.

        Raises:
            InvalidSourceError: always.
        """
        raise InvalidSourceError(f"{self.file} {found}.", file=self.file)


class _TooLargeError(Exception):
    """One value is larger than any may be."""


class _Scan:
    """One way through a text of JSON; raises ValueError where it is none.

    Args:
        most: characters that one value may have, a list of the outermost object excepted: decoded,
            JSON takes up to thirty times its length.
    """

    def __init__(self, text: str, most: int) -> None:
        self._text = text
        self._most = most
        self._at = 0

    def members(self) -> Iterator[tuple[str, Any, str | None]]:
        """Yield the members of the text's object: each with its key, and each element of one that
        is a list with that key and the element's own text."""
        for _ in self._parts("{}"):
            key = self._value()
            if not isinstance(key, str):
                raise ValueError("a key is no text")
            self._pass(_COLON)
            if not self._text.startswith("[", self._at):
                yield key, self._value(), None
                continue
            for begin in self._parts("[]"):
                value = self._value()
                yield key, value, self._text[begin : self._at]
        if self._at != len(self._text):
            raise ValueError("there is more behind the object")

    def _parts(self, brackets: str) -> Iterator[int]:
        """Yield where each part of an object or a list begins, once the one before it was read."""
        self._pass(_OPENING[brackets])
        if self._text.startswith(brackets[1], self._at):
            self._at += 1
            self._pass(_BLANKS)
            return
        ended = False
        while not ended:
            yield self._at
            ended = self._pass(_CLOSING[brackets])[1] != ","

    def _value(self) -> Any:
        """Decode what stands here, from a piece that grows until it holds all of it."""
        size = min(_PIECE_CHARACTERS, self._most)
        while True:
            piece = self._text[self._at : self._at + size]
            last = self._at + size >= len(self._text)
            try:
                value, end = _decode(piece)
            except json.JSONDecodeError as exc:
                if last or not _may_be_cut(exc, len(piece)):
                    raise
            else:
                # a number that goes up to the piece's end may go on behind it
                if last or end < len(piece):
                    self._at += end
                    return value
            if size >= self._most:
                raise _TooLargeError
            size = min(16 * size, self._most)

    def _pass(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise ValueError(f"{pattern.pattern} was expected at {self._at}")
        self._at = match.end()
        return match


def _may_be_cut(error: json.JSONDecodeError, length: int) -> bool:
    """Return whether an error may come from there being no more of the text."""
    return error.msg.startswith("Unterminated string") or error.pos >= length - _NEAR


def is_id(value: object) -> TypeGuard[int]:
    """Return whether it is a whole number of 64 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and -_MOST_ID <= value <= _MOST_ID


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_decode = json.JSONDecoder(parse_constant=_no_number).raw_decode
