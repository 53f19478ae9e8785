"""A value of a row as a preview shows it: what JSON can hold, and never more than a little of it.

A cell is null, true or false, a number, or a text. What was cut, and what is binary, is an object:
`{"text": "the beginn", "length": 4711}`, `{"base64": "3q2+7w==", "length": 4}`.
"""

import base64
import json
import math
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

#: Characters of a text, and bytes of what is binary, that are shown.
MOST_CHARACTERS: Final = 256
MOST_BYTES: Final = 96
#: Beyond this a reader of JSON in a browser loses digits; such a number is a text.
_MOST_EXACT: Final = 2**53

Cell: TypeAlias = bool | int | float | str | dict[str, Any] | None


def cell(value: Any) -> Cell:
    """Return one value as it is shown.

    >>> cell(None), cell(2**60), cell(bytes([222, 173])), cell({"a": [1, None]})
    (None, '1152921504606846976', {'base64': '3q0=', 'length': 2}, '{"a": [1, null]}')
    >>> cell("x" * 1000)["length"]
    1000
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if abs(value) <= _MOST_EXACT else _text(str(int(value)))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value[:MOST_BYTES])
        return {"base64": base64.b64encode(data).decode("ascii"), "length": len(value)}
    if isinstance(value, Mapping | list | tuple):
        return _text(json.dumps(_plain(value), ensure_ascii=False))
    return _text(str(value))


def _text(text: str) -> Cell:
    # a source may hold half of a surrogate pair, which no answer can carry
    shown = text[:MOST_CHARACTERS].encode("utf-8", "backslashreplace").decode()
    if len(text) <= MOST_CHARACTERS:
        return shown
    return {"text": shown, "length": len(text)}


def _plain(value: Any) -> Any:
    """Return a nested value as JSON holds it, of each part no more than would be shown."""
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        # Longer ones are beyond what is shown in any case.
        return [_plain(part) for part in value[: MOST_CHARACTERS + 1]]
    if isinstance(value, str):
        return value[: MOST_CHARACTERS + 1]
    shown = cell(value)
    return shown["base64"] if isinstance(shown, dict) and "base64" in shown else shown
