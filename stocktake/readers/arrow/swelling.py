"""How much the batches of an Arrow file or stream claim to become, before they are decoded.

A buffer begins with the length that it has once it is decompressed, for which pyarrow makes room.
And nothing keeps a footer from naming one batch a million times, or a batch one buffer for all of
its columns: a few megabytes that would become more rows than a disk holds.
"""

import os
import struct
from collections.abc import Iterator
from typing import IO, Final

from stocktake.readers.arrow.flatbuffer import FlatbufferError, Table
from stocktake.readers.files.swelling import allowed
from stocktake.readers.source import Limits

#: Of a `Message` (Message.fbs), by their places: what it is, how long its body is, and what its
#: writer adds, by which Arrow 0.17 said that buffers are compressed.
_KIND, _HEADER, _BODY_LENGTH, _ADDED = 1, 2, 3, 4
_KEY: Final = 0
_COMPRESSED_0_17: Final = "ARROW:experimental_compression"
_DICTIONARY, _BATCH = 2, 3
#: Of a dictionary its batch; of a batch its buffers, and whether they are compressed.
_DATA: Final = 1
_BUFFERS, _COMPRESSION = 2, 3
_BUFFER: Final = struct.Struct("<qq")
#: Of a `Footer`, and of a `Block` in it: where a message begins, and how long it is without body.
_DICTIONARIES, _BATCHES = 2, 3
_BLOCK_BYTES: Final = 24
#: Before a message's length since Arrow 0.15.
_CONTINUATION: Final = b"\xff\xff\xff\xff"
_LENGTH: Final = struct.Struct("<i")
_CLAIM: Final = struct.Struct("<q")
#: What a buffer claims that is stored as it is.
_AS_IT_IS: Final = -1


def check_stream(local: IO[bytes], limits: Limits) -> None:
    """Hold what a stream's batches claim against the limits; where it breaks off is told by who
    reads it.

    Raises:
        LimitExceededError: one claims too much.
        ValueError: a message is corrupt.
    """
    at = local.tell()
    while (message := _message(local, at)) is not None:
        table, start = message
        _check(table, local, start, limits)
        at = start + max(table.number(_BODY_LENGTH, "q"), 0)


def check_file(local: IO[bytes], footer: bytes, limits: Limits) -> None:
    """Hold what a file's batches claim against the limits, and against the file. Raises what
    `check_stream` raises."""
    table, size, taken = Table.root(footer), local.seek(0, os.SEEK_END), 0
    for field in (_DICTIONARIES, _BATCHES):
        for block in table.structs(field, _BLOCK_BYTES):
            start, metadata = struct.unpack_from("<qi", block)
            message = _message(local, start)
            if message is None:
                continue
            taken += max(metadata, 0) + max(message[0].number(_BODY_LENGTH, "q"), 0)
            if taken > size:
                raise FlatbufferError("its batches overlap")
            _check(message[0], local, start + metadata, limits)


def _message(local: IO[bytes], at: int) -> tuple[Table, int] | None:
    """Return the message that begins at a place, and where its body does; None at the end."""
    if at < 0:
        raise FlatbufferError("a batch begins before the file")
    local.seek(at)
    head = local.read(_LENGTH.size)
    if head == _CONTINUATION:
        head, at = local.read(_LENGTH.size), at + _LENGTH.size
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    data = local.read(length) if length > 0 else b""
    if not data:
        return None
    return Table.root(data), at + _LENGTH.size + length


def _check(message: Table, local: IO[bytes], start: int, limits: Limits) -> None:
    kind, header = message.number(_KIND, "B"), message.table(_HEADER)
    if header is not None and kind == _DICTIONARY:
        header = header.table(_DATA)
    if header is None or kind not in (_DICTIONARY, _BATCH):
        return
    lengths = (_BUFFER.unpack(each)[1] for each in header.structs(_BUFFERS, _BUFFER.size))
    if sum(max(length, 0) for length in lengths) > message.number(_BODY_LENGTH, "q"):
        raise FlatbufferError("the buffers of a batch overlap")
    if not _is_compressed(message, header):
        return
    size = claimed = 0
    for length, claim in _claims(header, local, start):
        if claim < _AS_IT_IS:
            raise FlatbufferError("a buffer claims a negative length")
        size, claimed = size + length, claimed + (length if claim == _AS_IT_IS else claim)
    allowed(size, limits).check(claimed, "A batch of the file", limits)


def _is_compressed(message: Table, batch: Table) -> bool:
    added = (each.text(_KEY) for each in message.tables(_ADDED))
    return batch.table(_COMPRESSION) is not None or _COMPRESSED_0_17 in added


def _claims(batch: Table, local: IO[bytes], start: int) -> Iterator[tuple[int, int]]:
    """Yield the lengths of a batch's buffers, as stored and as they claim."""
    for buffer in batch.structs(_BUFFERS, _BUFFER.size):
        offset, length = _BUFFER.unpack(buffer)
        if length < _CLAIM.size or offset < 0:
            continue
        local.seek(start + offset)
        claim = local.read(_CLAIM.size)
        if len(claim) == _CLAIM.size:
            yield length, int(_CLAIM.unpack(claim)[0])
