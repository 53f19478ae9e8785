"""Stepping over what most of a sheet's XML is: plain rows that follow each other.

A parser tells a sheet's reach from any XML, however it is spelled, but calls Python for each
element. So of a run of plain elements, which one expression tells at the speed of RE2, the parser
is given the first alone: where that counts, those right behind it do, and are counted together.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

import re2  # type: ignore[import-untyped]  # google-re2 ships no types

#: So much of a chunk's end is looked at again with the next one, where it may be half a row.
_HELD_BYTES: Final = 1 << 16

#: What XML allows in a text, less what begins markup.
_CHARACTERS: Final = r"[^<>&\x00-\x08\x0b\x0c\x0e-\x1f]*"
_TEXT: Final = rf"(?:{_CHARACTERS}|&(?:amp|lt|gt|quot|apos);)*"
_QUOTED: Final = r'"[^"<>&\x00-\x1f]*"'


class Plain(NamedTuple):
    """One kind of plain elements.

    Attributes:
        element: one of them, in RE2's syntax.
        end: the tag that it ends in.
    """

    element: str
    end: bytes


_ROW_ATTRIBUTES: Final = (
    "spans|s|ht|hidden|customFormat|customHeight|outlineLevel|collapsed|thickTop|thickBot"
    "|x14ac:dyDescent"
)
#: Of an .xlsx: rows and cells that say where they are, and no errors.
EXCEL_ROWS: Final = Plain(
    rf'<row r="[0-9]{{1,7}}"(?: (?:{_ROW_ATTRIBUTES})={_QUOTED})*>'
    r'(?:<c r="[A-Z]{1,3}[0-9]{1,7}"(?: s="[0-9]*")?'
    r'(?: t="s"><v>[0-9]{1,18}</v></c>|(?: t="(?:b|n|d|str)")?(?:/>'
    rf"|>(?:<f>{_TEXT}</f>)?(?:<v>{_TEXT}</v>)?</c>)))*</row>",
    b"</row>",
)
#: Its shared texts of one piece.
SHARED_TEXTS: Final = Plain(rf'<si><t(?: xml:space="preserve")?>{_CHARACTERS}</t></si>', b"</si>")
_VALUE: Final = "value|date-value|time-value|boolean-value|currency"
_TYPES: Final = "float|string|date|time|boolean|percentage|currency"
#: Of an .ods: rows and cells that are not repeated, and no errors.
ODS_ROWS: Final = Plain(
    rf"<table:table-row(?: table:style-name={_QUOTED})?>(?:<table:table-cell/>|<table:table-cell"
    rf'(?: table:style-name={_QUOTED})? office:value-type="(?:{_TYPES})"'
    rf'(?: office:(?:{_VALUE})={_QUOTED})*(?: calcext:value-type="(?:{_TYPES})")?'
    rf"(?:/>|>(?:<text:p>{_TEXT}</text:p>)?</table:table-cell>))*</table:table-row>",
    b"</table:table-row>",
)


def left_of(
    chunks: Iterable[bytes],
    plain: Plain,
    count: Callable[[], int],
    take: Callable[[bytes], None],
) -> Iterator[bytes]:
    """Yield XML without the plain elements that are taken.

    Args:
        count: how many such elements the parser has met that count, of what was yielded so far.
        take: is given those right behind one that did.
    """
    runs = _runs(plain.element)
    held = b""
    for chunk in chunks:
        data, at = held + chunk, 0
        while (found := runs.search(data, at)) is not None:
            start, end = found.span()
            second = data.index(plain.end, start) + len(plain.end)
            yield data[at:start]
            before = count()
            yield data[start:second]
            run = data[second:end]
            if count() == before + 1 and _is_utf8(run):
                take(run)
            else:
                yield run
            at = end
        rest = len(data) - at
        cut = len(data) if rest > _HELD_BYTES or not at else at
        yield data[at:cut]
        held = data[cut:]
    yield held


def _is_utf8(run: bytes) -> bool:
    try:
        run.decode()
    except UnicodeDecodeError:
        return False
    return True


@lru_cache(maxsize=8)
def _runs(element: str) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = 1 << 26
    return re2.compile(f"(?:{element}){{2,}}".encode(), options)
