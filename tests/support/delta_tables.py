"""A folder as a counting object store, and Delta logs written by hand."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stocktake.errors import SourceNotFoundError
from stocktake.readers.delta.reader import read
from stocktake.readers.source import Introspection, Limits, Source, no_progress
from stocktake.schema.formats import TableFormat
from stocktake.storage.stores.opening import Answer, Chunk, Item, ObjectInfo


@dataclass
class CountingFolder:
    """A folder behind the store's protocol; `rounds` is the depth of calls that wait for each
    other, where a `map` costs as many rounds as its longest item."""

    root: Path
    calls: list[tuple[str, str]] = field(default_factory=list)
    bytes_read: int = 0
    rounds: int = 0
    ordered: bool = True
    is_local: bool = True

    def get(self, path: str, *, start: int = 0, length: int | None = None) -> Chunk:
        data = self._read("get", path)
        return self._chunk(path, data[start : None if length is None else start + length])

    def get_tail(self, path: str, length: int, *, size_bytes: int | None = None) -> Chunk:
        return self._chunk(path, self._read("tail", path)[-length:])

    def stream(self, path: str, *, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        data = self._read("stream", path)
        return (data[at : at + chunk_bytes] for at in range(0, len(data), chunk_bytes))

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        self._count("list", prefix)
        files = (path for path in self.root.rglob("*") if path.is_file())
        keys = sorted(path.relative_to(self.root).as_posix() for path in files)
        return (
            self._info(key) for key in keys if key.startswith(prefix) and key > (start_after or "")
        )

    def map(self, function: Callable[[Item], Answer], items: Iterable[Item]) -> Sequence[Answer]:
        before, answers, longest = self.rounds, [], 0
        for item in items:
            self.rounds = 0
            answers.append(function(item))
            longest = max(longest, self.rounds)
        self.rounds = before + longest
        return answers

    def count(self, kind: str) -> int:
        return sum(1 for each, _ in self.calls if each == kind)

    def _count(self, kind: str, path: str) -> None:
        self.calls.append((kind, path))
        self.rounds += 1

    def _read(self, kind: str, path: str) -> bytes:
        self._count(kind, path)
        try:
            return (self.root / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError) as exc:
            raise SourceNotFoundError from exc

    def _chunk(self, path: str, data: bytes) -> Chunk:
        self.bytes_read += len(data)
        return Chunk(data=data, info=self._info(path))

    def _info(self, path: str) -> ObjectInfo:
        data = (self.root / path).read_bytes()
        etag = hashlib.sha256(data).hexdigest()
        return ObjectInfo(
            path=path, size=len(data), etag=etag, modified_at=datetime(2026, 1, 1, tzinfo=UTC)
        )


def read_table(
    store: CountingFolder,
    path: str = "",
    *,
    state: dict[str, Any] | None = None,
    limits: Limits | None = None,
    counted: bool = False,
) -> Introspection:
    """Read a table, with the request counters set back first."""
    store.calls.clear()
    store.rounds = store.bytes_read = 0
    options = {"delta_count": True} if counted else {}
    source = Source(store=store, path=path, format=TableFormat.DELTA, options=options, state=state)
    return read(source, limits or Limits(), no_progress)


def field_of(name: str, kind: Any, *, nullable: bool = True, **metadata: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "nullable": nullable, "metadata": metadata}


def metadata_action(*fields: dict[str, Any], partitions: Sequence[str] = ()) -> dict[str, Any]:
    schema = json.dumps({"type": "struct", "fields": list(fields)})
    return {
        "metaData": {
            "id": "8f1f3b2c-0f4e-4a39-a3a5-0d8c1f1c0001",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": schema,
            "partitionColumns": list(partitions),
            "configuration": {},
            "createdTime": 1_700_000_000_000,
        }
    }


def protocol_action(reader: int = 1, writer: int = 2, **features: list[str]) -> dict[str, Any]:
    return {"protocol": {"minReaderVersion": reader, "minWriterVersion": writer, **features}}


def remove_action(path: str = "part-0.parquet", **more: Any) -> dict[str, Any]:
    return {"remove": {"path": path, "dataChange": True, **more}}


def add_action(path: str = "part-0.parquet", **more: Any) -> dict[str, Any]:
    return {
        "add": {
            "path": path,
            "partitionValues": {},
            "size": 100,
            "modificationTime": 1_700_000_000_000,
            "dataChange": True,
            **more,
        }
    }


@dataclass
class HandWrittenLog:
    """Writes the files of a `_delta_log`."""

    root: Path

    @property
    def folder(self) -> Path:
        folder = self.root / "_delta_log"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def write(self, name: str, *actions: dict[str, Any] | str) -> Path:
        lines = (each if isinstance(each, str) else json.dumps(each) for each in actions)
        path = self.folder / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def commit(self, version: int, *actions: dict[str, Any] | str) -> Path:
        return self.write(f"{version:020}.json", *actions)

    def create(self, *fields: dict[str, Any], **protocol: Any) -> Path:
        return self.commit(0, protocol_action(**protocol), metadata_action(*fields))

    def appends(self, *versions: int) -> None:
        for version in versions:
            self.commit(version, add_action(f"part-{version}.parquet"))

    def last_checkpoint(self, text: str | dict[str, Any]) -> None:
        content = text if isinstance(text, str) else json.dumps(text)
        (self.folder / "_last_checkpoint").write_text(content, encoding="utf-8")

    def checkpoint(
        self,
        name: str,
        *actions: dict[str, Any],
        files: int = 0,
        row_group_size: int | None = None,
        compression: str = "snappy",
    ) -> Path:
        """A Parquet checkpoint with the actions first and then that many add actions."""
        rows = [*(_checkpoint_row(each) for each in actions)]
        adds = pa.table(
            {
                "metaData": pa.nulls(files, _CHECKPOINT.field("metaData").type),
                "protocol": pa.nulls(files, _CHECKPOINT.field("protocol").type),
                "add": _adds(files),
            },
            schema=_CHECKPOINT,
        )
        table = pa.concat_tables([pa.Table.from_pylist(rows, schema=_CHECKPOINT), adds])
        path = self.folder / name
        pq.write_table(table, path, row_group_size=row_group_size, compression=compression)
        return path


_CHECKPOINT = pa.schema(
    {
        "metaData": pa.struct(
            {
                "id": pa.string(),
                "schemaString": pa.string(),
                "partitionColumns": pa.list_(pa.string()),
                "configuration": pa.map_(pa.string(), pa.string()),
            }
        ),
        "protocol": pa.struct(
            {
                "minReaderVersion": pa.int32(),
                "minWriterVersion": pa.int32(),
                "readerFeatures": pa.list_(pa.string()),
                "writerFeatures": pa.list_(pa.string()),
            }
        ),
        "add": pa.struct({"path": pa.string(), "size": pa.int64(), "stats": pa.string()}),
    }
)


def _checkpoint_row(action: dict[str, Any]) -> dict[str, Any]:
    if "metaData" not in action:
        return action
    metadata = action["metaData"]
    return {"metaData": {**metadata, "configuration": list(metadata["configuration"].items())}}


def _adds(files: int) -> pa.StructArray:
    paths = pa.array([hashlib.md5(str(i).encode()).hexdigest() for i in range(files)], pa.string())
    sizes = pa.array(range(files), pa.int64())
    return pa.StructArray.from_arrays([paths, sizes, paths], names=["path", "size", "stats"])


def checkpoint_name(version: int) -> str:
    return f"{version:020}.checkpoint.parquet"
