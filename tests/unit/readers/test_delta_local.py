"""The Delta reader on the local store that the service uses."""

from pathlib import Path

from stocktake.readers import introspect
from stocktake.readers.source import Source
from stocktake.schema.formats import TableFormat
from stocktake.storage.stores.opening import LocalObjects
from tests.support.delta_tables import (
    HandWrittenLog,
    checkpoint_name,
    field_of,
    metadata_action,
    protocol_action,
)


def test_local_table_is_read_and_then_found_unchanged(tmp_path: Path) -> None:
    log = HandWrittenLog(tmp_path / "orders")
    actions = protocol_action(), metadata_action(field_of("id", "long"))
    log.checkpoint(checkpoint_name(3), *actions, files=20)
    log.appends(3, 4, 5)
    log.last_checkpoint({"version": 3})
    store, reported = LocalObjects(tmp_path), list[tuple[str, int, int | None]]()
    source = Source(store=store, path="orders", format=TableFormat.DELTA)

    found = introspect(source, progress=lambda *args: reported.append(args))

    assert [column.name for column in found.columns] == ["id"]
    assert found.source_version == 5
    assert reported == [("reading the log", 2, 2)]
    again = Source(store=store, path="orders/", format=TableFormat.DELTA, state=found.state)
    assert introspect(again).coverage.unchanged
