"""The words that clients know types by: PostHog's classes, the names on the wire, and the names
under which a user may set a type."""

import re
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from stocktake.schema.types import Type, scalar

_BITS: Final = (8, 16, 32, 64, 128, 256)

_CLASSES: Final = MappingProxyType(
    {
        **dict.fromkeys(("String", "FixedString", "Enum8"), "String"),
        **{f"{sign}Int{bits}": "Integer" for sign in ("", "U") for bits in _BITS},
        **dict.fromkeys(("Float32", "Float64"), "Float"),
        **{f"Decimal{bits}": "Decimal" for bits in ("", 32, 64, 128, 256)},
        "Bool": "Boolean",
        **dict.fromkeys(("Date", "Date32"), "Date"),
        **dict.fromkeys(("DateTime", "DateTime32", "DateTime64"), "DateTime"),
        "UUID": "UUID",
        "Array": "StringArray",
        **dict.fromkeys(("Tuple", "Map", "JSON"), "StringJSON"),
    }
)

_OVERRIDES: Final = MappingProxyType(
    {
        "integer": scalar("Int64", nullable=True),
        "float": scalar("Float64", nullable=True),
        "decimal": scalar("Decimal", nullable=True),
        "string": scalar("String", nullable=True),
        "datetime": scalar("DateTime64", nullable=True),
        "date": scalar("Date", nullable=True),
        "boolean": scalar("Bool", nullable=True),
        "array": scalar("Array", nullable=True),
        "json": scalar("Map", nullable=True),
    }
)

#: The words under which a user may set a type.
OVERRIDE_WORDS: Final = tuple(_OVERRIDES)
_DECIMAL: Final = re.compile(r"decimal\( *([0-9]{1,2}) *, *([0-9]{1,2}) *\)")
_MOST_DIGITS: Final = 76

_WIRE: Final = MappingProxyType({"StringArray": "array", "StringJSON": "json"})


def database_field(type_: Type) -> str:
    """Return the class name of a type (docs/types.md).

    >>> database_field(scalar("Decimal", "18", "2")), database_field(scalar("Nothing"))
    ('DecimalDatabaseField', 'UnknownDatabaseField')
    """
    return f"{_CLASSES.get(type_.name, 'Unknown')}DatabaseField"


def override_type(name: str) -> Type | None:
    """Return the type that ``update_schema`` stores for a name; None for one that it does not know.

    Args:
        name: ``integer``, ``float``, … in any letter case; ``decimal(18, 2)`` says the digits, too.

    >>> str(override_type("Float")), str(override_type("decimal(18,2)"))
    ('Nullable(Float64)', 'Nullable(Decimal(18, 2))')
    """
    if digits := _DECIMAL.fullmatch(name.lower()):
        precision, scale = map(int, digits.groups())
        if not 0 < precision <= _MOST_DIGITS or scale > precision:
            return None
        return scalar("Decimal", str(precision), str(scale), nullable=True)
    return _OVERRIDES.get(name.lower())


@lru_cache(maxsize=256)  # of each column of each table of a list
def wire_type(hogql: str) -> str:
    """Return the ``type`` of a column on the wire, from its stored class.

    >>> wire_type("StringJSONDatabaseField"), wire_type("DateTimeDatabaseField")
    ('json', 'datetime')
    """
    word = hogql.removesuffix("DatabaseField")
    return _WIRE.get(word, word.lower())
