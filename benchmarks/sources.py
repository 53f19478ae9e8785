"""Files for tables to name: small Delta tables."""

from pathlib import Path
from typing import Final

from tests.support.delta_tables import (
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
