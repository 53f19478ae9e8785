"""Rows of a managed table as Parquet files of bounded size, in their order and constant memory.

deltalake's own writer spreads the batches that it is given over as many tasks as there are
processors, and so loses their order (ADR 17).
"""

import asyncio
import io
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from stocktake.errors import JobError
from stocktake.loading.partitions import Key, split, values_of
from stocktake.loading.statistics import statistics, with_nan
from stocktake.storage.managed import ManagedStorage, UploadSink

#: A file ends with the row group that brings it here; about what deltalake writes.
_FILE_BYTES: Final = 128 << 20
#: A row group ends with the batch that brings it here. It is all that a load holds in memory beside
#: what the sink does.
_GROUP_BYTES: Final = 32 << 20
_GROUP_ROWS: Final = 1 << 20
_WRITE_BYTES: Final = 1 << 20
#: Files of partitions that are open at once: the sink of each holds some megabytes.
_MOST_OPEN: Final = 8


@contextmanager
def data_files(
    storage: ManagedStorage,
    folder: str,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    partition_by: Sequence[str] = (),
) -> Iterator["DataFiles"]:
    """Write all batches below a folder, and yield the files for the log to be told of.

    A file is of one partition, whose rows stand in their order.

    Where the writing fails they are removed again. Where the commit does it is the caller's to say:
    of one whose answer was lost nobody knows whether the log has them. Those of a worker that was
    killed stay, unknown to the log, until the table is vacuumed.

    Args:
        folder: the key of the table's root.
        schema: of every batch.
        partition_by: the table's partition columns, which no file has.

    Raises:
        StorageUnavailableError, ManagedStorageRefusedError: managed storage did not take them.
        Exception: what `batches` raises.
    """
    with asyncio.Runner() as runner:
        files = DataFiles(runner, storage, folder, schema, partition_by)
        try:
            for group in _groups(schema, batches):
                files.write(group)
            files.close()
        except BaseException:
            files.remove()
            raise
        yield files


def _groups(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield batches that follow each other as tables, each of which is a row group."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        held.append(batch)
        rows, size = rows + batch.num_rows, size + batch.get_total_buffer_size()
        if size >= _GROUP_BYTES or rows >= _GROUP_ROWS:
            yield pa.Table.from_batches(held, schema)
            held, rows, size = [], 0, 0
    if rows:
        yield pa.Table.from_batches(held, schema)


class DataFiles:
    """The files of one load: those that are whole, and those that are being written, one for each
    partition.

    Attributes:
        adds: what the log is to say of those that are whole, in the order of their rows.
    """

    def __init__(
        self,
        runner: asyncio.Runner,
        storage: ManagedStorage,
        folder: str,
        schema: pa.Schema,
        partition_by: Sequence[str],
    ) -> None:
        self.adds: list[AddAction] = []
        self._runner = runner
        self._storage = storage
        self._folder = folder
        self._schema = pa.schema([field for field in schema if field.name not in partition_by])
        self._partition_by = partition_by
        self._load_id = uuid4()
        self._begun = 0
        #: By partition; the one that was written to last is the last.
        self._open: dict[Key, _DataFile] = {}

    def write(self, group: pa.Table) -> None:
        """Append rows, which become a row group of each partition."""
        for key, rows in split(group, self._partition_by):
            file = self._open.pop(key) if key in self._open else self._begin()
            self._open[key] = file
            file.write(rows)
            if file.size_bytes >= _FILE_BYTES:
                self._finish(key)
            elif len(self._open) > _MOST_OPEN:
                self._finish(next(iter(self._open)))

    def close(self) -> None:
        """Make the files at hand whole."""
        for key in list(self._open):
            self._finish(key)

    def _begin(self) -> "_DataFile":
        # the number first: by name, too, the files of a partition stand in their order
        name = f"part-{self._begun:05}-{self._load_id}.snappy.parquet"
        self._begun += 1
        sink = self._storage.open_data_file(f"{self._folder}/{name}")
        return _DataFile(name, _Pipe(self._runner, sink), self._schema)

    def _finish(self, key: Key) -> None:
        self.adds.append(self._open[key].finish(values_of(self._partition_by, key)))
        del self._open[key]

    def remove(self) -> None:
        """Remove them all, which the log does not know, as far as the store lets it."""
        with suppress(JobError):
            for file in self._open.values():
                file.abort()
            for add in self.adds:
                self._runner.run(self._storage.remove(f"{self._folder}/{add.path}"))


class _DataFile:
    """A Parquet file that is being written."""

    def __init__(self, name: str, pipe: "_Pipe", schema: pa.Schema) -> None:
        self._name = name
        self._pipe = pipe
        self._buffer = io.BufferedWriter(pipe, _WRITE_BYTES)
        self._footers: list[pq.FileMetaData] = []
        # Without Arrow's own schema in the footer: what the log says is what counts.
        self._writer = pq.ParquetWriter(
            self._buffer,
            schema,
            compression="snappy",
            store_schema=False,
            metadata_collector=self._footers,
        )
        self._schema = schema
        self._unbounded: set[int] = set()

    @property
    def size_bytes(self) -> int:
        return self._pipe.size_bytes

    def write(self, group: pa.Table) -> None:
        self._unbounded |= with_nan(group)
        self._writer.write_table(group, row_group_size=max(1, group.num_rows))

    def finish(self, partition_values: dict[str, str | None]) -> AddAction:
        self._writer.close()
        self._buffer.flush()
        return AddAction(
            path=self._name,
            size=self._pipe.finish(),
            partition_values=partition_values,
            modification_time=int(time.time() * 1000),
            data_change=True,
            stats=statistics(self._footers[0], self._schema, self._unbounded),
        )

    def abort(self) -> None:
        self._pipe.abort()


class _Pipe(io.RawIOBase):
    """Hands bytes on to a sink of managed storage, and counts them."""

    def __init__(self, runner: asyncio.Runner, sink: UploadSink) -> None:
        self.size_bytes = 0
        self._runner = runner
        self._sink = sink
        self._given_up = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        piece = bytes(data)
        if self._given_up:
            return len(piece)  # what a Parquet writer says as it goes
        self._runner.run(self._sink.write(piece))
        self.size_bytes += len(piece)
        return len(piece)

    def finish(self) -> int:
        return self._runner.run(self._sink.finish())

    def abort(self) -> None:
        self._given_up = True
        self._runner.run(self._sink.abort())
