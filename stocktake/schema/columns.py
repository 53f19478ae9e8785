"""A column as Stocktake stores it, and the class that PostHog derives from its type."""

from collections.abc import Iterable
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any, Self

from stocktake.schema.types import Type, parse
from stocktake.schema.wire_names import database_field


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column, in the source's order.

    Attributes:
        name: the name as the source spells it (a Delta column's logical name).
        type: the ClickHouse type, Nullable where it can be.
        hogql: the class name, for example ``IntegerDatabaseField``.
        valid: whether a read of all the data agreed with the type; True until one disagrees.
        nullable: whether the source allows nulls.
        override: whether a user set the type; a refresh keeps it.
        field_id: Delta's column-mapping id, by which a rename is told from drop and add.
        partition: whether the value lives in the path and not in the file.
    """

    name: str
    type: Type
    hogql: str
    valid: bool = True
    nullable: bool = True
    override: bool = False
    field_id: int | None = None
    partition: bool = False

    @classmethod
    def of(cls, name: str, type_: Type | str, *, hogql: str | None = None, **kwargs: Any) -> Self:
        """Make a column, deriving its class and its nullability from its type.

        Args:
            type_: a type, or its text as ClickHouse writes it.
        """
        if isinstance(type_, str):
            type_ = parse(type_)
        kwargs.setdefault("nullable", type_.nullable)
        return cls(name=name, type=type_, hogql=hogql or database_field(type_), **kwargs)

    @property
    def clickhouse(self) -> str:
        """Return the type's text, as it is stored and as clients see it."""
        return str(self.type)

    def as_dict(self) -> dict[str, Any]:
        """Return the stored form; the two optional marks are left out where they say nothing."""
        stored: dict[str, Any] = {
            "name": self.name,
            "clickhouse": self.clickhouse,
            "hogql": self.hogql,
            "valid": self.valid,
            "nullable": self.nullable,
            "override": self.override,
        }
        if self.field_id is not None:
            stored["field_id"] = self.field_id
        if self.partition:
            stored["partition"] = True
        return stored

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Self:
        """Read the stored form back."""
        rest = dict(stored)
        return cls(type=parse(rest.pop("clickhouse")), **rest)


#: The most that JSON makes of one character: two halves of a surrogate pair.
_MOST_OF_A_CHARACTER = 12
#: What a column takes beside its texts: the keys and the marks of `Column.as_dict`, at most.
_FRAME_BYTES = 150


def is_stored_within(columns: Iterable[Column], size_bytes: int) -> bool:
    """Return whether a list of columns surely has no more than so many bytes of `stored_size`,
    which takes longer.

    >>> is_stored_within([Column.of("id", "Nullable(Int64)")], 191)
    False
    """
    return size_bytes >= sum(
        _MOST_OF_A_CHARACTER * (len(column.name) + len(column.clickhouse) + 2)
        + len(column.hogql)
        + _FRAME_BYTES
        for column in columns
    )


def stored_size(columns: Iterable[Column]) -> int:
    """Return how many bytes a list of columns takes in the database, as JSON; up to some tens a
    column too many.

    >>> stored_size([Column.of("id", "Nullable(Int64)")])
    191
    """
    return sum(
        len(_quoted(column.name))
        + len(_quoted(column.clickhouse))
        + len(column.hogql)
        + _FRAME_BYTES
        for column in columns
    )
