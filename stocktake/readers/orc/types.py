"""From the types of an ORC footer to ClickHouse's, as its format ORC says them."""

from collections.abc import Sequence
from typing import Final

from stocktake.readers.limits import check_columns, check_names
from stocktake.readers.orc.footer import FooterError, OrcType
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

#: `Type.Kind`'s members, by their numbers.
_KINDS: Final = (
    "boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "string", "binary",
    "timestamp", "array", "map", "struct", "uniontype", "decimal", "date", "varchar", "char",
    "timestamp_instant", "geometry", "geography",
)  # fmt: skip
_PLAIN: Final = {
    "boolean": scalar("Bool"),
    "tinyint": scalar("Int8"),
    "smallint": scalar("Int16"),
    "int": scalar("Int32"),
    "bigint": scalar("Int64"),
    "float": scalar("Float32"),
    "double": scalar("Float64"),
    # ClickHouse says FixedString of a char(n), which pads what is shorter with NULs, and fails on n
    # characters of more bytes.
    **dict.fromkeys(("string", "binary", "varchar", "char"), scalar("String")),
    "timestamp": scalar("DateTime64", "9"),
    "timestamp_instant": scalar("DateTime64", "9", "'UTC'"),
    "date": scalar("Date32"),
}
#: Of a decimal whose digits are left out, as Hive 0.11 wrote it.
_HIVE_11: Final = (38, 6)
_MAX_PRECISION: Final = 38


def columns(types: Sequence[OrcType], limits: Limits) -> tuple[Column, ...]:
    """Return the columns of an ORC file: everything in it may be null.

    Args:
        types: all types of the footer; the first is the row's.
        limits: of a schema's bounds all apply.

    Raises:
        FooterError: the types do not fit together.
        LimitExceededError: there are too many, or one is nested too deep.
        InvalidSourceError, DuplicateColumnError: a name cannot be stored, or comes twice.
        UnsupportedError: a type that ClickHouse does not read, or a row that is no struct.
    """
    root = types[0] if types else OrcType()
    if _name(root) != "struct":
        raise FooterError("its rows are no structs")
    check_columns(len(root.names), limits, where="The schema")
    check_names([name for name in root.names if name], limits, where="The schema")
    refuse_duplicates(root.names)
    _require(len(root.names) == len(root.subtypes))
    spent = Spent()
    return tuple(
        Column.of(
            name, _visit(types, index, Place(name=name, limits=limits, spent=spent)), nullable=True
        )
        for name, index in zip(root.names, root.subtypes, strict=True)
        if name
    )


def _visit(types: Sequence[OrcType], index: int, place: Place) -> Type:
    _require(index < len(types))
    type_ = types[index]
    kind, inner = _name(type_), type_.subtypes
    if kind == "struct":
        _require(len(type_.names) == len(inner))
        check_elements(type_.names, place)
        fields = [
            Field(name, _visit(types, each, place.enter(name)))
            for name, each in zip(type_.names, inner, strict=True)
        ]
        return tuple_of(fields, nullable=True)
    if kind == "array":
        _require(len(inner) == 1)
        return array_of(_visit(types, inner[0], place.enter()))
    if kind == "map":
        _require(len(inner) == 2)
        key, value = (_visit(types, each, place.enter()) for each in inner)
        # ClickHouse has no Map with nullable keys.
        return map_of(key.bare, value)
    if kind == "uniontype":
        return variant_of([_visit(types, each, place.enter()) for each in inner])
    return make_nullable(_leaf(type_, kind, place))


def _name(type_: OrcType) -> str:
    return _KINDS[type_.kind] if type_.kind < len(_KINDS) else f"number {type_.kind}"


def _leaf(type_: OrcType, kind: str, place: Place) -> Type:
    if kind == "decimal":
        precision, scale = (type_.precision, type_.scale) if type_.precision else _HIVE_11
        if precision > _MAX_PRECISION or scale > precision:
            raise place.unsupported(f"decimal({precision},{scale}) of ORC")
        return scalar("Decimal", str(precision), str(scale))
    if (plain := _PLAIN.get(kind)) is None:
        raise place.unsupported(f"{kind} of ORC")
    return plain


def _require(fits: bool) -> None:  # a condition, not a flag
    if not fits:
        raise FooterError("its types do not fit together")
