"""Which parts of a change go live by themselves, and what becomes of the columns somebody decides.

A change is decided column by column. Columns that only make sense together (two that changed their
names, one in the place of another, ``Id`` that became ``id``) are one decision.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from stocktake.schema.columns import Column
from stocktake.schema.diff import ChangeClass, Diff, apply_overrides, diff
from stocktake.schema.folding import fold

Columns = tuple[Column, ...]
#: From the mildest to the worst.
_SEVERITY: Final = tuple(ChangeClass)


class Policy(StrEnum):
    """What of a change goes live by itself."""

    #: All of it.
    AUTO = "auto"
    #: New columns, and new fields in columns; the rest waits.
    ADDITIVE_ONLY = "additive_only"
    #: Nothing: all of it waits.
    MANUAL = "manual"

    @classmethod
    def of(cls, word: str) -> "Policy":
        """Read a stored word; one of a newer release lets nothing through."""
        return cls(word) if word in tuple(cls) else cls.MANUAL

    def lets_through(self, change: ChangeClass) -> bool:
        """Return whether a change of this class goes live by itself."""
        if self is Policy.ADDITIVE_ONLY:
            return change is ChangeClass.ADDITIVE
        return self is Policy.AUTO


class Verdict(StrEnum):
    """What somebody decides about a column that changed at the source."""

    #: As the source has it now.
    ACCEPT = "accept"
    #: The old type stays, as one that the user has set.
    PIN = "pin"
    #: As it was; not asked again until the source says something else of it.
    REJECT = "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnChange:
    """One part of a change, which is decided as a whole.

    Attributes:
        names: of the columns, before and now; the first one names it.
        old: the columns before, in their order; empty where they are new.
        new: the columns now, in their order; empty where they are gone.
        change: how much it breaks.
        pinnable: whether it is one column of another type, so that the old type can be kept.
    """

    names: tuple[str, ...]
    old: Columns
    new: Columns
    change: ChangeClass
    pinnable: bool = False

    @property
    def name(self) -> str:
        """Return the name by which it is asked for."""
        return self.names[0]

    def as_dict(self) -> dict[str, Any]:
        """Return the part as it is stored and shown, undecided."""
        return {
            "name": self.name,
            "names": list(self.names),
            "change": self.change.value,
            "before": [_told(column) for column in self.old],
            "after": [_told(column) for column in self.new],
            "pinnable": self.pinnable,
            "decision": None,
        }

    def refused(self) -> dict[str, Any]:
        """Return what is remembered of it when it was rejected: what the source said."""
        return {"names": sorted(self.names), "after": [_told(column) for column in self.new]}


def _told(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": column.clickhouse,
        "hogql": column.hogql,
        "nullable": column.nullable,
    }


def column_changes(live: Columns, fresh: Columns) -> tuple[ColumnChange, ...]:
    """Return the parts of the change from one column list to another.

    Args:
        live: what readers see.
        fresh: what the source says, with the types that users have set.

    >>> live = (Column.of("a", "Int32"), Column.of("b", "Int8"))
    >>> parts = column_changes(live, (Column.of("a", "Int64"), Column.of("c", "Date")))
    >>> [(part.name, str(part.change)) for part in parts]
    [('a', 'widening'), ('c', 'additive'), ('b', 'breaking')]
    """
    found = diff(live, fresh)
    if not found:
        return ()
    edges = list(_edges(found))
    groups = _grouped(edges)
    before = {column.name: column for column in live}
    after = {column.name: column for column in fresh}
    # As the source has them, then those that went in the order in which they were.
    order = {name: at for at, name in enumerate(dict.fromkeys([*after, *before]))}
    was = {name: at for at, name in enumerate(before)}
    parts = [_part(group, before, after, order, was) for group in groups]
    return tuple(sorted(parts, key=lambda part: order[part.name]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edge:
    """A column's way from its old name to its new one; None at one end where there is none."""

    old: str | None
    new: str | None
    change: ChangeClass

    @property
    def ends(self) -> list[str]:
        return [name for name in (self.new, self.old) if name is not None]


def _edges(found: Diff) -> Iterable[_Edge]:
    renamed = {rename.old for rename in found.renamed}
    for column in found.added:
        yield _Edge(old=None, new=column.name, change=ChangeClass.ADDITIVE)
    for column in found.removed:
        yield _Edge(old=column.name, new=None, change=ChangeClass.BREAKING)
    for rename in found.renamed:
        yield _Edge(old=rename.old, new=rename.new, change=ChangeClass.BREAKING)
    for each in found.changed:
        if each.old.name not in renamed:
            yield _Edge(old=each.old.name, new=each.new.name, change=each.change)


