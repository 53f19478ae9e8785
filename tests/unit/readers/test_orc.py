"""ORC: types that pyarrow does not write, and footers that were forged."""

import datetime as dt
import io
import struct
import zlib
from pathlib import Path

import lz4.block
import pyarrow as pa
import pytest
import zstandard
from pyarrow import orc

from stocktake.errors import InvalidSourceError, JobError, LimitExceededError, UnsupportedError
from stocktake.readers.orc.footer import post_script
from stocktake.readers.orc.reader import batches
from stocktake.readers.source import Limits, no_progress
from stocktake.schema.formats import TableFormat
from tests.support.oracle import Case, describe
from tests.support.typed_files import look, orc_file, shown, source_of

ORC = TableFormat.ORC
NONE, ZLIB, SNAPPY, LZO, LZ4, ZSTD, BROTLI = range(7)
LIST, MAP, STRUCT, UNION, DECIMAL = 10, 11, 12, 13, 14


def number(value: int) -> bytes:
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    return bytes([*written, value])


def value(field: int, content: int | bytes) -> bytes:
    """One field of a protobuf message."""
    if isinstance(content, int):
        return number(field << 3) + number(content)
    return number(field << 3 | 2) + number(len(content)) + content


def kind(code: int, *subtypes: int, names: str = "", digits: tuple[int, int] = (0, 0)) -> bytes:
    """One `Type`."""
    parts = [value(1, code)]
    if subtypes:
        parts.append(value(2, b"".join(map(number, subtypes))))
    parts += [value(3, name.encode()) for name in names.split()]
    if digits[0]:
        parts += [value(5, digits[0]), value(6, digits[1])]
    return b"".join(parts)


def tail(
    footer: bytes, *, compression: int = NONE, block: int = 65536, claims: int | None = None
) -> bytes:
    """A file of no rows with this footer, as it is stored."""
    script = value(1, len(footer) if claims is None else claims) + value(2, compression)
    script += value(3, block) + value(4, b"\x00\x0c") + value(8000, b"ORC")
    return b"ORC" + footer + script + bytes([len(script)])


def of_types(*types: bytes, rows: int = 0) -> bytes:
    return value(1, 3) + b"".join(value(4, each) for each in types) + value(6, rows)


def piece(data: bytes, *, original: bool = False) -> bytes:
    return (len(data) << 1 | original).to_bytes(3, "little") + data


PLAIN = {
    16: "Nullable(String)",
    9: "Nullable(DateTime64(9))",
    18: "Nullable(DateTime64(9, 'UTC'))",
    8: "Nullable(String)",
}


@pytest.mark.chdb
def test_types_that_hive_and_spark_write_are_clickhouses(tmp_path: Path) -> None:
    root = kind(STRUCT, 1, 2, 3, 4, 5, 6, 7, names="varchar ts instant binary dec old uni")
    leaves = [*map(kind, PLAIN), kind(DECIMAL, digits=(18, 4)), kind(DECIMAL), kind(UNION, 8, 9)]
    data = tail(of_types(root, *leaves, kind(4), kind(7)))
    ours = shown(look(data, ORC))
    assert ours == {
        **dict(zip(["varchar", "ts", "instant", "binary"], PLAIN.values(), strict=True)),
        "dec": "Nullable(Decimal(18, 4))",
        "old": "Nullable(Decimal(38, 6))",
        "uni": "Variant(Int64, String)",
    }
    [theirs] = describe([Case("ORC", data)], tmp_path)
    assert dict(theirs or ()) == ours


@pytest.mark.chdb
def test_a_char_is_a_text_which_clickhouse_pads(tmp_path: Path) -> None:
    data = tail(of_types(kind(STRUCT, 1, names="a"), kind(17) + value(4, 5)))
    assert shown(look(data, ORC)) == {"a": "Nullable(String)"}
    assert describe([Case("ORC", data)], tmp_path) == [[("a", "Nullable(FixedString(5))")]]


def test_subtypes_that_are_not_packed_are_read_too() -> None:
    root = value(1, STRUCT) + value(2, 1) + value(3, b"a")
    assert shown(look(tail(of_types(root, kind(4), rows=7)), ORC)) == {"a": "Nullable(Int64)"}


