"""Avro: names, codecs, and headers that were forged."""

import io
import json
from typing import Any

import fastavro
import pytest

from stocktake.errors import (
    InvalidSourceError,
    LimitExceededError,
    SourceChangedError,
    UnsupportedError,
)
from stocktake.readers import introspect, read_all
from stocktake.readers.avro.blocks import MOST_EMPTY_ROWS
from stocktake.readers.avro.header import long_at
from stocktake.readers.avro.reader import read
from stocktake.readers.source import Limits, no_progress
from stocktake.schema.formats import TableFormat
from tests.support.typed_files import avro_file, avro_record, look, shown, source_of

AVRO = TableFormat.AVRO


def number(value: int) -> bytes:
    value = value << 1 ^ value >> 63
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    return bytes([*written, value])


def text(content: bytes) -> bytes:
    return number(len(content)) + content


def header(schema: Any, *entries: tuple[bytes, bytes]) -> bytes:
    """A file of no rows with this schema, which nobody checked."""
    stored = schema if isinstance(schema, bytes) else json.dumps(schema).encode()
    pairs = [*entries, (b"avro.schema", stored)]
    body = b"".join(text(key) + text(content) for key, content in pairs)
    return b"Obj\x01" + number(len(pairs)) + body + number(0) + b"s" * 16


def record(name: str, **types: Any) -> dict[str, Any]:
    return avro_record(**types) | {"name": name}


# --- names --------------------------------------------------------------------------------


def test_a_name_is_looked_up_in_its_namespace() -> None:
    letters = {"type": "enum", "name": "e", "symbols": ["A"]}
    schema = record("a.b.row", x=letters, y="e", z=["null", "a.b.e"], w={"type": "e"})
    one = "Enum8('A' = 0)"
    assert shown(look(header(schema), AVRO)) == {
        "x": one, "y": one, "z": f"Nullable({one})", "w": one,
    }  # fmt: skip


def test_a_namespace_of_its_own_holds_for_what_is_in_it() -> None:
    inner = {"type": "fixed", "name": "f", "size": 2}
    outer = record("row", x=inner, y="f") | {"namespace": "deep"}
    found = look(header(record("top", a=outer, b="deep.f")), AVRO)
    assert shown(found)["b"] == "FixedString(2)"
    with pytest.raises(InvalidSourceError, match="there is no type 'f'"):
        look(header(record("top", a=outer, b="f")), AVRO)


@pytest.mark.parametrize(
    "inner",
    ["row", ["null", "row"], {"type": "array", "items": "row"}, record("b", y=["null", "b"])],
)
def test_a_type_that_refers_to_itself_is_refused(inner: Any) -> None:
    with pytest.raises(UnsupportedError, match=r'column "n.*refers to itself') as error:
        look(header(record("row", x="int", n=inner)), AVRO)
    assert error.value.code == "unsupported_type"


def test_a_type_that_is_referred_to_a_million_times_counts_a_million_times() -> None:
    fields: dict[str, Any] = {"a0": record("r0", x="int")}
    for level in range(1, 9):
        inside = {f"f{number}": f"r{level - 1}" for number in range(10)}
        fields[f"a{level}"] = record(f"r{level}", **inside)
    data = header(record("row", **fields))
    assert len(data) < 6_000
    with pytest.raises(LimitExceededError, match="MAX_FIELDS"):
        look(data, AVRO, Limits(max_fields=5_000))


def test_symbols_that_are_referred_to_often_count_each_time() -> None:
    letters = {"type": "enum", "name": "e", "symbols": [f"s{number}" for number in range(20_000)]}
    fields = {"a": letters} | {f"f{number}": "e" for number in range(100)}
    with pytest.raises(LimitExceededError, match="MAX_SCHEMA_BYTES"):
        look(header(record("row", **fields)), AVRO)


def test_a_namespace_is_no_longer_than_a_name() -> None:
    """Each type in it would have it in a name of its own: 4,000 of 200 kB take 800 MB."""
    row = record("row", x={"type": "fixed", "name": "f", "size": 1})
    assert look(header(row | {"namespace": "n" * 900}), AVRO).columns
    with pytest.raises(LimitExceededError, match="MAX_NAME_LENGTH"):
        look(header(row | {"namespace": "n" * 1_001}), AVRO)


