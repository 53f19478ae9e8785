"""Which file, version or snapshot brought a column, and in how many of the files read it is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Self

from stocktake.schema.columns import Column
from stocktake.schema.diff import Diff
from stocktake.schema.types import Type
from stocktake.schema.widening import widen

#: Types of one column that are told apart; what files have beyond them counts for the last one.
MAX_CAMPS: Final = 4
#: Columns whose camps are kept; of the others only the counts are.
MAX_DIVIDED: Final = 500
#: Columns of a diff whose origin it tells; the table has those of all.
_MOST_IN_DIFF: Final = 200
_MAX_NAME_LENGTH: Final = 200
_MAX_TYPE_LENGTH: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A file, a Delta version or an Iceberg snapshot; one of the three.

    Attributes:
        file: its name below the pattern's literal folders; cut in the middle where it is long.
        at: when it was written, as the store or the log says; None where neither does.
        exact: False where the log tells no more than "then, or before".
    """

    file: str | None = None
    version: int | None = None
    snapshot: str | None = None
    at: datetime | None = None
    exact: bool = True

    @classmethod
    def of_file(cls, name: str, at: datetime) -> Self:
        """Return the place of a file."""
        return cls(file=cut_name(name), at=at)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Read what `as_dict` wrote."""
        at = stored["at"]
        return cls(**{**stored, "at": at and datetime.fromisoformat(at)})

    def as_dict(self) -> dict[str, Any]:
        """Return it on the wire."""
        return {
            "file": self.file,
            "version": self.version,
            "snapshot": self.snapshot,
            "at": self.at and self.at.isoformat(),
            "exact": self.exact,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Camp:
    """The files that have one type for a column."""

    type: Type
    files: int
    first: Place
    newest: Place

    def rank(self) -> tuple[int, float, str]:
        """Return what orders camps: the largest first, of equal ones that with the oldest file,
        whichever was read first.
        """
        at = self.first.at
        return -self.files, at.timestamp() if at else 0.0, self.first.file or ""

    def joined(self, other: "Camp") -> "Camp":
        """Return the two as one, of the type that holds both."""
        return Camp(
            type=widen(self.type, other.type),
            files=self.files + other.files,
            first=older(self.first, other.first),
            newest=newer(self.newest, other.newest),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it on the wire."""
        return {
            "type": cut_type(self.type),
            "files": self.files,
            "first": self.first.as_dict(),
            "newest": self.newest.as_dict(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where one column comes from.

    Attributes:
        first: the oldest place that has it.
        newest: the newest one.
        files: how many of the files read have it; None where the source tells of no files.
        camps: the files by the type that they have for it, the largest camp first, of equal ones
            that with the oldest file; none where the source tells of no files.
        type_since: since when it has its type, where a log tells that and it is not `first`.
    """

    first: Place
    newest: Place
    files: int | None = None
    camps: tuple[Camp, ...] = ()
    type_since: Place | None = None

    @classmethod
    def of_camps(cls, camps: Iterable[Camp]) -> Self:
        """Make one of all camps of a column."""
        every = sorted(camps, key=Camp.rank)
        for camp in every[MAX_CAMPS:]:
            every[MAX_CAMPS - 1] = every[MAX_CAMPS - 1].joined(camp)
        first, newest = every[0].first, every[0].newest
        for camp in every[1:]:
            first, newest = older(first, camp.first), newer(newest, camp.newest)
        files = sum(camp.files for camp in every[:MAX_CAMPS]) if len(every) > 1 else every[0].files
        return cls(first=first, newest=newest, files=files, camps=tuple(every[:MAX_CAMPS]))

    @property
    def said(self) -> Type | None:
        """What the files themselves say, whatever was stored before; Nothing is only nulls."""
        found: Type | None = None
        for camp in self.camps:
            found = camp.type if found is None else widen(found, camp.type)
        return found

    def brought(self, old: Type | None) -> Place:
        """Return the place that brought the column, or that made its type another than `old`."""
        if old is None:
            return self.first
        strangers = [camp.first for camp in self.camps if widen(camp.type, old).bare != old.bare]
        if strangers:
            place = strangers[0]
            for each in strangers[1:]:
                place = older(place, each)
            return place
        return self.type_since or (self.newest if self.camps else self.first)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origins:
    """Where the columns of one read come from.

    Attributes:
        columns: by name; columns of one origin may share it.
        of_files: how many files were read; None where the source tells of no files.
        sampled: whether there were more.
        continues: whether what the read before told still holds where this one knows less: of a
            sample, and of the commits after a version that is known.
    """

    columns: Mapping[str, Origin] = field(default_factory=dict)
    of_files: int | None = None
    sampled: bool = False
    continues: bool = False

    def after(self, stored: "Origins | None") -> "Origins":
        """Return them with what the read before told and this one does not."""
        if stored is None or not self.continues:
            return self
        columns = {
            name: _continued(stored.columns[name], origin) if name in stored.columns else origin
            for name, origin in self.columns.items()
        }
        kept = {
            # of a sample: the files that have it were not among those read
            name: replace(origin, files=0, camps=())
            for name, origin in stored.columns.items()
            if name not in columns and self.of_files is not None
        }
        return replace(self, columns=columns | kept)

    def coverage(self) -> dict[str, Any]:
        """Return how many columns are in all of the files read, and the first of the others."""
        if self.of_files is None:
            return {}
        some = [(name, each.files) for name, each in self.columns.items()]
        some = [(name, files) for name, files in some if files != self.of_files]
        return {
            "columns_in_all": len(self.columns) - len(some),
            "columns_in_some": [
                {"name": name, "files": files, "of_files": self.of_files}
                for name, files in some[:_MOST_TOLD]
            ],
        }


#: Columns that a coverage names.
_MOST_TOLD: Final = 20


def _continued(before: Origin, now: Origin) -> Origin:
    if now.files is not None:
        # A sample: the files of the read before are most likely there still.
        return replace(
            now, first=older(before.first, now.first), newest=newer(before.newest, now.newest)
        )
    first = now.first if now.first.exact else before.first
    since = now.type_since
    if since is None and not now.first.exact:
        since = before.type_since
    return replace(now, first=first, type_since=since)


def older(a: Place, b: Place) -> Place:
    """Return the older of two files."""
    return b if _moment(b) < _moment(a) else a


def newer(a: Place, b: Place) -> Place:
    """Return the newer of two files."""
    return b if _moment(b) > _moment(a) else a


def _moment(place: Place) -> tuple[float, str]:
    return (place.at.timestamp() if place.at else 0.0, place.file or "")


def cut_name(name: str) -> str:
    """Return a file's name as a place has it."""
    return _cut(name, _MAX_NAME_LENGTH)


def cut_type(type_: Type) -> str:
    """Return a type's text, cut where it is long."""
    return _cut(str(type_), _MAX_TYPE_LENGTH)


def with_origins(change: Diff, origins: Origins | None) -> Diff:
    """Return a diff that tells who brought what, from the origins of the columns behind it; where
    none are known it tells nothing of that."""
    if origins is None:
        return change
    columns: list[tuple[Column, Type | None]] = [(each, None) for each in change.added]
    columns += [(each.new, each.old.type) for each in change.changed]
    told = {
        column.name: _brought(origins, origin, old)
        for column, old in columns[:_MOST_IN_DIFF]
        if (origin := origins.columns.get(column.name)) is not None
    }
    return replace(change, origins=told)


def _brought(origins: Origins, origin: Origin, old: Type | None) -> dict[str, Any]:
    camps = origin.camps if len(origin.camps) > 1 else ()
    return {
        "brought_by": origin.brought(old).as_dict(),
        "files": origin.files,
        "of_files": origins.of_files,
        "sampled": origins.sampled,
        "camps": [camp.as_dict() for camp in camps],
    }


def _cut(text: str, most: int) -> str:
    """Return a text of at most so many characters: its two ends tell it from others.

    >>> _cut("2026/11/27.parquet", 9)
    '2026…quet'
    """
    if len(text) <= most:
        return text
    return f"{text[: (most - 1) // 2]}…{text[-(most // 2) :]}"
