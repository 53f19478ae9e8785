"""From a file's bytes to its text: decompression, and whose file it really is.

The phases run in the order of DuckDB's sniffer, compression before encoding before dialect,
and an option always wins over what the bytes suggest.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from stocktake.errors import LimitExceededError, UnsupportedError
from stocktake.readers.files.foreign import FOREIGN, PGP, STAND_INS, is_pgp, mismatch
from stocktake.readers.files.listing import all_of
from stocktake.readers.limits import exceeded
from stocktake.readers.source import Limits, Source
from stocktake.readers.text.compression import Taken, decompress
from stocktake.readers.text.detection import MOST_LAYERS, detect, refuse_unsupported
from stocktake.readers.text.encoding import decoded, is_binary
from stocktake.schema.warnings import ReadWarning
from stocktake.storage.stores.opening import ObjectInfo

#: A compressed sample may have so much text in any case, so that the ratio of a bomb is judged.
_LEAST_GROWN_BYTES: Final = 2 << 20
_STREAM_BYTES: Final = 1 << 20
#: What is held of a sample in each of its forms at once; small enough to stay in a cache.
_PART_BYTES: Final = 1 << 18

#: Follows the first bytes of a binary format, since a CSV header may well begin with ``ORC``.
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_MARKUP: Final = re.compile(rb"\s*+<(?:!doctype\s|html\b|\?xml\b)", re.IGNORECASE)
_HEAD_BYTES: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """The text of one file, or its beginning.

    Attributes:
        path: the file, for messages.
        chunks: pieces of text, never empty ones.
        complete: whether the text goes to the file's end.
        warnings: what else there is to say of the file; grows while the text is taken.
    """

    path: str
    chunks: Iterator[str]
    complete: bool
    warnings: list[ReadWarning] = field(default_factory=list)


def stream_text(source: Source, file: ObjectInfo, limits: Limits) -> Text:
    """Return the whole file, in constant memory.

    Raises:
        InvalidSourceError: its compression is corrupt or breaks off, or its bytes break its
            encoding; the latter while the text is taken.
        SourceChangedError: it is another file than the one that was listed.
        LimitExceededError: it swells too much.
        FormatMismatchError: it is of a binary format.
        UnsupportedError: an option names an encoding or a compression that is not known.
    """
    raw = all_of(source, file, source.store.stream(file.path, chunk_bytes=_STREAM_BYTES))
    plain = _plain(raw, source, file.path, limits, whole=True)
    return _text(plain, source, file.path, complete=True)


def sample_text(
    source: Source, file: ObjectInfo, data: bytes, limits: Limits, *, max_bytes: int
) -> Text:
    """Return the beginning of a file, of which `data` was fetched. Raises what `stream_text`
    raises.

    Args:
        max_bytes: of text; what is compressed is not decompressed any further.
    """
    whole = len(data) >= file.size
    # in parts, so that the lines of one are gone before those of the next are made
    parts = (data[at : at + _PART_BYTES] for at in range(0, len(data), _PART_BYTES))
    plain = _plain(parts, source, file.path, limits, whole=whole)
    pieces, complete = _bounded(plain, max_bytes)
    return _text(iter(pieces), source, file.path, complete=whole and complete)


def _text(plain: Iterator[bytes], source: Source, path: str, *, complete: bool) -> Text:
    warnings = list[ReadWarning]()
    chunks = decoded(
        plain, source.options.get("encoding"), path=path, complete=complete, warnings=warnings
    )
    return Text(path=path, chunks=chunks, complete=complete, warnings=warnings)


def _bounded(chunks: Iterator[bytes], max_bytes: int) -> tuple[list[bytes], bool]:
    """Return what fits, two MiB in any case, and whether that was all."""
    pieces, size = [], 0
    for piece in chunks:
        pieces.append(piece)
        size += len(piece)
        if size >= max(max_bytes, _LEAST_GROWN_BYTES):
            return pieces, next(chunks, None) is None
    return pieces, True


# --- compression and foreign formats ------------------------------------------------------


def _plain(
    chunks: Iterator[bytes], source: Source, path: str, limits: Limits, *, whole: bool
) -> Iterator[bytes]:
    option = source.options.get("compression")
    head, chunks = _peek(chunks)
    outer, name = None, path
    for layer in range(MOST_LAYERS + 1):
        codec = detect(head, option, name)
        if codec is None or not head:
            break
        if layer == MOST_LAYERS:
            raise UnsupportedError(
                f"{path} is compressed more than {MOST_LAYERS} times.",
                code="unsupported_compression",
                hint="Compress the named file once.",
                file=path,
            )
        own = Taken()
        pieces = decompress(
            chunks, codec, limits=limits, file=path, whole=whole, taken=own, outer=outer
        )
        head, chunks = _peek(_merged(pieces))
        # The option, and the ending of the name, are of the outer layer.
        outer, option, name = outer or own, None, ""
    refuse_unsupported(head, path, name)
    refuse_foreign(head, path, declared=source.format.value)
    # what separates the fields may be a control character, as Hive's \x01
    delimiter = str(source.options.get("csv_delimiter") or ",").encode()
    if is_binary(head.replace(delimiter, b","), source.options.get("encoding")):
        raise mismatch(path, source.format.value, "binary data of no format that is known here")
    return chunks


def _merged(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield fewer and larger chunks: what is done for each costs more than what is done for
    a byte."""
    pieces, size = list[bytes](), 0
    for chunk in chunks:
        pieces.append(chunk)
        size += len(chunk)
        if size >= _PART_BYTES:
            yield b"".join(pieces)
            pieces, size = [], 0
    if pieces:
        yield b"".join(pieces)


def _peek(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first bytes, enough to tell a format by, and all chunks again."""
    taken: list[bytes] = []
    for chunk in chunks:
        taken.append(chunk)
        if sum(map(len, taken)) >= _HEAD_BYTES:
            break
    return b"".join(taken)[:_HEAD_BYTES], chain(taken, chunks)


def refuse_foreign(head: bytes, path: str, *, declared: str) -> None:
    """Refuse a binary format or markup.

    Raises:
        FormatMismatchError: saying what it looks like.

    >>> refuse_foreign(b"PAR1,x", "a.csv", declared="CSV")
    """
    # These may begin without any control character, which the others never do.
    found = "an HTML or XML page" if _MARKUP.match(head) else PGP if is_pgp(head) else None
    for begins, name in STAND_INS:
        if head.startswith(begins):
            found = name
    for magic, name in FOREIGN:
        if head.startswith(magic) and _CONTROL.search(head):
            found = name
    if found:
        raise mismatch(path, declared, found)


# --- refusals ---------------------------------------------------------------------------


def line_too_long(path: str, line: int, limits: Limits) -> LimitExceededError:
    """Return the error for a line, or a JSON object, above the limit."""
    return exceeded(
        limits,
        "max_line_bytes",
        f"{path}, line {line}, is longer than {limits.max_line_bytes:,} bytes",
        advice="Split the record, check the file's quotes and line ends",
        file=path,
    )
