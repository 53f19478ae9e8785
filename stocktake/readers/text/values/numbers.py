"""Numbers in texts: of which kind an integer is, and whether a Float64 gives a number back.

A kind of integers says more than its type: whether there was a sign, which UInt64 cannot hold, and
whether a Float64 holds them all, so that they may stand in one column with fractions.
"""

import re
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.readers.text.values.dates import STRING

BOOL: Final = "Bool"
FLOAT64: Final = "Float64"
#: Integers that a Float64 holds as well, without a sign and with one.
NATURAL: Final = "Int64, natural"
INT64: Final = "Int64"
#: Those among which some are too long for it.
LONG_NATURAL: Final = "Int64, long and natural"
LONG: Final = "Int64, long"
UINT64: Final = "UInt64"
INT128: Final = "Int128"
INT256: Final = "Int256"


class _Integers(NamedTuple):
    """What a kind of integers holds.

    Attributes:
        bits: without the sign's where none is signed.
        signed: whether some are negative.
        exact: whether a Float64 holds all of them.
    """

    bits: int
    signed: bool
    exact: bool


_INTEGERS: Final = MappingProxyType(
    {
        NATURAL: _Integers(63, signed=False, exact=True),
        INT64: _Integers(63, signed=True, exact=True),
        LONG_NATURAL: _Integers(63, signed=False, exact=False),
        LONG: _Integers(63, signed=True, exact=False),
        UINT64: _Integers(64, signed=False, exact=False),
        INT128: _Integers(127, signed=True, exact=False),
        INT256: _Integers(255, signed=True, exact=False),
    }
)
_KINDS: Final = MappingProxyType({holds: kind for kind, holds in _INTEGERS.items()})
INTEGER_KINDS: Final = frozenset(_INTEGERS)
NUMBER_KINDS: Final = INTEGER_KINDS | {BOOL, FLOAT64}
#: The ClickHouse types of those kinds that are no type's name.
NUMBER_TYPES: Final = MappingProxyType(
    {kind: kind.partition(",")[0] for kind in sorted(NUMBER_KINDS)}
)

#: By kind, a pattern of integers that surely leave a column at it: without a zero before others,
#: and of fewer digits than the kind's largest. CSV and JSON spell them alike.
SURE_INTEGERS: Final = MappingProxyType(
    {
        kind: f"0|{'-?' if holds.signed else ''}[1-9][0-9]{{0,{digits - 1}}}"
        for kind, holds in _INTEGERS.items()
        for digits in [15 if holds.exact else {63: 18, 64: 19, 127: 38, 255: 76}[holds.bits]]
    }
)
#: The same of numbers for a Float64. Those of fifteen digits it gives back whatever they are; of
#: the ones with nine or more behind the point `find_lossy` has the last word.
SURE_FLOAT: Final = (
    r"[+-]?(?:(?:0?|[1-9][0-9]{0,6})\.[0-9]+(?:[eE][+-]?[0-9]{1,2})?|(?:0|[1-9][0-9]{0,6})\."
    r"|[1-9][0-9]{7,11}\.[0-9]{0,3}|[1-9]\.?[eE][+-][0-9]{1,2})|-?(?:0|[1-9][0-9]{0,14})"
)
#: As JSON spells them.
SURE_JSON_FLOAT: Final = (
    r"-?(?:(?:0|[1-9][0-9]{0,6})\.[0-9]+(?:[eE][+-]?[0-9]{1,2})?|[1-9][0-9]{7,11}\.[0-9]{1,3}"
    r"|[1-9][eE][+-]?[0-9]{1,2}|0|[1-9][0-9]{0,14})"
)
#: A fraction that may make more than fifteen digits of a number: of fourteen, or of nine behind
#: three before the point. It begins with its point, which is what the search is quick by.
_LONG: Final = r"[0-9]{9}(?:[0-9]{5}|(?<=[0-9]{3}\.[0-9]{9}))"
_REST: Final = r"[0-9]*+(?:[eE][+-]?[0-9]+|)"
#: Behind a zero without digits before it, as most of them are: of numbers between -1 and 1.
_BEHIND_ZERO: Final = r"(?:(?<=[^0-9]0\.)|(?<=\A0\.))"
_LONG_FRACTION: Final = re.compile(rf"(\.{_LONG}{_REST})".encode())
#: Those behind a zero, each with all of its digits, and of the others the point.
_ZERO_OR_POINT: Final = re.compile(
    rf"\.(?=[0-9]{{9}})(?:{_BEHIND_ZERO}[0-9]{{14}}{_REST}|(?={_LONG}))".encode()
)
_NOT_BEHIND_ZERO: Final = re.compile(rf"(\.(?={_LONG})(?!{_BEHIND_ZERO})[0-9]*+{_REST})".encode())
_DIGITS: Final = b"0123456789"
_POINT: Final = b"."

#: So many significant digits a double always gives back (C's DBL_DIG).
_SURE_DIGITS: Final = 15
#: What has more digits is no measurement; and Decimal is not asked to shift by much.
_MOST_DIGITS: Final = 60
_NUMBER: Final = re.compile(
    r"[+-]?(?P<whole>[0-9]*+)(?:\.(?P<part>[0-9]*+))?(?:[eE](?P<exponent>[+-]?[0-9]{1,4}))?"
)


def integer_kind(value: int) -> str:
    """Return the narrowest kind that holds an integer; String for more than 256 bits.

    >>> integer_kind(7), integer_kind(2**53 + 1), integer_kind(-(2**63) - 1)
    ('Int64, natural', 'Int64, long and natural', 'Int128')
    """
    if -(2**53) <= value <= 2**53:
        return INT64 if value < 0 else NATURAL
    bits = (~value if value < 0 else value).bit_length()
    if bits <= 63:
        return _KINDS[_Integers(63, signed=value < 0, exact=int(float(value)) == value)]
    if bits == 64 and value > 0:
        return UINT64
    return next((kind for kind in (INT128, INT256) if bits <= _INTEGERS[kind].bits), STRING)


