"""Every limit of a read: its setting, and an error that names the figure and that setting."""

import gzip
import io
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stocktake.errors import LimitExceededError
from stocktake.readers import introspect
from stocktake.readers.limits import setting_of
from stocktake.readers.source import Limits, Source
from stocktake.schema.formats import TableFormat
from stocktake.settings import Settings
from tests.support import iceberg_tables
from tests.support.delta_tables import (
    CountingFolder,
    HandWrittenLog,
    add_action,
    checkpoint_name,
    field_of,
    metadata_action,
    protocol_action,
)
from tests.support.memory import MemoryObjects

#: They end a sample, which `coverage` reports; of these only the seconds of Delta and of Iceberg
#: are hard.
SAMPLE = {"max_files", "max_bytes", "max_seconds"}
HARD = sorted({field.name for field in fields(Limits)} - SAMPLE)

CSV, JSON = TableFormat.CSV_WITH_NAMES, TableFormat.JSON_EACH_ROW
PARQUET, DELTA = TableFormat.PARQUET, TableFormat.DELTA
ICEBERG = TableFormat.ICEBERG
NUMBERS = "".join(f"{number}\n" for number in range(300_000)).encode()
LONG_NAMES = [letter * 300 for letter in "abcd"]
NESTED = b'{"x":[[[[1]]]]}\n'


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def wide(count: int) -> pa.Table:
    return pa.table({f"c{number}": [1] for number in range(count)})


#: The limit, its figure, what it refuses, and the file that the error names.
FILES = [
    ("max_listed", 1, CSV, {"a": b"x\n1\n", "b": b"x\n1\n"}, None),
    ("max_columns", 3, CSV, {"a": b"a,b,c,d\n1,2,3,4\n"}, "a"),
    ("max_columns", 3, CSV, {"a": b"a,b\n1,2\n", "b": b"c,d\n3,4\n"}, None),
    ("max_columns", 3, JSON, {"a": b'{"a":1,"b":1,"c":1,"d":1}\n'}, "a"),
    ("max_columns", 3, PARQUET, {"a": parquet(wide(4))}, "a"),
    ("max_fields", 3, CSV, {"a": b"a,b,c,d\n1,2,3,4\n"}, None),
    ("max_fields", 3, JSON, {"a": b'{"a":1,"b":[{"c":1},{"d":1}]}\n'}, "a"),
    ("max_fields", 3, JSON, {"a": b'{"a":{"b":1}}\n{"a":{"c":[{"d":1}]}}\n'}, "a"),
    ("max_fields", 3, JSON, {"a": b'{"a":{"b":1}}\n', "b": b'{"a":{"c":[{"d":1}]}}\n'}, None),
    ("max_fields", 3, PARQUET, {"a": parquet(pa.table({"x": [{"b": [{"c": 1, "d": 2}]}]}))}, None),
    ("max_name_length", 9, CSV, {"a": b"a,bbbbbbbbbb\n1,2\n"}, "a"),
    ("max_name_length", 9, JSON, {"a": b'{"bbbbbbbbbb":1}\n'}, "a"),
    ("max_name_length", 9, JSON, {"a": b'{"a":[{"b":{"\xc3\xa9\xc3\xa9bbbbbbbb":1}}]}\n'}, "a"),
    ("max_name_length", 9, PARQUET, {"a": parquet(pa.table({"b" * 10: [1]}))}, "a"),
    ("max_name_length", 9, PARQUET, {"a": parquet(pa.table({"x": [[{"b" * 10: 1}]]}))}, "a"),
    ("max_schema_bytes", 1024, CSV, {"a": f"{','.join(LONG_NAMES)}\n1,2,3,4\n".encode()}, None),
    (
        "max_schema_bytes",
        1024,
        JSON,
        {"a": json.dumps(dict.fromkeys(LONG_NAMES, 1)).encode()},
        None,
    ),
    (
        "max_schema_bytes",
        1024,
        JSON,
        {"a": json.dumps({"a": [dict.fromkeys(LONG_NAMES, 1)]}).encode()},
        None,
    ),
    (
        "max_schema_bytes",
        1024,
        PARQUET,
        {"a": parquet(pa.table({name: [1] for name in LONG_NAMES}))},
        "a",
    ),
    ("max_nesting", 3, CSV, {"a": b'x\n"[]"\n"[[1],[[[2]]]]"\n'}, "a"),
    ("max_nesting", 3, CSV, {"a": b"x\n\"{'a':{'b':{'c':{'d':1}}}}\"\n"}, "a"),
    ("max_nesting", 3, JSON, {"a": NESTED}, "a"),
    ("max_nesting", 3, PARQUET, {"a": parquet(pa.table({"x": [[[[[1]]]]]}))}, "a"),
    ("max_line_bytes", 2000, CSV, {"a": b"x\n" + b"y" * 3000 + b"\n"}, "a"),
    ("max_line_bytes", 2000, CSV, {"a": b'x\n"' + b"y\n" * 3000 + b'"\n'}, "a"),
    ("max_line_bytes", 2000, JSON, {"a": b'{"x":"' + b"y" * 3000 + b'"}\n'}, "a"),
    ("max_footer_bytes", 1024, PARQUET, {"a": parquet(wide(200))}, "a"),
    ("max_decompression_ratio", 2, CSV, {"a": gzip.compress(b"x\n" + NUMBERS)}, "a"),
]


