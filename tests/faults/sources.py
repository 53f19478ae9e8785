"""Sources that a test grows, and that know what the service should say about them."""

import io
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

from servers.scripted_store import ScriptedStore


class Source(Protocol):
    """What a table was registered for; the oracle compares the table with it at the end."""

    @property
    def url_pattern(self) -> str:
        """As the table has it."""
        ...

    @property
    def fields(self) -> dict[str, Any]:
        """The table's format, and what else its POST must carry."""
        ...

    def columns(self) -> list[str]:
        """Their names, in order, as the source has them now."""
        ...

    def version(self) -> int | None:
        """The source's own version now; None where it has none that counts up."""
        ...


class DeltaSource:
    """A Delta table that gets one more column, and so one more version, with each `grow`.

    Args:
        root: where deltalake writes it: a folder, or ``s3://bucket/key``.
        url_pattern: where the service finds it; the folder, if not given.
        storage_options: deltalake's, for a bucket.
        fields: what the table's POST carries beside the format, such as its credential.
    """

    def __init__(
        self,
        root: Path | str,
        *,
        url_pattern: str | None = None,
        storage_options: dict[str, str] | None = None,
        **fields: Any,
    ) -> None:
        self._root = str(root)
        self._storage = storage_options
        self.url_pattern = url_pattern or f"file://{root}"
        self.fields = {"format": "Delta", **fields}
        self._names: list[str] = []
        self._version = -1
        self.grow()

    def grow(self) -> None:
        """Commit one row with one more column."""
        names = [*self._names, f"column_{len(self._names)}"]
        row = pa.table({name: pa.array([1], pa.int64()) for name in names})
        write_deltalake(
            self._root, row, mode="append", schema_mode="merge", storage_options=self._storage
        )
        self._names, self._version = names, self._version + 1

    def columns(self) -> list[str]:
        return list(self._names)

    def version(self) -> int:
        return self._version


class ParquetSource:
    """One file in a store that holds its answers back for as long as the test wants."""

    def __init__(self, store: ScriptedStore, key: str, *names: str) -> None:
        self._store, self._key = store, key
        self.url_pattern = store.url(key)
        self.fields: dict[str, Any] = {"format": "Parquet", "options": {"public": True}}
        self.write(*names)

    def write(self, *names: str) -> None:
        """Put a new file in the place of the one before."""
        self._names = list(names)
        sink = io.BytesIO()
        pq.write_table(pa.table({name: pa.array([1], pa.int64()) for name in names}), sink)
        self._store.put(self._key, sink.getvalue())

    def columns(self) -> list[str]:
        return list(self._names)

    def version(self) -> None:
        return None


def loaded_markers(uri: str, storage_options: dict[str, str]) -> dict[str, int]:
    """How many rows each upload of `Client.upload` has in a managed Delta table."""
    if not DeltaTable.is_deltatable(uri, storage_options):
        return {}
    rows = DeltaTable(uri, storage_options=storage_options).to_pyarrow_table(columns=["marker"])
    counted = rows.group_by("marker").aggregate([("marker", "count")]).to_pydict()
    return dict(zip(counted["marker"], counted["marker_count"], strict=True))
