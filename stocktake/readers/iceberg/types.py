"""Iceberg schema JSON to columns: Iceberg's type names, in ClickHouse's words."""

import re
from collections.abc import Collection
from typing import Any, Final

from stocktake.errors import DuplicateColumnError, InvalidSourceError, UnsupportedError
from stocktake.readers.limits import check_columns, check_names, exceeded
from stocktake.readers.source import Limits
from stocktake.schema.columns import Column
from stocktake.schema.types import Field, Type, array_of, make_nullable, map_of, scalar, tuple_of

#: Of the specification's "Primitive Types", versions 1 to 3; and `variant`, which has no parts.
_PRIMITIVES: Final = {
    "boolean": scalar("Bool"),
    "int": scalar("Int32"),
    "long": scalar("Int64"),
    "float": scalar("Float32"),
    "double": scalar("Float64"),
    "date": scalar("Date32"),
    # ClickHouse says Int64 and then reads whole seconds: this is what it has for Parquet's times.
    "time": scalar("DateTime64", "6", "'UTC'"),
    "timestamp": scalar("DateTime64", "6"),
    "timestamptz": scalar("DateTime64", "6", "'UTC'"),
    "timestamp_ns": scalar("DateTime64", "9"),
    "timestamptz_ns": scalar("DateTime64", "9", "'UTC'"),
    "string": scalar("String"),
    "binary": scalar("String"),
    "uuid": scalar("UUID"),
    "unknown": scalar("Nothing"),
    "variant": scalar("String"),
}
_DECIMAL: Final = re.compile(r"decimal\(\s*([0-9]{1,2})\s*,\s*([0-9]{1,2})\s*\)")
_FIXED: Final = re.compile(r"fixed\[\s*([0-9]{1,9})\s*\]")
#: Well-known binary; what stands in parentheses is a reference system and an algorithm.
_GEOMETRY: Final = re.compile(r"(?:geometry|geography)(?:\(.*\))?", re.DOTALL)

_MOST_DIGITS: Final = 38
#: No longer FixedString can be made (ClickHouse's MAX_FIXEDSTRING_SIZE).
_LONGEST_FIXED: Final = 0xFF_FFFF
#: Field ids are Java's ints.
_MOST_ID: Final = 2**31 - 1


def columns_of(
    schema: dict[str, Any], partition_ids: Collection[int], limits: Limits, *, file: str
) -> tuple[Column, ...]:
    """Return the columns of a schema, in its order.

    Args:
        schema: one of the metadata's `schemas`.
        partition_ids: the ids of the fields by whose values the table is partitioned.
        limits: of a schema's bounds all but its bytes hold here.
        file: the metadata file, for messages.

    Raises:
        InvalidSourceError: not a schema, an id that is missing or there twice, or a name that
            cannot be stored.
        UnsupportedError: `unsupported_type`, naming the column.
        DuplicateColumnError: two columns, or two fields of a struct, of one name.
        LimitExceededError: too many columns, or types nested too deep.
    """
    return _Schema(limits, file).columns(schema, partition_ids)


