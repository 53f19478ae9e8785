"""Delta schema JSON to columns: Delta's type names, in ClickHouse's words."""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from stocktake.errors import (
    DuplicateColumnError,
    InvalidSourceError,
    LimitExceededError,
    UnsupportedError,
)
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
_DECIMAL: Final = re.compile(r"decimal\(\s*(\d{1,2})\s*,\s*(\d{1,2})\s*\)")
_STRINGS: Final = re.compile(r"(?:var)?char\(\s*\d+\s*\)|interval(?: .*)?")

_FIELD_ID: Final = "delta.columnMapping.id"


def columns_of(
    schema_string: str, partition_columns: Sequence[str], limits: Limits
) -> tuple[Column, ...]:
    """Return the columns of a `metaData` action, in the schema's order, by their logical names.

    Args:
        schema_string: the action's `schemaString`, a struct type as JSON.
        partition_columns: the action's `partitionColumns`; those columns are marked.
        limits: of a schema's bounds all hold here.

    Raises:
        InvalidSourceError: not a Delta schema, a name that cannot be stored, or a partition
            column that it lacks.
        UnsupportedError: `unsupported_type`, naming the column.
        DuplicateColumnError: two names that differ in case only.
        LimitExceededError: too many columns, or types nested too deep.
    """
    check_size(
        len(schema_string) + sum(map(len, partition_columns)), limits, what="The Delta schema"
    )
    fields = _fields(_parsed(schema_string, limits), "the table schema")
    check_columns(len(fields), limits)
    names = _names(fields, "the table schema", limits)
    if missing := sorted(set(partition_columns) - set(names)):
        raise InvalidSourceError(
            f"The Delta schema lacks the partition column {_listed(missing)}; "
            f"it has {_listed(names)}."
        )
    partitions = frozenset(partition_columns)
    return tuple(_column(each, each["name"] in partitions, limits) for each in fields)


def _parsed(schema_string: str, limits: Limits) -> object:
    try:
        return json.loads(schema_string)
    except ValueError as exc:
        raise InvalidSourceError("The Delta table's schemaString is not JSON.") from exc
    except RecursionError as exc:
        raise _too_deep("The Delta schema", limits) from exc


def _column(field: dict[str, Any], partition: bool, limits: Limits) -> Column:
    # What does not say that it is never null may be: a wrapper too many loses nothing.
    nullable = field.get("nullable", True) is not False
    field_id = (field.get("metadata") or {}).get(_FIELD_ID)
    return Column.of(
        field["name"],
        _Types(field["name"], limits).type_of(field.get("type"), nullable),
        hogql="StringJSONDatabaseField" if field.get("type") == "variant" else None,
        nullable=nullable,
        field_id=field_id if isinstance(field_id, int) else None,
        partition=partition,
    )


def _too_deep(what: str, limits: Limits) -> LimitExceededError:
    said = f"{what} nests deeper than {limits.max_nesting} levels"
    return exceeded(limits, "max_nesting", said, advice="Flatten it at the source")


class _Types:
    """One column's types; every refusal names the column."""

    def __init__(self, column: str, limits: Limits) -> None:
        self._column = column
        self._limits = limits

    def type_of(self, kind: object, nullable: bool, depth: int = 0) -> Type:
        """Return the ClickHouse type; only primitives take the Nullable wrapper."""
        if depth > self._limits.max_nesting:
            raise _too_deep(f"Column '{self._column}'", self._limits)
        if isinstance(kind, dict):
            return self._nested(kind, depth + 1)
        if nullable and isinstance(kind, str) and kind in _NULLABLE:
            return _NULLABLE[kind]
        inner = self._primitive(kind)
        return make_nullable(inner) if nullable else inner

    def _nested(self, kind: dict[str, Any], depth: int) -> Type:
        match kind.get("type"):
            case "array":
                contains_null = kind.get("containsNull") is not False
                return array_of(self.type_of(kind.get("elementType"), contains_null, depth))
            case "map":
                key = self.type_of(kind.get("keyType"), False, depth)
                contains_null = kind.get("valueContainsNull") is not False
                return map_of(key, self.type_of(kind.get("valueType"), contains_null, depth))
            case "struct":
                return tuple_of(self._elements(kind, depth))
            case other:
                raise self._unsupported(other)

    def _elements(self, kind: dict[str, Any], depth: int) -> list[Field]:
        where = f"column '{self._column}'"
        fields = _fields(kind, where)
        _names(fields, where, self._limits)
        return [
            Field(
                each["name"],
                self.type_of(each.get("type"), each.get("nullable", True) is not False, depth),
            )
            for each in fields
        ]

    def _primitive(self, kind: object) -> Type:
        if isinstance(kind, str):
            if kind in _PRIMITIVES:
                return _PRIMITIVES[kind]
            if match := _DECIMAL.fullmatch(kind):
                return scalar("Decimal", str(int(match[1])), str(int(match[2])))
            if _STRINGS.fullmatch(kind):
                return scalar("String")
        raise self._unsupported(kind)

    def _unsupported(self, kind: object) -> UnsupportedError:
        return UnsupportedError(
            f"Column '{self._column}' has the Delta type {str(kind)[:80]!r}, "
            "which this reader does not know.",
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
        raise InvalidSourceError(f"In the Delta log, {where} is not a struct of named fields.")
    return fields


def _names(fields: list[dict[str, Any]], where: str, limits: Limits) -> list[str]:
    """Return the names in order. Delta compares them without regard to case."""
    named = [each["name"] for each in fields if each["name"]]
    check_names(named, limits, where=f"In the Delta log, {where}")
    seen: dict[str, str] = {}
    for each in fields:
        name = each["name"]
        if other := seen.get(name.lower()):
            raise DuplicateColumnError(
                f"In the Delta log, {where} has two fields of one name: '{other}' and '{name}'."
            )
        seen[name.lower()] = name
    return list(seen.values())


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:10])
    return f"{shown} and {len(names) - 10} more" if len(names) > 10 else shown
