"""From bytes to letters: which encoding a file is in, and what becomes of bytes that break it.

No letter is replaced in silence. A file is in the encoding that an option or its mark names, in
UTF-16 or UTF-32 where its NULs say so, and otherwise in UTF-8. Bytes that are no UTF-8 are
Windows-1252, which the WHATWG's Encoding Standard reads for `latin-1`, too.
"""

import codecs
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any, Final, Protocol

from stocktake.errors import InvalidSourceError, UnsupportedError
from stocktake.schema.warnings import ReadWarning, WarningCode

#: UTF-32's first: the little-endian one begins with UTF-16's.
_BOMS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8"),
)
_MARK: Final = "\ufeff"
_HEAD_BYTES: Final = 4096
#: Of the code units of a text without a mark, one in so many is an ASCII character at least:
#: delimiters and line ends are, in any language.
_UNITS_TO_AN_ASCII: Final = 10
#: Of the characters of UTF-32, so many are none of the rare ones beyond 16 bits.
_MOST: Final = 0.9
#: Windows-1252 as the WHATWG has it: the five bytes without a letter stand for themselves.
_WINDOWS_1252: Final = "".join(
    bytes([byte]).decode("cp1252" if byte not in b"\x81\x8d\x8f\x90\x9d" else "latin-1")
    for byte in range(256)
)
_MULTIBYTE: Final = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_HIGH: Final = re.compile(rb"[\x80-\xff]")
#: NULs fill up fields here and there.
_CONTROL: Final = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1e]")
#: A binary file has more control characters; random bytes have one in nine.
_LETTERS_TO_A_CONTROL: Final = 20
_FALLBACK: Final = "stocktake.windows-1252"


class _Decoder(Protocol):
    def decode(self, data: bytes, final: bool = ..., /) -> str: ...  # as codecs'


def decoded(
    chunks: Iterator[bytes],
    option: Any,
    *,
    path: str,
    complete: bool,
    warnings: list[ReadWarning],
) -> Iterator[str]:
    """Yield a file's text, never an empty piece, without the mark that it may begin with.

    Args:
        option: the encoding that the table's options name, if any.
        path: the file, for messages.
        complete: whether the bytes go to the file's end; else a character may be cut there.
        warnings: takes what there is to say of the encoding, as it is found.

    Raises:
        InvalidSourceError: the bytes break the encoding that an option or a mark names.
        UnsupportedError: the option names no text encoding.
    """
    head, chunks = _head(chunks)
    name, reason = _encoding(head, option)
    _check(name, option, path)
    decoder: _Decoder
    if codecs.lookup(name).name == "utf-8":
        is_sure = reason != ""
        decoder = _Utf8(path, warnings, is_sure=is_sure)
    else:
        if name != str(option).lower():
            warnings.append(_not_utf8(path, name))
        decoder = codecs.getincrementaldecoder(name)("strict")
    pieces = _pieces(chunks, decoder, complete=complete)
    try:
        first = next(pieces, "").removeprefix(_MARK)
        if first:
            yield first
        yield from pieces
    except UnicodeError as exc:
        raise InvalidSourceError(
            f"{path} is not readable as {name}, which {reason}: {_fault(exc)}.",
            file=path,
            hint="Set options.encoding to the encoding that the file is written in.",
        ) from exc


def is_binary(head: bytes, option: Any) -> bool:
    r"""Return whether bytes are no text: they have control characters where letters would be.

    Args:
        option: the encoding that the table's options name, if any.

    >>> is_binary(b"\x00\x05\x01\x02id", None), is_binary(b"a\nx\x00y\n", None)
    (True, False)
    """
    if head[:3] != codecs.BOM_UTF8 and _encoding(head, option) != ("utf-8", ""):
        return False
    first = head.partition(b"\n")[0]
    if _CONTROL.match(head) or (first[:1] == b"\x00" and len(head) > 1):
        return True
    if b"\x00" in first and _CONTROL.search(first):
        return True
    return len(_CONTROL.findall(head)) > max(1, len(head) / _LETTERS_TO_A_CONTROL)


def _pieces(chunks: Iterator[bytes], decoder: _Decoder, *, complete: bool) -> Iterator[str]:
    for chunk in chunks:
        if text := decoder.decode(chunk):
            yield text
    if complete and (rest := decoder.decode(b"", True)):
        yield rest