def _grouped(edges: list[_Edge]) -> list[list[_Edge]]:
    """Put the ways together that share a name, and a column that went with one that came under the
    same name in other letters."""
    home: dict[str, str] = {}

    def root(name: str) -> str:
        while (above := home.setdefault(name, name)) != name:
            name = above
        return name

    gone = {fold(edge.old): edge.old for edge in edges if edge.old and edge.new is None}
    for edge in edges:
        first, *more = edge.ends
        if edge.old is None and (other := gone.get(fold(first))) is not None:
            more.append(other)
        for name in more:
            home[root(name)] = root(first)
    groups: defaultdict[str, list[_Edge]] = defaultdict(list)
    for edge in edges:
        groups[root(edge.ends[0])].append(edge)
    return list(groups.values())


def _part(
    group: list[_Edge],
    before: dict[str, Column],
    after: dict[str, Column],
    order: dict[str, int],
    was: dict[str, int],
) -> ColumnChange:
    old = sorted((edge.old for edge in group if edge.old is not None), key=was.__getitem__)
    new = sorted((edge.new for edge in group if edge.new is not None), key=order.__getitem__)
    types_differ = any(_other_type(before[a], after[b]) for a, b in zip(old, new, strict=False))
    return ColumnChange(
        names=tuple(dict.fromkeys([*new, *old])),
        old=tuple(before[name] for name in old),
        new=tuple(after[name] for name in new),
        change=worst(edge.change for edge in group),
        pinnable=len(group) == 1 and types_differ,
    )


def _other_type(old: Column, new: Column) -> bool:
    return (old.type, old.hogql) != (new.type, new.hogql)


def pinned(part: ColumnChange) -> Column:
    """Return the column as the source has it, with the old type as one that the user has set.

    Args:
        part: a pinnable one.
    """
    kept = replace(part.old[0], name=part.new[0].name, override=True)
    return apply_overrides((kept,), part.new)[0]


def with_columns(fresh: Columns, changed: Iterable[Column]) -> Columns:
    """Return the columns with these in the place of those of the same names."""
    by_name = {column.name: column for column in changed}
    return tuple(by_name.get(column.name, column) for column in fresh)


def without(live: Columns, fresh: Columns, left: Collection[ColumnChange]) -> Columns:
    """Return the fresh columns, but those of the parts that are left as they are in `live`.

    Args:
        live: what readers see.
        fresh: what the source says.
        left: parts of the change between the two.

    Returns:
        the columns in the source's order; one that went there and stays stands behind the one that
        was before it.
    """
    if not left:
        return fresh
    found = diff(live, fresh)
    before = {column.name: column for column in live}
    old_name = {rename.new: rename.old for rename in found.renamed}
    added = {column.name for column in found.added}
    not_taken = {column.name for part in left for column in part.new}
    #: Live name (None of a new column) and column, in the order of the source.
    rows: list[tuple[str | None, Column]] = []
    for column in fresh:
        was = None if column.name in added else old_name.get(column.name, column.name)
        if column.name not in not_taken:
            rows.append((was, column))
        elif was is not None:
            rows.append((was, before[was]))
    stays = {column.name for part in left for column in part.old}
    behind = _behind(live, stays, {was for was, _ in rows if was is not None})
    ordered = list(behind[None])
    for was, column in rows:
        ordered += [column, *(behind[was] if was is not None else ())]
    return tuple(ordered)


def _behind(
    live: Columns, stays: set[str], placed: set[str]
) -> defaultdict[str | None, list[Column]]:
    """Return the columns that stay and have no place in the source, by the one before them."""
    behind: defaultdict[str | None, list[Column]] = defaultdict(list)
    last: str | None = None
    for column in live:
        if column.name in placed:
            last = column.name
        elif column.name in stays:
            behind[last].append(column)
    return behind


def worst(changes: Iterable[str]) -> ChangeClass:
    """Return the worst of stored classes of change.

    >>> str(worst(["additive", "breaking", "widening"])), str(worst([]))
    ('breaking', 'none')
    """
    return max(map(ChangeClass, changes), key=_SEVERITY.index, default=ChangeClass.NONE)