def test_types_that_are_nested_by_their_names_count_as_nested() -> None:
    fields: dict[str, Any] = {"a0": record("r0", x="int")}
    for level in range(1, 150):
        fields[f"a{level}"] = record(f"r{level}", x=f"r{level - 1}")
    with pytest.raises(LimitExceededError, match="MAX_NESTING"):
        look(header(record("row", **fields)), AVRO)


# --- what is no schema --------------------------------------------------------------------


@pytest.mark.parametrize(
    "schema",
    [
        b"{",
        b"\xff",
        record("row", x="nothing"),
        record("row", x=5),
        record("row", x=[]),
        record("row", x={}),
        record("row", x=["null", "null", "int"]),
        record("row", x=["null", {"type": "null"}]),
        record("row", x={"type": "array"}),
        record("row", x={"type": "enum", "name": "e"}),
        record("row", x={"type": "enum", "name": "e", "symbols": []}),
        record("row", x={"type": "enum", "name": "e", "symbols": ["A", "A"]}),
        record("row", x={"type": "fixed", "size": 3}),
        record("row", x={"type": "record", "name": "r", "fields": [5]}),
        {"type": "record", "name": "r"},
        {"type": "record", "fields": []},
        {"type": "record", "name": "r", "fields": [{"type": "int"}]},
    ],
)
def test_what_is_no_schema_is_told(schema: Any) -> None:
    with pytest.raises(InvalidSourceError, match='Avro file "x" is corrupt') as error:
        look(header(schema), AVRO)
    assert error.value.file == "x"


@pytest.mark.parametrize("schema", ["int", ["null", "int"], {"type": "array", "items": "int"}])
def test_rows_that_are_no_records_are_told(schema: Any) -> None:
    with pytest.raises(UnsupportedError, match="rows of the Avro file are no records"):
        look(header(schema), AVRO)


@pytest.mark.parametrize(
    "type_",
    [
        {"type": "fixed", "name": "f", "size": 0},
        {"type": "fixed", "name": "f", "size": 2**40},
        {"type": "fixed", "name": "f", "size": "three"},
        {"type": "bytes", "logicalType": "decimal", "precision": 77, "scale": 1},
    ],
)
def test_a_type_that_clickhouse_does_not_read_is_named(type_: Any) -> None:
    with pytest.raises(UnsupportedError, match='column "x" has the type'):
        look(header(record("row", x=type_)), AVRO)


