"""Where a visitor of a schema is: how deep, how many fields on, and what the place is called."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from stocktake.errors import DuplicateColumnError, UnsupportedError
from stocktake.readers.limits import check_fields, check_lengths, check_size, exceeded
from stocktake.readers.source import Limits

#: How often `max_fields` a schema may have places.
_GUARD: Final = 2


@dataclass(slots=True)
class Spent:
    """What a schema took so far, over all of its columns: one that lists a type once and refers
    to it a million times is a million types here.

    Attributes:
        places: types that were entered.
        text: characters in names, symbols and time zones.
    """

    places: int = 0
    text: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a visitor is.

    Attributes:
        name: of the column or the field; empty for what a list or a map holds.
        limits: `max_nesting` says how many types may be in each other, `max_fields` how many there
            may be in all, `max_schema_bytes` how long their texts may be.
        depth: how many nested types are around it.
        in_optional: whether a struct around it, inside of the innermost list, is optional.
        around: what holds it; None for a column.
        spent: shared by all columns of a schema.
    """

    name: str
    limits: Limits
    depth: int = 0
    in_optional: bool = False
    around: "Place | None" = None
    spent: Spent = field(default_factory=Spent)

    @property
    def path(self) -> str:
        """The column and the fields below it, joined by dots; made for messages alone."""
        names, place = list[str](), self
        while place.around is not None:
            names.append(place.name)
            place = place.around
        return ".".join([place.name, *filter(None, reversed(names))])

    def enter(self, name: str = "", *, in_optional: bool = False) -> "Place":
        """Go one level down.

        Raises:
            LimitExceededError: too deep, or one type too many.
        """
        if self.depth >= self.limits.max_nesting:
            column = self.path.partition(".")[0]
            raise exceeded(
                self.limits,
                "max_nesting",
                f'The column "{column}" is nested deeper than {self.limits.max_nesting} levels',
                advice="Flatten it at the source",
            )
        self.spent.places += 1
        # `check_schema` tells a few fields too many, when all are known. This is for what would
        # never come to its end; lists and maps count here, too, and no sound schema has as many.
        if self.spent.places > _GUARD * self.limits.max_fields:
            check_fields(self.spent.places, self.limits, where="The schema")
        self.spell(name)
        return Place(
            name=name,
            depth=self.depth + 1,
            limits=self.limits,
            in_optional=in_optional,
            around=self,
            spent=self.spent,
        )

    def spell(self, *texts: str) -> None:
        """Count texts that become part of a type.

        Raises:
            LimitExceededError: they are longer than a schema may be.
        """
        self.spent.text += sum(map(len, texts))
        check_size(self.spent.text, self.limits, what="The schema")

    def unsupported(self, what: str) -> UnsupportedError:
        """Return the error for a type that no column can have.

        Args:
            what: the type, as the source calls it.
        """
        return UnsupportedError(
            f'The column "{self.path}" has the type {what[:200]}, which has no ClickHouse type.',
            code="unsupported_type",
            hint="Cast the column to a plain type at the source.",
        )


def check_elements(names: Sequence[str], place: Place) -> None:
    """Check the names of a struct's fields.

    Raises:
        DuplicateColumnError, LimitExceededError: two are one, or one is too long.
        UnsupportedError: one is empty.
    """
    if len(set(names)) < len(names):
        refuse_duplicates(names, within=f"{place.path}.")
    check_lengths(names, place.limits, where="The schema")
    if not all(names):
        raise UnsupportedError(
            f'The column "{place.path}" has a struct with a field that has no name.',
            code="unsupported_type",
            hint="Name the field at the source.",
        )


def refuse_duplicates(names: Iterable[str], *, within: str = "") -> None:
    """Check that no name comes twice.

    Args:
        names: the names of a source's columns, or of one struct's fields.
        within: the column that the struct is in.

    Raises:
        DuplicateColumnError: naming them.
    """
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        shown = ", ".join(f'"{within}{name}"' for name in twice[:10])
        raise DuplicateColumnError(f"More than one column is named {shown}.")
