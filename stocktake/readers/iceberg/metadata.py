"""What an Iceberg table's metadata file says, taken out of its JSON piece by piece.

A file may be tens of megabytes of snapshots around a few kilobytes of schema. So the snapshots and
the schemas are decoded one at a time, and what nobody asks for is dropped at once.
"""

import json
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeGuard

from stocktake.errors import FormatMismatchError, InvalidSourceError, UnsupportedError
from stocktake.readers.limits import check_size
from stocktake.readers.source import Limits

#: Of the specification, "Table Metadata".
_MOST_FORMAT_VERSION: Final = 3
_MOST_COUNT: Final = 2**63 - 1
#: What is kept of the file's members, beside its lists of schemas and of snapshots.
_KEPT: Final = frozenset(
    {"format-version", "current-schema-id", "current-snapshot-id", "schema", "view-uuid"}
    | {"partition-spec", "partition-specs", "default-spec-id"}
)
_LISTS: Final = frozenset({"schemas", "snapshots"})
_BLANKS: Final = re.compile(r"[ \t\r\n]*+")
_DELETES: Final = ("total-position-deletes", "total-equality-deletes")

#: An element of a list, and where its text begins and ends.
_Element = tuple[Any, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a snapshot holds, as far as its summary tells it exactly."""

    rows: int | None = None
    size_bytes: int | None = None
    files: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableMetadata:
    """A table as its metadata file has it.

    Attributes:
        schema: the current one.
        earlier: the others, in the order in which they were made, and after them the current one
            as often as it was gone back to.
        partition_ids: the ids of the fields by whose plain values the table is partitioned.
        snapshot_id: of the current snapshot; None where nothing was ever written.
        counts: of the current snapshot.
    """

    schema: dict[str, Any]
    earlier: "tuple[EarlierSchema, ...]"
    partition_ids: frozenset[int]
    snapshot_id: int | None
    counts: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierSchema:
    """A schema that was current before.

    Attributes:
        text: its JSON, decoded by `decoded`: there may be hundreds.
        snapshot_id: the first snapshot that was written with it, where that is still known.
    """

    schema_id: int
    text: str
    snapshot_id: int | None

    def decoded(self) -> dict[str, Any]:
        """Return the schema, which was decoded once before."""
        found: dict[str, Any] = json.loads(self.text)
        return found


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
    return _Document(text, limits, file).table()


class _Document:
    """One metadata file."""

    def __init__(self, text: str, limits: Limits, file: str) -> None:
        self._text = text
        self._limits = limits
        self._file = file
        self._members: dict[str, Any] = {}
        self._lists: dict[str, int] = {}

    def table(self) -> TableMetadata:
        try:
            self._scan()
        except (ValueError, RecursionError) as exc:
            raise InvalidSourceError(
                f"{self._file} is not a JSON object, or is cut off.",
                hint="Restore the file, or name an older one by options.metadata_file.",
                file=self._file,
            ) from exc
        version = self._version()
        snapshots = [*self._snapshots()]
        by_schema: dict[int, int] = {}
        for snapshot_id, schema_id, _ in snapshots:
            by_schema.setdefault(schema_id, snapshot_id)
        schema, earlier = self._schemas(version, by_schema)
        current = self._snapshot_id()
        summary = {each: found for each, _, found in snapshots}.get(current or 0)
        return TableMetadata(
            schema=schema,
            earlier=earlier,
            partition_ids=self._partition_ids(version),
            snapshot_id=current,
            counts=Counts(rows=0, size_bytes=0, files=0)
            if current is None
            else _counts(summary, version),
        )

    # --- the JSON -------------------------------------------------------------------------

    def _scan(self) -> None:
        """Go through the members of the file's object, all of them; keep those of use.

        Raises:
            ValueError: it is no JSON object.
        """
        text, at = self._text, self._past(0, "{")
        ended = text.startswith("}", at)
        at += ended
        while not ended:
            key, at = _decode(text, at)
            if not isinstance(key, str):
                raise ValueError("a key is no text")
            at = self._past(at, ":")
            if key in _LISTS and text.startswith("[", at):
                self._lists[key], at = at, self._end_of_list(at)
            else:
                value, at = _decode(text, at)
                if key in _KEPT:
                    self._members[key] = value
            at = self._blanks(at)
            ended = not text.startswith(",", at)
            at = self._past(at, "}" if ended else ",")
        if at != len(text):
            raise ValueError("there is more behind the object")

    def _end_of_list(self, at: int) -> int:
        last = deque((end for _, _, end in self._elements(at)), maxlen=1)
        return self._past(last[0] if last else self._past(at, "["), "]")

    def _elements(self, at: int) -> Iterator[_Element]:
        """Yield the elements of the list that begins there, one in memory at a time."""
        at = self._past(at, "[")
        while not self._text.startswith("]", at):
            begin = at
            value, end = _decode(self._text, begin)
            yield value, begin, end
            at = self._blanks(end)
            if not self._text.startswith(",", at):
                return
            at = self._past(at, ",")
            if self._text.startswith("]", at):
                raise ValueError("a comma ends the list")

    def _past(self, at: int, expected: str) -> int:
        """Return where the next thing begins behind this character, blanks around it left out."""
        at = self._blanks(at)
        if not self._text.startswith(expected, at):
            raise ValueError(f"there is no {expected}")
        return self._blanks(at + 1)

    def _blanks(self, at: int) -> int:
        blanks = _BLANKS.match(self._text, at)
        return blanks.end() if blanks else at

    # --- what it says ---------------------------------------------------------------------

    def _version(self) -> int:
        if "view-uuid" in self._members:
            raise FormatMismatchError(
                f"{self._file} is the metadata of an Iceberg view, which has no data.",
                hint="Point the table at the root folder of a table.",
                file=self._file,
            )
        version = self._members.get("format-version")
        if not _is_int(version) or version < 1:
            self._refuse("has no format-version, so it is no table's metadata")
        if version > _MOST_FORMAT_VERSION:
            raise UnsupportedError(
                f"{self._file} is of version {_shown(version)} of the Iceberg format; this reader "
                f"knows versions up to {_MOST_FORMAT_VERSION}.",
                code="unsupported_reader_feature",
                file=self._file,
            )
        return version

    def _schemas(
        self, version: int, by_schema: dict[int, int]
    ) -> tuple[dict[str, Any], tuple[EarlierSchema, ...]]:
        """Return the current schema, and the others."""
        found = self._spans("schemas", "schema-id")
        current = self._members.get("current-schema-id")
        if version == 1 and not (found and _is_int(current)):
            # the first version had this one alone
            schema = self._members.get("schema")
            if not isinstance(schema, dict):
                self._refuse("has neither a schema nor a current-schema-id")
            return schema, ()
        if not _is_int(current):
            self._refuse("has no current-schema-id")
        if current not in found:
            self._refuse(
                f"says that its current schema is the one of the id {_shown(current)}, and holds "
                f"{_listed(found)}"
            )
        made = sorted(found)
        if made[-1] == current:
            made.pop()
        earlier = tuple(
            EarlierSchema(schema_id=each, text=found[each], snapshot_id=by_schema.get(each))
            for each in made
        )
        check_size(len(found[current]), self._limits, what="The Iceberg schema", file=self._file)
        return json.loads(found[current]), earlier

    def _spans(self, name: str, key: str) -> dict[int, str]:
        """Return the texts of a list's objects by their ids."""
        spans: dict[int, str] = {}
        if name not in self._lists:
            return spans
        for value, begin, end in self._elements(self._lists[name]):
            found = value.get(key) if isinstance(value, dict) else None
            if not _is_int(found):
                self._refuse(f"has something among its {name} that has no {key}")
            if found in spans:
                self._refuse(f"has two {name} of the id {_shown(found)}")
            spans[found] = self._text[begin:end]
        return spans

    def _snapshots(self) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """Yield of each snapshot its id, its schema's, and those parts of its summary that count.
        What is no snapshot is left out: only the current one matters, and may be missing."""
        if "snapshots" not in self._lists:
            return
        for value, _, _ in self._elements(self._lists["snapshots"]):
            fields = value if isinstance(value, dict) else {}
            snapshot_id, schema_id = fields.get("snapshot-id"), fields.get("schema-id")
            summary = fields.get("summary")
            if _is_int(snapshot_id):
                yield (
                    snapshot_id,
                    schema_id if _is_int(schema_id) else -1,
                    {key: each for key, each in summary.items() if key.startswith("total-")}
                    if isinstance(summary, dict)
                    else {},
                )

    def _snapshot_id(self) -> int | None:
        found = self._members.get("current-snapshot-id")
        # Older writers have -1 for none.
        if found is None or found == -1:
            return None
        if not _is_int(found) or not -_MOST_COUNT <= found <= _MOST_COUNT:
            self._refuse("has a current-snapshot-id that is no number of 64 bits")
        return found

    def _partition_ids(self, version: int) -> frozenset[int]:
        """Return the ids of the fields that the default spec takes as they are."""
        fields = self._members.get("partition-spec") if version == 1 else None
        if specs := self._members.get("partition-specs"):
            wanted = self._members.get("default-spec-id")
            known = specs if isinstance(specs, list) else []
            # compared, not looked up: an id may be anything
            spec = next(
                (s for s in known if isinstance(s, dict) and s.get("spec-id") == wanted), None
            )
            if spec is None or not _is_int(wanted):
                self._refuse(f"has no partition spec of its default-spec-id, {_shown(wanted)}")
            fields = spec.get("fields")
        if fields is None:
            return frozenset()
        if not isinstance(fields, list) or not all(isinstance(each, dict) for each in fields):
            self._refuse("has a partition spec that is not a list of fields")
        sources = (each.get("source-id") for each in fields if each.get("transform") == "identity")
        return frozenset(each for each in sources if _is_int(each))

    def _refuse(self, found: str) -> NoReturn:
        raise InvalidSourceError(f"{self._file} {found}.", file=self._file)


def _counts(summary: dict[str, Any] | None, version: int) -> Counts:
    """Return what a summary tells exactly. Rows that delete files take away may be gone already, so
    with any of them how many are left is not known."""
    if summary is None:
        return Counts()
    undeleted = (
        version == 1
        or _count(summary, "total-delete-files") == 0
        or all(_count(summary, each) == 0 for each in _DELETES)
    )
    return Counts(
        rows=_count(summary, "total-records") if undeleted else None,
        size_bytes=_count(summary, "total-files-size"),
        files=_count(summary, "total-data-files"),
    )


def _count(summary: dict[str, Any], key: str) -> int | None:
    # A summary maps texts to texts (specification, "Snapshots").
    found = summary.get(key)
    if not isinstance(found, str) or not (found.isascii() and found.isdecimal()):
        return None
    return number if len(found) < 20 and (number := int(found)) <= _MOST_COUNT else None


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(value: object) -> str:
    return ascii(value)[:40]


def _listed(ids: dict[int, str]) -> str:
    shown = ", ".join(map(_shown, [*ids][:10]))
    more = f" and {len(ids) - 10} more" if len(ids) > 10 else ""
    return f"the schemas {shown}{more}" if ids else "no schemas"


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_decode = json.JSONDecoder(parse_constant=_no_number).raw_decode
