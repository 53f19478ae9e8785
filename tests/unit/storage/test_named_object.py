"""An object under its owner's name."""

from pathlib import Path

import pytest

from stocktake.errors import SourceNotFoundError
from stocktake.storage.stores.local import LocalObjects
from stocktake.storage.stores.named_object import NamedObject

KEY = "uploads/1/01a2"
NAME = "orders.csv"


@pytest.fixture
def store(tmp_path: Path) -> NamedObject:
    file = tmp_path / KEY
    file.parent.mkdir(parents=True)
    file.write_bytes(b"0123456789")
    (file.parent / "other").write_bytes(b"x")
    return NamedObject(LocalObjects(tmp_path), KEY, NAME)


def test_each_way_to_read_it_tells_the_name_alone(store: NamedObject) -> None:
    assert store.get(NAME, start=2, length=3).data == b"234"
    assert store.get_tail(NAME, 2).data == b"89"
    assert b"".join(store.stream(NAME, chunk_bytes=4)) == b"0123456789"
    infos = [store.get(NAME).info, store.get_tail(NAME, 1).info, *store.list("")]
    assert {info.path for info in infos} == {NAME}
    assert store.map(str, [1, 2]) == ["1", "2"]


def test_nothing_else_is_there(store: NamedObject) -> None:
    for other in (KEY, "uploads/1/other", "other"):
        with pytest.raises(SourceNotFoundError):
            store.get(other)
        with pytest.raises(SourceNotFoundError):
            store.get_tail(other, 1)
        with pytest.raises(SourceNotFoundError):
            next(store.stream(other))
    assert [*store.list("uploads/")] == []
    assert [*store.list("orders")] != []
    assert [*store.list("", start_after=NAME)] == []
