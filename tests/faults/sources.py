"""Sources that a test grows, and that know what the service should say about them."""

import io
from collections import defaultdict
from pathlib import Path
from typing import Any, Protocol, Self

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

from servers.scripted_store import ScriptedStore

#: What a column of whole numbers is to ClickHouse.
_TYPE = "Nullable(Int64)"
_CSV_ROWS = 20


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

    def columns(self) -> dict[str, str]:
        """The type of each in ClickHouse's words, in order, as the source has them now."""
        ...

    def rows(self) -> int | None:
        """How many there are; None where a refresh need not tell."""
        ...

    def size_bytes(self) -> int | None:
        """Of the live data; None where a refresh need not tell."""
        ...

    def version(self) -> int | None:
        """The source's own version now; None where it has none that counts up."""
        ...


class DeltaSource:
    """A Delta table that gets one more column, and so one more version, with each `grow`.

    A refresh counts its rows and bytes, as its option asks.

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
        self.fields = {"format": "Delta", "options": {"delta_count": True}, **fields}
        self._names: list[str] = []
        self._version = -1
        self.grow()

    @classmethod
    def found(cls, root: Path) -> Self:
        """One that is there already."""
        source, table = cls.__new__(cls), DeltaTable(root)
        source._root, source._storage = str(root), None
        source.url_pattern, source.fields = f"file://{root}", {"format": "Delta"}
        source._names = [field.name for field in table.schema().fields]
        source._version = table.version()
        return source

    def grow(self) -> None:
        """Commit one row with one more column."""
        names = [*self._names, f"column_{len(self._names)}"]
        row = pa.table({name: pa.array([1], pa.int64()) for name in names})
        write_deltalake(
            self._root, row, mode="append", schema_mode="merge", storage_options=self._storage
        )
        self._names, self._version = names, self._version + 1

    def columns(self) -> dict[str, str]:
        return dict.fromkeys(self._names, _TYPE)

    def version(self) -> int:
        return self._version

    def rows(self) -> int:
        return self._version + 1

    def size_bytes(self) -> int:
        table = DeltaTable(self._root, storage_options=self._storage)
        return sum(table.get_add_actions(flatten=True).column("size_bytes").to_pylist())


class CsvSource:
    """A file of numbers that gets one more column with each `grow`, and is validated then.

    Args:
        file: where it lies; the service may read it.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.url_pattern = f"file://{file}"
        self.fields: dict[str, Any] = {"format": "CSVWithNames"}
        self._names: list[str] = []
        self.grow()

    @classmethod
    def found(cls, file: Path) -> Self:
        """One that is there already."""
        source = cls.__new__(cls)
        source._file, source.url_pattern = file, f"file://{file}"
        source.fields = {"format": "CSVWithNames"}
        source._names = file.read_text().split("\n", 1)[0].split(",")
        return source

    def grow(self) -> None:
        """Put a file with one more column in the place of the one before."""
        names = [*self._names, f"column_{len(self._names)}"]
        lines = [",".join(names), *(",".join(str(row) for _ in names) for row in range(_CSV_ROWS))]
        new = self._file.with_suffix(".new")
        new.write_text("\n".join(lines) + "\n")
        new.rename(self._file)
        self._names = names

    def columns(self) -> dict[str, str]:
        return dict.fromkeys(self._names, _TYPE)

    def version(self) -> None:
        return None

    def rows(self) -> int:
        return _CSV_ROWS

    def size_bytes(self) -> int:
        return self._file.stat().st_size


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
        self._size_bytes = sink.tell()
        self._store.put(self._key, sink.getvalue())

    def columns(self) -> dict[str, str]:
        return dict.fromkeys(self._names, _TYPE)

    def version(self) -> None:
        return None

    def rows(self) -> int:
        return 1

    def size_bytes(self) -> int:
        return self._size_bytes


def loaded_rows(uri: str, storage_options: dict[str, str]) -> dict[str, list[int]]:
    """The numbers of each upload of `Client.upload` in a managed Delta table, by its marker and in
    the order in which they stand there."""
    if not DeltaTable.is_deltatable(uri, storage_options):
        return {}
    rows = DeltaTable(uri, storage_options=storage_options).to_pyarrow_table()
    numbers: dict[str, list[int]] = defaultdict(list)
    for row in rows.to_pylist():
        numbers[row["marker"]].append(row["number"])
    return numbers