class _Schema:
    """One schema: its ids are unique through all of it, and every refusal names its column."""

    def __init__(self, limits: Limits, file: str) -> None:
        self._limits = limits
        self._file = file
        self._ids: set[int] = set()

    def columns(self, schema: dict[str, Any], partition_ids: Collection[int]) -> tuple[Column, ...]:
        fields = self._fields(schema, "the schema")
        check_columns(len(fields), self._limits, file=self._file)
        return tuple(self._column(each, partition_ids) for each in fields)

    def _column(self, field: dict[str, Any], partition_ids: Collection[int]) -> Column:
        name, kind = field["name"], field.get("type")
        field_id = self._id(field, "id", name)
        nullable = self._is_optional(field, "required", name)
        return Column.of(
            name,
            self._type(kind, nullable, name, 0),
            hogql="StringJSONDatabaseField" if kind == "variant" else None,
            nullable=nullable,
            field_id=field_id,
            partition=field_id in partition_ids,
        )

    def _type(self, kind: object, nullable: bool, column: str, depth: int) -> Type:
        """Return the ClickHouse type; only primitives take the Nullable wrapper, and in a struct
        that may be null all of them: it is null where they are."""
        if depth > self._limits.max_nesting:
            said = (
                f"Column {ascii(column)[:80]} nests deeper than {self._limits.max_nesting} levels"
            )
            advice = "Flatten it at the source"
            raise exceeded(self._limits, "max_nesting", said, advice=advice, file=self._file)
        if isinstance(kind, dict):
            return self._nested(kind, nullable, column, depth + 1)
        inner = _primitive(kind)
        if inner is None:
            raise self._unsupported(kind, column)
        return make_nullable(inner) if nullable else inner

    def _nested(self, kind: dict[str, Any], nullable: bool, column: str, depth: int) -> Type:
        match kind.get("type"):
            case "list":
                self._id(kind, "element-id", column)
                optional = self._is_optional(kind, "element-required", column)
                return array_of(self._type(kind.get("element"), optional, column, depth))
            case "map":
                self._id(kind, "key-id", column)
                self._id(kind, "value-id", column)
                key = self._type(kind.get("key"), False, column, depth)
                optional = self._is_optional(kind, "value-required", column)
                return map_of(key, self._type(kind.get("value"), optional, column, depth))
            case "struct":
                return tuple_of(self._elements(kind, nullable, column, depth))
            case other:
                raise self._unsupported(other, column)

    def _elements(
        self, kind: dict[str, Any], nullable: bool, column: str, depth: int
    ) -> list[Field]:
        fields = self._fields(kind, f"column {ascii(column)[:80]}")
        for each in fields:
            self._id(each, "id", column)
        return [
            Field(each["name"], self._element(each, nullable, column, depth)) for each in fields
        ]

    def _element(self, field: dict[str, Any], nullable: bool, column: str, depth: int) -> Type:
        optional = self._is_optional(field, "required", column)
        return self._type(field.get("type"), nullable or optional, column, depth)

    def _fields(self, kind: dict[str, Any], where: str) -> list[dict[str, Any]]:
        fields = kind.get("fields")
        if not isinstance(fields, list) or not all(
            isinstance(each, dict) and isinstance(each.get("name"), str) for each in fields
        ):
            raise self._invalid(f"{where} is not a struct of named fields")
        names = [each["name"] for each in fields]
        check_names(names, self._limits, where=f"In {self._file}, {where}", file=self._file)
        if len({*names}) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DuplicateColumnError(
                f"In {self._file}, {where} has two fields of one name: {ascii(twice)[:80]}.",
                file=self._file,
            )
        return fields

    def _id(self, holder: dict[str, Any], key: str, column: str) -> int:
        """Return an id of a field, and note it: it is the field's alone (specification, "Schemas
        and Data Types")."""
        found = holder.get(key)
        if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found <= _MOST_ID:
            raise self._invalid(f"column {ascii(column)[:80]} has no proper {key}")
        if found in self._ids:
            raise self._invalid(
                f"the field id {found} is there twice, the second time in column "
                f"{ascii(column)[:80]}"
            )
        self._ids.add(found)
        return found

    def _is_optional(self, holder: dict[str, Any], key: str, column: str) -> bool:
        # What does not say that it is never null may be: a wrapper too many loses nothing.
        required = holder.get(key)
        if required is not None and not isinstance(required, bool):
            raise self._invalid(f"column {ascii(column)[:80]} has no proper {key}")
        return not required

    def _invalid(self, found: str) -> InvalidSourceError:
        return InvalidSourceError(f"In {self._file}, {found}.", file=self._file)

    def _unsupported(self, kind: object, column: str) -> UnsupportedError:
        return UnsupportedError(
            f"Column {ascii(column)[:80]} has the Iceberg type {ascii(kind)[:80]}, which this "
            "reader does not know.",
            code="unsupported_type",
            hint="Drop the column or convert it to a type of the Iceberg specification, then "
            "refresh.",
            file=self._file,
        )


def _primitive(kind: object) -> Type | None:
    if not isinstance(kind, str):
        return None
    name = kind.lower()  # as Iceberg's own library has it (Types.fromPrimitiveString)
    if known := _PRIMITIVES.get(name):
        return known
    if match := _DECIMAL.fullmatch(name):
        precision, scale = int(match[1]), int(match[2])
        possible = 0 < precision <= _MOST_DIGITS and scale <= precision
        return scalar("Decimal", str(precision), str(scale)) if possible else None
    if match := _FIXED.fullmatch(name):
        length = int(match[1])
        return scalar("FixedString", str(length)) if 0 < length <= _LONGEST_FIXED else None
    return scalar("String") if _GEOMETRY.fullmatch(name) else None
