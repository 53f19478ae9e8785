"""Parquet checkpoints, read for `metaData` and `protocol` alone.

A checkpoint of a million files is gigabytes of `add` columns beside a few kilobytes that the
schema needs. The footer says where those lie; only they are fetched.
"""

import struct
from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stocktake.errors import InvalidSourceError
from stocktake.readers.delta.actions import NOTHING, Actions, Said, merged
from stocktake.readers.delta.listing import Checkpoint
from stocktake.readers.delta.log import Answer, DeltaLog, Read
from stocktake.readers.files.listing import rewritten
from stocktake.readers.limits import exceeded
from stocktake.readers.parquet.footer import ColumnChunk, Footer, overlap
from stocktake.readers.parquet.range_file import RangeFile
from stocktake.readers.source import Limits
from stocktake.schema.formats import TableFormat
from stocktake.storage.stores.opening import Chunk, ObjectInfo, ObjectStore

#: The footer of a checkpoint of a million files in ten row groups is under 200 KB, and a
#: small checkpoint is read whole by this one request.
TAIL_BYTES: Final = 256 * 1024
#: Ranges closer than this are fetched as one: a request costs more than the bytes between.
_NEAR_BYTES: Final = 256 * 1024
_COLUMNS: Final = (
    "metaData.schemaString",
    "metaData.partitionColumns",
    "protocol.minReaderVersion",
    "protocol.readerFeatures",
    "protocol.writerFeatures",
)
#: One leaf of each action that is null exactly where the action is.
_MARKS: Final = ("metaData.schemaString", "protocol.minReaderVersion")
#: The actions are among the first rows, as a rule.
_BATCH_ROWS: Final = 2048
_MAGIC: Final = TableFormat.PARQUET.facts.magic
_TRAILER: Final = struct.Struct("<I4s")
#: What reading a corrupt file raises: ValueError is text that is not UTF-8, OSError how Arrow calls
#: corrupt pages, OverflowError a time where a text should be that Python has no word for.
CORRUPT: Final = (pa.ArrowException, OSError, ValueError, OverflowError)