def integer_range(kind: str) -> tuple[int, int]:
    """Return the least and the largest of the integers that surely leave a column at its kind.

    >>> integer_range(NATURAL), integer_range(UINT64)
    ((0, 9007199254740992), (0, 18446744073709551615))
    """
    bits, signed, exact = _INTEGERS[kind]
    most = 2**53 if exact else 2**bits - 1
    least = -most if exact else -most - 1
    return least if signed else 0, most


def join_numbers(a: str, b: str) -> str:
    """Return the kind that holds the numbers of both, where true and false count as 1 and 0;
    String where none does.

    >>> join_numbers(UINT64, INT64), join_numbers(LONG, FLOAT64), join_numbers(BOOL, FLOAT64)
    ('Int128', 'String', 'Float64')
    """
    if a == b:
        return a
    if FLOAT64 in (a, b):
        other = b if a == FLOAT64 else a
        return FLOAT64 if other == BOOL or _INTEGERS[other].exact else STRING
    one, other_one = (_INTEGERS[NATURAL if kind == BOOL else kind] for kind in (a, b))
    bits, signed = max(one.bits, other_one.bits), one.signed or other_one.signed
    if bits > 63:
        bits = max(bits, 127) if signed else bits
        return _KINDS[_Integers(bits, signed=signed, exact=False)]
    return _KINDS[_Integers(bits, signed=signed, exact=one.exact and other_one.exact)]


def gives_back(text: str) -> bool:
    """Return whether a Float64 gives back the number that a text spells: the double next to it,
    printed with as many digits, is the same number.

    >>> gives_back("0.1"), gives_back("1.000000000000000056e-01"), gives_back("0.12345678901234567")
    (True, True, False)
    >>> gives_back("1e400"), gives_back("9007199254740993.0")
    (False, False)
    """
    match = _NUMBER.fullmatch(text)
    if match is None or len(text) > 3 * _MOST_DIGITS:
        return False
    digits = (match["whole"] + (match["part"] or "")).strip("0")
    power = int(match["exponent"] or 0)
    if len(digits) <= _SURE_DIGITS and abs(power) < 200 and len(text) < 100:
        return True
    if len(digits) > _MOST_DIGITS:
        return False
    number = float(text)
    if number in (float("inf"), float("-inf")) or (number == 0 and digits):
        return False
    said = Decimal(text)
    return said == Decimal(repr(number)) or said == Decimal(f"{number:.{len(digits) - 1}e}")


def find_lossy(text: bytes) -> int | None:
    r"""Return where the first number with a long fraction stands that a Float64 does not give back.

    >>> find_lossy(b"0.30000000000000004\n0.12345678901234567\n"), find_lossy(b"0.1")
    (20, None)
    """
    if _all_given_back(text):
        return None
    numbers, fractions, before = _split(_LONG_FRACTION, text)
    at = _first_lossy(pa.array(numbers, pa.binary()))
    if at is None:
        return None
    # All up to its point, less the digits before it.
    until = sum(map(len, before[: at + 1])) + sum(map(len, fractions[:at]))
    return until - (len(numbers[at]) - len(fractions[at]))


def _all_given_back(text: bytes) -> bool:
    """Return whether a Float64 surely gives back all numbers with a long fraction; those behind a
    zero at once, whose digits before the point need not be looked for, which takes the longest."""
    found = _ZERO_OR_POINT.findall(text)
    if not found:
        return True
    fractions = pa.array(found, pa.binary())
    if _POINT in found:
        numbers, _, _ = _split(_NOT_BEHIND_ZERO, text)
        if _first_lossy(pa.array(numbers, pa.binary())) is not None:
            return False
        fractions = fractions.filter(pc.not_equal(fractions, _POINT))
    return _first_lossy(pc.binary_replace_slice(fractions, 0, 0, b"0")) is None


def _split(pattern: re.Pattern[bytes], text: bytes) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Return the numbers whose fractions match, these fractions, and what stands before each."""
    # Each piece ends in the digits before the point of the fraction behind it.
    pieces = pattern.split(text)
    before, fractions = pieces[:-1:2], pieces[1::2]
    numbers = [
        piece[len(piece.rstrip(_DIGITS)) :] + fraction
        for piece, fraction in zip(before, fractions, strict=True)
    ]
    return numbers, fractions, before


def _first_lossy(numbers: pa.BinaryArray) -> int | None:
    """Return the position of the first number that a Float64 does not give back."""
    # Most are spelled as the double is; Arrow says so of many at once, and of bytes the quickest.
    printed = numbers.cast(pa.float64()).cast(pa.string()).view(pa.binary())
    if printed.equals(numbers):
        return None
    for at in pc.indices_nonzero(pc.not_equal(printed, numbers)).to_pylist():
        number = numbers[at].as_py()
        if len(number) > _SURE_DIGITS + 1 and not (
            _is_printed(number) or gives_back(number.decode())
        ):
            return int(at)
    return None


def _is_printed(number: bytes) -> bool:
    """Return whether the double, printed in the same form, surely is the number as it is spelled:
    most that are longer than they need be were written so."""
    digits, exponent, _ = number[number.index(_POINT) :].partition(b"e")
    form = b"%.*e" if exponent else b"%.*f"
    return len(number) < _MOST_DIGITS and form % (len(digits) - 1, float(number)) == number
