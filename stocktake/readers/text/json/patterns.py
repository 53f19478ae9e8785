r"""What JSON objects surely keep the columns at their kinds, as one pattern over a whole object.

An object matches that has no keys but the known ones, in the order in which they were met, each
with a value that is plainly of its kind. What does not match is decoded, and joined.
"""

import json
from typing import Any, Final

import re2  # type: ignore[import-untyped]  # google-re2 ships no types

from stocktake.readers.text.values.dates import STRING, SURE_TIMES
from stocktake.readers.text.values.kinds import Array, Kind, Tuple
from stocktake.readers.text.values.numbers import (
    BOOL,
    FLOAT64,
    INT128,
    INT256,
    LONG,
    SURE_INTEGERS,
    SURE_JSON_FLOAT,
)

#: Of surrogates only pairs: half of one is told.
_TEXT: Final = (
    r'(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u(?:[0-9abcefABCEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}'
    r"|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}))*"
)
_TOKENS: Final = {
    BOOL: "true|false",
    **SURE_INTEGERS,
    # What 64 bits do not hold is a text.
    **dict.fromkeys((INT128, INT256), SURE_INTEGERS[LONG]),
    FLOAT64: SURE_JSON_FLOAT,
    STRING: f'"{_TEXT}"',
    **{kind: f'"(?:{sure})"' for kind, sure in SURE_TIMES.items()},
}
#: What has more keys is decoded, and what has more arrays in each other.
_MOST_KEYS: Final = 1_000
_MOST_ARRAYS: Final = 3


class Shape:
    """The order of an object's keys, and of those of the objects in it.

    A text, a number or a null has a shape, too: one without keys.
    """

    def __init__(self) -> None:
        self._inner: dict[str, Shape] = {}
        self._order: list[str] = []
        #: The keys that all objects had.
        self._always: set[str] | None = None

    def learn(self, value: Any) -> None:
        """Take in the keys of a decoded value: a new one comes after the one before it."""
        if isinstance(value, list):
            for element in value:
                self.learn(element)
        elif isinstance(value, dict) and len(self._order) + len(value) <= _MOST_KEYS:
            self._always = set(value) if self._always is None else self._always & value.keys()
            before = None
            for key, inner in value.items():
                if key not in self._inner:
                    at = 0 if before is None else self._order.index(before) + 1
                    self._order.insert(at, key)
                    self._inner[key] = Shape()
                self._inner[key].learn(inner)
                before = key

    def pattern(self, kind: Kind, arrays: int = _MOST_ARRAYS) -> bytes:
        """Return what matches a value that surely keeps the kind, or a null; in RE2's syntax.

        Args:
            arrays: how many may be in each other; each doubles the pattern.
        """
        if isinstance(kind, str) and kind in _TOKENS:
            return b"(?:%b|null)" % _TOKENS[kind].encode()
        if isinstance(kind, Array) and arrays:
            element = self.pattern(kind.element, arrays - 1)
            return rb"(?:\[ *(?:%b(?: *, *%b)*)? *\]|null)" % (element, element)
        if isinstance(kind, Tuple):
            pattern = self.object_pattern(kind.fields, arrays, in_row=True)
            return rb"(?:%b|\{ *\}|null)" % pattern
        return b"null"

    def object_pattern(
        self, kinds: dict[str, Kind], arrays: int = _MOST_ARRAYS, *, in_row: bool = False
    ) -> bytes:
        """Return what matches an object with the keys of these kinds; in RE2's syntax.

        One key must be there, so that no comma is left over; the others may be missing.

        Args:
            in_row: whether it is an object in a row, where a key spelled with an escape makes
                another kind of it.
        """
        names = {key: _names(key, in_row=in_row) for key in self._order if key in kinds}
        pairs = [
            (key, b"(?:%b) *: *%b" % (name, self._inner[key].pattern(kinds[key], arrays)))
            for key, name in names.items()
        ]
        # Where no key was always there the first one must be: too narrow, and never wrong.
        must = next((n for n, (key, _) in enumerate(pairs) if key in (self._always or ())), 0)
        before = b"".join(b"(?:%b *, *)?" % pair for _, pair in pairs[:must])
        after = b"".join(b"(?: *, *%b)?" % pair for _, pair in pairs[must + 1 :])
        return rb"\{ *%b%b%b *\}" % (before, pairs[must][1] if pairs else b"", after)


def _names(key: str, *, in_row: bool) -> bytes:
    # Writers escape what is not ASCII, or do not.
    spelled = {json.dumps(key, ensure_ascii=False)} | (set() if in_row else {json.dumps(key)})
    return b"|".join(re2.escape(each.encode("utf-8", "surrogatepass")) for each in sorted(spelled))