#: The ends of checkpoint files that were fetched before it was known which are wanted.
Tails = dict[str, Chunk]


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Bytes `start .. end` of a file."""

    start: int
    end: int


@dataclass(slots=True, kw_only=True)
class CheckpointFile:
    """One Parquet file of a checkpoint, of which some ranges are here.

    Attributes:
        path: its key.
        name: its name below the table's root, for messages.
        size: its bytes.
        etag: as the answer for its tail had it.
        segments: the bytes that were fetched, by their offset.
        offsets: theirs, ascending.
        chunks: the column chunks that may hold the actions, once the footer was here.
        footer: what was read of it for that.
    """

    path: str
    name: str
    size: int
    etag: str
    segments: dict[int, bytes]
    offsets: list[int]
    chunks: list[ColumnChunk] = field(default_factory=list)
    footer: Footer | None = None

    @classmethod
    def of(cls, tail: Chunk, name: str) -> "CheckpointFile":
        """Return a file of which the tail is here."""
        info, start = tail.info, tail.info.size - len(tail.data)
        return cls(
            path=info.path,
            name=name,
            size=info.size,
            etag=info.etag,
            segments={start: tail.data},
            offsets=[start],
        )

    def missing_footer(self, limits: Limits) -> Range | None:
        """Return the range that the footer needs beyond the tail; None where it is all here.

        Raises:
            InvalidSourceError: the file does not end as a Parquet file does.
            LimitExceededError: the footer is larger than `max_footer_bytes`.
        """
        # A file that is shorter than a trailer holds none of these bytes, and fails on the magic.
        trailer = self.held(self.size - _TRAILER.size, self.size)
        length, magic = _TRAILER.unpack(trailer) if trailer else (0, b"")
        start = self.size - _TRAILER.size - length
        if magic != _MAGIC or start < len(_MAGIC):
            raise self._invalid("it does not end with a Parquet footer")
        if length > limits.max_footer_bytes:
            raise exceeded(
                limits,
                "max_footer_bytes",
                f"The footer of {self.name} has {length:,} bytes",
                advice="Write the checkpoint with fewer row groups",
                file=self.name,
            )
        first = self.offsets[0]
        return Range(start=start, end=first) if start < first else None

    def missing_columns(self) -> list[Range]:
        """Return the ranges that `actions` needs and that are not here, near ones joined.

        Raises:
            InvalidSourceError: the footer is corrupt, or names bytes many times.
        """
        with self._wrapped():
            self.footer = Footer(self._footer_bytes())
            self.chunks = _promising(self.footer.column_chunks(until=_MARKS))
        # of those alone that are read: a footer may name thousands of others
        if overlap((each.size for each in self.chunks), self.size):
            raise self._overlapping()
        wanted = [Range(start=each.start, end=each.start + each.size) for each in self.chunks]
        return _joined([each for each in wanted if self.held(each.start, each.end) is None])

    def require_apart(self) -> None:
        """Refuse a file whose row groups share bytes, by its footer, which is here.

        Raises:
            InvalidSourceError: they do, or the footer is corrupt.
        """
        with self._wrapped():
            sizes = Footer(self._footer_bytes()).chunk_sizes()
        if overlap(sizes, self.size):
            raise self._overlapping()

    def load(self, store: ObjectStore, wanted: Range) -> Actions:
        """Fetch a range; what it says is known once all are here.

        Raises:
            SourceChangedError: it is one of another file than the tail was.
        """
        chunk = store.get(self.path, start=wanted.start, length=wanted.end - wanted.start)
        if chunk.info.etag != self.etag:
            raise rewritten(self.name)
        self.segments[wanted.start] = chunk.data
        insort(self.offsets, wanted.start)
        return NOTHING

    def actions(self) -> Actions:
        """Return the actions of this file, once its ranges are here.

        Raises:
            InvalidSourceError: the file is corrupt.
        """
        actions = Actions()
        with self._wrapped():
            for row in self._rows():
                protocol, metadata = row.get("protocol"), row.get("metaData")
                found = Actions(
                    protocol=None if protocol is None else self._said(protocol),
                    metadata=None if metadata is None else self._said(metadata),
                )
                actions = actions.then(found)
                # Each is there once, as a rule among the first rows of a million.
                if actions.protocol and actions.metadata:
                    break
        return actions

    def _said(self, action: dict[str, Any]) -> Said:
        return Said(action=_as_text(action), file=self.name)

    def _rows(self) -> Iterator[dict[str, Any]]:
        groups = sorted({each.row_group for each in self.chunks})
        columns = sorted({each.path for each in self.chunks})
        if not groups or self.footer is None:
            return
        # pyarrow decodes all of a footer before it reads a row: it is given these row groups alone.
        narrowed = self.footer.narrowed(groups)
        parquet = pq.ParquetFile(self._with_footer(narrowed), pre_buffer=False)
        for batch in parquet.iter_batches(
            batch_size=_BATCH_ROWS, columns=columns, use_threads=False
        ):
            # Two columns at most, `metaData` and `protocol`. The rows where both are null, nearly
            # all, are dropped while they are still Arrow's.
            valid = [column.is_valid() for column in batch.columns]
            rows = pc.indices_nonzero(valid[0] if len(valid) == 1 else pc.or_(*valid))
            # Slices, since Arrow filters no texts that are views.
            for row in rows.to_pylist():
                yield from batch.slice(row, 1).to_pylist()

    def _with_footer(self, footer: bytes) -> RangeFile:
        """Return this file with another footer after its end; what was not fetched is an
        OSError."""
        ending = footer + _TRAILER.pack(len(footer), _MAGIC)

        def read(start: int, end: int) -> bytes:
            # A read may go over the file's end into the footer that was put behind it.
            data = self.held(start, min(end, self.size))
            if data is None:
                raise OSError(f"bytes {start} to {end} were not fetched")
            return data + ending[max(start - self.size, 0) : max(end - self.size, 0)]

        return RangeFile(self.size + len(ending), read)

    def _footer_bytes(self) -> bytes:
        trailer = self.size - _TRAILER.size
        length, _ = _TRAILER.unpack(self.held(trailer, self.size) or b"")
        return self.held(trailer - length, trailer) or b""

    def held(self, start: int, end: int) -> bytes | None:
        """Return the bytes `start .. end` where all of them are here, else None."""
        pieces = list[bytes]()
        while start < end:
            piece = self._piece(start, end)
            if not piece:
                return None
            pieces.append(piece)
            start += len(piece)
        return b"".join(pieces)

    def _piece(self, start: int, end: int) -> bytes | None:
        # They lie apart: each was fetched because it was missing. A file may have thousands.
        if not (number := bisect_right(self.offsets, start)):
            return None
        offset = self.offsets[number - 1]
        return self.segments[offset][start - offset : end - offset]

    @contextmanager
    def _wrapped(self) -> Iterator[None]:
        try:
            yield
        except CORRUPT as exc:
            raise self._invalid("its Parquet data is corrupt") from exc

    def _overlapping(self) -> InvalidSourceError:
        return self._invalid("its row groups overlap")

    def _invalid(self, why: str) -> InvalidSourceError:
        return InvalidSourceError(
            f"The checkpoint {self.name} cannot be read: {why}.", file=self.name
        )


@dataclass(slots=True, kw_only=True)
class OpenCheckpoint:
    """A checkpoint under way. What is known to be needed is read at once (`reads`), together with
    what others need; then the columns of the files of which the ends were not here before.

    Attributes:
        parquet: its files of Parquet.
        manifests: its other files, of JSON lines.
        tails: the ends that are here, by key, and perhaps some of other files.
        files: those of which the columns are asked for.
    """

    log: DeltaLog
    parquet: tuple[ObjectInfo, ...]
    manifests: tuple[ObjectInfo, ...]
    tails: Tails
    files: list[CheckpointFile] = field(default_factory=list)

    @classmethod
    def of(cls, log: DeltaLog, checkpoint: Checkpoint, tails: Tails) -> Self:
        """Return a checkpoint of which nothing is read, or the ends of some files."""
        parquet, manifests = list[ObjectInfo](), list[ObjectInfo]()
        # Each once: a forged one may have as many parts as a listing holds.
        for info in checkpoint.files:
            (parquet if info.path.endswith(".parquet") else manifests).append(info)
        return cls(log=log, parquet=tuple(parquet), manifests=tuple(manifests), tails={**tails})

    def reads(self) -> list[Read]:
        """Return what may be read at once: the columns of the files of which the ends are here, the
        ends of the others, and the JSON lines.

        Raises:
            InvalidSourceError: a footer is corrupt.
            SourceChangedError: a file is not the one that was listed.
        """
        here = [info for info in self.parquet if info.path in self.tails]
        absent = [info for info in self.parquet if info.path not in self.tails]
        size = sum(info.size for info in self.manifests)
        self.log.charge(files=len(self.manifests), size_bytes=size)
        return [
            *(partial(_manifest, self.log, info) for info in self.manifests),
            *(partial(self._load_tail, info) for info in absent),
            *self._columns(here),
        ]

    def actions(self, answers: Sequence[Answer]) -> Actions:
        """Return the checkpoint's two actions, or what it has of them.

        Args:
            answers: of `reads`, in that order.

        Raises:
            InvalidSourceError: a file is corrupt.
            SourceChangedError: a file is not the one that was listed.
        """
        for answer in answers:
            if isinstance(answer, InvalidSourceError):
                raise answer
        open_already = {file.path for file in self.files}
        self.log.run(self._columns([i for i in self.parquet if i.path not in open_already]))
        said = [answer for answer in answers if isinstance(answer, Actions)]
        return merged([*said, *(file.actions() for file in self.files)])

    def _load_tail(self, info: ObjectInfo) -> Actions:
        tail = self.log.store.get_tail(info.path, TAIL_BYTES, size_bytes=info.size)
        self.log.charge(files=1, size_bytes=tail.cost_bytes)
        self.tails[info.path] = tail
        return NOTHING

    def _columns(self, infos: Sequence[ObjectInfo]) -> list[Read]:
        """Return what the columns of files need, of which the ends are here."""
        files = []
        for info in infos:
            self.log.require(info, self.tails[info.path].info)
            files.append(CheckpointFile.of(self.tails[info.path], self.log.shown(info)))
        _load_footers(self.log, files)
        self.files += files
        wanted = [(file, each) for file in files for each in file.missing_columns()]
        self.log.charge(files=0, size_bytes=sum(each.end - each.start for _, each in wanted))
        return [partial(file.load, self.log.store, each) for file, each in wanted]


def _as_text(value: Any) -> Any:
    """Return an action with its texts as such: some writers leave their mark as UTF-8 out."""
    match value:
        case bytes():
            return value.decode()
        case list():
            return [*map(_as_text, value)]
        case dict():
            return {key: _as_text(each) for key, each in value.items()}
    return value


def _manifest(log: DeltaLog, info: ObjectInfo) -> Answer:
    try:
        # Handed back and not raised: commits are read in the same round, and an error of theirs,
        # which no older checkpoint mends, must be told from one of the checkpoint's.
        return log.lines(info)
    except InvalidSourceError as exc:
        return exc


def _load_footers(log: DeltaLog, files: Sequence[CheckpointFile]) -> None:
    wanted = [(file, file.missing_footer(log.limits)) for file in files]
    missing = [(file, each) for file, each in wanted if each is not None]
    log.charge(files=0, size_bytes=sum(each.end - each.start for _, each in missing))
    log.store.map(lambda one: one[0].load(log.store, one[1]), missing)


def _promising(chunks: list[ColumnChunk]) -> list[ColumnChunk]:
    """Return the chunks to read: of the wanted columns, in the row groups that may hold an
    action."""
    # Without statistics `all_null` is False, and the row group is read.
    groups = {each.row_group for each in chunks if each.path in _MARKS and not each.all_null}
    # A list's leaf goes on below the name of its column, in one of several ways:
    # `protocol.readerFeatures.list.element`.
    return [each for each in chunks if each.row_group in groups and each.path.startswith(_COLUMNS)]


def _joined(ranges: list[Range]) -> list[Range]:
    """Return the ranges in order, those that are near each other as one."""
    joined = list[Range]()
    for each in sorted(ranges, key=lambda one: one.start):
        if joined and each.start - joined[-1].end <= _NEAR_BYTES:
            joined[-1] = Range(start=joined[-1].start, end=max(joined[-1].end, each.end))
        else:
            joined.append(each)
    return joined
