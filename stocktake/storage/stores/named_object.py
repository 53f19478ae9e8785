"""One object under its owner's name for it: whoever reads it tells that name, in messages, warnings
and origins, and not the key that was made up."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from stocktake.errors import SourceNotFoundError
from stocktake.storage.stores.protocol import Answer, Chunk, Item, ObjectInfo, ObjectStore


class NamedObject:
    """A store that holds this one object, and gives it by this name.

    Args:
        store: has it under its key.
        key: its path in there.
        name: its path in here; no pattern.

    Raises (every method):
        SourceNotFoundError: another name was asked for.
        JobError: the store's own.
    """

    def __init__(self, store: ObjectStore, key: str, name: str) -> None:
        self._store, self._key, self._name = store, key, name

    @property
    def ordered(self) -> bool:
        """One object is in any order."""
        return True

    @property
    def is_local(self) -> bool:
        """As the store is."""
        return self._store.is_local

    def get(self, path: str, *, start: int = 0, length: int | None = None) -> Chunk:
        """Return bytes of the object, as `ObjectStore.get` does."""
        return self._told(self._store.get(self._key_of(path), start=start, length=length))

    def get_tail(self, path: str, length: int, *, size_bytes: int | None = None) -> Chunk:
        """Return its last bytes, as `ObjectStore.get_tail` does."""
        found = self._store.get_tail(self._key_of(path), length, size_bytes=size_bytes)
        return self._told(found)

    def stream(self, path: str, *, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """Return all of it in chunks."""
        return self._store.stream(self._key_of(path), chunk_bytes=chunk_bytes)

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        """Yield it, where its name begins so and comes after the other."""
        if self._name.startswith(prefix) and self._name > (start_after or ""):
            yield self.get(self._name, length=0).info

    def map(self, function: Callable[[Item], Answer], items: Iterable[Item]) -> Sequence[Answer]:
        """Call `function` on each item, as the store does."""
        return self._store.map(function, items)

    def _key_of(self, path: str) -> str:
        if path != self._name:
            raise SourceNotFoundError("There is no such file")
        return self._key

    def _told(self, chunk: Chunk) -> Chunk:
        return replace(chunk, info=replace(chunk.info, path=self._name))
