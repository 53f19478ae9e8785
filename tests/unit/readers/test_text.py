"""From bytes to text: compression by its magic, ratio and window caps, encodings, lines."""

import bz2
import gzip
import lzma
import random
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import lz4.block
import lz4.frame
import pyarrow as pa
import pytest
import zstandard

from stocktake.errors import (
    FormatMismatchError,
    InvalidSourceError,
    LimitExceededError,
    UnsupportedError,
)
from stocktake.readers import introspect
from stocktake.readers.source import Limits, Source
from stocktake.readers.text.compression import decompress
from stocktake.readers.text.decoding import Text, sample_text, stream_text
from stocktake.readers.text.detection import detect
from stocktake.schema.formats import TableFormat
from stocktake.schema.warnings import WarningCode
from tests.support.memory import MemoryObjects


def hadoop(pack: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Hadoop's framing: blocks of 256 KiB, each of pieces that are a quarter of it."""

    def framed(data: bytes) -> bytes:
        out = b""
        for at in range(0, len(data), 1 << 18):
            block = data[at : at + (1 << 18)]
            out += len(block).to_bytes(4)
            for start in range(0, len(block), 1 << 16):
                packed = pack(block[start : start + (1 << 16)])
                out += len(packed).to_bytes(4) + packed
        return out

    return framed


CODECS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "zst": zstandard.ZstdCompressor().compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lz4": lz4.frame.compress,
    "deflate": zlib.compress,
    "snappy": hadoop(lambda data: pa.compress(data, "snappy", asbytes=True)),
    "hadoop-lz4": hadoop(lambda data: lz4.block.compress(data, store_size=False)),
}
TEXT = "".join(f"{number},{number * 7919 % 1009}\n" for number in range(20_000))


def source_of(data: bytes, path: str = "a.csv", **options: Any) -> Source:
    return Source(
        store=MemoryObjects({path: data}), path=path, format=TableFormat.CSV, options=options
    )


def streamed(data: bytes, path: str = "a.csv", limits: Limits | None = None, **options: Any) -> str:
    source = source_of(data, path, **options)
    (file,) = source.store.list("")
    return "".join(stream_text(source, file, limits or Limits()).chunks)


def sampled(data: bytes, length: int, limits: Limits | None = None) -> Text:
    source = source_of(data)
    (file,) = source.store.list("")
    return sample_text(source, file, data[:length], limits or Limits(), max_bytes=4 << 20)


# --- compression --------------------------------------------------------------------------


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("path", ["a.csv", "a.csv.gz", "a.csv.zst"])
def test_compression_is_told_by_its_first_bytes(codec: str, path: str) -> None:
    assert streamed(CODECS[codec](TEXT.encode()), path) == TEXT


def test_plain_text_under_a_compressed_name_is_read_as_it_is() -> None:
    assert streamed(TEXT.encode(), "a.csv.gz") == TEXT


def test_option_wins_over_the_first_bytes() -> None:
    with pytest.raises(InvalidSourceError, match="not readable as gz"):
        streamed(b"a,b\n1,2\n", compression="gzip")
    assert streamed(b"\x1f\x8b\x08 is text", compression="none") == "\x1f\u2039\x08 is text"


def test_unknown_compression_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match="'rar'"):
        detect(b"", "rar")


@pytest.mark.parametrize("codec", CODECS)
def test_streams_one_after_the_other_are_one_text(codec: str) -> None:
    pack = CODECS[codec]
    assert streamed(pack(b"one\n") + pack(b"two\n")) == "one\ntwo\n"


@pytest.mark.parametrize("codec", ["bz2", "gz", "lz4", "xz", "zst"])
def test_zeros_behind_a_stream_are_padding_however_they_come(codec: str) -> None:
    pack = CODECS[codec]
    padded = pack(b"one\n") + bytes(10_000) + pack(b"two\n") + bytes(9_000)
    for data in (padded, padded[:-8_998]):
        assert streamed(data) == "one\ntwo\n"


@pytest.mark.parametrize("codec", CODECS)
def test_chunks_may_cut_a_stream_anywhere(codec: str) -> None:
    data = CODECS[codec](TEXT[:2000].encode())
    chunks = [data[at : at + 1] for at in range(len(data))]
    pieces = decompress(chunks, codec, limits=Limits(), file="a", whole=True)
    assert b"".join(pieces).decode() == TEXT[:2000]


