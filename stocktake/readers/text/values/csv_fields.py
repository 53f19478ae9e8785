"""What a CSV field is: a number, a date, a text, or a literal such as ``[1,2]``."""

import json
import re
from collections.abc import Iterable, Iterator
from functools import reduce
from typing import Any, Final

from stocktake.readers.text.values.dates import STRING, infer_text
from stocktake.readers.text.values.json_values import SpelledNumber, decode_float, infer_json
from stocktake.readers.text.values.kinds import (
    Array,
    Kind,
    KindConflictError,
    Map,
    NestingError,
    join_csv,
)
from stocktake.readers.text.values.numbers import (
    BOOL,
    FLOAT64,
    INT128,
    INT256,
    UINT64,
    gives_back,
    integer_kind,
)

#: Neither a plus sign nor a zero before others: a number would lose them, and zip codes and phone
#: numbers have them. No more digits than 256 bits have.
_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,77}")
#: As writers of numbers write them. `1e5`, with neither a point nor a sign in the exponent, is what
#: identifiers look like, too, and a text to ClickHouse.
_FLOAT: Final = re.compile(
    r"[+-]?(?:(?:0|[1-9][0-9]*+)?\.[0-9]++(?:[eE][+-]?[0-9]++)?|(?:0|[1-9][0-9]*+)\."
    r"|(?:0|[1-9][0-9]*+)\.?[eE][+-][0-9]++)|-0"
)
_NOT_FINITE: Final = re.compile(r"[+-]?(?:inf(?:inity)?|nan)", re.IGNORECASE)
_TEXT: Final = re.compile(r"'((?:[^'\\]++|\\.)*+)'")


_NULL: Final = re.compile(r"\b(?:(NULL)|null)\b")


#: The longest field that is tried as an array: a longer one costs more than its type is worth.
_LONGEST_LITERAL: Final = 1 << 20


def infer_field(field: str) -> Kind:
    """Return the kind of a CSV field without quotes that is no null."""
    if _INTEGER.fullmatch(field):
        return integer_kind(int(field))
    if _FLOAT.fullmatch(field):
        return FLOAT64 if gives_back(field) else STRING
    if _NOT_FINITE.fullmatch(field):
        return FLOAT64
    return BOOL if field in ("true", "false") else infer_text(field)


def infer_quoted(text: str, *, levels: int) -> Kind:
    """Return the kind of a quoted CSV field: never a number, but a date, an array or a map may be.

    Args:
        levels: how deep arrays and maps may nest in it.

    Raises:
        NestingError: it is nested more deeply.
    """
    stripped = text.strip()
    if stripped[:1] in ("[", "{") and len(stripped) <= _LONGEST_LITERAL:
        return _infer_literal(stripped, levels)
    return infer_text(text)


def _infer_literal(text: str, levels: int) -> Kind:
    """Infer from ClickHouse's own notation, ``['a', 'b']`` or ``{'a': 1}``; what is not is
    a text."""
    try:
        return _container(parse_literal(text), levels)
    # It is a ValueError, too.
    except NestingError:
        raise
    except ValueError:
        return STRING
    except RecursionError:
        # too deep for the parser, which cannot say whether it is whole
        if sum(map(text.count, "[{")) == sum(map(text.count, "]}")):
            raise NestingError from None
        return STRING


def parse_literal(text: str) -> Any:
    """Return the value that ClickHouse's notation stands for.

    Raises:
        ValueError: the text is not in that notation.
        RecursionError: it is nested too deeply.

    >>> parse_literal("{'a': [1, NULL]}")
    {'a': [1, None]}
    """
    if '"' in text:
        raise ValueError("ClickHouse writes its texts in single quotes")
    return json.loads("".join(_as_json(text)), parse_float=decode_float)


def _as_json(text: str) -> Iterator[str]:
    """Yield the same in JSON. A quote that nothing closes ends it at once: to look for one that is
    closed behind it would read the rest again for each."""
    at = 0
    while (quote := text.find("'", at)) >= 0:
        match = _TEXT.match(text, quote)
        if match is None:
            raise ValueError("a quote is not closed")
        yield _NULL.sub(_null, text[at:quote])
        yield json.dumps(match[1])
        at = match.end()
    yield _NULL.sub(_null, text[at:])


def _null(match: re.Match[str]) -> str:
    # Only NULL is ClickHouse's word. JSON's own `null` must not pass for it: a question mark makes
    # the whole no JSON.
    return "null" if match[1] else "?"


def _container(value: Any, levels: int) -> Kind:
    if isinstance(value, list | dict) and levels <= 0:
        raise NestingError
    if isinstance(value, list):
        return Array(element=_join_strictly(value, levels - 1))
    if isinstance(value, dict):
        return Map(value=_join_strictly(value.values(), levels - 1))
    if isinstance(value, SpelledNumber):
        raise KindConflictError(FLOAT64, STRING)
    if isinstance(value, int) and integer_kind(value) in (INT128, INT256, STRING):
        raise KindConflictError(UINT64, STRING)
    return infer_json(value, levels=0)


def _join_strictly(values: Iterable[Any], levels: int) -> Kind:
    kinds = (_container(value, levels) for value in values)
    return reduce(lambda a, b: join_csv(a, b, nested=True), kinds, None)
