"""Parquet: the schema is in the footer, so two ranged reads a file are all it takes.

The footer's length is checked before anything is parsed: a file of 300 bytes can ask for 4 GB.
"""

import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, Final, NoReturn

import pyarrow as pa
import pyarrow.parquet as pq

from stocktake.errors import (
    EmptySourceError,
    FormatMismatchError,
    InvalidSourceError,
    JobError,
    LimitExceededError,
    StorageUnavailableError,
    UnsupportedError,
)
from stocktake.introspection import Introspection, Limits, Progress, Source, arrow
from stocktake.introspection.excess import check_columns, exceeded
from stocktake.introspection.files import (
    Budget,
    Listing,
    combine,
    conclude,
    hive_partitions,
    list_files,
    list_or_fetch,
    relative_name,
    stored_columns,
    unchanged,
    with_partitions,
)
from stocktake.schema.columns import Column
from stocktake.storage.objects import Chunk, ObjectInfo

#: Most footers are smaller; one that is larger takes a second read for the rest.
TAIL_BYTES: Final = 64 * 1024
#: Files between two reports of progress.
_ROUND: Final = 128
#: Columns or row groups in one footer, far above what real files hold. pyarrow takes some 15 µs
#: and 1.4 KB for each, before it says how many there are.
_MAX_THRIFT_ELEMENTS: Final = 200_000

#: Of a column chunk at once, and of all columns in one batch.
_BUFFER_BYTES: Final = 1 << 20
_BATCH_ROWS: Final = 8_192
_BATCH_CELLS: Final = 1 << 20

