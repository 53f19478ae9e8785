"""What a read tells of where its columns come from, and of those whose writers disagree."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

from stocktake.db.models import Table
from stocktake.readers.source import Introspection
from stocktake.schema.columns import Column
from stocktake.schema.diff import Diff
from stocktake.schema.origin import Origins, Place, newer, with_origins
from stocktake.schema.stored_origins import StoredOrigins, stored_origins
from stocktake.schema.swings import Swing, Swings
from stocktake.schema.types import Type
from stocktake.schema.warnings import ReadWarning, WarningCode

#: Columns that are warned of, and characters of a name and of a type in a sentence.
_MOST_WARNED: Final = 5
_SHOWN_LENGTH: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Blamed:
    """What a refresh stores of a read.

    Attributes:
        columns: the read's, with those that swing as they are stored.
        stored: for `Table.origins`; None where nothing is known.
        warnings: of the columns that swing.
    """

    columns: tuple[Column, ...]
    origins: Origins | None
    stored: dict[str, Any] | None
    warnings: tuple[ReadWarning, ...]

    def told(self, change: Diff) -> Diff:
        """Return a diff from what was stored before that tells who brought what."""
        return with_origins(change, self.origins)


def blame(
    table: Table, before: tuple[Column, ...], fresh: tuple[Column, ...], found: Introspection
) -> Blamed:
    """Hold what a read found against what the reads before it did.

    Args:
        table: locked, as the read before left it.
        before: its source's columns, as that read found them.
        fresh: what the read makes of them.
        found: the read, of a source that changed.
    """
    known = table.origins or {}
    swings = Swings.from_dict(known.get("swings"))
    columns = fresh
    # What is ours has one writer, and a load that is taken back is taken back.
    if not table.managed:
        columns = _steadied(swings, before, fresh, found)
    # Also those that are shown although the read has not found them, as a policy may have it: such
    # a column has no origin.
    names = dict.fromkeys(column.name for column in (*columns, *before))
    names |= dict.fromkeys(each["name"] for each in table.columns)
    origins = found.origins
    if origins is not None and origins.continues:
        origins = origins.after(StoredOrigins(known).origins(column.name for column in before))
    kept = {} if origins is None else stored_origins(origins, names)
    if swings.columns or swings.reads:
        kept["swings"] = swings.as_dict()
    return Blamed(
        columns=columns,
        # Of the first read all is new.
        origins=origins if before else None,
        stored=kept or None,
        warnings=tuple(_warnings(swings)),
    )


def _steadied(
    swings: Swings, before: tuple[Column, ...], fresh: tuple[Column, ...], found: Introspection
) -> tuple[Column, ...]:
    origins = {} if found.origins is None else found.origins.columns
    latest = _latest(found)

    def said(column: Column) -> Type | None:
        origin = origins.get(column.name)
        own = None if origin is None else origin.said
        if own is not None and own.name == "Nothing":
            return own
        if not found.coverage.truncated:
            return column.type
        # what earlier samples found is in the column's type as well
        return None if own is None or (own.name == "Tuple" and not own.fields) else own

    def place(name: str) -> Place:
        return origins[name].newest if name in origins else latest

    return swings.steadied(before, fresh, said=said, place=place)


def _latest(found: Introspection) -> Place:
    version = found.source_version
    if found.origins is None or not found.origins.columns:
        return Place(version=version if isinstance(version, int) else None)
    distinct = {id(each): each.newest for each in found.origins.columns.values()}
    return reduce(newer, distinct.values())


def _warnings(swings: Swings) -> Iterator[ReadWarning]:
    unstable = [(name, swing) for name, swing in swings.columns.items() if swing.unstable]
    for name, swing in unstable[:_MOST_WARNED]:
        yield ReadWarning(
            code=WarningCode.UNSTABLE_COLUMN,
            sentence=f'The column "{name[:_SHOWN_LENGTH]}" goes there and back between '
            f"{_sides(swing)}. It is stored as one that reads all of them until {swing.needed} "
            "reads in a row agree, or until you set its type.",
        )
    if len(unstable) > _MOST_WARNED:
        yield ReadWarning(
            code=WarningCode.UNSTABLE_COLUMN,
            sentence=f"{len(unstable) - _MOST_WARNED:,} more columns go there and back.",
        )


def _sides(swing: Swing) -> str:
    told = []
    for side in swing.sides:
        where = side.place.file or side.place.snapshot
        if side.place.version is not None:
            where = f"version {side.place.version}"
        what = "no such column" if side.type is None else side.type[:_SHOWN_LENGTH]
        told.append(f"{what} ({where[-_SHOWN_LENGTH:]})" if where else what)
    return " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told)
