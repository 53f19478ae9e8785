"""Each format's reader offers what the format declares, and no other's stands in for it."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from stocktake.loading.batches import Rows
from stocktake.readers import introspect, read_all, registry, validate
from stocktake.readers.registry import offered
from stocktake.readers.source import BatchReader, Limits, Reader, Source, Validator, no_progress
from stocktake.readers.text.records import RecordReader, Values
from stocktake.schema.formats import TableFormat
from tests.support.memory import MemoryObjects

FORMATS = pytest.mark.parametrize("table_format", TableFormat)


def declared(table_format: TableFormat) -> dict[str, Any]:
    """What the reader must offer, and in which shape."""
    facts = table_format.facts
    wanted: dict[str, Any] = {"read": Reader}
    if facts.uploadable:
        wanted["read_all"] = Reader
        wanted["records" if facts.inferred else "batches"] = (
            RecordReader if facts.inferred else BatchReader
        )
    if facts.inferred:
        wanted["validate"] = Validator
    return wanted


def parameters(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


@FORMATS
def test_a_reader_offers_what_its_format_declares(table_format: TableFormat) -> None:
    for name, shape in declared(table_format).items():
        assert parameters(offered(table_format, name)) == parameters(shape.__call__), name
    if table_format.facts.inferred and table_format.facts.uploadable:
        assert isinstance(offered(table_format, "VALUES"), Values)


@pytest.fixture
def no_reader(monkeypatch: pytest.MonkeyPatch) -> TableFormat:
    """A format of uploaded texts whose reader offers nothing at all."""
    table_format = TableFormat.JSON_EACH_ROW
    facts = replace(table_format.facts, reader="stocktake.readers.column_names")
    monkeypatch.setattr(table_format, "facts", facts)
    return table_format


@pytest.mark.parametrize("inferred", [True, False])
def test_a_reader_that_offers_nothing_is_an_error_and_never_read_as_csv(
    no_reader: TableFormat, monkeypatch: pytest.MonkeyPatch, *, inferred: bool
) -> None:
    monkeypatch.setattr(no_reader, "facts", replace(no_reader.facts, inferred=inferred))
    source = Source(store=MemoryObjects({"x": b"a,b\n1,2\n"}), path="x", format=no_reader)
    schema = pa.schema([("a", pa.int64())])
    for read in (
        lambda: introspect(source),
        lambda: read_all(source),
        lambda: validate(source, ()),
        lambda: list(Rows.of(source, Limits(), no_progress).batches(schema)),
    ):
        with pytest.raises(ValueError, match=r"JSONEachRow .*column_names, offers no"):
            read()


@pytest.mark.parametrize(
    ("table_format", "read"),
    [
        (TableFormat.DELTA, read_all),
        (TableFormat.DELTA_S3_WRAPPER, read_all),
        (TableFormat.DELTA, lambda source: validate(source, ())),
        (TableFormat.PARQUET, lambda source: validate(source, ())),
    ],
)
def test_what_a_format_does_not_offer_is_said(table_format: TableFormat, read: Any) -> None:
    source = Source(store=MemoryObjects({}), path="x", format=table_format)
    with pytest.raises(ValueError, match="offers no"):
        read(source)


def test_all_readers_are_loaded_at_once() -> None:
    registry.load_all()  # raises where a format names a module that is not there
