"""Files that are made to hurt who reads them. Each writer takes the path that it writes to."""

import bz2
import gzip
import json
import lzma
import os
import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import lz4.frame  # type: ignore[import-untyped]  # lz4 ships no types
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from tests.support import iceberg_tables
from tests.support.delta_tables import (
    HandWrittenLog,
    add_action,
    field_of,
    metadata_action,
    protocol_action,
)

Write = Callable[[Path], Any]

MILLION = 1_000_000
GIGABYTE = 1 << 30
#: Of one value over and over: every codec packs it to a thousandth and less.
ROWS = b"id\n" + b"1\n" * (16 << 20)


def packed(pack: Callable[[bytes], bytes]) -> Write:
    """A CSV of 32 MB, packed."""
    return lambda path: path.write_bytes(pack(ROWS))


def gzip_members(path: Path) -> None:
    """Thousands of small streams, one after the other."""
    path.write_bytes(
        gzip.compress(b"id\n" + b"1\n" * 1000) + gzip.compress(b"1\n" * 500_000) * 2000
    )


def gzip_in_gzip(path: Path) -> None:
    """Three layers; only the outer one is a text file's."""
    path.write_bytes(gzip.compress(gzip.compress(gzip.compress(ROWS))))


def zstd_window(path: Path) -> None:
    """A frame that asks for a window of 2 GiB."""
    window = zstandard.ZstdCompressionParameters(window_log=31, enable_ldm=True)
    pack = zstandard.ZstdCompressor(compression_params=window).compressobj()
    path.write_bytes(pack.compress(b"id\n1\n") + pack.flush())


def xz_dictionary(path: Path) -> None:
    """A block whose header claims a dictionary of 4 GiB, with a checksum to match."""
    data = bytearray(lzma.compress(b"id\n1\n"))
    data[12 + 4] = 40
    data[12 + 8 : 12 + 12] = zlib.crc32(bytes(data[12 : 12 + 8])).to_bytes(4, "little")
    path.write_bytes(data)


def hole(start: bytes, size: int, end: bytes = b"") -> Write:
    """A sparse file: some bytes, zeros to `size`, some bytes."""

    def write(path: Path) -> None:
        with path.open("wb") as file:
            file.write(start)
            file.truncate(size)
            file.seek(0, os.SEEK_END)
            file.write(end)

    return write


def text(content: str) -> Write:
    return lambda path: path.write_text(content)


def nested(depth: int, opening: str, closing: str) -> Write:
    return text(f'{{"a":{opening * depth}1{closing * depth}}}\n')


def csv_list(depth: int) -> str:
    """A CSV with one list, so many lists deep."""
    return 'a\n"' + "[" * depth + "1" + "]" * depth + '"\n'


def wide_header(columns: int, letters: int) -> str:
    """A CSV's header of such names, and one row."""
    names = ",".join(f"{number:0{letters}}" for number in range(columns))
    return f"{names}\n{',' * (columns - 1)}\n"


def program(path: Path) -> None:
    """This very interpreter: a program under another name."""
    path.write_bytes(Path("/proc/self/exe").read_bytes())


# --- Parquet ------------------------------------------------------------------------------


def footer(metadata: bytes, claimed: int | None = None, body: bytes = b"") -> Write:
    """A Parquet file with this footer, in Thrift's compact protocol."""
    size = len(metadata) if claimed is None else claimed
    trailer = struct.pack("<I", size) + b"PAR1"
    return lambda path: path.write_bytes(b"PAR1" + body + metadata + trailer)


def varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def schema_footer(elements: Iterable[bytes], claimed: int, children: int) -> bytes:
    """File metadata with a schema of these elements, of which it claims so many."""
    root = b"\x48\x04root\x15" + varint(children * 2) + b"\0"
    head = b"\x15\x02\x19\xfc" + varint(claimed) + root
    return head + b"".join(elements) + b"\x16\x02\x19\x0c\0"


def leaf(name: bytes) -> bytes:
    return b"\x15\x02\x25\x02\x18" + varint(len(name)) + name + b"\0"


def group(name: bytes) -> bytes:
    """A group of one child: the next element."""
    return b"\x35\x00\x18" + varint(len(name)) + name + b"\x15\x02\0"


def wide_parquet(path: Path) -> None:
    leaves = (leaf(b"c%d" % number) for number in range(MILLION))
    footer(schema_footer(leaves, MILLION + 1, MILLION))(path)


def deep_parquet(path: Path) -> None:
    groups = (group(b"g") for _ in range(100_000))
    footer(schema_footer([*groups, leaf(b"x")], 100_002, 1))(path)


def long_groups(path: Path) -> None:
    """Paths whose text alone, once for each level, would be half a gigabyte."""
    groups = [group(f"{n:0100000}".encode()) for n in range(99)]
    footer(schema_footer([*groups, leaf(b"x")], 101, 1))(path)


def named_parquet(name: str) -> Write:
    """One column of that name."""
    return lambda path: pq.write_table(pa.table({name: [1]}), path)


