"""From an Avro schema to ClickHouse types, as its format Avro says them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from stocktake.errors import UnsupportedError
from stocktake.readers.limits import check_columns, check_lengths, check_names
from stocktake.readers.place import Place, Spent, check_elements, refuse_duplicates
from stocktake.readers.source import Limits
from stocktake.schema.columns import Column
from stocktake.schema.types import (
    Field,
    Type,
    array_of,
    make_nullable,
    map_of,
    scalar,
    tuple_of,
    variant_of,
)

PRIMITIVES: Final[Mapping[str, Type]] = {
    "null": scalar("Nothing"),
    "boolean": scalar("Bool"),
    "int": scalar("Int32"),
    "long": scalar("Int64"),
    "float": scalar("Float32"),
    "double": scalar("Float64"),
    "bytes": scalar("String"),
    "string": scalar("String"),
}
#: Those that ClickHouse knows: by the type below it and by its name.
_LOGICAL: Final = {
    ("int", "date"): scalar("Date32"),
    ("long", "timestamp-millis"): scalar("DateTime64", "3"),
    ("long", "timestamp-micros"): scalar("DateTime64", "6"),
    ("string", "uuid"): scalar("UUID"),
}
_RECORDS: Final = ("record", "error")
_MAX_PRECISION: Final = 76
#: ClickHouse's own bounds.
_MAX_FIXED_BYTES: Final = 0xFFFFFF
_ENUM8_SYMBOLS, _ENUM16_SYMBOLS = 128, 1 << 15


class SchemaError(ValueError):
    """The JSON is no Avro schema."""


def columns(
    schema: Any, limits: Limits, *, primitives: Mapping[str, Type] = PRIMITIVES
) -> tuple[Column, ...]:
    """Return the columns of a file's records.

    Args:
        schema: the header's, as Python's values.
        limits: of a schema's bounds all apply; a type that is referred to counts each time.
        primitives: what Avro's primitive types are.

    Raises:
        SchemaError: it is no Avro schema.
        LimitExceededError: there are too many fields, or one is nested too deep.
        InvalidSourceError, DuplicateColumnError: a name cannot be stored, or comes twice.
        UnsupportedError: a type that refers to itself or that ClickHouse does not read, or
            rows that are no records.
    """
    root = _unwrapped(schema)
    if not isinstance(root, dict) or root.get("type") not in _RECORDS:
        raise UnsupportedError(
            "The rows of the Avro file are no records, so that they have no columns.",
            code="unsupported_type",
            hint="Write records, of which each field is a column.",
        )
    fields = _fields(root)
    names = [_text(field, "name") for field in fields]
    check_columns(len(fields), limits, where="The schema")
    check_names(names, limits, where="The schema")
    refuse_duplicates(names)
    visitor, spent = _Visitor(limits, primitives), Spent()
    space = visitor.open(root, "")
    return tuple(
        Column.of(
            name,
            visitor.visit(field.get("type"), space, Place(name=name, limits=limits, spent=spent)),
            nullable=_is_optional(field.get("type")),
        )
        for name, field in zip(names, fields, strict=True)
    )


class _Visitor:
    """Knows the named types that were met, and which are around the one that is looked at."""

    def __init__(self, limits: Limits, primitives: Mapping[str, Type]) -> None:
        self._limits = limits
        self._primitives = primitives
        self._named: dict[str, tuple[Mapping[str, Any], str]] = {}
        self._around: list[str] = []

    def open(self, schema: Mapping[str, Any], space: str) -> str:
        """Remember a named type, as one that others are in from here on; the namespace in it."""
        name = _text(schema, "name")
        space = schema.get("namespace") or space
        if not isinstance(space, str):
            raise SchemaError("a namespace is no text")
        if "." in name:
            space = name.rpartition(".")[0]
        full = name if "." in name or not space else f"{space}.{name}"
        # All types below have it in their names, too.
        check_lengths([full], self._limits, where="The schema")
        self._named[full] = (schema, space)
        self._around.append(full)
        return space

    def visit(self, schema: Any, space: str, place: Place) -> Type:
        """Return the type of a schema.

        Args:
            space: the namespace that it stands in.
        """
        schema = _unwrapped(schema)
        if isinstance(schema, list):
            return self._union(schema, space, place)
        details: Mapping[str, Any] = schema if isinstance(schema, dict) else {}
        kind = details.get("type") if isinstance(schema, dict) else schema
        if not isinstance(kind, str):
            raise SchemaError("a type is neither a text nor an object")
        if kind in self._primitives:
            return _logical(kind, details, place) or self._primitives[kind]
        match kind:
            case "array":
                return array_of(self.visit(details.get("items"), space, place.enter()))
            case "map":
                inside = self.visit(details.get("values"), space, place.enter())
                return map_of(scalar("String"), inside)
            case "record" | "error" | "enum" | "fixed":
                return self._named_type(kind, details, space, place)
        return self._reference(kind, space, place)

    def _named_type(self, kind: str, schema: Mapping[str, Any], space: str, place: Place) -> Type:
        space = self.open(schema, space)
        try:
            if kind == "enum":
                return _enum(schema, place)
            if kind == "fixed":
                return _logical(kind, schema, place) or _fixed(schema, place)
            fields = _fields(schema)
            names = [_text(field, "name") for field in fields]
            check_elements(names, place)
            return tuple_of(
                Field(name, self.visit(field.get("type"), space, place.enter(name)))
                for name, field in zip(names, fields, strict=True)
            )
        finally:
            self._around.pop()

    def _reference(self, name: str, space: str, place: Place) -> Type:
        full = name if "." in name or not space else f"{space}.{name}"
        if full not in self._named:
            full = name
        if full in self._around:
            raise UnsupportedError(
                f'The column "{place.path}" is of a type that refers to itself, '
                f'"{full[:100]}", which has no ClickHouse type.',
                code="unsupported_type",
                hint="Store the inner part as a text.",
            )
        if full not in self._named:
            raise SchemaError(f"there is no type {name[:100]!a}")
        schema, space = self._named[full]
        return self._named_type(schema["type"], schema, space, place)

    def _union(self, schemas: list[Any], space: str, place: Place) -> Type:
        others = [each for each in schemas if not _is_null(each)]
        if not schemas:
            raise SchemaError("a union has no types")
        # Of a type that many refer to, they would be gone through each time.
        if len(others) < len(schemas) - 1:
            raise SchemaError("a union has null twice")
        if not others:
            return PRIMITIVES["null"]
        if len(others) > 1:
            return variant_of([self.visit(each, space, place.enter()) for each in others])
        type_ = self.visit(others[0], space, place)
        if len(schemas) == 1:
            return type_
        return replace(type_, nullable=True) if type_.name == "Tuple" else make_nullable(type_)


def _unwrapped(schema: Any) -> Any:
    """Return what `{"type": {…}}` stands around."""
    while isinstance(schema, dict) and isinstance(schema.get("type"), dict | list):
        schema = schema["type"]
    return schema


def _is_null(schema: Any) -> bool:
    return schema == "null" or (isinstance(schema, dict) and schema.get("type") == "null")


def _is_optional(schema: Any) -> bool:
    schema = _unwrapped(schema)
    return _is_null(schema) or (isinstance(schema, list) and any(map(_is_null, schema)))


def _fields(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    fields = record.get("fields")
    if not isinstance(fields, list) or not all(isinstance(each, dict) for each in fields):
        raise SchemaError("a record has no fields")
    return fields


def _text(schema: Mapping[str, Any], key: str) -> str:
    value = schema.get(key)
    if not isinstance(value, str) or not value:
        raise SchemaError(f"a {key} is no text")
    return value


def _number(schema: Mapping[str, Any], key: str, default: int) -> int:
    value = schema.get(key, default)
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def _logical(kind: str, schema: Mapping[str, Any], place: Place) -> Type | None:
    """Return a logical type; None for one that ClickHouse does not know, which is read as the type
    below it."""
    logical = schema.get("logicalType")
    if not isinstance(logical, str):
        return None
    if logical == "decimal" and kind in ("bytes", "fixed"):
        precision, scale = _number(schema, "precision", 0), _number(schema, "scale", 0)
        if precision > _MAX_PRECISION:
            raise place.unsupported(f"decimal({precision}, {scale}) of Avro")
        valid = precision > 0 and 0 <= scale <= precision
        return scalar("Decimal", str(precision), str(scale)) if valid else None
    return _LOGICAL.get((kind, logical))


def _fixed(schema: Mapping[str, Any], place: Place) -> Type:
    size = _number(schema, "size", -1)
    if not 0 < size <= _MAX_FIXED_BYTES:
        raise place.unsupported(f"fixed of {size:,} bytes of Avro")
    return scalar("FixedString", str(size))


def _enum(schema: Mapping[str, Any], place: Place) -> Type:
    symbols = schema.get("symbols")
    if not isinstance(symbols, list) or not all(isinstance(each, str) for each in symbols):
        raise SchemaError("an enum has no symbols")
    if not symbols or len(set(symbols)) < len(symbols):
        raise SchemaError("an enum has no symbols, or one twice")
    if len(symbols) > _ENUM16_SYMBOLS:
        raise place.unsupported(f"enum of {len(symbols):,} symbols of Avro")
    place.spell(*symbols)
    members = [f"'{_escaped(each)}' = {number}" for number, each in enumerate(symbols)]
    return scalar("Enum8" if len(symbols) <= _ENUM8_SYMBOLS else "Enum16", *members)


def _escaped(symbol: str) -> str:
    return symbol.replace("\\", "\\\\").replace("'", "\\'")
