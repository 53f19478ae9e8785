"""An object store in a dictionary, which remembers what was asked of it."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from stocktake.errors import SourceNotFoundError
from stocktake.readers.source import Source
from stocktake.schema.formats import TableFormat
from stocktake.storage.stores.opening import Chunk, ObjectInfo

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_START = datetime(2026, 1, 1, tzinfo=UTC)


class MemoryObjects:
    """Implements `ObjectStore`. Each `put` is an hour later than the one before.

    Attributes:
        reads: the ranges that were read, as (path, bytes).
        listed: the prefixes that were listed.
    """

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self._files: dict[str, bytes] = {}
        self._infos: dict[str, ObjectInfo] = {}
        self._puts = 0
        self.reads: list[tuple[str, int]] = []
        self.listed: list[str] = []
        for path, data in (files or {}).items():
            self.put(path, data)

    def put(self, path: str, data: bytes) -> None:
        self._puts += 1
        self._files[path] = data
        self._infos[path] = ObjectInfo(
            path=path,
            size=len(data),
            etag=hashlib.sha256(data).hexdigest(),
            modified_at=_START + timedelta(hours=self._puts),
        )

    def remove(self, path: str) -> None:
        del self._files[path], self._infos[path]

    ordered = True
    is_local = False

    def get(self, path: str, *, start: int = 0, length: int | None = None) -> Chunk:
        return self._chunk(path, slice(start, None if length is None else start + length))

    def get_tail(self, path: str, length: int, *, size_bytes: int | None = None) -> Chunk:
        return self._chunk(path, slice(max(len(self._files.get(path, b"")) - length, 0), None))

    def _chunk(self, path: str, part: slice) -> Chunk:
        if path not in self._files:
            raise SourceNotFoundError(file=path)
        data = self._files[path][part]
        self.reads.append((path, len(data)))
        return Chunk(data=data, info=self._infos[path])

    def stream(self, path: str, *, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        data = self.get(path).data
        for start in range(0, len(data), chunk_bytes):
            yield data[start : start + chunk_bytes]

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        self.listed.append(prefix)
        for path in sorted(self._infos):
            if path.startswith(prefix) and path > (start_after or ""):
                yield self._infos[path]

    def map(self, function: Callable[[Item], Answer], items: Iterable[Item]) -> Sequence[Answer]:
        with ThreadPoolExecutor(4) as pool:
            return [*pool.map(function, items)]


def files_source(
    store: MemoryObjects, path: str = "*", table_format: TableFormat = TableFormat.PARQUET
) -> Source:
    """A source over the files of a store."""
    return Source(store=store, path=path, format=table_format)
