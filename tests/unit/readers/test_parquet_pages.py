"""Whole reads of Parquet files that are valid and cannot be decoded: what says so, and of which
column."""

import base64
import io
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest

from stocktake.errors import EmptySourceError, InvalidSourceError, JobError, UnsupportedError
from stocktake.readers.parquet.reader import batches, read, read_all
from stocktake.readers.source import Introspection, Limits, Source, no_progress
from tests.support.memory import MemoryObjects, files_source
from tests.support.parquet_schemas import INT32, group, leaf, parquet_file, with_row_groups


def source_of(data: bytes) -> Source:
    return files_source(MemoryObjects({"t/x.parquet": data}), "t/*")


def refresh(data: bytes) -> Introspection:
    return read(source_of(data), Limits(), no_progress)


def in_full(data: bytes) -> Introspection:
    return read_all(source_of(data), Limits(), no_progress)


def refused(data: bytes) -> JobError:
    with pytest.raises(JobError) as caught:
        in_full(data)
    assert caught.value.file == "x.parquet"
    return caught.value


def of_polars(**columns: pl.Series) -> bytes:
    sink = io.BytesIO()
    pl.DataFrame(columns).write_parquet(sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("series", "stored"),
    [
        (pl.Series([1], dtype=pl.Int128), "Nullable(FixedString(16))"),
        (pl.Series([1], dtype=pl.UInt128), "Nullable(FixedString(16))"),
        (pl.Series([[1]], dtype=pl.List(pl.Int128)), "Array(Nullable(FixedString(16)))"),
    ],
)
def test_integers_that_arrow_has_not_are_of_an_unsupported_type(
    series: pl.Series, stored: str
) -> None:
    data = of_polars(a=pl.Series([1]), wide=series)
    assert [column.clickhouse for column in refresh(data).columns] == ["Nullable(Int64)", stored]
    error = refused(data)
    assert isinstance(error, UnsupportedError)
    assert error.code == "unsupported_type"
    assert error.detail.startswith('The column "wide" of "x.parquet" has values of a type')


def with_codec(codec: int) -> bytes:
    """A file whose second column claims another compression than its pages have."""
    table = pa.table({"a": [1, 2], "b": ["x", "y"]})
    sink = io.BytesIO()
    pq.write_table(table, sink, compression={"a": "none", "b": "snappy"}, store_schema=False)
    data = bytearray(sink.getvalue())
    # of the column chunk: the path's last part, then the codec, an integer of 32 bits in zigzag
    at = data.rfind(b"\x01b\x15\x02")
    data[at + 3] = codec << 1
    return bytes(data)


@pytest.mark.parametrize(("codec", "said"), [(3, "LZO"), (9, "codec value: 9")])
def test_compression_that_is_not_known_is_named(codec: int, said: str) -> None:
    data = with_codec(codec)
    assert len(refresh(data).columns) == 2
    error = refused(data)
    assert error.code == "unsupported_compression"
    assert error.detail.startswith('The column "b" of "x.parquet" has a compression')
    assert said in error.detail


def test_pages_that_are_not_what_their_codec_says_are_corrupt() -> None:
    assert isinstance(refused(with_codec(4)), InvalidSourceError)


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "lz4", "brotli"])
def test_compressions_are_read(codec: str) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": [1, 2]}), sink, compression=codec)
    assert in_full(sink.getvalue()).row_count == 2


class PlainKeys(pe.KmsClient):
    """Keeps keys as they are."""

    def wrap_key(self, key_bytes: bytes, _: str) -> bytes:
        return base64.b64encode(key_bytes)

    def unwrap_key(self, wrapped_key: bytes, _: str) -> bytes:
        return base64.b64decode(wrapped_key)


def encrypted(*, plaintext_footer: bool) -> bytes:
    table = pa.table({"a": [1, 2], "secret": ["x", "y"]})
    factory = pe.CryptoFactory(lambda _: PlainKeys())
    how = pe.EncryptionConfiguration(
        footer_key="f", column_keys={"k": ["secret"]}, plaintext_footer=plaintext_footer
    )
    properties = factory.file_encryption_properties(pe.KmsConnectionConfig(), how)
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)
    return sink.getvalue()


def test_an_encrypted_column_is_named() -> None:
    data = encrypted(plaintext_footer=True)
    assert [column.name for column in refresh(data).columns] == ["a", "secret"]
    error = refused(data)
    assert (error.code, error.detail) == (
        "encrypted_parquet",
        'The column "secret" of "x.parquet" is encrypted.',
    )


def test_an_encrypted_footer_is_named() -> None:
    assert refused(encrypted(plaintext_footer=False)).code == "encrypted_parquet"
    with pytest.raises(UnsupportedError, match="is encrypted"):
        list(batches(source_of(encrypted(plaintext_footer=False)), Limits(), no_progress))


# --- columns that are not there -----------------------------------------------------------


def dump(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


@pytest.mark.parametrize("data", [dump(pa.table({})), dump(pa.table({"": [1]}))], ids=["no", "one"])
@pytest.mark.parametrize("path", ["t/x.parquet", "t/*", "t/day=1/*"])
def test_a_file_without_columns_is_refused_at_once(data: bytes, path: str) -> None:
    store = MemoryObjects({"t/x.parquet": data, "t/day=1/x.parquet": data})
    with pytest.raises(EmptySourceError, match="no columns, or none that has a name") as caught:
        read(files_source(store, path), Limits(), no_progress)
    assert not caught.value.retryable
    assert (caught.value.file or "").endswith("x.parquet")


def test_a_file_without_columns_among_others_is_passed_over() -> None:
    store = MemoryObjects({"a": dump(pa.table({"x": [1]})), "b": dump(pa.table({}))})
    found = read(files_source(store), Limits(), no_progress)
    assert [column.clickhouse for column in found.columns] == ["Nullable(Int64)"]


def test_a_column_without_a_name_is_told() -> None:
    found = in_full(dump(pa.table([pa.array([1]), pa.array([2])], ["", "b"])))
    assert [column.name for column in found.columns] == ["b"]
    (warning,) = found.warnings
    assert (warning.code, warning.file) == ("nameless_column", "x.parquet")


def test_a_file_that_is_all_footer_is_read() -> None:
    data = parquet_file(leaf("a", INT32), group("s", leaf("b", INT32)))
    found = in_full(data)
    assert (len(found.columns), found.row_count) == (2, 0)


def test_binary_that_is_no_text_is_read_in_full() -> None:
    values: list[Any] = [b"\xff\x00", b"", None]
    data = dump(pa.table({"b": pa.array(values, pa.binary())}))
    assert in_full(data).row_count == 3
    found = pa.Table.from_batches([b for _, b in batches(source_of(data), Limits(), no_progress)])
    assert found["b"].to_pylist() == values


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_a_row_group_that_is_named_many_times_is_refused(codec: str) -> None:
    drawn = [each * 2_654_435_761 % 2**40 for each in range(5_000)]
    whole = dump(pa.table({"x": drawn}), compression=codec, row_group_size=2_500)
    assert in_full(whole).row_count == 5_000
    forged = with_row_groups(whole, [0, 1, 1], rows=7_500)
    # pyarrow gives the rows as often as they are named
    assert pq.read_table(io.BytesIO(forged))["x"].to_pylist() == drawn + drawn[2_500:]
    error = refused(forged)
    assert isinstance(error, InvalidSourceError)
    assert "its row groups overlap" in error.detail