def _head(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first bytes, and all chunks again."""
    taken, size = list[bytes](), 0
    for chunk in chunks:
        taken.append(chunk)
        size += len(chunk)
        if size >= _HEAD_BYTES:
            break
    head = taken[0] if len(taken) == 1 else b"".join(taken)
    return head[:_HEAD_BYTES], chain([head], chunks)


def _encoding(head: bytes, option: Any) -> tuple[str, str]:
    """Return the encoding, and what says so; nothing where nothing does."""
    name = str(option or "auto").lower()
    if name != "auto":
        return name, "options.encoding names"
    for bom, named in _BOMS:
        if head.startswith(bom):
            return named, "its first bytes name"
    if wide := wide_encoding(head):
        return wide, "its NUL bytes suggest"
    return "utf-8", ""


def wide_encoding(head: bytes) -> str | None:
    r"""Return UTF-16 or UTF-32 without a mark: an ASCII character has NULs there, at one place.

    >>> wide_encoding("id,名\n1,京\n".encode("utf-16-le")), wide_encoding(b"a,b\n\x00,1\n")
    ('utf-16-le', None)
    >>> wide_encoding("上海市区,東京都\n".encode("utf-16-be"))
    'utf-16-be'
    """
    units, pairs = len(head) // 4, len(head) // 2
    first, second, third, fourth = (head[at : 4 * units : 4].count(0) for at in range(4))
    even, odd = head[: 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
    least = max(2, pairs / _UNITS_TO_AN_ASCII)
    name = None
    if units > 1 and fourth == units and third > _MOST * units:
        name = "utf-32-le"
    elif units > 1 and first == units and second > _MOST * units:
        name = "utf-32-be"
    elif odd >= max(least, 4 * even):
        name = "utf-16-le"
    elif even >= max(least, 4 * odd):
        name = "utf-16-be"
    if not name or not decodes(head[: 4 * units or 2 * pairs], name):
        return None
    # Few are ASCII: some NULs in a text of single bytes look so, too. But its lines end otherwise,
    # and it is UTF-8 without other control characters, which letters of two bytes are not for long.
    if 2 * max(even, odd) < pairs and b"\n" in head and "\n" not in head.decode(name, "ignore"):
        return None if decodes(head, "utf-8") and not _CONTROL.search(head) else name
    return name


def decodes(head: bytes, name: str) -> bool:
    """Return whether bytes are text in an encoding, but for a character that their end cuts."""
    try:
        # Incremental, and never told that this is the end: a pair may go on behind it.
        codecs.getincrementaldecoder(name)("strict").decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _check(name: str, option: Any, path: str) -> None:
    try:
        # a codec such as rot13 or hex is found, but gives no text from bytes
        b"a".decode(name, "replace")
        codecs.getincrementaldecoder(name)
    except (LookupError, ValueError) as exc:
        raise UnsupportedError(
            f"options.encoding is {option!r}, which names no text encoding; {path} was not read. "
            "Use a name such as utf-8, utf-16 or latin-1.",
            code="unsupported_encoding",
            file=path,
        ) from exc


def _fault(exc: UnicodeError) -> str:
    if isinstance(exc, UnicodeDecodeError):
        found = exc.object[exc.start : exc.end][:4].hex(" ")
        return f"bytes {found}, {exc.reason}"
    return str(exc)


class _Utf8:
    """UTF-8, or Windows-1252 where the first letters beyond ASCII say so.

    The bytes that break UTF-8 in a text that has proved to be in it are read as Windows-1252 each.

    Args:
        is_sure: whether an option or a mark says that it is UTF-8.
    """

    def __init__(self, path: str, warnings: list[ReadWarning], *, is_sure: bool) -> None:
        self._path = path
        self._warnings = warnings
        self._is_decided = is_sure
        self._is_windows = False
        self._is_told = False
        self._rest = b""
        self._before = 0

    def decode(self, data: bytes, final: bool = False, /) -> str:
        """Return the text; the beginning of a character is kept for the next bytes."""
        if self._is_windows:
            return codecs.charmap_decode(data, "strict", _WINDOWS_1252)[0]
        data = self._rest + data if self._rest else data
        if not self._is_decided and not data.isascii():
            self._decide(data)
            return self.decode(data, final)
        text, taken = self._utf8(data, final=final)
        self._rest = data[taken:]
        self._before += taken
        return text

    def _decide(self, data: bytes) -> None:
        self._rest, self._is_decided = b"", True
        letters = sum(map(len, _MULTIBYTE.findall(data)))
        strays = len(_HIGH.findall(data)) - letters
        # A character that the chunk's end has cut is no stray.
        if not decodes(data, "utf-8") and strays >= len(_MULTIBYTE.findall(data)):
            self._is_windows = True
            self._warnings.append(_not_utf8(self._path, "Windows-1252"))

    def _utf8(self, data: bytes, *, final: bool) -> tuple[str, int]:
        try:
            return codecs.utf_8_decode(data, "strict", final)
        except UnicodeDecodeError as exc:
            if not self._is_told:
                self._is_told = True
                self._warnings.append(_stray(self._path, self._before + exc.start, data, exc.start))
            return codecs.utf_8_decode(data, _FALLBACK, final)


def _windows_letters(exc: UnicodeError) -> tuple[str, int]:
    if not isinstance(exc, UnicodeDecodeError):
        raise exc
    found = exc.object[exc.start : exc.end]
    return codecs.charmap_decode(found, "strict", _WINDOWS_1252)[0], exc.end


codecs.register_error(_FALLBACK, _windows_letters)


def _not_utf8(path: str, name: str) -> ReadWarning:
    return ReadWarning(
        code=WarningCode.ENCODING,
        sentence=f"{path} is not UTF-8 and was read as {name}; ClickHouse takes its bytes as they "
        "are. options.encoding says another encoding, where the letters are wrong.",
        file=path,
    )


def _stray(path: str, offset: int, data: bytes, at: int) -> ReadWarning:
    found = data[at : at + 1].hex()
    return ReadWarning(
        code=WarningCode.ENCODING,
        sentence=f"{path} is UTF-8 but for some bytes, the first of which is 0x{found} at offset "
        f"{offset:,}: they were read as Windows-1252.",
        file=path,
    )