def gzip_member(data: bytes, flags: int) -> bytes:
    """A member with these of RFC 1952's fields: a checksum, others, a name, a comment."""
    packed = zlib.compressobj(wbits=-15)
    header = b"\x1f\x8b\x08" + bytes([flags, 0, 0, 0, 0, 0, 255])
    header += b"\6\0BC\2\0\x1b\0" if flags & 4 else b""
    header += b"a.csv\0" if flags & 8 else b""
    header += b"words\0" if flags & 16 else b""
    header += (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little") if flags & 2 else b""
    trailer = zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little")
    return header + packed.compress(data) + packed.flush() + trailer


@pytest.mark.parametrize("flags", range(0, 32, 2))
def test_a_header_of_gzip_may_be_cut_anywhere(flags: int) -> None:
    data = gzip_member(b"a,b\n", flags) + gzip_member(b"1,2\n", flags)
    assert gzip.decompress(data) == b"a,b\n1,2\n"
    for size in (1, 3, 11):
        chunks = [data[at : at + size] for at in range(0, len(data), size)]
        pieces = decompress(chunks, "gz", limits=Limits(), file="a", whole=True)
        assert b"".join(pieces) == b"a,b\n1,2\n"


def test_a_header_of_gzip_without_an_end_is_not_held_for_ever() -> None:
    data = gzip_member(b"a,b\n", 8).replace(b"a.csv\0", b"a" * 1_000_000)
    with pytest.raises(InvalidSourceError, match="gz"):
        streamed(data)


@pytest.mark.parametrize("codec", CODECS)
def test_file_cut_short_is_corrupt_but_its_sample_is_not(codec: str) -> None:
    data = CODECS[codec](TEXT.encode())
    with pytest.raises(InvalidSourceError, match="breaks off"):
        streamed(data[:-20])
    sample = sampled(data, len(data) - 20)
    assert not sample.complete
    assert TEXT.startswith("".join(sample.chunks))


@pytest.mark.parametrize("codec", CODECS)
def test_corrupt_stream_is_refused_without_its_library_s_words(codec: str) -> None:
    data = bytearray(CODECS[codec](TEXT.encode()))
    data[12 : len(data) // 2] = b"\xaa" * (len(data) // 2 - 12)
    with pytest.raises(InvalidSourceError, match=rf"^a\.csv is not readable as {codec}"):
        streamed(bytes(data))


@pytest.mark.parametrize("codec", sorted(CODECS.keys() - {"snappy"}))
def test_bomb_is_stopped_soon(codec: str) -> None:
    data = CODECS[codec](b"\0" * (64 << 20))
    taken = []
    pieces = decompress(
        [data], codec, limits=Limits(max_decompression_ratio=20), file="a", whole=True
    )
    with pytest.raises(LimitExceededError, match="MAX_DECOMPRESSION_RATIO"):
        taken.extend(map(len, pieces))
    assert sum(taken) <= max(len(data) * 20, 1 << 20)


def test_bomb_is_stopped_in_a_sample_too() -> None:
    with pytest.raises(LimitExceededError, match="MAX_DECOMPRESSION_RATIO"):
        sampled(gzip.compress(b"\0" * (32 << 20)), 1 << 20)


def test_ratio_is_not_judged_in_the_first_mebibyte() -> None:
    text = "0\n" * 200_000
    assert streamed(gzip.compress(text.encode()), limits=Limits(max_decompression_ratio=2)) == text


def test_zstd_window_is_capped() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=29, enable_ldm=True)
    pack = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = pack.compress(TEXT.encode()) + pack.flush()
    with pytest.raises(InvalidSourceError, match="window"):
        streamed(data)


def test_xz_dictionary_is_capped() -> None:
    small = bytearray(lzma.compress(TEXT.encode()))
    # the block's header claims 512 MiB, with a checksum to match
    small[12 + 4] = 34
    small[12 + 8 : 12 + 12] = zlib.crc32(bytes(small[12 : 12 + 8])).to_bytes(4, "little")
    with pytest.raises(InvalidSourceError, match="window"):
        streamed(bytes(small))


def test_sample_of_a_well_packed_file_is_bounded() -> None:
    data = gzip.compress(b"1,2\n" * 2_000_000)
    sample = sampled(data, len(data), Limits(max_decompression_ratio=100_000))
    assert not sample.complete
    assert sum(map(len, sample.chunks)) <= 5 << 20


def skippable(data: bytes, number: int = 0) -> bytes:
    """A frame that zstd and lz4 step over."""
    return bytes([0x50 + number]) + b"\x2a\x4d\x18" + len(data).to_bytes(4, "little") + data


@pytest.mark.parametrize("codec", ["zst", "lz4"])
@pytest.mark.parametrize("length", [0, 4, 400, 5_000])
def test_skippable_frames_are_stepped_over(codec: str, length: int) -> None:
    pack = CODECS[codec]
    data = skippable(b"x" * length) + skippable(b"y", 15) + pack(b"one\n")
    assert streamed(data + skippable(b"z") + pack(b"two\n")) == "one\ntwo\n"


def brotli(data: bytes) -> bytes:
    return bytes(pa.compress(data, "brotli", asbytes=True))


def test_brotli_is_told_by_its_name_or_an_option() -> None:
    packed = brotli(TEXT.encode())
    assert streamed(packed, "a.csv.br") == TEXT
    assert streamed(packed, compression="brotli") == TEXT
    assert streamed(TEXT.encode(), "a.csv.br") == TEXT
    for text in ("é,ü\n", "é,1", "x" + "é" * 300):
        assert streamed(text.encode(), "a.csv.br") == text
    with pytest.raises(InvalidSourceError, match="breaks off"):
        streamed(packed[:-5], "a.csv.br")
    with pytest.raises(InvalidSourceError, match="not readable as br"):
        streamed(b"\x0b" + packed[::-1], "a.csv.br")
    with pytest.raises(LimitExceededError, match="MAX_DECOMPRESSION_RATIO"):
        streamed(brotli(bytes(64 << 20)), "a.csv.br")


def test_sample_of_brotli_ends_where_its_bytes_do() -> None:
    data = brotli("".join(f"{n * 7919 % 100_003}\n" for n in range(200_000)).encode())
    source = source_of(data, "a.csv.br")
    (file,) = source.store.list("")
    text = sample_text(source, file, data[:50_000], Limits(), max_bytes=4 << 20)
    assert not text.complete
    assert "".join(text.chunks).startswith("0\n7919\n")


def test_deflate_without_zlib_s_framing_is_read_where_an_option_says_so() -> None:
    packer = zlib.compressobj(wbits=-15)
    assert streamed(packer.compress(b"a,b\n") + packer.flush(), compression="deflate") == "a,b\n"
    assert streamed(b"x^2,y\n1,2\n") == "x^2,y\n1,2\n"


def test_lzma_of_old_is_read() -> None:
    assert streamed(lzma.compress(TEXT.encode(), format=lzma.FORMAT_ALONE)) == TEXT


def test_compressed_twice_is_read_and_its_ratio_judged_over_both() -> None:
    assert streamed(gzip.compress(gzip.compress(TEXT.encode()))) == TEXT
    assert streamed(gzip.compress(CODECS["zst"](TEXT.encode())), compression="gzip") == TEXT
    with pytest.raises(UnsupportedError, match="more than 2 times"):
        streamed(gzip.compress(gzip.compress(gzip.compress(b"a\n"))))
    twice = gzip.compress(gzip.compress(bytes(64 << 20)))
    with pytest.raises(LimitExceededError, match="MAX_DECOMPRESSION_RATIO"):
        streamed(twice, limits=Limits(max_decompression_ratio=1_100))
    with pytest.raises(InvalidSourceError, match="breaks off"):
        streamed(gzip.compress(gzip.compress(TEXT.encode())[:-20]))


@pytest.mark.parametrize(
    ("data", "title"),
    [
        (b"PK\x03\x04\x14\x00" + bytes(24) + b"data.csv", "ZIP"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04", "7-Zip"),
        (b"Rar!\x1a\x07\x01\x00", "RAR"),
        (b"data.csv" + bytes(249) + b"ustar\x0000", "tar"),
        (b"\x1f\x9d\x90a\x04", "compress"),
        (b"\x89LZO\x00\r\n\x1a\n\x10", "LZO"),
        (b"LZIP\x01\x0c\x00", "lzip"),
        (b"\xff\x06\x00\x00sNaPpY\x00\x10", "Snappy"),
        (b"\x02\x21\x4c\x18\x10\x00", "LZ4's legacy"),
        (gzip.compress(b"data.csv" + bytes(249) + b"ustar\x0000", mtime=0), "tar"),
    ],
)
def test_other_compressions_and_archives_are_named(data: bytes, title: str) -> None:
    with pytest.raises(UnsupportedError, match=title) as caught:
        streamed(data)
    assert caught.value.code == "unsupported_compression"
    assert "gzip" in caught.value.hint


@pytest.mark.parametrize("table_format", [TableFormat.CSV_WITH_NAMES, TableFormat.JSON_EACH_ROW])
@pytest.mark.parametrize(
    "data",
    [
        bytes(range(256)) * 3,
        b"\x00\x00\x00\x05\x03\x02\x01,x",
        random.Random(7).randbytes(4_000),
        b"\x93NUMPY\x01\x00\x76\x00" + bytes(20),
    ],
)
def test_binary_data_is_told_as_such(data: bytes, table_format: TableFormat) -> None:
    source = replace(source_of(data), format=table_format)
    with pytest.raises(FormatMismatchError, match="looks like binary data"):
        introspect(source)


@pytest.mark.parametrize(
    ("data", "title"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n", "Git LFS"),
        (b"-----BEGIN PGP MESSAGE-----\n\nhQEMA\n", "PGP"),
        (b"age-encryption.org/v1\n-> X25519 a\n", "age"),
        (b'\x1e{"a":1}\n\x1e{"a":2}\n', "RFC 7464"),
        (b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "picture"),
        (b"Salted__\x01\x02,\xa7\n", "OpenSSL"),
        (b"PK\x05\x06" + bytes(18), "ZIP"),
        (b"MSCF" + bytes(40), "cabinet"),
    ],
)
def test_what_stands_in_for_a_file_is_named(data: bytes, title: str) -> None:
    for table_format in (TableFormat.CSV_WITH_NAMES, TableFormat.JSON_EACH_ROW):
        source = replace(source_of(data), format=table_format)
        with pytest.raises(FormatMismatchError, match=title):
            introspect(source)


def test_snappy_without_framing_is_no_text() -> None:
    packed = pa.compress(b"id,name\n" + b"1,abc\n2,abc\n" * 40, "snappy", asbytes=True)
    store = MemoryObjects({"in.csv.snappy": packed, "out.csv.snappy": b"a,b\n1,2\n"})
    source = Source(store=store, path="in.csv.snappy", format=TableFormat.CSV_WITH_NAMES)
    with pytest.raises(UnsupportedError, match="Snappy without") as caught:
        introspect(source)
    assert caught.value.code == "unsupported_compression"
    # what a proxy has decompressed, and a form feed within what was compressed, are texts
    assert introspect(replace(source, path="out.csv.snappy")).row_count == 1
    store.put("in.csv.snappy", CODECS["snappy"](b"a,b\n1,\x0c\n"))
    assert introspect(source).row_count == 1


def test_control_characters_may_separate_fields() -> None:
    source = source_of(b"id\x01name\n1\x01a\n2\x01b\n", csv_delimiter="\x01")
    assert introspect(source).row_count == 3
    assert len(introspect(source).columns) == 2


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-be", "utf-16", "utf-32"])
@pytest.mark.parametrize("text", ["id,name\n1,a\n2,b\n", "i\n1\n2\n3\n", "имя,id\nил,1\nиюль,2\n"])
def test_wide_letters_are_no_binary_data(text: str, encoding: str) -> None:
    assert streamed(text.encode(encoding)) == text


# --- encoding -----------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1"])
def test_encoding_is_told_by_its_mark_or_its_bytes(encoding: str) -> None:
    assert streamed("né,ü\n1,2\n".encode(encoding)) == "né,ü\n1,2\n"


def test_option_names_the_encoding() -> None:
    assert streamed("né".encode("cp1251", "replace"), encoding="cp1251") == "n?"
    assert streamed("мир".encode("cp1251"), encoding="cp1251") == "мир"
    assert streamed("\ufeffa".encode(), encoding="utf-8") == "a"


@pytest.mark.parametrize("encoding", ["klingon", "hex", "rot13", "a\x00b"])
def test_option_that_names_no_text_encoding_is_refused(encoding: str) -> None:
    with pytest.raises(UnsupportedError, match="encoding"):
        streamed(b"a", encoding=encoding)


@pytest.mark.parametrize("before", [0, 1, 1 << 12, 1 << 20])
def test_letters_that_are_no_utf8_are_windows_1252_however_late(before: int) -> None:
    text = "a\n" * before + "„Fuß“ für 5 €\n"
    assert streamed(text.encode("cp1252")) == text
    assert "".join(sampled(text.encode("cp1252"), 5 << 20).chunks) == text


def test_bytes_that_break_a_text_in_utf8_are_windows_1252_and_told() -> None:
    data = ("é" * 100).encode() + b"a\n" * (1 << 20) + b"\x80\n" + "ü\n".encode()
    text = sampled(data, 5 << 20)
    assert "".join(text.chunks) == "é" * 100 + "a\n" * (1 << 20) + "€\nü\n"
    (warning,) = text.warnings
    assert warning.code is WarningCode.ENCODING
    assert f"0x80 at offset {200 + (2 << 20):,}:" in warning.sentence


def test_bytes_that_stand_for_no_letter_are_kept() -> None:
    assert streamed(b"caf\xe9 \x81\n") == "café \x81\n"


def test_no_letter_of_utf8_is_taken_for_a_stray_where_a_chunk_cuts_it() -> None:
    text = ("é" * 9 + "漢😀") * 50_000
    for shift in range(8):
        data = b"a" * shift + text.encode()
        sample = sampled(data, 5 << 20)
        assert "".join(sample.chunks) == "a" * shift + text
        assert not sample.warnings
    cut = sampled(text.encode(), 100_001)
    assert text.startswith("".join(cut.chunks))
    assert not cut.warnings


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize(
    "text",
    [
        *("a,b\n1,2\n", "編號,名稱\n1,中山陵\n" * 3000, '[{"é":"😀"}]', "上海,東京,大阪,北京\n"),
        # In UTF-16 their first bytes are lengths to Hadoop's framing.
        '[{"城市":"上海市浦东新区陆家嘴环路一千号"}]',
        "a上,b海\n1,上海\n2,上\n",
        # Half of the first letter is a line feed, and there is no other.
        "編號,名稱\r一,上海市浦东新区\r二,上海市徐汇区\r",
        ",".join(f"上海市浦东新区陆家嘴环路{n}" for n in range(300)) + "\r\n",
        "上海市,上海,市上",
    ],
)
def test_wide_encodings_are_told_without_a_mark(encoding: str, text: str) -> None:
    assert streamed(text.encode(encoding)) == text


@pytest.mark.parametrize(
    "data",
    [
        *(b"a\nx\x00y\n", b"a,b\n\x00,1\n", b"abc\0\0\0\0\n1\0\0\0\0\0\0\n", b"\0", b"ab\0\0"),
        # in the header alone, all at one place of their pairs
        b"i\0d\0n,a\0me,at\n1,a,2024-01-01\n2,b,2024-01-02\n",
        b"id\0n\0a,m\0e\0,at\r\n1,a,2024-01-01\r\n2,b,2024-01-02\r\n",
    ],
)
def test_nul_in_a_value_makes_no_wide_encoding(data: bytes) -> None:
    assert streamed(data) == data.decode()


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("a\nb\n".encode("utf-16")[:-1], None),
        (b"\xff\xfe\x00\xd8a\x00", None),
        (b"a\ncaf\xe9\n", "ascii"),
        (b"\x81", "shift_jis"),
    ],
)
def test_bytes_that_break_a_named_encoding_are_refused(data: bytes, encoding: str | None) -> None:
    with pytest.raises(InvalidSourceError, match=r"a\.csv is not readable as "):
        streamed(data, encoding=encoding)


