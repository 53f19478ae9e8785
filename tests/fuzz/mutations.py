"""Random damage to bytes: what bit rot, cut uploads, odd writers and ill will do to a file."""

import re
from dataclasses import dataclass
from typing import Final

from hypothesis import strategies as st

#: What breaks parsers: pieces of every format's syntax, numbers at their edges, bad UTF-8.
TOKENS = (
    b"null", b"-1", b"1", b"1.5", b"1e400", b"true", b'"', b"''", b"{", b"}", b"[", b"]", b",",
    b":", b"\\", b"\\u0000", b"\\ud800", b"\n", b"\r\n", b"\0", b"\xff", b"\xc3", b"\x80",
    b"\xef\xbb\xbf", b"9" * 30, b"\xff\xff\xff\xff\x0f", b"\x7f\xff\xff\xff", b"PAR1", b"long",
    b"string", b"\\N", b"2024-01-01", b"[" * 300, b'{"a":' * 120,
)  # fmt: skip
#: What stands in place of a number: those at the edges of types and of sheets.
NUMBERS: Final = (
    b"0", b"-1", b"7", b"65536", b"1048576", b"1048577", b"16777216", b"2147483647", b"4294967295",
    b"4294967296", b"18446744073709551615", b"9" * 30, b"1e308", b"-0.5", b"NaN", b"",
)  # fmt: skip
_NUMBER: Final = re.compile(rb"[0-9]++")
_PLACE = st.integers(0, 1 << 16)


@dataclass(frozen=True)
class Edit:
    """One change of some bytes.

    Attributes:
        kind: flip a byte, cut a stretch, repeat it, end the file there, insert a token, insert it
            where XML has the like, or change the next number.
        place: where, in parts of 2**16 of the length.
        size: how many bytes, which bits, or which number.
        token: what is inserted.
    """

    kind: str
    place: int
    size: int
    token: bytes

    def apply(self, data: bytes) -> bytes:
        at = self.place * len(data) >> 16
        match self.kind:
            case "flip":
                return (
                    data[:at]
                    + bytes(each ^ self.size for each in data[at : at + 1])
                    + data[at + 1 :]
                )
            case "cut":
                return data[:at] + data[at + self.size :]
            case "repeat":
                return data[:at] + data[at : at + self.size] * 2 + data[at + self.size :]
            case "end":
                return data[:at]
            case "number":
                number = NUMBERS[self.size % len(NUMBERS)]
                return data[:at] + _NUMBER.sub(number, data[at:], count=1)
            case "fit":  # an attribute or an element
                at += max(0, data[at:].find(b">" if self.token[:1] == b" " else b"<"))
        return data[:at] + self.token + data[at:]


def edits(
    kinds: str = "flip cut repeat end insert",
    most: int = 4,
    tokens: tuple[bytes, ...] = TOKENS,
) -> st.SearchStrategy[list[Edit]]:
    """One to `most` edits of the given kinds."""
    one = st.builds(
        Edit,
        kind=st.sampled_from(kinds.split()),
        place=_PLACE,
        size=st.integers(1, 255),
        token=st.sampled_from(tokens),
    )
    return st.lists(one, min_size=1, max_size=most)


def applied(data: bytes, changes: list[Edit]) -> bytes:
    """The bytes after all of the edits, one after the other."""
    for change in changes:
        data = change.apply(data)
    return data
