"""The `add` actions of a Parquet checkpoint, counted batch by batch."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
import pyarrow.parquet as pq

from stocktake.errors import InvalidSourceError, SourceChangedError, SourceNotFoundError
from stocktake.readers.delta.log import DeltaLog
from stocktake.readers.parquet.range_file import RangeFile

_BATCH_ROWS: Final = 4_096
#: Of each column at once; there are seven.
_BUFFER_BYTES: Final = 2 * 1024 * 1024
_TAIL_BYTES: Final = 64 * 1024
_COLUMNS: Final = ("add.path", "add.size", "add.deletionVector", "sidecar.path")
#: The statistics as columns where the writer made them so, else as JSON.
_PARSED, _STATS = "add.stats_parsed.numRecords", "add.stats"

#: A data file, as the protocol tells them apart: its path, and the id of its deletion vector.
Key = tuple[str, str]


def vector_id(storage: object, path: object, offset: object) -> str:
    """Return the id of a deletion vector (Delta protocol, "Derived Fields").

    >>> vector_id("u", "ab^-aqEH.-t@S}K{vb[*k^", 4), vector_id("i", "wi5b", None)
    ('uab^-aqEH.-t@S}K{vb[*k^@4', 'iwi5b')
    """
    return f"{storage}{path}" if offset is None else f"{storage}{path}@{offset}"


class Seen:
    """The files that newer commits name, to be left out of what a checkpoint adds."""

    def __init__(self, keys: set[Key]) -> None:
        self._keys = keys
        self._paths = pa.array({path for path, _ in keys}, pa.string())

    def unnamed(self, add: pa.StructArray) -> pa.BooleanArray:
        """Return which rows hold an action, of a file that is not among these."""
        paths = pc.struct_field(add, "path")
        live = paths.is_valid()
        if not self._keys:
            return live
        if pc.any(pc.match_substring(paths, "%")).as_py():
            paths = pa.array([path and unquote(path) for path in paths.to_pylist()], pa.string())
        named = pc.is_in(paths, value_set=self._paths.cast(paths.type))
        # a path alone is not yet the file: it may be there with another deletion vector
        rows = pc.indices_nonzero(named)
        keys = zip(paths.take(rows).to_pylist(), _vectors(add.take(rows)), strict=True)
        gone = {row for row, key in zip(rows.to_pylist(), keys, strict=True) if key in self._keys}
        return pa.array(
            [is_live and row not in gone for row, is_live in enumerate(live.to_pylist())]
        )


def _vectors(add: pa.StructArray) -> list[str]:
    """Return the ids of the deletion vectors."""
    if "deletionVector" not in add.type.names:
        return [""] * len(add)
    return [
        vector_id(each["storageType"], each["pathOrInlineDv"], each.get("offset"))
        if each and each["storageType"] is not None
        else ""
        for each in pc.struct_field(add, "deletionVector").to_pylist()
    ]


class Adds:
    """The files that one Parquet file of a checkpoint adds.

    Args:
        log: its budget bounds what is read.
        path: of the checkpoint's file.
        seen: what newer commits have said something of, so that it is not counted here.
    """

    def __init__(self, log: DeltaLog, path: str, seen: Seen) -> None:
        self._log = log
        self._path = path
        self._seen = seen
        self.shown = f"_delta_log/{path.rpartition('/_delta_log/')[2].removeprefix('_delta_log/')}"
        #: The sidecars that it lists, once it has been read.
        self.sidecars: list[str] = []

    def counts(self) -> Iterator[tuple[int, int, int | None]]:
        """Yield files, bytes, and rows where the statistics tell them, batch by batch.

        Raises:
            InvalidSourceError: the file is corrupt, or is a sidecar that is not there.
            SourceNotFoundError: it is gone.
            LimitExceededError: a budget ran out.
        """
        with self._wrapped():
            tail = self._log.store.get_tail(self._path, _TAIL_BYTES)
            self._log.charge(files=1, size_bytes=tail.cost_bytes)
            start = tail.info.size - len(tail.data)

            def read(begin: int, end: int) -> bytes:
                if begin >= start:
                    return tail.data[begin - start : end - start]
                self._log.charge(files=0, size_bytes=end - begin)
                chunk = self._log.store.get(self._path, start=begin, length=end - begin)
                if chunk.info.etag != tail.info.etag:
                    raise SourceChangedError(
                        f'The file "{self.shown}" was rewritten while it was being read.',
                        file=self.shown,
                    )
                return chunk.data

            # A pre-buffer would hold whole column chunks: the statistics of a million files.
            with pq.ParquetFile(
                RangeFile(tail.info.size, read), buffer_size=_BUFFER_BYTES, pre_buffer=False
            ) as file:
                # pyarrow reads every leaf below a name that it is given, and passes over names that
                # the file lacks: so the columns can be asked for without a look at the schema. Not
                # the statistics, which are read in one of their two forms only.
                leaves = {file.schema.column(n).path for n in range(len(file.schema))}
                stats = _PARSED if _PARSED in leaves else _STATS
                for batch in file.iter_batches(
                    _BATCH_ROWS, columns=[*_COLUMNS, stats], use_threads=False
                ):
                    self._log.charge(files=0, size_bytes=0)  # looks at the time
                    yield self._count(batch)

    @contextmanager
    def _wrapped(self) -> Iterator[None]:
        try:
            yield
        # ValueError is text that is not UTF-8; OSError is how Arrow calls corrupt pages.
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as exc:
            why = "its Parquet data is corrupt"
            raise InvalidSourceError(
                f"The checkpoint {self.shown} cannot be read: {why}.", file=self.shown
            ) from exc
        except SourceNotFoundError as exc:
            # what was listed was there a moment ago; a sidecar never need have been
            if exc.code != SourceNotFoundError.default_code or "_sidecars/" not in self.shown:
                raise
            raise InvalidSourceError(
                f"The checkpoint {self.shown} is listed but not there.", file=self.shown
            ) from exc

    def _count(self, batch: pa.RecordBatch) -> tuple[int, int, int | None]:
        if "sidecar" in batch.schema.names:
            names = pc.struct_field(batch["sidecar"], "path")
            self.sidecars += names.drop_null().to_pylist()
        if "add" not in batch.schema.names:
            return 0, 0, 0
        add = batch["add"]
        live = add.filter(self._seen.unnamed(add))
        if not len(live):
            return 0, 0, 0
        size = pc.sum(pc.cast(pc.struct_field(live, "size"), pa.int64())).as_py() or 0
        return len(live), size, _rows(live)


def _rows(live: pa.StructArray) -> int | None:
    """Return the rows of the files without the deleted ones; None where one does not tell."""
    names = live.type.names
    if "stats_parsed" in names:
        counts = pc.struct_field(live, ["stats_parsed", "numRecords"])
    elif "stats" in names:
        counts = _parsed(pc.struct_field(live, "stats"))
    else:
        return None
    if counts is None or counts.null_count:
        return None
    deleted = 0
    if "deletionVector" in names:
        deleted = pc.sum(pc.struct_field(live, ["deletionVector", "cardinality"])).as_py() or 0
    return (pc.sum(counts).as_py() or 0) - deleted


def _parsed(stats: pa.StringArray) -> pa.Int64Array | None:
    """Return the `numRecords` of statistics in JSON; None where some are no JSON."""
    # A file without statistics still has its line, so that counts and files stay side by side.
    lines = "\n".join(text or "{}" for text in stats.to_pylist()).encode()
    try:
        table = pj.read_json(
            io.BytesIO(lines),
            # pyarrow refuses an object that does not fit in one block: so all of it is one.
            pj.ReadOptions(use_threads=False, block_size=len(lines) + 1),
            pj.ParseOptions(
                explicit_schema=pa.schema({"numRecords": pa.int64()}),
                newlines_in_values=True,
                unexpected_field_behavior="ignore",
            ),
        )
    except pa.ArrowException:
        return None
    # A text of two objects, or of none, would shift all counts behind it.
    return table["numRecords"] if len(table) == len(stats) else None