def large_values(path: Path) -> None:
    """One string of 1 MB, named by every one of 100,000 rows: 100 GB in a file of kilobytes."""
    indices = pa.array([0] * 100_000, pa.int32())
    values = pa.DictionaryArray.from_arrays(indices, pa.array(["x" * MILLION]))
    pq.write_table(pa.table({"x": values}), path, compression="zstd", store_schema=False)


def large_page(path: Path) -> None:
    """One page of 480 MB in a few kilobytes."""
    zeros = pa.array(memoryview(bytes(8 * 60 * MILLION)).cast("q"), pa.int64())
    pq.write_table(
        pa.table({"x": zeros}),
        path,
        compression="zstd",
        use_dictionary=False,
        data_page_size=2 * GIGABYTE,
        row_group_size=60 * MILLION,
    )


def many_rows(path: Path) -> None:
    """A thousand million rows in a few kilobytes: run lengths of one value."""
    zeros = pa.table({"x": pa.repeat(0, 10 * MILLION)})
    with pq.ParquetWriter(path, zeros.schema, compression="zstd") as writer:
        for _ in range(100):
            writer.write_table(zeros, row_group_size=10 * MILLION)


# --- Delta --------------------------------------------------------------------------------


def log(*actions: dict[str, Any] | str) -> Write:
    """A Delta table of one column, whose second commit has these actions."""

    def write(path: Path) -> None:
        made = HandWrittenLog(path)
        made.create(field_of("id", "long"))
        made.commit(1, *actions)

    return write


def schema_string(schema: str) -> Write:
    """A Delta table whose columns are said to be that."""

    def write(path: Path) -> None:
        metadata = metadata_action()
        metadata["metaData"]["schemaString"] = schema
        HandWrittenLog(path).commit(0, protocol_action(), metadata)

    return write


def vector(kind: str, where: str) -> dict[str, Any]:
    return add_action(deletionVector={"storageType": kind, "pathOrInlineDv": where})


def wide_schema() -> str:
    fields = (field_of(f"c{number}", "long") for number in range(MILLION))
    return json.dumps({"type": "struct", "fields": list(fields)})


def named_schema(name: str) -> str:
    """One column of that name."""
    return json.dumps({"type": "struct", "fields": [field_of(name, "long")]})


def deep_schema() -> str:
    inner = '{"type":"array","containsNull":true,"elementType":' * 10_000 + '"long"' + "}" * 10_000
    return json.dumps({"type": "struct", "fields": [field_of("x", "deep")]}).replace(
        '"deep"', inner
    )


def log_with(name: str, write_file: Write) -> Write:
    """A Delta table of one column with one more file in its log, written as given."""

    def write(path: Path) -> None:
        made = HandWrittenLog(path)
        made.create(field_of("id", "long"))
        made.appends(*range(1, 6))
        write_file(made.folder / name)

    return write


def iceberg(write_file: Write, name: str = "v1.metadata.json") -> Write:
    """An Iceberg table with one metadata file, written as given."""

    def write(path: Path) -> None:
        (path / "metadata").mkdir(parents=True)
        write_file(path / "metadata" / name)

    return write


def iceberg_with(begin: str, part: str, count: int, end: str) -> Write:
    """An Iceberg table of one column, whose metadata has one more member, written when it is
    needed: `part` as often as is said, a `%` in it standing for its number."""

    def write(path: Path) -> None:
        metadata = iceberg_tables.metadata_of([iceberg_tables.field_of(1, "id", "long")])
        before, numbered, after = part.partition("%")
        parts = part * count
        if numbered:
            parts = "".join(f"{before}{number + 1}{after}" for number in range(count))
        text(f"{json.dumps(metadata)[:-1]},{begin}{parts}{end}}}")(path)

    return iceberg(write)


def iceberg_schema(columns: int, name: str = "") -> Write:
    """An Iceberg table of so many columns."""

    def write(path: Path) -> None:
        fields = (iceberg_tables.field_of(n, f"{name}{n}", "long") for n in range(columns))
        text(json.dumps(iceberg_tables.metadata_of([*fields])))(path)

    return iceberg(write)


def checkpoint(write_file: Write) -> Write:
    """A Delta table that can only be read by its checkpoint, which is written as given."""

    def write(path: Path) -> None:
        made = HandWrittenLog(path)
        made.appends(4, 5)
        write_file(made.folder / f"{3:020}.checkpoint.parquet")

    return write


def sidecar(where: str) -> Write:
    """A checkpoint that says its files are listed elsewhere."""

    def write(path: Path) -> None:
        made = HandWrittenLog(path)
        v2 = protocol_action(3, 7, readerFeatures=["v2Checkpoint"], writerFeatures=["v2Checkpoint"])
        made.write(
            f"{3:020}.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json",
            {"checkpointMetadata": {"version": 3}},
            v2,
            metadata_action(field_of("id", "long")),
            {"sidecar": {"path": where, "sizeInBytes": 1, "modificationTime": 1}},
        )
        made.appends(4)

    return write


PACKS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lz4": lz4.frame.compress,
}
