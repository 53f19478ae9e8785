"""What changed between two column lists, how much it breaks, and what a refresh keeps.

A diff is data: added, removed, renamed, changed, and the same of the fields inside of columns. The
shape follows delta-kernel's ``schema/diff.rs``; as there, losing nullability breaks and gaining it
does not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Self

from stocktake.schema.columns import Column
from stocktake.schema.field_changes import FieldChange, inside
from stocktake.schema.field_changes import as_dict as fields_as_dict
from stocktake.schema.types import make_nullable
from stocktake.schema.widening import is_widening, widen


class ChangeClass(StrEnum):
    """How much a diff asks of the people who read the table; the worst part decides."""

    #: The same names and types; at most in another order.
    NONE = "none"
    #: Only new columns, or new fields in them.
    ADDITIVE = "additive"
    #: A type grew, so that every old value still fits.
    WIDENING = "widening"
    #: A column or a field went, was renamed, or has a type that old values do not fit.
    BREAKING = "breaking"


#: From the mildest to the worst.
_SEVERITY: Final = tuple(ChangeClass)


def _worst(changes: Iterable[ChangeClass]) -> ChangeClass:
    return max(changes, key=_SEVERITY.index, default=ChangeClass.NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeChange:
    """A column that has another type, class or nullability than before.

    Attributes:
        old: the column before, under its old name.
        new: the column now.
        fields: the fields inside of it that differ.
        itself: whether it differs in more than these.
    """

    old: Column
    new: Column
    fields: tuple[FieldChange, ...] = ()
    itself: bool = True

    @classmethod
    def between(cls, old: Column, new: Column) -> tuple[Self | None, bool]:
        """Compare a column with itself; also whether fields stand in another order. None where
        that is all."""
        same = (old.hogql, old.nullable) == (new.hogql, new.nullable)
        if same and old.type is new.type:
            # nearly all columns, as plain types are one object each
            return None, False
        found = inside(new.name, old.type, new.type)
        itself = found.itself or not same
        if not (itself or found.fields):
            return None, found.reordered
        return cls(old=old, new=new, fields=tuple(found.fields), itself=itself), found.reordered

    @property
    def change(self) -> ChangeClass:
        """Return how much it breaks: a field is as good as a column."""
        itself = [_class_of(self._grew)] if self.itself else []
        return _worst([*itself, *map(_class_of_field, self.fields)])

    @property
    def widening(self) -> bool:
        """Return whether whatever fitted the old column fits the new one."""
        return self.change is not ChangeClass.BREAKING

    @property
    def _grew(self) -> bool:
        if self.old.nullable and not self.new.nullable:
            return False
        # one type and two classes: a text that is JSON, or is none any more
        if self.old.type.name == self.new.type.name and self.old.hogql != self.new.hogql:
            return False
        return is_widening(self.old.type, self.new.type)

    def as_dict(self) -> dict[str, Any]:
        """Return the change on the wire."""
        return {
            "name": self.new.name,
            "from": self.old.clickhouse,
            "to": self.new.clickhouse,
            "only_fields": not self.itself,
        }


def _class_of(grew: bool) -> ChangeClass:
    return ChangeClass.WIDENING if grew else ChangeClass.BREAKING


def _class_of_field(field: FieldChange) -> ChangeClass:
    if field.old is None:
        return ChangeClass.ADDITIVE
    return _class_of(field.new is not None and is_widening(field.old, field.new))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename:
    """A column that kept its field id and changed its name."""

    old: str
    new: str

    def as_dict(self) -> dict[str, str]:
        """Return the rename on the wire."""
        return {"from": self.old, "to": self.new}


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """The way from one column list to another.

    Attributes:
        added: in the order of the new list.
        removed: in the order of the old list.
        changed: in the order of the old list; a renamed column may be here too.
        renamed: in the order of the old list.
        reordered: whether the columns, or the fields of one, that both have stand in another order.
        origins: what is known of where an added or a changed column comes from, by its name.
    """

    added: tuple[Column, ...] = ()
    removed: tuple[Column, ...] = ()
    changed: tuple[TypeChange, ...] = ()
    renamed: tuple[Rename, ...] = ()
    reordered: bool = False
    origins: Mapping[str, dict[str, Any]] = field(default_factory=dict, compare=False)

    @property
    def change(self) -> ChangeClass:
        """The worst of what the diff holds. An order alone is no change."""
        if self.removed or self.renamed:
            return ChangeClass.BREAKING
        added = [ChangeClass.ADDITIVE] if self.added else []
        return _worst([*added, *(each.change for each in self.changed)])

    def __bool__(self) -> bool:
        """Return whether a schema version should be written."""
        return self.change is not ChangeClass.NONE

    def as_dict(self) -> dict[str, Any]:
        """Return the ``diff`` of a job's result and of a schema version."""
        return {
            "added": [_named(column) | self._origin(column.name) for column in self.added],
            "removed": [_named(column) for column in self.removed],
            "changed": [each.as_dict() | self._origin(each.new.name) for each in self.changed],
            "renamed": [rename.as_dict() for rename in self.renamed],
            "fields": fields_as_dict(field for each in self.changed for field in each.fields),
            "reordered": self.reordered,
        }

    def _origin(self, name: str) -> dict[str, Any]:
        found = self.origins.get(name)
        return {} if found is None else {"origin": found}


