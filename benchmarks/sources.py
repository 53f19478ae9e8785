"""Files for tables to name: Delta tables of one commit, and a CSV file that takes a while."""

from pathlib import Path
from typing import Final

from tests.unit.introspection.delta_tables import (
    HandWrittenLog,
    add_action,
    field_of,
    metadata_action,
    protocol_action,
)

_COLUMNS: Final = 20


def delta_tables(folder: Path, count: int) -> list[str]:
    """Write that many Delta tables of one commit and twenty columns; their URLs."""
    return [_delta_table(folder / f"delta_{number}") for number in range(count)]


def _delta_table(root: Path) -> str:
    log = HandWrittenLog(root)
    fields = [field_of(f"column_{number}", "string") for number in range(_COLUMNS)]
    log.commit(0, protocol_action(), metadata_action(*fields), add_action())
    return f"file://{root}"


def csv_file(folder: Path, size_bytes: int) -> str:
    """Write a CSV file of about this size, most of which inference has to read; its URL."""
    path = folder / "readings.csv"
    block = "".join(map(_reading, range(1000)))
    with path.open("w") as file:
        file.write("id,at,value,station,good\n")
        for _ in range(max(1, size_bytes // len(block))):
            file.write(block)
    return f"file://{path}"


def _reading(number: int) -> str:
    day = number % 28 + 1
    return f"{number},2026-01-{day:02} 12:30:00,{number * 0.25},station {number % 97},true\n"
