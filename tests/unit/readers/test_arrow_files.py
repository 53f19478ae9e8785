"""Arrow files and streams: what they alone have, and schemas that were forged."""

import io
import struct
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import feather

from stocktake.errors import (
    InvalidSourceError,
    LimitExceededError,
    TerminalError,
    UnsupportedError,
)
from stocktake.readers import introspect, read_all
from stocktake.readers.source import Limits
from stocktake.schema.formats import TableFormat
from tests.support.typed_files import arrow_file, arrow_stream, look, shown, source_of

ARROW, STREAM = TableFormat.ARROW, TableFormat.ARROW_STREAM
SMALL = pa.table({"a": [1, 2, 3]})


def column(type_: pa.DataType) -> bytes:
    return arrow_file(pa.schema([("x", type_)]))


# --- what is read -------------------------------------------------------------------------


def test_feather_of_version_2_is_an_arrow_file() -> None:
    sink = io.BytesIO()
    feather.write_feather(SMALL, sink, compression="zstd")
    assert shown(look(sink.getvalue(), ARROW)) == {"a": "Nullable(Int64)"}
    assert read_all(source_of(ARROW, x=sink.getvalue())).row_count == 3


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_batches_are_decoded(compression: str) -> None:
    table = pa.table({"a": list(range(1000))})
    data = arrow_file(table, compression=compression)
    assert read_all(source_of(ARROW, x=data)).row_count == 1000
    data = arrow_stream(table, compression=compression)
    assert read_all(source_of(STREAM, x=data)).row_count == 1000


def test_a_stream_as_arrow_wrote_it_before_0_15_is_read() -> None:
    data = arrow_stream(SMALL, use_legacy_format=True)
    assert not data.startswith(b"\xff\xff\xff\xff")
    assert shown(look(data, STREAM)) == {"a": "Nullable(Int64)"}
    assert read_all(source_of(STREAM, x=data)).row_count == 3


def test_a_column_without_a_name_is_left_out() -> None:
    data = arrow_file(pa.schema([("", pa.int8()), ("x", pa.int8())]))
    found = look(data, ARROW)
    assert shown(found) == {"x": "Nullable(Int8)"}
    assert [(each.code, each.file) for each in found.warnings] == [("nameless_column", "x")]


def test_nullability_is_the_files() -> None:
    schema = pa.schema([pa.field("a", pa.list_(pa.int8())), pa.field("b", pa.int8(), False)])
    found = look(arrow_file(schema), ARROW).columns
    assert [each.nullable for each in found] == [True, False]


def test_a_null_typed_column_gives_way_to_a_part_that_knows_better() -> None:
    source = source_of(
        ARROW,
        a=arrow_file(pa.schema([("x", pa.null())])),
        b=arrow_file(pa.schema([("x", pa.int64())])),
    )
    assert shown(introspect(source)) == {"x": "Nullable(Int64)"}


# --- what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "named"),
    [
        (pa.month_day_nano_interval(), "Interval"),
        (pa.list_view(pa.int64()), "ListView"),
        (pa.run_end_encoded(pa.int32(), pa.string()), "RunEndEncoded"),
        (pa.struct([("deep", pa.list_view(pa.int8()))]), "ListView"),
        (pa.decimal128(3, -2), "Decimal"),
        (pa.timestamp("s", "Mars/Base"), "Timestamp"),
        (pa.timestamp("s", "+02:10"), "Timestamp"),
        (pa.timestamp("s", "../UTC"), "Timestamp"),
        (pa.timestamp("s", "Europe"), "Timestamp"),
        (pa.binary(0), "FixedSizeBinary"),
    ],
)
def test_a_type_that_clickhouse_does_not_read_is_named(type_: pa.DataType, named: str) -> None:
    with pytest.raises(UnsupportedError, match=f'column "x.*type {named} of Arrow') as error:
        look(column(type_), ARROW)
    assert error.value.code == "unsupported_type"
    assert error.value.file == "x"


def test_feather_of_version_1_is_told() -> None:
    with pytest.raises(UnsupportedError, match="Feather file of version 1"):
        look(b"FEA1" + b"\0" * 40 + b"FEA1", ARROW)


def test_a_stream_that_begins_with_another_message_is_told() -> None:
    data = arrow_stream(SMALL)
    length = struct.unpack_from("<i", data, 4)[0]
    with pytest.raises(InvalidSourceError, match="first message is no schema"):
        look(data[8 + length :], STREAM)


@pytest.mark.parametrize("length", [0, -1, 2**31 - 1])
def test_a_length_that_lies_is_told_before_anything_is_read(length: int) -> None:
    data = arrow_file(SMALL)
    forged = data[:-10] + struct.pack("<i", length) + b"ARROW1"
    with pytest.raises(InvalidSourceError, match="claims"):
        look(forged, ARROW)
    with pytest.raises(InvalidSourceError, match="claims"):
        look(b"\xff\xff\xff\xff" + struct.pack("<i", length), STREAM)


