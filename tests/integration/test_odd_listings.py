"""Delta logs in stores that list out of order, or that say 403 of a key that is not there."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stocktake.errors import AccessDeniedError
from stocktake.readers import introspect
from stocktake.readers.source import Introspection, Source
from stocktake.schema.formats import TableFormat
from stocktake.storage.places.urls import parse
from stocktake.storage.stores.opening import open_source
from stocktake.storage.stores.protocol import Credential
from tests.support.delta_tables import (
    HandWrittenLog,
    checkpoint_name,
    field_of,
    metadata_action,
    protocol_action,
)
from tests.support.hostile_store import hostile
from tests.support.odd_store import OddStore, error

KEYS = Credential(access_key="AK", access_secret="SK")
ID, NAME = field_of("id", "long"), field_of("name", "string")
ORDERS: dict[str, Callable[[str], object]] = {
    "late": lambda key: (key.endswith("5.json"), key),
    "shuffled": lambda key: hashlib.md5(key.encode()).hexdigest(),
}


@pytest.fixture
def log(tmp_path: Path) -> HandWrittenLog:
    log = HandWrittenLog(tmp_path)
    log.create(ID)
    log.appends(1, 2, 3, 4)
    log.commit(5, metadata_action(ID, NAME))
    (log.folder / "_sidecars").mkdir()
    log.write("_sidecars/a.parquet", "")
    return log


def objects(log: HandWrittenLog) -> dict[str, bytes]:
    files = (path for path in log.root.rglob("*") if path.is_file())
    return {f"t/{path.relative_to(log.root).as_posix()}": path.read_bytes() for path in files}


def read(odd: OddStore, state: dict[str, object] | None = None) -> Introspection:
    with hostile(odd) as server:
        store, path = open_source(parse(f"{server.endpoint}/bucket/t/"), KEYS)
        return introspect(Source(store=store, path=path, format=TableFormat.DELTA, state=state))


@pytest.mark.parametrize("begins_anywhere", [True, False])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("checkpointed", [True, False])
def test_newest_version_is_found_in_any_order(
    log: HandWrittenLog, order: str, checkpointed: bool, begins_anywhere: bool
) -> None:
    if checkpointed:
        log.checkpoint(checkpoint_name(2), protocol_action(), metadata_action(ID))
        log.last_checkpoint({"version": 2})
    odd = OddStore(objects=objects(log), order=ORDERS[order], begins_anywhere=begins_anywhere)
    found = read(odd)
    assert ([each.name for each in found.columns], found.source_version) == (["id", "name"], 5)

    again = read(odd, json.loads(json.dumps(found.state)))
    assert again.coverage.unchanged
    log.commit(6, metadata_action(ID))
    odd.objects = objects(log)
    assert read(odd, found.state).source_version == 6


def test_hint_that_is_refused_is_one_that_is_not_there(log: HandWrittenLog) -> None:
    denied = error(403, "AccessDenied")
    assert read(OddStore(objects=objects(log), missing=denied)).source_version == 5
    # It may name a checkpoint that is gone, too.
    log.last_checkpoint({"version": 2})
    assert read(OddStore(objects=objects(log), missing=denied)).source_version == 5


def test_commit_that_is_refused_is_no_missing_one(log: HandWrittenLog) -> None:
    class Denying(OddStore):
        def _read(self, key: str, asked: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
            if key.endswith("5.json"):
                return *error(403, "AccessDenied"), {}
            return super()._read(key, asked)

    with pytest.raises(AccessDeniedError):
        read(Denying(objects=objects(log)))