def test_sample_of_a_named_encoding_may_be_cut_within_a_letter() -> None:
    data = "漢字\n".encode("utf-16") * 100
    cut = sampled(data, 51)
    assert "".join(cut.chunks).startswith("漢字\n")


def test_character_may_lie_across_two_chunks() -> None:
    text = "a" + "é" * (1 << 20)
    assert streamed(text.encode()) == text


@pytest.mark.parametrize(
    ("path", "data", "named"),
    [
        ("a.csv", b"\x82SNAPPY\0\0\0\0\1\0\0\0\1", "snappy-java"),
        ("a.csv.lz4", lz4.block.compress(b"id,name\n1,x\n" * 90, store_size=False), "LZ4 without"),
        ("a.lz4", lz4.block.compress(b"id,name\n1,x\n" * 90), "LZ4 without"),
        *(
            (f"a{first:x}.zst", bytes([first]) + b"\xb5\x2f\xfd\0\0", "Zstandard before 0.8")
            for first in range(0x22, 0x28)
        ),
    ],
)
def test_a_compression_of_old_is_named(path: str, data: bytes, named: str) -> None:
    with pytest.raises(UnsupportedError, match=named) as error:
        streamed(data, path)
    assert error.value.code == "unsupported_compression"


def test_a_text_that_is_called_lz4_is_a_text() -> None:
    assert streamed(b"a,b\n1,2\n", "a.csv.lz4") == "a,b\n1,2\n"


@pytest.mark.parametrize(
    "begins", ["8c0d0407", "8c2e040a", "84c003aa", "85010c03", "85020c03", "c1c04c03", "c32e0409"]
)
def test_what_pgp_encrypts_is_told(begins: str) -> None:
    with pytest.raises(FormatMismatchError, match="a message encrypted by PGP"):
        streamed(bytes.fromhex(begins) + bytes(range(250)))