def _named(column: Column) -> dict[str, Any]:
    return {"name": column.name, "type": column.clickhouse}


def diff(old: tuple[Column, ...], new: tuple[Column, ...]) -> Diff:
    """Compare two column lists.

    A column is the same by its field id where both lists give one, else by its name. Overrides,
    `valid` and field ids are no part of the schema and never make a change by themselves.

    Args:
        old: names are unique.
        new: names are unique.
    """
    pairs = _pairs(old, new)
    old_names = {before.name for before, _ in pairs}
    new_names = {after.name for _, after in pairs}
    compared = [TypeChange.between(before, after) for before, after in pairs]
    return Diff(
        added=tuple(column for column in new if column.name not in new_names),
        removed=tuple(column for column in old if column.name not in old_names),
        changed=tuple(change for change, _ in compared if change is not None),
        renamed=tuple(
            Rename(old=before.name, new=after.name)
            for before, after in pairs
            if before.name != after.name
        ),
        reordered=any(reordered for _, reordered in compared)
        or _reordered([after.name for _, after in pairs], new),
    )


def completed(stored: dict[str, Any]) -> dict[str, Any]:
    """Return a stored diff as this release writes it: of one before it the fields are told from the
    types of the columns that changed."""
    if "fields" in stored:
        return stored
    compared = [
        (each, TypeChange.between(*(Column.of(each["name"], each[key]) for key in ("from", "to"))))
        for each in stored.get("changed", ())
    ]
    fields = [field for _, (change, _) in compared if change for field in change.fields]
    changed = [
        each | {"only_fields": change is not None and not change.itself}
        for each, (change, _) in compared
    ]
    return stored | {"changed": changed, "fields": fields_as_dict(fields)}


def _reordered(names: list[str], new: tuple[Column, ...]) -> bool:
    kept = set(names)
    return names != [column.name for column in new if column.name in kept]


def _pairs(old: tuple[Column, ...], new: tuple[Column, ...]) -> list[tuple[Column, Column]]:
    """Return the columns that both lists have, in the order of the old one."""
    by_id = {column.field_id: column for column in new if column.field_id is not None}
    by_name = {column.name: column for column in new}
    pairs = []
    taken: set[str] = set()
    # Ids first: of two columns that changed names, each would else be taken for the other.
    for before in old:
        if before.field_id is not None and (after := by_id.get(before.field_id)) is not None:
            pairs.append((before, after))
            taken.add(after.name)
    paired = {before.name for before, _ in pairs}
    for before in old:
        after = by_name.get(before.name)
        if before.name in paired or after is None or after.name in taken:
            continue
        # two ids under one name: dropped, and another column made in its place
        if before.field_id is None or after.field_id is None:
            pairs.append((before, after))
    # Two passes have mixed the order up.
    order = {column.name: at for at, column in enumerate(old)}
    return sorted(pairs, key=lambda pair: order[pair[0].name])


def apply_overrides(stored: tuple[Column, ...], fresh: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return what a refresh stores: the fresh columns, with the types that a user set.

    Args:
        stored: the table's columns now; those with `override` decide their type.
        fresh: what the source says; its order, nullability and partitions hold.

    Returns:
        The fresh columns. An overridden one keeps its type, class and `valid`; any other keeps
        `valid` while its type is the same, until a read of all the data says otherwise.
    """
    before = {after.name: kept for kept, after in _pairs(stored, fresh)}
    return tuple(
        _carried(before[column.name], column) if column.name in before else column
        for column in fresh
    )


def _carried(stored: Column, fresh: Column) -> Column:
    if stored.override:
        return replace(
            fresh,
            type=stored.type,
            hogql=stored.hogql,
            valid=stored.valid,
            override=True,
        )
    same = stored.type == fresh.type
    return replace(fresh, valid=stored.valid if same else fresh.valid)


def merge_sampled(stored: tuple[Column, ...], fresh: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return what a truncated read makes of the stored columns: it adds and widens, never removes.

    Args:
        stored: the table's columns now.
        fresh: what the sample says.

    Files know no field ids, so names decide.

    Returns:
        The stored columns in their order, widened by the sample and nullable where it lacks
        them, then the new ones. Overridden columns stay as they are.
    """
    after = {column.name: column for column in fresh}
    known = {column.name for column in stored}
    kept = tuple(_merged(column, after.get(column.name)) for column in stored)
    return kept + tuple(column for column in fresh if column.name not in known)


def _merged(stored: Column, fresh: Column | None) -> Column:
    if stored.override:
        return stored
    if fresh is None:
        return replace(stored, type=make_nullable(stored.type), nullable=True)
    nullable = stored.nullable or fresh.nullable
    if stored.type == fresh.type:
        return replace(stored, nullable=nullable)
    wider = widen(stored.type, fresh.type)
    return Column.of(stored.name, wider, nullable=nullable, partition=fresh.partition)
