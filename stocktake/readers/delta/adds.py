"""The `add` actions of a Parquet checkpoint, batch by batch, and what they add up to."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
import pyarrow.parquet as pq

from stocktake.errors import InvalidSourceError, LimitExceededError, SourceNotFoundError
from stocktake.readers.delta.checkpoint import CORRUPT, CheckpointFile
from stocktake.readers.delta.log import DeltaLog
from stocktake.readers.delta.numbers import MOST, total
from stocktake.readers.delta.paths import (
    ABSOLUTE,
    SUSPECT,
    Key,
    canonical,
    lies_elsewhere,
    vector_id,
)
from stocktake.readers.delta.totals import Totals, row_count
from stocktake.readers.files.listing import rewritten
from stocktake.readers.parquet.range_file import RangeFile

#: That one file of a checkpoint may list; each is a request at least.
MAX_SIDECARS: Final = 100_000
_BATCH_ROWS: Final = 4_096
#: Of each column at once; there are some seven.
_BUFFER_BYTES: Final = 2 * 1024 * 1024
_TAIL_BYTES: Final = 64 * 1024
#: What tells a file from another, and names further files of the checkpoint.
_COLUMNS: Final = ("add.path", "add.deletionVector", "sidecar.path")
#: The statistics as columns where the writer made them so, else as JSON.
_PARSED: Final = "add.stats_parsed.numRecords"
STATS: Final = "add.stats"


#: How a text may be held.
_TEXTS: Final = (
    pa.types.is_string_view,
    pa.types.is_large_string,
    pa.types.is_binary,
    pa.types.is_binary_view,
    pa.types.is_large_binary,
    pa.types.is_dictionary,
)


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
        if _may_have(paths, "%", "file:/"):
            paths = pa.array([path and canonical(path) for path in paths.to_pylist()], pa.string())
        named = pc.is_in(paths, value_set=self._paths)
        # a path alone is not yet the file: it may be there with another deletion vector
        rows = pc.indices_nonzero(named)
        vectors = map(_id_of, _vectors(add.take(rows)))
        keys = zip(paths.take(rows).to_pylist(), vectors, strict=True)
        gone = {row for row, key in zip(rows.to_pylist(), keys, strict=True) if key in self._keys}
        return pa.array(
            [is_live and row not in gone for row, is_live in enumerate(live.to_pylist())]
        )


def _vectors(add: pa.StructArray) -> list[dict[str, Any]]:
    """Return the deletion vectors; of a file without one, an empty description."""
    if "deletionVector" not in add.type.names:
        return [{}] * len(add)
    return [
        each if each and each["storageType"] is not None else {}
        for each in pc.struct_field(add, "deletionVector").to_pylist()
    ]


def _id_of(vector: dict[str, Any]) -> str:
    if not vector:
        return ""
    return vector_id(vector["storageType"], vector["pathOrInlineDv"], vector.get("offset"))


class Adds:
    """The files that one Parquet file of a checkpoint adds.

    Args:
        log: its budget bounds what is read.
        path: of the checkpoint's file.
        seen: what newer commits have said something of, so that it is left out here.
        columns: what is read of an action, beside what tells its file from another.
    """

    def __init__(self, log: DeltaLog, path: str, seen: Seen, columns: Sequence[str]) -> None:
        self._log = log
        self._path = path
        self._seen = seen
        self._columns = (*_COLUMNS, *columns)
        self.shown = f"_delta_log/{path.removeprefix(log.path(''))}"
        #: The sidecars that it lists, once it has been read.
        self.sidecars: list[str] = []

    def read(self, take: Callable[[pa.StructArray], None]) -> None:
        """Hand on the actions of live files, batch by batch.

        Args:
            take: what it raises of columns that are not of their types is told as such.

        Raises:
            InvalidSourceError: the file is corrupt, or is a sidecar that is not there.
            SourceNotFoundError: it is gone.
            LimitExceededError: a budget ran out.
        """
        with self._wrapped():
            tail = self._log.store.get_tail(self._path, _TAIL_BYTES)
            self._log.charge(files=1, size_bytes=tail.cost_bytes)
            here = CheckpointFile.of(tail, self.shown)
            if missing := here.missing_footer(self._log.limits):
                self._log.charge(files=0, size_bytes=missing.end - missing.start)
                here.load(self._log.store, missing)
            # Before pyarrow looks at the row groups, which ends the process where they are forged.
            here.require_apart()

            def read(begin: int, end: int) -> bytes:
                if (held := here.held(begin, end)) is not None:
                    return held
                self._log.charge(files=0, size_bytes=end - begin)
                chunk = self._log.store.get(self._path, start=begin, length=end - begin)
                if chunk.info.etag != tail.info.etag:
                    raise rewritten(self.shown)
                return chunk.data

            # A pre-buffer would hold whole column chunks: the statistics of a million files.
            with pq.ParquetFile(
                RangeFile(tail.info.size, read), buffer_size=_BUFFER_BYTES, pre_buffer=False
            ) as file:
                # pyarrow reads every leaf below a name that it is given, and passes over names that
                # the file lacks: so the columns can be asked for without a look at the schema. Not
                # the statistics, which are read in one of their two forms only.
                leaves = {file.schema.column(n).path for n in range(len(file.schema))}
                parsed = _PARSED in leaves
                wanted = [_PARSED if parsed and each == STATS else each for each in self._columns]
                for batch in file.iter_batches(_BATCH_ROWS, columns=wanted, use_threads=False):
                    self._log.charge(files=0, size_bytes=0)  # looks at the time
                    if len(live := self._live(batch)):
                        take(live)

    @contextmanager
    def _wrapped(self) -> Iterator[None]:
        try:
            yield
        except (*CORRUPT, KeyError, TypeError) as exc:
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

    def _live(self, batch: pa.RecordBatch) -> Sequence[Any]:
        if "sidecar" in batch.schema.names:
            names = pc.struct_field(_plain(batch["sidecar"]), "path")
            self.sidecars += names.drop_null().to_pylist()
            self._check_sidecars()
        if "add" not in batch.schema.names:
            return ()
        add = _plain(batch["add"])
        return add.filter(self._seen.unnamed(add))  # type: ignore[no-any-return]

    def _check_sidecars(self) -> None:
        # A few bytes name one a billion times, and all of them are held.
        if len(self.sidecars) > MAX_SIDECARS:
            raise LimitExceededError(
                f"The checkpoint {self.shown} lists more than {MAX_SIDECARS:,} sidecars.",
                hint="Write a checkpoint of the table with fewer ones. No setting raises this.",
                file=self.shown,
            )


def totals(live: pa.StructArray) -> Totals:
    """Return what files add up to, of which `add.size` and the statistics were read."""
    return Totals(
        row_count=_rows(live),
        size_bytes=_sum(pc.struct_field(live, "size")),
        file_count=len(live),
        elsewhere_count=_elsewhere(live),
    )


def _plain(array: pa.StructArray) -> pa.StructArray:
    """Return an action with its texts as such: not as views, which Arrow cannot filter, as large
    ones, or as bytes without their mark."""
    kind = _with_plain_texts(array.type)
    return array if kind == array.type else array.cast(kind)


def _with_plain_texts(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(kind):
        return pa.struct([each.with_type(_with_plain_texts(each.type)) for each in kind])
    if pa.types.is_map(kind):
        return pa.map_(_with_plain_texts(kind.key_type), _with_plain_texts(kind.item_type))
    return pa.string() if any(is_text(kind) for is_text in _TEXTS) else kind


def _sum(counts: pa.Array) -> int | None:
    """Return the sum; None where one is missing, is no count, or leads beyond what a count is."""
    counts = counts.cast(pa.int64())
    if counts.null_count:
        return None
    least, most = pc.min_max(counts).values()
    # Arrow's sums begin anew below zero.
    if least.as_py() >= 0 and most.as_py() * len(counts) <= MOST:
        return int(pc.sum(counts).as_py())
    return total(counts.to_pylist())


def _may_have(paths: pa.StringArray, *parts: str) -> bool:
    """Return whether some path may have one of the parts. Nearly none has, and Arrow's search in
    each of a million takes longer than all else that is done with them."""
    _, _, texts = paths.buffers()
    data = texts.to_pybytes() if texts else b""
    return any(part.encode() in data for part in parts)


def _elsewhere(live: pa.StructArray) -> int:
    paths = pc.struct_field(live, "path")
    away = set[int]()
    if pc.any(pc.starts_with(paths, "/")).as_py() or _may_have(paths, *SUSPECT):
        away.update(row for row, path in enumerate(paths.to_pylist()) if lies_elsewhere(path))
    if "deletionVector" in live.type.names:
        storage = pc.struct_field(live, ["deletionVector", "storageType"])
        away.update(pc.indices_nonzero(pc.equal(storage, ABSOLUTE)).to_pylist())
    return len(away)


def _rows(live: pa.StructArray) -> int | None:
    """Return the rows of the files without the deleted ones; None where one does not tell."""
    names = live.type.names
    if "stats_parsed" in names:
        counts = pc.struct_field(live, ["stats_parsed", "numRecords"])
    elif "stats" in names:
        counts = _parsed(pc.struct_field(live, "stats"))
    else:
        return None
    if counts is None or "deletionVector" not in names:
        return None if counts is None else _sum(counts)
    vectors = pc.struct_field(live, "deletionVector")
    deleted = pc.struct_field(vectors, "cardinality")
    there = pc.struct_field(vectors, "storageType").is_valid()
    if pc.any(pc.and_(there, deleted.is_null())).as_py():
        return None
    deleted = pc.fill_null(deleted, 0)
    if _sum(counts) is None or _sum(deleted) is None:
        return None
    return _sum(pc.subtract(counts, deleted))


def _parsed(stats: pa.StringArray) -> pa.Int64Array | None:
    """Return the `numRecords` of statistics in JSON; None where some do not tell it."""
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
        return _parsed_one_by_one(stats)
    # A text of two objects, or of none, would shift all counts behind it.
    return table["numRecords"] if len(table) == len(stats) else _parsed_one_by_one(stats)


def _parsed_one_by_one(stats: pa.StringArray) -> pa.Int64Array | None:
    """Return what `_parsed` does, where a number is spelt as Arrow takes none."""
    counts = list[int]()
    for text in stats.to_pylist():
        if (count := row_count(text)) is None:
            return None
        counts.append(count)
    return pa.array(counts, pa.int64())
