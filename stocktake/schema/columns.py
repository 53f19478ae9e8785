"""A column as Stocktake stores it, and the class that PostHog derives from its type."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any, Self

_WRAPPER = re.compile(r"^(?:Nullable|LowCardinality)\((.*)\)$", re.DOTALL)

_CLASSES = (
    (re.compile(r"^(?:String|FixedString|Enum8)(?:\(|$)"), "String"),
    (re.compile(r"^U?Int\d+$"), "Integer"),
    (re.compile(r"^Float\d+$"), "Float"),
    (re.compile(r"^Decimal\d*(?:\(|$)"), "Decimal"),
    (re.compile(r"^Bool$"), "Boolean"),
    (re.compile(r"^Date(?:32)?$"), "Date"),
    (re.compile(r"^DateTime(?:32|64)?(?:\(|$)"), "DateTime"),
    (re.compile(r"^UUID$"), "UUID"),
    (re.compile(r"^Array(?:\(|$)"), "StringArray"),
    (re.compile(r"^(?:Tuple|Map|JSON)(?:\(|$)"), "StringJSON"),
)


def unwrap(clickhouse: str) -> str:
    """Return the ClickHouse type without its outer Nullable and LowCardinality.

    >>> unwrap("LowCardinality(Nullable(String))")
    'String'
    """
    while match := _WRAPPER.match(clickhouse):
        clickhouse = match.group(1)
    return clickhouse


def database_field(clickhouse: str) -> str:
    """Return the class name of a ClickHouse type (docs/types.md).

    >>> database_field("Nullable(Decimal(18, 2))"), database_field("Nothing")
    ('DecimalDatabaseField', 'UnknownDatabaseField')
    """
    inner = unwrap(clickhouse)
    word = next((word for pattern, word in _CLASSES if pattern.match(inner)), "Unknown")
    return f"{word}DatabaseField"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column, in the source's order.

    Attributes:
        name: the name as the source spells it (a Delta column's logical name).
        clickhouse: the ClickHouse type, with its outer ``Nullable(…)``.
        hogql: the class name, for example ``IntegerDatabaseField``.
        valid: whether a read of all the data agreed with the type; True until one disagrees.
        nullable: whether the source allows nulls.
        override: whether a user set the type; a refresh keeps it.
        field_id: Delta's column-mapping id, by which a rename is told from drop and add.
        partition: whether the value lives in the path and not in the file.
    """

    name: str
    clickhouse: str
    hogql: str
    valid: bool = True
    nullable: bool = True
    override: bool = False
    field_id: int | None = None
    partition: bool = False

    @classmethod
    def of(cls, name: str, clickhouse: str, *, hogql: str | None = None, **kwargs: Any) -> Self:
        """Make a column, deriving its class and its nullability from its type."""
        kwargs.setdefault("nullable", clickhouse.startswith(("Nullable(", "LowCardinality(Null")))
        return cls(
            name=name, clickhouse=clickhouse, hogql=hogql or database_field(clickhouse), **kwargs
        )

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
        return cls(**stored)


#: What a column takes beside its texts: the keys and the marks of `Column.as_dict`, at most.
_FRAME_BYTES = 150


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