_MAGIC: Final = b"PAR1"
_ENCRYPTED: Final = b"PARE"
#: Length of the footer, then the magic.
_TRAILER: Final = struct.Struct("<I4s")
#: The magic comes once more at the file's start.
_OVERHEAD: Final = _TRAILER.size + len(_MAGIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Footer:
    file: ObjectInfo
    columns: tuple[Column, ...]
    row_count: int


def read(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """Read the footers of a source's files and unite their columns.

    Args:
        source: a key or a glob of Parquet files.
        limits: the sample's budget, `max_footer_bytes`, `max_columns`, `max_nesting`.
        progress: told after each round of files; what it raises ends the read.

    Raises:
        JobError: see `list_files` and `arrow.columns`; EmptySourceError, FormatMismatchError,
            InvalidSourceError and UnsupportedError name the file.
    """
    progress("list", 0, None)
    listing, tail = list_or_fetch(source, limits, partial(_tail, source))
    if (answer := unchanged(source, listing, limits)) is not None:
        return answer
    budget = Budget(limits)
    footers = _footers(source, listing, limits, budget, progress, fetched=tail)
    row_count = None if budget.truncated else sum(footer.row_count for footer in footers)
    return conclude(
        source,
        listing,
        _united(source, listing, footers, limits, truncated=budget.truncated),
        budget=budget,
        limits=limits,
        row_count=row_count,
    )


def read_all(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """As `read`, having decoded every value as well. Raises what `read` and `verify` raise."""
    found = read(replace(source, state=None), limits, progress)
    verify(source, limits, progress)
    return found


def verify(source: Source, limits: Limits, progress: Progress) -> int:
    """Decode every value of every file; the number of rows.

    Raises:
        InvalidSourceError: a page is corrupt, or the rows are not as many as the footer says.
        JobError: the store's own.
    """
    return sum(batch.num_rows for _, batch in batches(source, limits, progress))


def batches(
    source: Source, limits: Limits, progress: Progress
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """All rows of all files, each with its file's name, in constant memory.

    A file is put on the worker's disk first: one request instead of one for each column chunk.

    Raises:
        InvalidSourceError, JobError: as `verify` does.
    """
    files = [file for file in list_files(source, limits).files if file.size > 0]
    for done, file in enumerate(files):
        name = relative_name(source, file.path)
        tell = partial(progress, "read", done, len(files))
        with _spooled(source, file, tell) as local:
            for batch in _decoded(local, file.size, name):
                tell()
                yield name, batch


@contextmanager
def _spooled(source: Source, file: ObjectInfo, tell: Callable[[], None]) -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as local:
        for chunk in source.store.stream(file.path):
            tell()
            try:
                local.write(chunk)
            except OSError as exc:
                raise StorageUnavailableError(
                    "The worker's temporary folder has no room for the file. Free some space "
                    "there; the job tries again by itself."
                ) from exc
        local.seek(0)
        yield local


def _decoded(local: IO[bytes], size: int, name: str) -> Iterator[pa.RecordBatch]:
    rows = 0
    try:
        # each column chunk is read in pieces and not as a whole
        with pq.ParquetFile(
            local,
            buffer_size=_BUFFER_BYTES,
            pre_buffer=False,
            thrift_string_size_limit=size,
            thrift_container_size_limit=min(size, _MAX_THRIFT_ELEMENTS),
            arrow_extensions_enabled=True,
        ) as file:
            for batch in file.iter_batches(_batch_rows(len(file.schema_arrow))):
                rows += batch.num_rows
                yield batch
            claimed = file.metadata.num_rows
    except (pa.ArrowException, OSError, ValueError) as exc:
        raise InvalidSourceError(
            f'The Parquet file "{name}" is corrupt after row {rows:,}: {_first_line(exc)}',
            file=name,
        ) from exc
    if rows != claimed:
        raise InvalidSourceError(
            f'The Parquet file "{name}" is corrupt: it has {rows:,} rows, its footer claims '
            f"{claimed:,}.",
            file=name,
        )


def _batch_rows(columns: int) -> int:
    return max(1, min(_BATCH_ROWS, _BATCH_CELLS // max(1, columns)))


def _footers(
    source: Source,
    listing: Listing,
    limits: Limits,
    budget: Budget,
    progress: Progress,
    fetched: Chunk | None,
) -> list[_Footer]:
    """Read as many footers as the budget allows, newest first."""
    files = [file for file in listing.files if file.size > 0]
    if not files:
        raise EmptySourceError(file=relative_name(source, listing.files[0].path))
    footers: list[_Footer] = []
    for some in _rounds(files):
        if budget.truncated:
            break
        progress("read", len(footers), len(files))
        read_one = partial(_footer, source, limits, budget, fetched)
        footers += [footer for footer in source.store.map(read_one, some) if footer is not None]
    progress("read", len(footers), len(files))
    return footers


def _rounds(files: Sequence[ObjectInfo]) -> Iterator[Sequence[ObjectInfo]]:
    for start in range(0, len(files), _ROUND):
        yield files[start : start + _ROUND]


def _united(
    source: Source, listing: Listing, footers: list[_Footer], limits: Limits, *, truncated: bool
) -> tuple[Column, ...]:
    partitions = hive_partitions(file.path for file in listing.files)
    per_file = [(footer.file, with_partitions(footer.columns, partitions)) for footer in footers]
    columns = combine(per_file, previous=stored_columns(source), truncated=truncated)
    check_columns(len(columns), limits)
    return columns


def _footer(
    source: Source, limits: Limits, budget: Budget, fetched: Chunk | None, file: ObjectInfo
) -> _Footer | None:
    """One file's footer, off the tail that was fetched or a new one; None where the budget has
    run out."""
    if not budget.admit():
        return None
    name = relative_name(source, file.path)
    tail = fetched or _tail(source, file.path)
    budget.spend(len(tail.data), files=1)
    length = _footer_length(source, tail, name, limits)
    data = tail.data
    if (missing := length + _TRAILER.size - len(data)) > 0:
        start = tail.info.size - length - _TRAILER.size
        rest = source.store.get(file.path, start=start, length=missing)
        budget.spend(len(rest.data))
        _refuse_rewritten(tail, rest, name)
        data = rest.data + data
    return _parse(data[-length - _TRAILER.size :], file, name, limits)


def _tail(source: Source, path: str) -> Chunk:
    return source.store.get_tail(path, TAIL_BYTES)


def _footer_length(source: Source, tail: Chunk, name: str, limits: Limits) -> int:
    """The length that the trailer claims, if the file and the limit allow it."""
    size = tail.info.size
    length, magic = _TRAILER.unpack(tail.data[-_TRAILER.size :].rjust(_TRAILER.size, b"\0"))
    if magic == _ENCRYPTED:
        raise UnsupportedError(
            f'The footer of "{name}" is encrypted.',
            code="encrypted_parquet",
            hint="Write the files with a plaintext footer, or without encryption.",
            file=name,
        )
    if magic != _MAGIC:
        _refuse_format(source, tail, name)
    if length == 0 or length + _OVERHEAD > size:
        raise InvalidSourceError(
            f'The Parquet file "{name}" is corrupt: its footer claims {length:,} bytes '
            f"of a file of {size:,}.",
            file=name,
        )
    if length > limits.max_footer_bytes:
        raise exceeded(
            limits,
            "max_footer_bytes",
            f'The footer of "{name}" has {length:,} bytes',
            advice="Write the file again with fewer row groups",
            file=name,
        )
    return int(length)


def _refuse_format(source: Source, tail: Chunk, name: str) -> NoReturn:
    """Tell a Parquet file that was cut off from a file of another format."""
    head = source.store.get(tail.info.path, length=len(_MAGIC))
    if head.data == _MAGIC:
        raise InvalidSourceError(
            f'The Parquet file "{name}" is truncated: it begins as one, but has no footer.',
            file=name,
        )
    raise FormatMismatchError("The provided file is not in Parquet format", file=name)


def _refuse_rewritten(tail: Chunk, rest: Chunk, name: str) -> None:
    if tail.info.etag != rest.info.etag:
        raise StorageUnavailableError(
            f'The file "{name}" was rewritten while it was being read.', file=name
        )


def _parse(footer_and_trailer: bytes, file: ObjectInfo, name: str, limits: Limits) -> _Footer:
    try:
        schema, row_count = _open(footer_and_trailer)
    # a name that is no UTF-8 is a ValueError
    except (pa.ArrowException, OSError, ValueError) as exc:
        _refuse_excess(exc, len(footer_and_trailer), name)
        raise InvalidSourceError(
            f'The footer of the Parquet file "{name}" cannot be read: {_first_line(exc)}',
            file=name,
        ) from exc
    try:
        columns = arrow.columns(schema, limits)
    except JobError as error:
        error.file = name
        raise
    return _Footer(file=file, columns=columns, row_count=row_count)


def _refuse_excess(exc: BaseException, size: int, name: str) -> None:
    """Tell a footer that is too much from one that is broken; pyarrow has one type for both."""
    if "too deeply nested" in str(exc):
        said = "is nested deeper than its reader goes"
    # a smaller footer cannot list so many: what it claims is nonsense
    elif "Exceeded size limit" in str(exc) and size > _MAX_THRIFT_ELEMENTS:
        said = f"lists more than {_MAX_THRIFT_ELEMENTS:,} columns or row groups"
    else:
        return
    raise LimitExceededError(
        f'The footer of "{name}" {said}.',
        hint="No setting raises this: write the file flatter, or with fewer columns and row "
        "groups.",
        file=name,
    ) from exc


def _open(footer_and_trailer: bytes) -> tuple[pa.Schema, int]:
    """Hand pyarrow a file that is nothing but its footer."""
    buffer = pa.BufferReader(_MAGIC + footer_and_trailer)
    size = len(footer_and_trailer)
    with pq.ParquetFile(
        buffer,
        thrift_string_size_limit=size,
        thrift_container_size_limit=min(size, _MAX_THRIFT_ELEMENTS),
        arrow_extensions_enabled=True,
    ) as file:
        schema = file.schema_arrow
        schema.names  # noqa: B018  # decodes them: one that is no UTF-8 shows here
        return schema, file.metadata.num_rows


def _first_line(exc: BaseException) -> str:
    return (str(exc) or type(exc).__name__).splitlines()[0][:200]
