"""How JSON is spelled, where that makes a difference: numbers, escaped texts and keys."""

import json
import re
from typing import Any, Final

from stocktake.readers.text.values.json_values import (
    EscapedObject,
    EscapedText,
    SpelledNumber,
    decode_float,
)
from stocktake.readers.text.values.parse_dates import match_moment

#: A text or a key, and what makes a key of it. The last quote is there in all JSON; asked for, what
#: lacks it would be looked at from each quote.
_TOKEN: Final = re.compile(r'("(?:[^"\\]++|\\.)*+"?)([ \t\r\n]*+:)?', re.DOTALL)
#: A text up to its first escape of a character by its number.
_NUMBERED: Final = re.compile(r"(?:[^\\]|\\[^u])*+\\u", re.DOTALL)
#: A date of so many letters, each an escape.
_LONGEST_TOKEN: Final = 400


class SpelledFloat(float):
    """A number that knows how it is written.

    Attributes:
        text: its spelling.
    """

    __slots__ = ("text",)
    text: str


def spelled_float(text: str) -> SpelledFloat | SpelledNumber:
    """Return what `decode_float` does, with the spelling.

    >>> spelled_float("1.10"), spelled_float("1.10").text
    (1.1, '1.10')
    """
    number = decode_float(text)
    if isinstance(number, SpelledNumber):
        return number
    spelled = SpelledFloat(number)
    spelled.text = text
    return spelled


def json_text(value: Any) -> str:
    """Return a decoded value as JSON, its numbers as they were spelled.

    >>> json_text([spelled_float("1.10"), {"a": None}])
    '[1.10, {"a": null}]'
    """
    if isinstance(value, SpelledFloat):
        return value.text
    if isinstance(value, SpelledNumber):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(json_text, value))}]"
    if isinstance(value, dict):
        pairs = (f"{_dumped(key)}: {json_text(inner)}" for key, inner in value.items())
        return f"{{{', '.join(pairs)}}}"
    return _dumped(value)


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def mark_escaped(value: dict[str, Any], text: str) -> dict[str, Any]:
    r"""Return an object in which is marked what ClickHouse does not read as it is spelled: texts
    that look like dates and have an escape, and objects in it with a key such as ``"\u00e9"``.

    A key that stands in two objects, and in one of them with such an escape, marks both.

    Args:
        text: the object as it is written.
    """
    dates, keys = set[str](), set[str]()
    for token, is_key in _TOKEN.findall(text):
        if "\\" not in token:
            continue
        if is_key:
            if _NUMBERED.match(token):
                keys.add(json.loads(token))
        elif len(token) <= _LONGEST_TOKEN and match_moment(decoded := json.loads(token)):
            dates.add(decoded)
    if not dates and not keys:
        return value
    return {key: _marked(inner, dates, keys) for key, inner in value.items()}


def _marked(value: Any, dates: set[str], keys: set[str]) -> Any:
    if isinstance(value, str):
        return EscapedText(value) if value in dates else value
    if isinstance(value, list):
        return [_marked(element, dates, keys) for element in value]
    if isinstance(value, dict):
        marked = {key: _marked(inner, dates, keys) for key, inner in value.items()}
        escaped = keys.intersection(value)
        return EscapedObject(marked, frozenset(escaped)) if escaped else marked
    return value
