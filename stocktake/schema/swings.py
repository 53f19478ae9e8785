"""Columns whose writers disagree: a type that goes there and back is one unstable column, and no
schema version for each swing.

What is remembered is small: of columns that changed of late, which types reads have found, and how
long ago. docs/changes.md has the rules.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from stocktake.schema.columns import Column
from stocktake.schema.origin import Place
from stocktake.schema.types import Type, make_nullable, parse, scalar
from stocktake.schema.widening import settled, widen

#: Reads in a row that must agree until a column counts as stable again; twice as many each time
#: that it turns out not to be, up to the second number.
AGREEING: Final = 10
MOST_AGREEING: Final = 160
#: Columns that are remembered, types of each, and characters of a type: what is beyond them is
#: stored as it is read.
_MOST_COLUMNS: Final = 200
_MOST_SIDES: Final = 4
_TEXT: Final = scalar("String", nullable=True)
_MOST_CHARACTERS: Final = 1_000


@dataclass(slots=True, kw_only=True)
class Side:
    """What some reads found of a column.

    Attributes:
        type: the type's text; None where they found no such column.
        nullable: as `Column.nullable`.
        reads: how many found it, of those that are remembered.
        last: the number of the last of them.
        place: where that found it.
    """

    type: str | None
    nullable: bool
    reads: int
    last: int
    place: Place

    def is_of(self, other: "Side") -> bool:
        """Return whether the other is the same side."""
        return (self.type, self.nullable) == (other.type, other.nullable)

    def as_dict(self) -> dict[str, Any]:
        """Return it on the wire."""
        return {"type": self.type, "reads": self.reads, "newest": self.place.as_dict()}


@dataclass(slots=True, kw_only=True)
class Swing:
    """What is remembered of one column.

    Attributes:
        sides: in the order in which they were found last.
        unstable: whether it came back to one that it had left.
        needed: reads in a row that must agree.
    """

    sides: list[Side] = field(default_factory=list)
    unstable: bool = False
    needed: int = AGREEING

    def add(self, found: Side) -> None:
        """Count one more read, and forget sides that no read has found for long."""
        known = next((side for side in self.sides if side.is_of(found)), None)
        if known is not None:
            # To be gone again is how a column leaves; to be there again is to come back.
            if known is not self.sides[-1] and found.type is not None:
                self.unstable = True
            self.sides.remove(known)
            found.reads += known.reads
        self.sides.append(found)
        self.sides = [each for each in self.sides if found.last - each.last < self.needed]
        del self.sides[:-_MOST_SIDES]
        if len(self.sides) == 1 and self.unstable:
            self.unstable = False
            self.needed = min(2 * self.needed, MOST_AGREEING)

    @property
    def over(self) -> bool:
        """Whether there is nothing to remember."""
        return len(self.sides) == 1 and self.needed == AGREEING

    def type_for(self, fallback: Type) -> Type:
        """Return the type that reads what all sides have."""
        texts = [side.type for side in self.sides if side.type is not None]
        joined = fallback if not texts else parse(texts[0])
        for text in texts[1:]:
            joined = widen(joined, parse(text))
        joined = fallback if joined.name == "Nothing" else settled(joined, _TEXT)
        return make_nullable(joined) if len(texts) < len(self.sides) else joined


@dataclass(slots=True, kw_only=True)
class Swings:
    """What is remembered of a table's columns.

    Attributes:
        reads: how many reads of a changed source there were.
    """

    reads: int = 0
    columns: dict[str, Swing] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any] | None) -> Self:
        """Read the stored form back."""
        stored = stored or {}
        return cls(
            reads=stored.get("reads", 0),
            columns={
                name: Swing(
                    sides=[
                        Side(
                            type=type_,
                            nullable=nullable,
                            reads=reads,
                            last=last,
                            place=Place.from_dict(place),
                        )
                        for type_, nullable, reads, last, place in each["sides"]
                    ],
                    unstable=each["unstable"],
                    needed=each["needed"],
                )
                for name, each in stored.get("columns", {}).items()
            },
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            "reads": self.reads,
            "columns": {
                name: {
                    "sides": [
                        [side.type, side.nullable, side.reads, side.last, side.place.as_dict()]
                        for side in swing.sides
                    ],
                    "unstable": swing.unstable,
                    "needed": swing.needed,
                }
                for name, swing in self.columns.items()
            },
        }

    def steadied(
        self,
        stored: tuple[Column, ...],
        fresh: tuple[Column, ...],
        *,
        said: Callable[[Column], Type | None],
        place: Callable[[str], Place],
    ) -> tuple[Column, ...]:
        """Note what a read found, and return the columns to store for it.

        Args:
            stored: the table's columns until now.
            fresh: what the read makes of them, overrides among them.
            said: what the source itself says of one of the fresh columns; None for nothing.
            place: where a column was found last, or that it was not.

        Returns:
            The fresh columns; one that swings with the type that reads all of its sides, also where
            this read has not found it.
        """
        self.reads += 1
        before = {column.name: column for column in stored}
        after = {column.name: column for column in fresh}
        for name in [*self.columns]:
            if name not in before and name not in after:
                self._forget(name)
        for name in before | after:
            self._note(name, before.get(name), after.get(name), said, place)
        kept = {
            name: self._stored(before.get(name), after.get(name))
            for name, swing in self.columns.items()
            if swing.unstable
        }
        if not kept:
            return fresh
        if all(name in after for name in kept):
            return tuple(kept.get(column.name, column) for column in fresh)
        order = [name for name in before if name in after or name in kept]
        order += [name for name in after if name not in before]
        return tuple(kept.get(name) or after[name] for name in order)

    def _forget(self, name: str) -> None:
        # One that is gone is remembered for as long as it might come back.
        swing = self.columns[name]
        if self.reads - max(side.last for side in swing.sides) >= swing.needed:
            del self.columns[name]

    def _note(
        self,
        name: str,
        old: Column | None,
        new: Column | None,
        said: Callable[[Column], Type | None],
        place: Callable[[str], Place],
    ) -> None:
        swing = self.columns.get(name)
        if (old and old.override) or (new and new.override):
            # the user has decided
            self.columns.pop(name, None)
            return
        if swing is None and (old is None or (new is not None and _alike(old, new, said(new)))):
            return
        if old and new and old.type == new.type and _is_null(said(new)):
            # only nulls, which the type holds
            return
        found = self._side(new, said, place(name))
        if found is None:
            return
        if swing is None and old is not None and len(self.columns) < _MOST_COLUMNS:
            swing = Swing()
            until_now = self._side(old, lambda column: column.type, Place())
            if until_now is None:
                return
            until_now.last -= 1
            swing.add(until_now)
            self.columns[name] = swing
        if swing is not None:
            swing.add(found)
            if swing.over:
                del self.columns[name]

    def _side(
        self, column: Column | None, said: Callable[[Column], Type | None], place: Place
    ) -> Side | None:
        type_ = None if column is None else said(column)
        if column is not None and type_ is None:
            return None
        text = None if type_ is None else str(type_)
        if text is not None and len(text) > _MOST_CHARACTERS:
            return None
        nullable = column is None or column.nullable
        return Side(type=text, nullable=nullable, reads=1, last=self.reads, place=place)

    def _stored(self, old: Column | None, new: Column | None) -> Column:
        """Return an unstable column as it is stored."""
        column = new or old
        if column is None:
            raise AssertionError("what is in neither was forgotten")
        swing = self.columns[column.name]
        type_ = swing.type_for(column.type)
        nullable = any(side.nullable for side in swing.sides)
        for each in (new, old):
            if each is not None and each.type == type_:
                return replace(each, nullable=nullable, valid=column.valid)
        return Column.of(
            column.name,
            type_,
            nullable=nullable,
            field_id=column.field_id,
            partition=column.partition,
        )


def _alike(old: Column, new: Column, said: Type | None) -> bool:
    same = (old.type, old.nullable) == (new.type, new.nullable)
    return same and (said is None or said is new.type or said == new.type or _is_null(said))


def _is_null(said: Type | None) -> bool:
    return said is not None and said.name == "Nothing"
