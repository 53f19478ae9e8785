"""Delta schema JSON to columns: Delta's type names, in ClickHouse's words."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from stocktake.errors import (
    DuplicateColumnError,
    InvalidSourceError,
    JobError,
    LimitExceededError,
    UnsupportedError,
)
from stocktake.readers.delta.numbers import whole_number
from stocktake.readers.limits import check_columns, check_names, check_size, exceeded
from stocktake.readers.source import Limits
from stocktake.schema.columns import Column
from stocktake.schema.types import Field, Type, array_of, make_nullable, map_of, scalar, tuple_of

_PRIMITIVES: Final = {
    "byte": scalar("Int8"),
    "short": scalar("Int16"),
    "integer": scalar("Int32"),
    "int": scalar("Int32"),
    "long": scalar("Int64"),
    "bigint": scalar("Int64"),
    "float": scalar("Float32"),
    "double": scalar("Float64"),
    "boolean": scalar("Bool"),
    "string": scalar("String"),
    "binary": scalar("String"),
    "variant": scalar("String"),
    "date": scalar("Date32"),
    "timestamp": scalar("DateTime64", "6"),
    "timestamp_ntz": scalar("DateTime64", "6"),
    "decimal": scalar("Decimal", "10", "0"),
    "void": scalar("Nothing"),
    "null": scalar("Nothing"),
}
_NULLABLE: Final = {name: make_nullable(type_) for name, type_ in _PRIMITIVES.items()}
_DECIMAL: Final = re.compile(r"decimal\(\s*([0-9]{1,2})\s*,\s*([0-9]{1,2})\s*\)")
#: Digits that a decimal of Delta may have.
_MOST_DIGITS: Final = 38
_STRINGS: Final = re.compile(r"(?:var)?char\(\s*\d+\s*\)|interval(?: .*)?")

#: Characters of a stranger's name or type in a message.
_MOST_SHOWN: Final = 80

_FIELD_ID: Final = "delta.columnMapping.id"


def columns_of(
    schema_string: str, partition_columns: Sequence[str], limits: Limits, *, file: str = ""
) -> tuple[Column, ...]:
    """Return the columns of a `metaData` action, in the schema's order, by their logical names.

    Args:
        schema_string: the action's `schemaString`, a struct type as JSON.
        partition_columns: the action's `partitionColumns`; those columns are marked.
        limits: of a schema's bounds all hold here.
        file: where the action stands, for messages.

    Raises:
        InvalidSourceError: not a Delta schema, a name that cannot be stored, or a partition
            column that it lacks.
        UnsupportedError: `unsupported_type`, naming the column.
        DuplicateColumnError: two names that differ in case only.
        LimitExceededError: too many columns, or types nested too deep.
    """
    with _naming(file):
        return _columns(schema_string, partition_columns, limits, f"In {file or 'the Delta log'}")


@contextmanager
def _naming(file: str) -> Iterator[None]:
    """Let every refusal name the file."""
    try:
        yield
    except JobError as exc:
        exc.file = exc.file or file or None
        raise


def _columns(
    schema_string: str, partition_columns: Sequence[str], limits: Limits, place: str
) -> tuple[Column, ...]:
    size = len(schema_string) + sum(map(len, partition_columns))
    check_size(size, limits, what="The Delta schema")
    where = f"{place}, the table schema"
    fields = _fields(_parsed(schema_string, limits, place), where)
    check_columns(len(fields), limits)
    names = _names(fields, where, limits)
    if missing := sorted(set(partition_columns) - set(names)):
        raise InvalidSourceError(
            f"{where} lacks the partition column {_listed(missing)}; it has {_listed(names)}.",
            hint="Add the column to the table's schema, or write the table again without that "
            "partition.",
        )
    partitions = frozenset(partition_columns)
    return tuple(_column(each, each["name"] in partitions, limits, place) for each in fields)


def _parsed(schema_string: str, limits: Limits, place: str) -> object:
    try:
        return json.loads(schema_string)
    except ValueError as exc:
        raise InvalidSourceError(f"{place}, the table's schemaString is not JSON.") from exc
    except RecursionError as exc:
        raise _too_deep("The Delta schema", limits) from exc


def _column(field: dict[str, Any], partition: bool, limits: Limits, place: str) -> Column:
    # What does not say that it is never null may be: a wrapper too many loses nothing.
    nullable = field.get("nullable", True) is not False
    field_id = whole_number((field.get("metadata") or {}).get(_FIELD_ID))
    return Column.of(
        field["name"],
        _Types(field["name"], limits, place).type_of(field.get("type"), nullable),
        hogql="StringJSONDatabaseField" if field.get("type") == "variant" else None,
        nullable=nullable,
        field_id=field_id,
        partition=partition,
    )


def _too_deep(what: str, limits: Limits) -> LimitExceededError:
    said = f"{what} nests deeper than {limits.max_nesting} levels"
    return exceeded(limits, "max_nesting", said, advice="Flatten it at the source")


class _Types:
    """One column's types; every refusal names the column."""

    def __init__(self, column: str, limits: Limits, place: str) -> None:
        self._column = column if len(column) <= _MOST_SHOWN else f"{column[:_MOST_SHOWN]}…"
        self._limits = limits
        self._place = place

    def type_of(self, kind: object, nullable: bool, depth: int = 0) -> Type:
        """Return the ClickHouse type; only primitives take the Nullable wrapper, and in a struct
        that may be null all of them: it is null where they are."""
        if depth > self._limits.max_nesting:
            raise _too_deep(f"Column '{self._column}'", self._limits)
        if isinstance(kind, dict):
            return self._nested(kind, nullable, depth + 1)
        if nullable and isinstance(kind, str) and kind in _NULLABLE:
            return _NULLABLE[kind]
        inner = self._primitive(kind)
        return make_nullable(inner) if nullable else inner

    def _nested(self, kind: dict[str, Any], nullable: bool, depth: int) -> Type:
        match kind.get("type"):
            case "array":
                contains_null = kind.get("containsNull") is not False
                return array_of(self.type_of(kind.get("elementType"), contains_null, depth))
            case "map":
                key = self.type_of(kind.get("keyType"), False, depth)
                contains_null = kind.get("valueContainsNull") is not False
                return map_of(key, self.type_of(kind.get("valueType"), contains_null, depth))
            case "struct":
                return tuple_of(self._elements(kind, nullable, depth))
            # A class of Spark's, stored as another type.
            case "udt" if kind.get("sqlType") is not None:
                return self.type_of(kind["sqlType"], nullable, depth)
            case other:
                raise self._unsupported(other)

    def _elements(self, kind: dict[str, Any], nullable: bool, depth: int) -> list[Field]:
        where = f"{self._place}, column '{self._column}'"
        fields = _fields(kind, where)
        _names(fields, where, self._limits)
        return [
            Field(
                each["name"],
                self.type_of(
                    each.get("type"), nullable or each.get("nullable", True) is not False, depth
                ),
            )
            for each in fields
        ]

    def _primitive(self, kind: object) -> Type:
        if isinstance(kind, str):
            if kind in _PRIMITIVES:
                return _PRIMITIVES[kind]
            if match := _DECIMAL.fullmatch(kind):
                return self._decimal(kind, int(match[1]), int(match[2]))
            if _STRINGS.fullmatch(kind):
                return scalar("String")
        raise self._unsupported(kind)

    def _decimal(self, kind: str, digits: int, scale: int) -> Type:
        if not 1 <= digits <= _MOST_DIGITS or scale > digits:
            why = f"decimals have 1 to {_MOST_DIGITS} digits, the ones behind the point included"
            raise self._unsupported(kind, why)
        return scalar("Decimal", str(digits), str(scale))

    def _unsupported(
        self, kind: object, why: str = "this reader does not know it"
    ) -> UnsupportedError:
        return UnsupportedError(
            f"Column '{self._column}' has the Delta type {str(kind)[:_MOST_SHOWN]!r}; {why}.",
            code="unsupported_type",
            hint="Drop the column or convert it to a type of the Delta protocol, then refresh.",
        )


def _fields(kind: object, where: str) -> list[dict[str, Any]]:
    fields = kind.get("fields") if isinstance(kind, dict) else None
    if not isinstance(fields, list) or not all(
        isinstance(each, dict)
        and isinstance(each.get("name"), str)
        and isinstance(each.get("metadata") or {}, dict)
        for each in fields
    ):
        raise InvalidSourceError(f"{where} is not a struct of named fields.")
    return fields


def _names(fields: list[dict[str, Any]], where: str, limits: Limits) -> list[str]:
    """Return the names in order. Delta compares them without regard to case."""
    named = [each["name"] for each in fields if each["name"]]
    check_names(named, limits, where=where)
    seen: dict[str, str] = {}
    for each in fields:
        name = each["name"]
        if other := seen.get(name.lower()):
            raise DuplicateColumnError(
                f"{where} has two fields of one name: '{other}' and '{name}'."
            )
        seen[name.lower()] = name
    return list(seen.values())


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name[:_MOST_SHOWN]}'" for name in names[:10])
    return f"{shown} and {len(names) - 10} more" if len(names) > 10 else shown
