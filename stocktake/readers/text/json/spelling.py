"""How values are spelled in JSON, where that makes a difference: numbers, and escaped texts."""

import json
import re
from typing import Any, Final

from stocktake.readers.text.values.json_values import EscapedText, SpelledNumber, decode_float
from stocktake.readers.text.values.parse_dates import match_moment

#: The last quote is there in all JSON; asked for, what lacks it would be looked at from each quote.
_TOKEN: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
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
    """Return an object in which texts are marked that look like dates and are spelled with escapes.

    Args:
        text: the object as it is written.
    """
    escaped = (token for token in _TOKEN.findall(text) if "\\" in token)
    dates = {
        decoded
        for token in escaped
        if len(token) <= _LONGEST_TOKEN and match_moment(decoded := json.loads(token))
    }
    return {key: _marked(inner, dates) for key, inner in value.items()} if dates else value


def _marked(value: Any, dates: set[str]) -> Any:
    if isinstance(value, str):
        return EscapedText(value) if value in dates else value
    if isinstance(value, list):
        return [_marked(element, dates) for element in value]
    if isinstance(value, dict):
        return {key: _marked(inner, dates) for key, inner in value.items()}
    return value