# --- forged schemas -----------------------------------------------------------------------


class Forged:
    """A flatbuffer written from its end: what a table refers to must lie behind it."""

    def __init__(self) -> None:
        self._tail = b""

    def table(self, *fields: int | bytes | None) -> int:
        """Write a table; its place from the end. A number refers to something that is written,
        bytes stand in the table as they are."""
        slots, body = [], b""
        size = 4 + sum(4 if isinstance(each, int) else len(each or b"") for each in fields)
        for each in fields:
            at = 4 + len(body)
            slots.append(0 if each is None else at)
            if isinstance(each, int):
                body += struct.pack("<I", len(self._tail) + size - at - each)
            else:
                body += each or b""
        vtable = struct.pack(f"<HH{len(slots)}H", 4 + 2 * len(slots), size, *slots)
        self._tail = struct.pack("<i", len(vtable)) + body + self._tail
        place = len(self._tail)
        self._tail = vtable + self._tail
        return place

    def vector(self, *places: int) -> int:
        size = 4 + 4 * len(places)
        offsets = (
            struct.pack("<I", len(self._tail) + size - 4 - 4 * index - place)
            for index, place in enumerate(places)
        )
        self._tail = struct.pack("<I", len(places)) + b"".join(offsets) + self._tail
        return len(self._tail)

    def text(self, text: str) -> int:
        self._tail = struct.pack("<I", len(text)) + text.encode() + b"\0" + self._tail
        return len(self._tail)

    def message(self, root: int) -> bytes:
        data = struct.pack("<I", len(self._tail) + 4 - root) + self._tail
        return b"\xff\xff\xff\xff" + struct.pack("<i", len(data)) + data


BOOL, STRUCT = b"\x06", b"\x0d"


def schema_message(forged: Forged, fields: int) -> bytes:
    schema = forged.table(None, fields)
    return forged.message(forged.table(b"\x04\0", b"\x01", schema))


def field(forged: Forged, name: int, kind: bytes, children: int | None = None) -> int:
    return forged.table(name, b"\x01", kind, forged.table(), None, children)


def test_a_forged_schema_is_read_where_it_is_sound() -> None:
    forged = Forged()
    one = field(forged, forged.text("x"), BOOL)
    data = schema_message(forged, forged.vector(one))
    assert shown(look(data, STREAM)) == {"x": "Nullable(Bool)"}


def test_one_type_that_is_referred_to_a_million_times_counts_a_million_times() -> None:
    forged = Forged()
    names = [forged.text(letter) for letter in "abcdefghij"]
    inside = forged.vector(*(field(forged, name, BOOL) for name in names))
    for _ in range(6):  # each level has the one below it ten times
        inside = forged.vector(*(field(forged, name, STRUCT, inside) for name in names))
    data = schema_message(forged, inside)
    assert len(data) < 5_000
    with pytest.raises(LimitExceededError, match="MAX_FIELDS"):
        look(data, STREAM, Limits(max_fields=5_000))


def test_one_name_of_megabytes_that_all_columns_share_is_refused() -> None:
    forged = Forged()
    name, kind = forged.text("x" * 3_000_000), forged.table()
    fields = [forged.table(name, b"\x01", BOOL, kind) for _ in range(9)]
    with pytest.raises(LimitExceededError, match="MAX_SCHEMA_BYTES"):
        look(schema_message(forged, forged.vector(*fields)), STREAM)


@pytest.mark.parametrize("seed", range(4))
def test_every_flipped_byte_of_a_footer_ends_in_columns_or_in_a_sentence(seed: int) -> None:
    schema = pa.schema(
        [
            ("a", pa.struct([("b", pa.list_(pa.timestamp("us", "UTC")))])),
            pa.field("m", pa.map_(pa.string(), pa.decimal128(9, 2)), metadata={"k": "v"}),
        ]
    )
    data = arrow_file(schema)
    length = struct.unpack_from("<i", data, len(data) - 10)[0]
    answers: list[Any] = []
    for at in range(len(data) - 10 - length, len(data) - 10):
        flipped = bytearray(data)
        flipped[at] ^= (1, 0x80, 0xFF, 0x10)[seed]
        try:
            answers.append(look(bytes(flipped), ARROW))
        except TerminalError as error:
            answers.append(error)
    assert len(answers) == length
    assert any(isinstance(each, InvalidSourceError) for each in answers)


# --- bounds of batches --------------------------------------------------------------------

ZEROS = pa.table({"a": pa.array([0] * 200_000, pa.int64())})
DICTIONARY = pa.table({"a": pa.array(["x" * 2_000_000], pa.string()).dictionary_encode()})


