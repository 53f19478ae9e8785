"""The JSON of an Iceberg table's metadata file, gone through piece by piece.

A file may be tens of megabytes of snapshots around a few kilobytes of schema. So the snapshots and
the schemas are decoded one at a time, and what nobody asks for is dropped at once.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, Self, TypeGuard

from stocktake.errors import InvalidSourceError

_MOST_ID: Final = 2**63 - 1
#: What is kept of the file's members, beside its lists of schemas and of snapshots.
_KEPT: Final = frozenset(
    {"format-version", "current-schema-id", "current-snapshot-id", "schema", "view-uuid"}
    | {"partition-spec", "partition-specs", "default-spec-id"}
)
#: What is kept of a snapshot's summary.
_TOTALS: Final = frozenset(
    {"total-records", "total-files-size", "total-data-files"}
    | {"total-delete-files", "total-position-deletes", "total-equality-deletes"}
)
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
    """

    snapshot_id: int
    schema_id: int | None
    totals: dict[str, Any]

    @classmethod
    def of(cls, element: object) -> Self | None:
        """Read one; None for what is none: only the current one matters, and it may be missing."""
        fields = element if isinstance(element, dict) else {}
        snapshot_id, schema_id = fields.get("snapshot-id"), fields.get("schema-id")
        if not is_id(snapshot_id):
            return None
        summary = fields.get("summary")
        totals = summary.items() if isinstance(summary, dict) else ()
        return cls(
            snapshot_id=snapshot_id,
            schema_id=schema_id if is_id(schema_id) else None,
            totals={key: value for key, value in totals if key in _TOTALS},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What is of use of a metadata file.

    Attributes:
        file: its name below the table's root, for messages.
        members: of the file's object, those that are small.
        schemas: the JSON of each by its id, decoded once and found whole.
        snapshots: in the file's order, which is the order in which they were made.
    """

    file: str
    members: dict[str, Any] = field(default_factory=dict)
    schemas: dict[int, str] = field(default_factory=dict)
    snapshots: list[Snapshot] = field(default_factory=list)

    @classmethod
    def of(cls, text: str, file: str) -> Self:
        """Read all of a file's text.

        Raises:
            InvalidSourceError: it is not one JSON object, or has schemas without an id of their
                own.
        """
        found = cls(file=file)
        try:
            for key, value, span in _Scan(text).members():
                found._keep(key, value, span)
        except (ValueError, RecursionError) as exc:
            raise InvalidSourceError(
                f"{file} is not a JSON object, or is cut off.",
                hint="Restore the file, or name an older one by options.metadata_file.",
                file=file,
            ) from exc
        return found

    def _keep(self, key: str, value: Any, text: str | None) -> None:
        if text is None:
            if key in _KEPT:
                self.members[key] = value
        elif key == "schemas":
            self._keep_schema(value, text)
        elif snapshot := Snapshot.of(value):
            self.snapshots.append(snapshot)

    def _keep_schema(self, value: object, text: str) -> None:
        schema_id = value.get("schema-id") if isinstance(value, dict) else None
        if not is_id(schema_id):
            self.refuse("has something among its schemas that has no schema-id")
        if schema_id in self.schemas:
            self.refuse(f"has two schemas of the id {schema_id}")
        self.schemas[schema_id] = text

    def refuse(self, found: str) -> NoReturn:
        """Say what is wrong with the file.

        Raises:
            InvalidSourceError: always.
        """
        raise InvalidSourceError(f"{self.file} {found}.", file=self.file)


class _Scan:
    """One way through a text of JSON; raises ValueError where it is none."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def members(self) -> Iterator[tuple[str, Any, str | None]]:
        """Yield the members of the text's object: each with its key; of a list of schemas or of
        snapshots each element, with that key and the element's own text."""
        for _ in self._parts("{}"):
            key = self._value()
            if not isinstance(key, str):
                raise ValueError("a key is no text")
            self._pass(_COLON)
            if key in ("schemas", "snapshots") and self._text.startswith("[", self._at):
                for begin in self._parts("[]"):
                    value = self._value()
                    yield key, value, self._text[begin : self._at]
            else:
                yield key, self._value(), None
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
        value, self._at = _decode(self._text, self._at)
        return value

    def _pass(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise ValueError(f"{pattern.pattern} was expected at {self._at}")
        self._at = match.end()
        return match


def is_id(value: object) -> TypeGuard[int]:
    """Return whether it is a whole number of 64 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and -_MOST_ID <= value <= _MOST_ID


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_decode = json.JSONDecoder(parse_constant=_no_number).raw_decode
