"""Inputs of files: made-up rows, from one seed, and a growing schema, each in several formats."""

import gzip
import io
import json
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter
from pyarrow import ipc, orc

_SEED: Final = 20_260_901
_BIG_BYTES: Final = 100_000_000
_BLOCK_ROWS: Final = 20_000
_COUNTRIES: Final = ("DE", "FR", "US", "JP", "BR", "IN")
_ODS: Final = """<?xml version="1.0" encoding="UTF-8"?>
<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" office:version="1.2">
<office:body><office:spreadsheet><table:table table:name="Sheet1">{rows}</table:table>
</office:spreadsheet></office:body></office:document-content>"""
_WORDS: Final = ("amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "harbour")


def _rows(count: int, seed: int = _SEED) -> Iterator[dict[str, Any]]:
    """Yield rows as an events table has them: numbers, times, short and long texts, some nulls."""
    draw = random.Random(seed)
    for number in range(count):
        yield {
            "event_id": number,
            "user_id": draw.randrange(10**9),
            "happened_at": f"2026-{draw.randint(1, 12):02}-{draw.randint(1, 28):02} "
            f"{draw.randrange(24):02}:{draw.randrange(60):02}:{draw.randrange(60):02}",
            "day": f"2026-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}",
            "country": draw.choice(_COUNTRIES),
            "amount": round(draw.uniform(0, 1000), 2),
            "quantity": draw.randrange(100),
            "score": draw.random(),
            "active": draw.random() < 0.5,
            "note": " ".join(draw.choices(_WORDS, k=6)) if draw.random() < 0.9 else None,
        }


def parquet_one(folder: Path) -> None:
    """Write one ordinary file."""
    rows = list(_rows(_BLOCK_ROWS))
    wide = [row | {f"{name}_again": value for name, value in row.items()} for row in rows]
    pq.write_table(pa.Table.from_pylist(wide), folder / "one.parquet")


def _growing() -> Iterator[tuple[str, pa.Table]]:
    """Yield 200 tables, each with its file's name; every tenth has a column more than the one
    before."""
    for number in range(200):
        columns = {f"column_{index}": pa.array(range(200)) for index in range(5 + number // 10)}
        yield f"part-{number:03}", pa.table(columns)


def parquet_growing(folder: Path) -> None:
    """Write 200 files of a growing schema."""
    for name, table in _growing():
        pq.write_table(table, folder / f"{name}.parquet")


def orc_growing(folder: Path) -> None:
    """Write 200 files of a growing schema."""
    for name, table in _growing():
        orc.write_table(table, folder / f"{name}.orc")


def arrow_growing(folder: Path) -> None:
    """Write 200 files of a growing schema."""
    for name, table in _growing():
        with ipc.new_file(folder / f"{name}.arrow", table.schema) as writer:
            writer.write_table(table)


def avro_growing(folder: Path) -> None:
    """Write 200 files of a growing schema."""
    for name, table in _growing():
        fields = [{"name": column, "type": ["null", "long"]} for column in table.column_names]
        schema = {"type": "record", "name": "row", "fields": fields}
        with (folder / f"{name}.avro").open("wb") as file:
            fastavro.writer(file, schema, table.to_pylist())


def parquet_many_row_groups(folder: Path) -> None:
    """Write a footer of some 40 MB: what a writer leaves that flushes every row."""
    columns = {f"column_{index}": pa.array(range(5_000)) for index in range(90)}
    pq.write_table(pa.table(columns), folder / "groups.parquet", row_group_size=1)


def xlsx_one(folder: Path) -> None:
    """Write the rows as a workbook of one sheet."""
    with xlsxwriter.Workbook(str(folder / "book.xlsx")) as workbook:
        sheet = workbook.add_worksheet()
        for number, cells in enumerate(_sheet_rows()):
            sheet.write_row(number, 0, cells)


def ods_one(folder: Path) -> None:
    """Write the same, as LibreOffice would."""
    rows = (
        f"<table:table-row>{''.join(map(_ods_cell, cells))}</table:table-row>"
        for cells in _sheet_rows()
    )
    with zipfile.ZipFile(folder / "book.ods", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", _ODS.format(rows="".join(rows)))
        archive.writestr("META-INF/manifest.xml", "<manifest/>")


def _sheet_rows() -> Iterator[list[Any]]:
    rows = list(_rows(_BLOCK_ROWS))
    yield list(rows[0])
    yield from ([*row.values()] for row in rows)


def _ods_cell(value: object) -> str:
    if value is None:
        return "<table:table-cell/>"
    if isinstance(value, bool):
        kind = f'boolean" office:boolean-value="{str(value).lower()}'
    elif isinstance(value, int | float):
        kind = f'float" office:value="{value}'
    else:
        kind = "string"
    return (
        f'<table:table-cell office:value-type="{kind}"><text:p>{value}</text:p></table:table-cell>'
    )


def csv_one(folder: Path) -> None:
    """Write one large file: a block of rows again and again."""
    with (folder / "big.csv").open("wb") as file:
        _csv_to(file)


def csv_gzip(folder: Path) -> None:
    """Write the same rows as `csv_one`, compressed."""
    with gzip.open(folder / "big.csv.gz", "wb", compresslevel=1) as file:
        _csv_to(file)


def csv_many(folder: Path) -> None:
    """Write 50 small files of one header."""
    for number in range(50):
        header, block = _csv_block(200, _SEED + number)
        (folder / f"part-{number:02}.csv").write_bytes(header + block)


def json_one(folder: Path) -> None:
    """Write one large file of an object a line."""
    block = "".join(json.dumps(row) + "\n" for row in _rows(_BLOCK_ROWS)).encode()
    with (folder / "big.jsonl").open("wb") as file:
        for _ in range(_BIG_BYTES // len(block)):
            file.write(block)


def _csv_to(file: "io.BufferedIOBase | gzip.GzipFile") -> None:
    header, block = _csv_block(_BLOCK_ROWS, _SEED)
    file.write(header)
    for _ in range(_BIG_BYTES // len(block)):
        file.write(block)


def _csv_block(count: int, seed: int) -> tuple[bytes, bytes]:
    rows = list(_rows(count, seed))
    lines = [",".join(map(_csv_field, row.values())) + "\n" for row in rows]
    return (",".join(rows[0]) + "\n").encode(), "".join(lines).encode()


def _csv_field(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return (
        f'"{value}"' if isinstance(value, str) and " " in value and ":" not in value else str(value)
    )