@pytest.mark.parametrize("table", [ZEROS, DICTIONARY], ids=["batch", "dictionary"])
@pytest.mark.parametrize(("write", "table_format"), [(arrow_file, ARROW), (arrow_stream, STREAM)])
@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_a_batch_that_swells_is_refused_by_the_limit(
    table: pa.Table, write: Any, table_format: TableFormat, compression: str
) -> None:
    source = source_of(table_format, x=write(table, compression=compression))
    assert read_all(source).row_count == table.num_rows
    small = Limits(max_bytes=100_000, max_decompression_ratio=1_000_000)
    with pytest.raises(LimitExceededError, match="A batch of the file") as error:
        read_all(source, small)
    assert error.value.file == "x"
    with pytest.raises(LimitExceededError, match="MAX_DECOMPRESSION_RATIO"):
        read_all(source, Limits(max_bytes=1_000_000, max_decompression_ratio=2))
    plain = source_of(table_format, x=write(table))
    assert read_all(plain, small).row_count == table.num_rows


@pytest.mark.parametrize(("write", "table_format"), [(arrow_file, ARROW), (arrow_stream, STREAM)])
def test_a_buffer_that_claims_terabytes_is_refused_before_room_is_made(
    write: Any, table_format: TableFormat
) -> None:
    data = write(ZEROS, compression="zstd")
    claim = struct.pack("<q", 1_600_000)
    assert data.count(claim) == 1
    forged = data.replace(claim, struct.pack("<q", 1 << 42))
    with pytest.raises(LimitExceededError, match="A batch of the file"):
        read_all(source_of(table_format, x=forged))


@pytest.mark.parametrize(("write", "table_format"), [(arrow_file, ARROW), (arrow_stream, STREAM)])
def test_a_buffer_that_claims_less_than_nothing_makes_no_room_for_another(
    write: Any, table_format: TableFormat
) -> None:
    table = pa.table({"a": ZEROS["a"], "b": pa.array([1] * 100_000 + [2] * 100_000, pa.int64())})
    data = write(table, compression="zstd")
    claim = struct.pack("<q", 1_600_000)
    assert data.count(claim) == 2
    forged = data.replace(claim, struct.pack("<q", 1 << 42), 1)
    forged = forged.replace(claim, struct.pack("<q", -(1 << 42)), 1)
    with pytest.raises(InvalidSourceError, match="claims a negative length"):
        read_all(source_of(table_format, x=forged))


@pytest.mark.parametrize(("open_", "table_format"), [
    (pa.ipc.new_file, ARROW), (pa.ipc.new_stream, STREAM),
])  # fmt: skip
def test_a_buffer_that_is_compressed_as_by_arrow_0_17_is_held_to_its_claim(
    open_: Any, table_format: TableFormat
) -> None:
    batch = pa.record_batch({"a": pa.array([1 << 42, 0], pa.int64())})
    options = pa.ipc.IpcWriteOptions(metadata_version=pa.ipc.MetadataVersion.V4)
    sink = io.BytesIO()
    with open_(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch, custom_metadata={"ARROW:experimental_compression": "zstd"})
    with pytest.raises(LimitExceededError, match="A batch of the file"):
        read_all(source_of(table_format, x=sink.getvalue()))


def test_a_batch_that_a_footer_names_twice_is_refused() -> None:
    """A footer of a megabyte could name one of them forty thousand times."""
    sink = io.BytesIO()
    small, large = pa.record_batch({"a": [1]}), pa.record_batch({"a": list(range(1_000))})
    with pa.ipc.new_file(sink, small.schema) as file:
        for batch in (large, small, small):
            file.write_batch(batch)
    whole = sink.getvalue()
    assert read_all(source_of(ARROW, x=whole)).row_count == 1_002
    footer = whole[-10 - struct.unpack("<i", whole[-10:-6])[0] :]
    at = footer.index(struct.pack("<q", 8_000)) - 16  # ends the block of the large one
    blocks = footer[at : at + 24]
    forged = footer.replace(footer[at : at + 72], blocks * 3)
    with pytest.raises(InvalidSourceError, match="its batches overlap") as error:
        read_all(source_of(ARROW, x=whole.removesuffix(footer) + forged))
    assert error.value.file == "x"


@pytest.mark.parametrize(("write", "table_format"), [(arrow_file, ARROW), (arrow_stream, STREAM)])
def test_columns_that_share_a_buffer_are_refused(write: Any, table_format: TableFormat) -> None:
    whole = write(pa.table({"a": [7] * 1_001, "b": [9] * 1_001}))
    # The second column's: where there are no nulls, no bytes; then the values.
    buffers, shared = struct.pack("<4q", 8_008, 0, 8_008, 8_008), struct.pack("<4q", 0, 0, 0, 8_008)
    forged = whole.replace(buffers, shared)
    forged = forged.replace(struct.pack("<q", 16_016), struct.pack("<q", 8_008))
    forged = forged.replace(struct.pack("<q", 9) * 1_001, b"")
    assert len(forged) == len(whole) - 8_008
    with pytest.raises(InvalidSourceError, match="the buffers of a batch overlap"):
        read_all(source_of(table_format, x=forged))