@pytest.mark.parametrize(
    ("compression", "compress"),
    [
        (ZLIB, lambda data: zlib.compress(data, wbits=-15)),
        (SNAPPY, lambda data: pa.Codec("snappy").compress(data, asbytes=True)),
        (LZ4, lambda data: lz4.block.compress(data, store_size=False)),
        (ZSTD, zstandard.compress),
    ],
)
def test_a_footer_in_compressed_pieces_is_read(compression: int, compress: object) -> None:
    assert callable(compress)
    footer = of_types(kind(STRUCT, 1, names="a"), kind(4), rows=7)
    half = len(footer) // 2
    stored = piece(compress(footer[:half])) + piece(footer[half:], original=True)
    found = look(tail(stored, compression=compression), ORC)
    assert (shown(found), found.row_count) == ({"a": "Nullable(Int64)"}, 7)

    bomb = piece(compress(bytes(50_000_000)[: (1 << 23) - 1]))
    with pytest.raises(InvalidSourceError, match="compressed piece"):
        look(tail(bomb, compression=compression), ORC)
    with pytest.raises(InvalidSourceError, match="compressed piece"):
        look(tail(piece(b"\xff" * 50), compression=compression), ORC)


def test_many_pieces_that_swell_are_refused_by_the_limit() -> None:
    one = piece(zlib.compress(bytes(65536), wbits=-15))
    with pytest.raises(LimitExceededError, match="MAX_FOOTER_BYTES"):
        look(tail(one * 20, compression=ZLIB), ORC, Limits(max_footer_bytes=1_000_000))


@pytest.mark.parametrize(("compression", "name"), [(LZO, "LZO"), (BROTLI, "Brotli")])
def test_a_compression_that_is_not_read_is_named(compression: int, name: str) -> None:
    with pytest.raises(UnsupportedError, match=f"compressed with {name}"):
        look(tail(piece(b"xx"), compression=compression), ORC)


@pytest.mark.parametrize(
    "types",
    [
        (),
        (kind(4),),  # the row is a number
        (kind(STRUCT, 1, names="a"),),  # there is no such type
        (kind(STRUCT, 1, names="a b"), kind(4)),
        (kind(STRUCT, 1, names="a"), kind(LIST)),
        (kind(STRUCT, 1, names="a"), kind(MAP, 2), kind(4)),
        (kind(STRUCT, 1, names="a"), kind(STRUCT, 2, 2, names="b"), kind(4)),
        (value(1, STRUCT) + value(2, b"\x01") + value(3, b"\xff"), kind(4)),
        (b"\xff\xff",),
    ],
)
def test_types_that_do_not_fit_together_are_told(types: tuple[bytes, ...]) -> None:
    with pytest.raises(InvalidSourceError, match="footer cannot be read"):
        look(tail(of_types(*types)), ORC)


def test_a_type_that_holds_itself_is_refused() -> None:
    types = kind(STRUCT, 1, names="a"), kind(LIST, 1)
    with pytest.raises(LimitExceededError, match="MAX_NESTING"):
        look(tail(of_types(*types)), ORC)


def test_a_type_that_others_share_counts_each_time() -> None:
    names = "a b c d e f g h i j"
    levels = [kind(STRUCT, *[level + 1] * 10, names=names) for level in range(8)]
    with pytest.raises(LimitExceededError, match="MAX_FIELDS"):
        look(tail(of_types(*levels, kind(4))), ORC, Limits(max_fields=5_000))


@pytest.mark.parametrize("field", [b"\x1a\0", b"\x10\1", b"\x12\x0a" + b"\1" * 10])
def test_names_of_no_bytes_are_not_gone_through_by_the_million(field: bytes) -> None:
    """A footer of 128 MiB, which a hundred kilobytes inflate to, took a minute and a gigabyte."""
    few, many = (kind(12, 1, names="a") + field * number for number in (3, 200_000))
    with pytest.raises(JobError, match=r"do not fit together|More than one column"):
        look(tail(of_types(few, kind(3))), ORC)
    with pytest.raises(InvalidSourceError, match="more than 100,000 types"):
        look(tail(of_types(many, kind(3))), ORC)
    with pytest.raises(InvalidSourceError, match="more than"):
        look(tail(of_types(kind(12, 1, names="a"), *[kind(3) + field * 60_000] * 2)), ORC)


@pytest.mark.parametrize(("code", "named"), [(19, "geometry"), (20, "geography"), (77, "number")])
def test_a_type_that_clickhouse_does_not_read_is_named(code: int, named: str) -> None:
    data = tail(of_types(kind(STRUCT, 1, names="x"), kind(LIST, 2), kind(code)))
    with pytest.raises(UnsupportedError, match=f'column "x" has the type {named}'):
        look(data, ORC)


@pytest.mark.parametrize("claims", [0, 10**6, 2**63])
def test_a_length_that_lies_is_told(claims: int) -> None:
    footer = of_types(kind(STRUCT, 1, names="a"), kind(4))
    with pytest.raises(InvalidSourceError, match="claims"):
        look(tail(footer, claims=claims), ORC)