@pytest.mark.parametrize("scale", [6, -1, "two"])
def test_a_decimal_that_is_none_is_what_it_is_stored_as(scale: Any) -> None:
    decimal = {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": scale}
    assert shown(look(header(record("row", x=decimal)), AVRO)) == {"x": "String"}


def test_a_schema_that_is_nested_too_deep_to_be_parsed_is_refused() -> None:
    with pytest.raises(LimitExceededError, match="nested deeper"):
        look(header(b'{"type":' * 200_000 + b'"int"' + b"}" * 200_000), AVRO)


def test_objects_around_a_type_say_nothing() -> None:
    schema: Any = "int"
    for _ in range(200):
        schema = {"type": schema} if isinstance(schema, dict) else {"type": {"type": schema}}
    assert shown(look(header(record("row", x=schema)), AVRO)) == {"x": "Int32"}


@pytest.mark.parametrize(
    "data",
    [
        number(-1),
        number(1) + number(-5),
        number(2**62),
        number(1) + number(2**62),
        b"\xff" * 20,
        number(0) + b"s" * 16,
    ],
)
def test_a_header_that_lies_is_told(data: bytes) -> None:
    with pytest.raises(InvalidSourceError, match="is corrupt"):
        look(b"Obj\x01" + data, AVRO)


def test_a_header_of_many_keys_is_read_in_few_steps() -> None:
    keys = [(b"k%d" % each, b"v") for each in range(60_000)]
    source = source_of(AVRO, x=header(avro_record(x="int"), *keys))
    assert shown(introspect(source)) == {"x": "Int32"}
    assert len(source.store.reads) <= 6  # type: ignore[attr-defined]
    with pytest.raises(LimitExceededError, match="MAX_FOOTER_BYTES"):
        look(header(avro_record(x="int"), *keys), AVRO, Limits(max_footer_bytes=100_000))


# --- rows ---------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz", "snappy", "zstandard", "lz4"])
def test_blocks_of_every_codec_are_decoded(codec: str) -> None:
    rows = [{"x": number, "y": str(number)} for number in range(5000)]
    data = avro_file(avro_record(x="long", y="string"), rows, codec=codec)
    assert read_all(source_of(AVRO, x=data)).row_count == 5000


def test_a_file_that_grows_while_its_header_is_read_is_another_file() -> None:
    names = {f"column_{number}_{'x' * 100}": "long" for number in range(900)}
    source = source_of(AVRO, x=avro_file(avro_record(**names)))
    store: Any = source.store
    first = store.get

    def get(path: str, *, start: int = 0, length: int | None = None) -> Any:
        if start:
            store.put("x", avro_file(avro_record(**names), codec="deflate"))
        return first(path, start=start, length=length)

    store.get = get
    with pytest.raises(SourceChangedError):
        read(source, Limits(), no_progress)


def block(count: int, content: bytes, *, size: int | None = None) -> bytes:
    return number(count) + number(len(content) if size is None else size) + content + b"s" * 16


def packed(codec: str, plain: bytes) -> bytes:
    """A block's content, as the codec has it."""
    sink = io.BytesIO()
    fastavro.writer(sink, "bytes", [plain], codec=codec, sync_marker=b"s" * 16)
    at = sink.getvalue().index(b"s" * 16) + 17  # behind the header, and the number of rows
    size, at = long_at(sink.getvalue(), at)
    return sink.getvalue()[at : at + size]


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz", "snappy", "zstandard", "lz4"])
def test_a_block_that_swells_is_refused_by_the_limit(codec: str) -> None:
    content = packed(codec, bytes(3 << 20))
    data = header(record("r", x="bytes"), (b"avro.codec", codec.encode())) + block(1, content)
    assert read_all(source_of(AVRO, x=data)).row_count == 1
    small = Limits(max_bytes=1 << 18, max_decompression_ratio=1_000_000)
    with pytest.raises(LimitExceededError, match=r"A block of the file .*MAX_BYTES") as error:
        read_all(source_of(AVRO, x=data), small)
    assert error.value.file == "x"
    if codec != "null":
        steep = Limits(max_bytes=1 << 20, max_decompression_ratio=2)
        with pytest.raises(LimitExceededError, match="MAX_DECOMPRESSION_RATIO"):
            read_all(source_of(AVRO, x=data), steep)


EMPTY: Any = {"type": "record", "name": "e", "fields": [{"name": "n", "type": "null"}]}


def test_rows_without_bytes_are_counted_up_to_a_bound() -> None:
    whole = header(record("r", a="null", b=EMPTY))
    assert read_all(source_of(AVRO, x=whole + block(5_000, b""))).row_count == 5_000
    for count in (MOST_EMPTY_ROWS + 1, 2**62):
        with pytest.raises(LimitExceededError, match=f"{count:,} rows that take no bytes"):
            read_all(source_of(AVRO, x=whole + block(count, b"")))


@pytest.mark.parametrize("items", ["null", EMPTY, {"type": "array", "items": "null"}])
def test_arrays_of_items_without_bytes_are_not_read_in_full(items: Any) -> None:
    whole = header(record("r", x={"type": "array", "items": items}))
    assert introspect(source_of(AVRO, x=whole)).columns[0].name == "x"
    with pytest.raises(UnsupportedError, match='The column "x" has arrays of nothing but nulls'):
        read_all(source_of(AVRO, x=whole + block(1, number(2**60) + number(0))))


@pytest.mark.parametrize(
    "blocks",
    [
        block(3, b"\0\0"),
        block(-1, b"\0"),
        block(1, b"\0", size=-1),
        block(1, b"\0", size=5),
        block(1, b"\0", size=1 << 50),
        number(1) + number(1) + b"\0" + b"t" * 16,
        number(1) + number(1) + b"\0",
        number(1),
        b"\xff" * 20,
    ],
)
def test_a_block_that_lies_is_told(blocks: bytes) -> None:
    whole = header(record("r", x="long"))
    assert read_all(source_of(AVRO, x=whole + block(2, b"\0\0"))).row_count == 2
    with pytest.raises(InvalidSourceError, match="is corrupt after row"):
        read_all(source_of(AVRO, x=whole + blocks))


def test_a_codec_that_nobody_knows_is_told() -> None:
    data = header(record("r", x="long"), (b"avro.codec", b"magic")) + block(1, b"\0")
    with pytest.raises(InvalidSourceError, match="its codec is b'magic'"):
        read_all(source_of(AVRO, x=data))
