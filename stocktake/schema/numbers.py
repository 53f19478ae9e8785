"""What ClickHouse's number types hold: bits, signs, digits."""

from types import MappingProxyType
from typing import Final, NamedTuple

from stocktake.schema.types import Type

_BITS: Final = (8, 16, 32, 64, 128, 256)
#: Digits of the decimals whose width is in their name.
_PRECISIONS: Final = MappingProxyType(
    {"Decimal32": 9, "Decimal64": 18, "Decimal128": 38, "Decimal256": 76}
)


#: Of Delta's decimals (Delta protocol, "Primitive Types").
DELTA_DIGITS: Final = 38


class Integer(NamedTuple):
    """A type of integers.

    Attributes:
        signed: whether it holds negative ones.
        bits: 8 to 256.
    """

    signed: bool
    bits: int

    @property
    def values(self) -> range:
        """Return all that it holds."""
        if self.signed:
            return range(-(2 ** (self.bits - 1)), 2 ** (self.bits - 1))
        return range(2**self.bits)


INTEGERS: Final = MappingProxyType(
    {f"Int{bits}": Integer(True, bits) for bits in _BITS}
    | {f"UInt{bits}": Integer(False, bits) for bits in _BITS}
)
FLOATS: Final = frozenset({"Float32", "Float64"})
DECIMALS: Final = frozenset({"Decimal", *_PRECISIONS})


def decimal_digits(type_: Type) -> tuple[int, int]:
    """Return the precision and the scale of a decimal; a bare Decimal is (10, 0).

    >>> from stocktake.schema.types import parse
    >>> decimal_digits(parse("Decimal(18, 2)")), decimal_digits(parse("Decimal64(2)"))
    ((18, 2), (18, 2))
    """
    numbers = [int(each) for each in type_.parameters or () if each.isdecimal()]
    # Their one parameter is the scale: the name has the precision.
    if type_.name in _PRECISIONS:
        return _PRECISIONS[type_.name], numbers[0] if numbers else 0
    precision, scale = ([*numbers, 0] if numbers else [10, 0])[:2]
    return precision, scale


def is_beyond_delta(type_: Type) -> bool:
    """Return whether a type is a decimal of more digits than Delta's decimals have. A managed table
    would keep such numbers as texts, and nothing would hold them to be numbers."""
    return type_.name == "Decimal" and decimal_digits(type_)[0] > DELTA_DIGITS