def test_more_rows_than_a_database_counts_are_refused() -> None:
    data = tail(of_types(kind(STRUCT, 1, names="a"), kind(4), rows=2**63))
    with pytest.raises(InvalidSourceError, match="more than 2"):
        look(data, ORC)


@pytest.mark.parametrize("mask", [1, 0x80, 0xFF])
def test_every_flipped_byte_of_a_tail_ends_in_columns_or_in_a_sentence(mask: int) -> None:
    data = orc_file(
        pa.table({"a": pa.nulls(2, pa.list_(pa.struct([("b", pa.decimal128(9, 2))])))}),
        compression="uncompressed",
    )
    length = struct.unpack("B", data[-1:])[0]
    refused = []
    for at in range(max(0, len(data) - 300 - length), len(data)):
        flipped = bytearray(data)
        flipped[at] ^= mask
        try:
            look(bytes(flipped), ORC)
        except JobError as error:
            refused.append((error.retryable, error.file))
    assert len(refused) > 10
    assert set(refused) == {(False, "x")}


# --- bounds -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [b"\x58\0" * 1_000_001, value(4, kind(3) + b"\x58\0" * 200_000)],
    ids=["of the footer", "of a type"],
)
def test_fields_that_nobody_knows_are_not_gone_through_by_the_million(more: bytes) -> None:
    whole = b"".join(value(4, each) for each in (kind(12, 1, names="a"), kind(3)))
    with pytest.raises(InvalidSourceError, match="more than"):
        look(tail(more + whole), ORC)


def test_pieces_of_no_bytes_are_not_gone_through_by_the_million() -> None:
    with pytest.raises(InvalidSourceError, match="more than 100,000 compressed pieces"):
        look(tail(piece(b"", original=True) * 100_001, compression=1), ORC)


def test_a_stripe_that_a_footer_names_twice_is_refused() -> None:
    drawn = [each * 2_654_435_761 % 2**40 for each in range(5_000)]
    whole = orc_file(pa.table({"x": drawn}), compression="uncompressed")
    assert look(whole, ORC).row_count == 5_000
    script = whole[-1 - whole[-1] : -1]
    length = post_script(script).footer_length
    footer = whole[-1 - len(script) - length : -1 - len(script)]
    at = footer.index(b"\x1a")  # field 3, bytes
    stripe = footer[at : at + 2 + footer[at + 1]]
    twice = footer + stripe + value(6, 10_000)
    forged = whole[: -1 - len(script) - length] + tail(twice)[3:]
    assert values_of(forged) == drawn * 2
    with pytest.raises(InvalidSourceError, match="its stripes overlap"):
        look(forged, ORC)


def values_of(data: bytes) -> list[int]:
    found = batches(source_of(ORC, x=data), Limits(), no_progress)
    return [each for _, batch in found for each in batch.column(0).to_pylist()]


@pytest.mark.parametrize("year", [1650, 2297])
def test_a_moment_that_pyarrow_does_not_reach_is_told(year: int) -> None:
    moment = dt.datetime(year, 2, 13, tzinfo=dt.UTC)
    table = pa.table({"at": pa.array([moment], pa.timestamp("us", "UTC"))})
    source = source_of(TableFormat.ORC, file=orc_file(table))
    with pytest.raises(UnsupportedError, match="before 1677 or after 2262") as caught:
        list(batches(source, Limits(), no_progress))
    assert caught.value.file
    assert "date or a string" in caught.value.hint


def test_a_stripe_is_decoded_a_few_rows_at_a_time() -> None:
    rows = 400_000
    table = pa.table({"a": pa.array([7] * rows, pa.int64())})
    sink = io.BytesIO()
    orc.write_table(table, sink, compression="zstd", stripe_size=1 << 30)
    assert orc.ORCFile(io.BytesIO(sink.getvalue())).nstripes == 1
    read = batches(source_of(ORC, x=sink.getvalue()), Limits(), no_progress)
    found = [batch.num_rows for _, batch in read]
    assert sum(found) == rows
    assert max(found) <= 8_192


@pytest.mark.parametrize("name", ["__filename", "a.b", ""])
def test_a_column_of_any_name_is_read_in_full(name: str) -> None:
    sink = io.BytesIO()
    orc.write_table(pa.table({name: [1, 2], "b": [3, 4]}), sink)
    ((_, batch),) = batches(source_of(ORC, x=sink.getvalue()), Limits(), no_progress)
    assert batch.column(0).to_pylist() == [1, 2]
