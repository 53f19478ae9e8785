"""What a CSV field is: a number, a date, a text, or a literal such as ``[1,2]``."""

import json
import re
from collections.abc import Iterable, Iterator
from functools import reduce
from typing import Any, Final

from stocktake.readers.text.values.dates import STRING, infer_text
from stocktake.readers.text.values.json_values import infer_json
from stocktake.readers.text.values.kinds import (
    BOOL,
    FLOAT64,
    UINT64,
    Array,
    Kind,
    KindConflictError,
    Map,
    NestingError,
    _integer,
    join,
)

_INTEGER: Final = re.compile(r"[+-]?[0-9]++")


_FLOAT: Final = re.compile(r"[+-]?(?:[0-9]++\.[0-9]*+|\.[0-9]++|(?i:inf(?:inity)?|nan))")


_TEXT: Final = re.compile(r"'((?:[^'\\]++|\\.)*+)'")


_NULL: Final = re.compile(r"\b(?:(NULL)|null)\b")


#: The longest field that is tried as an array: a longer one costs more than its type is worth.
_LONGEST_LITERAL: Final = 1 << 20


def infer_field(field: str) -> Kind:
    """Return the kind of a CSV field without quotes that is no null."""
    if _INTEGER.fullmatch(field):
        # nothing above 20 digits fits, and int() refuses thousands of them, zeros as well
        digits = field.lstrip("+-").lstrip("0") or "0"
        if len(digits) > 20:
            return FLOAT64
        return _integer(-int(digits) if field[0] == "-" else int(digits), FLOAT64)
    if _FLOAT.fullmatch(field):
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
    return json.loads("".join(_as_json(text)))


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
    if isinstance(value, int) and _integer(value, STRING) == STRING:
        raise KindConflictError(UINT64, STRING)
    return infer_json(value, levels=0)


def _join_strictly(values: Iterable[Any], levels: int) -> Kind:
    kinds = (_container(value, levels) for value in values)
    return reduce(lambda a, b: join(a, b, json_rules=False, nested=True), kinds, None)