def caught_at(source: Source, limit: str, figure: float) -> LimitExceededError:
    introspect(source)
    with pytest.raises(LimitExceededError) as caught:
        introspect(source, Limits(**{limit: figure}))
    return caught.value


def assert_says(error: LimitExceededError, limit: str, figure: str) -> None:
    assert error.code == "limit_exceeded"
    assert f"{setting_of(limit)} allows {figure}." in error.detail
    assert error.hint.endswith(f"or raise {setting_of(limit)}.")


@pytest.mark.parametrize(
    ("limit", "figure", "table_format", "files", "file"),
    FILES,
    ids=[f"{limit}-{table_format}-{at}" for at, (limit, _, table_format, *_) in enumerate(FILES)],
)
def test_file_beyond_a_limit_is_refused_with_the_figure_and_the_setting(
    limit: str, figure: int, table_format: TableFormat, files: dict[str, bytes], file: str | None
) -> None:
    source = Source(store=MemoryObjects(files), path="*", format=table_format)
    error = caught_at(source, limit, figure)
    assert_says(error, limit, f"{figure:,}")
    assert error.file == file


def write_log(root: Path) -> None:
    log = HandWrittenLog(root)
    nested = {"type": "array", "elementType": "long", "containsNull": True}
    for _ in range(4):
        nested = {"type": "array", "elementType": nested, "containsNull": True}
    columns = metadata_action(field_of("a", "long"), field_of("b", "long"), field_of("x", nested))
    log.checkpoint(checkpoint_name(3), protocol_action(), columns)
    log.commit(3, add_action())
    log.commit(4, add_action(stats="s" * 3000))
    log.commit(5, add_action(stats=json.dumps({"numRecords": 1})))


@pytest.mark.parametrize(
    ("limit", "figure", "shown"),
    [
        ("max_listed", 2, "2"),
        ("max_columns", 2, "2"),
        ("max_fields", 2, "2"),
        ("max_nesting", 3, "3"),
        ("max_name_length", 0, "0"),
        ("max_schema_bytes", 300, "300"),
        ("max_line_bytes", 2000, "2,000"),
        ("max_footer_bytes", 100, "100"),
        ("max_log_bytes", 1500, "1,500"),
        ("max_seconds", -1.0, "-1.0"),
    ],
)
def test_delta_log_beyond_a_limit_is_refused_with_the_figure_and_the_setting(
    tmp_path: Path, limit: str, figure: float, shown: str
) -> None:
    write_log(tmp_path)
    source = Source(store=CountingFolder(tmp_path), path="", format=DELTA)
    assert_says(caught_at(source, limit, figure), limit, shown)


ID, LONG = (iceberg_tables.field_of(at, name, "int") for at, name in ((1, "id"), (2, "b" * 10)))
STRUCT = iceberg_tables.field_of(9, "x", iceberg_tables.struct_of(LONG))
LISTS = iceberg_tables.list_of(3, iceberg_tables.list_of(4, iceberg_tables.list_of(5, "int")))


@pytest.mark.parametrize(
    ("limit", "figure", "iceberg_fields"),
    [
        ("max_metadata_bytes", 500, [ID]),
        ("max_schema_bytes", 60, [ID]),
        ("max_columns", 1, [ID, LONG]),
        ("max_fields", 2, [ID, STRUCT]),
        ("max_nesting", 2, [iceberg_tables.field_of(2, "x", LISTS)]),
        ("max_name_length", 9, [LONG]),
        ("max_name_length", 9, [STRUCT]),
        ("max_listed", 1, [ID]),
        ("max_seconds", -1.0, [ID]),
    ],
)
def test_iceberg_metadata_beyond_a_limit_is_refused_with_the_figure_and_the_setting(
    limit: str, figure: float, iceberg_fields: list[dict[str, Any]]
) -> None:
    store = iceberg_tables.table(iceberg_tables.metadata_of(iceberg_fields))
    for number in range(1000):  # the time is looked at after so many
        store.put(f"t/metadata/{number}-m0.avro", b"")
    source = Source(store=store, path="t", format=ICEBERG)
    assert_says(caught_at(source, limit, figure), limit, f"{figure:,}")


def test_every_hard_limit_is_tested_here() -> None:
    tested = {limit for limit, *_ in FILES}
    assert tested | {"max_log_bytes", "max_metadata_bytes"} == set(HARD)


@pytest.mark.parametrize("limit", [field.name for field in fields(Limits)])
def test_every_limit_has_a_setting_with_the_same_default(limit: str) -> None:
    name = setting_of(limit).removeprefix("STOCKTAKE_").lower()
    assert Settings.model_fields[name].default == getattr(Limits(), limit)


def test_settings_become_the_limits_of_a_read(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = {name: 2000 + at for at, name in enumerate(HARD)} | {"max_nesting": 7}
    for name, figure in figures.items():
        monkeypatch.setenv(setting_of(name), str(figure))
    limits = Settings().limits
    assert {name: getattr(limits, name) for name in figures} == figures
