"""The readers that are compared, each in a process of its own: ``python -m benchmarks.peers NAME``.

The process imports its library, then answers one question a line: it reads what the line names
and says how long that took and how much memory. Each peer is asked for the schema alone, with
the options that make it do as much as ours: all files of a glob, and no cache over reads unless
the question allows one.
"""

import importlib
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol, Self

REGION: Final = "us-east-1"
MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an input is.

    Attributes:
        format: a key of `_table_format`.
        path: absolute on the local disk; bucket and key in a store. A table's root, a file or a
            glob.
        endpoint: the store's; None for the local disk.
        unchanged: whether the source was read before, and what was learnt may be used.
    """

    format: str
    path: str
    endpoint: str | None = None
    key: str = ""
    secret: str = ""
    unchanged: bool = False

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read what `line` wrote."""
        return cls(**json.loads(line))

    def line(self) -> str:
        """Return the question as one line."""
        return json.dumps(asdict(self))

    @property
    def many(self) -> bool:
        """Whether the path is a glob."""
        return "*" in self.path

    def s3_options(self) -> dict[str, str]:
        """Return the options that object stores written in Rust understand."""
        return {
            "aws_endpoint_url": self.endpoint or "",
            "aws_access_key_id": self.key,
            "aws_secret_access_key": self.secret,
            "aws_region": REGION,
            "aws_allow_http": "true",
        }


class Peer(Protocol):
    """A reader: built once in its process, then asked again and again."""

    def columns(self, place: Place) -> int:
        """Read the schema; how many columns it has."""
        ...


class Ours:
    """This service's reader, with a new store for each read, as each job has."""

    def __init__(self) -> None:
        from stocktake import readers
        from stocktake.readers import registry
        from stocktake.storage.places import urls
        from stocktake.storage.stores import opening, remote  # noqa: F401

        registry.load_all()  # as a worker does before it forks
        self._readers = readers
        self._objects = opening
        self._parse = urls.parse
        self._state: dict[str, Any] | None = None
        self._columns = 0

    def columns(self, place: Place) -> int:
        """Read the schema; from the last answer's state where the source is unchanged."""
        credential = None
        if place.endpoint is not None:
            credential = self._objects.Credential(access_key=place.key, access_secret=place.secret)
        store, path = self._objects.open_source(self._parse(self._url(place)), credential)
        source = self._readers.source.Source(
            store=store,
            path=path,
            format=_table_format(place.format),
            state=self._state if place.unchanged else None,
        )
        found = self._readers.introspect(source)
        if place.unchanged and not found.coverage.unchanged:
            raise RuntimeError("the source was to be unchanged, but was read")
        self._state = json.loads(json.dumps(found.state))
        self._columns = len(found.columns) or self._columns
        return self._columns

    def _url(self, place: Place) -> str:
        return f"{place.endpoint}/{place.path}" if place.endpoint else f"file://{place.path}"


def _table_format(name: str) -> Any:
    from stocktake.schema.formats import TableFormat

    return {
        "delta": TableFormat.DELTA,
        "iceberg": TableFormat.ICEBERG,
        "parquet": TableFormat.PARQUET,
        "orc": TableFormat.ORC,
        "arrow": TableFormat.ARROW,
        "avro": TableFormat.AVRO,
        "excel": TableFormat.EXCEL,
        "ods": TableFormat.ODS,
        "csv": TableFormat.CSV_WITH_NAMES,
        "json": TableFormat.JSON_EACH_ROW,
    }[name]


class Chdb:
    """ClickHouse in a process; DESCRIBE is what PostHog runs."""

    _TABLES: Final = {"delta": "deltaLake", "iceberg": "iceberg"}
    _FORMATS: Final = {
        "parquet": "Parquet",
        "orc": "ORC",
        "arrow": "Arrow",
        "avro": "Avro",
        "csv": "CSVWithNames",
        "json": "JSONEachRow",
    }

    def __init__(self) -> None:
        # a Delta table must lie below the folder that it was started in
        os.chdir("/")
        self._connection = importlib.import_module("chdb").connect(":memory:")

    def columns(self, place: Place) -> int:
        answer = self._connection.query(f"DESCRIBE TABLE {self._table(place)} SETTINGS "
                                        f"{self._settings(place)}", "TSV")  # fmt: skip
        return len(str(answer).splitlines())

    def _table(self, place: Place) -> str:
        if place.endpoint is None:
            if place.format in self._TABLES:
                return f"{self._TABLES[place.format]}Local('{place.path}')"
            return f"file('{place.path}', {self._FORMATS[place.format]})"
        keys = f"'{place.endpoint}/{place.path}', '{place.key}', '{place.secret}'"
        if place.format in self._TABLES:
            return f"{self._TABLES[place.format]}({keys})"
        return f"s3({keys}, {self._FORMATS[place.format]})"

    def _settings(self, place: Place) -> str:
        cached = int(place.unchanged)
        settings = [
            f"schema_inference_use_cache_for_file={cached}",
            f"schema_inference_use_cache_for_s3={cached}",
            f"use_iceberg_metadata_files_cache={cached}",
        ]
        # its default reads the first file alone, and misses columns
        return ", ".join([*settings, *(["schema_inference_mode='union'"] if place.many else [])])


class Deltalake:
    """delta-rs."""

    def __init__(self) -> None:
        self._module = importlib.import_module("deltalake")

    def columns(self, place: Place) -> int:
        options = place.s3_options() if place.endpoint else None
        scheme = "s3://" if place.endpoint else ""
        table = self._module.DeltaTable(f"{scheme}{place.path}", storage_options=options)
        return len(table.schema().fields)


class Pyiceberg:
    """Iceberg's library for Python. Without a catalog it reads what `version-hint.text` names."""

    def __init__(self) -> None:
        self._table = importlib.import_module("pyiceberg.table").StaticTable

    def columns(self, place: Place) -> int:
        scheme = "s3" if place.endpoint else "file"
        options = {
            "s3.endpoint": place.endpoint or "",
            "s3.access-key-id": place.key,
            "s3.secret-access-key": place.secret,
            "s3.region": REGION,
        }
        table = self._table.from_metadata(f"{scheme}://{place.path}", options)
        return len(table.schema().fields)


class Polars:
    """Lazy scans, of which only the schema is collected."""

    def __init__(self) -> None:
        self._module = importlib.import_module("polars")

    def columns(self, place: Place) -> int:
        options = place.s3_options() if place.endpoint else None
        path = f"s3://{place.path}" if place.endpoint else place.path
        more: dict[str, Any] = {}
        if place.many and place.format == "parquet":
            more = {"missing_columns": "insert", "extra_columns": "ignore"}
        scan = getattr(self._module, _POLARS_SCANS[place.format])
        return len(scan(path, storage_options=options, **more).collect_schema())


_POLARS_SCANS: Final = {
    "delta": "scan_delta",
    "parquet": "scan_parquet",
    "csv": "scan_csv",
    "json": "scan_ndjson",
}


class Duckdb:
    """DuckDB with its own extensions, out of wheels."""

    def __init__(self) -> None:
        self._connection = importlib.import_module("duckdb").connect()
        self._connection.execute("SET autoinstall_known_extensions=false")
        for name in ("delta", "httpfs"):
            self._connection.execute(f"LOAD '{_duckdb_extension(name)}'")
        self._secret: str | None = None

    def columns(self, place: Place) -> int:
        if place.endpoint and self._secret != place.endpoint:
            self._connection.execute(
                f"CREATE OR REPLACE SECRET s (TYPE s3, KEY_ID '{place.key}', "
                f"SECRET '{place.secret}', REGION '{REGION}', URL_STYLE 'path', USE_SSL false, "
                f"ENDPOINT '{place.endpoint.removeprefix('http://')}')"
            )
            self._secret = place.endpoint
        rows = self._connection.execute(f"DESCRIBE SELECT * FROM {self._table(place)}").fetchall()
        return len(rows)

    def _table(self, place: Place) -> str:
        path = f"s3://{place.path}" if place.endpoint else place.path
        union = ", union_by_name=true" if place.many else ""
        if place.format == "delta":
            return f"delta_scan('{path}')"
        return f"read_{place.format}('{path}'{union})"


class Pandas:
    """Workbooks, by the library that ours takes too; the sheet is read in full by both."""

    def __init__(self) -> None:
        self._module = importlib.import_module("pandas")
        importlib.import_module("python_calamine")

    def columns(self, place: Place) -> int:
        return len(self._module.read_excel(place.path, engine="calamine").dtypes)


def _duckdb_extension(name: str) -> str:
    files = importlib.metadata.files(f"duckdb-ext-{name}") or []
    return str(next(each.locate() for each in files if each.suffix == ".duckdb_extension"))


PEERS: Final[dict[str, Callable[[], Peer]]] = {
    "ours": Ours,
    "chdb": Chdb,
    "deltalake": Deltalake,
    "pyiceberg": Pyiceberg,
    "polars": Polars,
    "duckdb": Duckdb,
    "pandas": Pandas,
}


def memory_mib(field: str) -> float:
    """Return a line of this process's status: `VmRSS` now, or `VmHWM`, the most since it was set
    back.
    """
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith(field))
    return int(line.split()[1]) * 1024 / MIB


def forget_peak() -> None:
    """Set back the most memory that this process held."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def _measured(peer: Peer, place: Place) -> dict[str, float]:
    forget_peak()
    started = time.perf_counter()
    columns = peer.columns(place)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "columns": columns, "peak_mib": memory_mib("VmHWM")}


def main(name: str) -> None:
    """Answer questions until there are none; one that fails is answered with its error."""
    peer = PEERS[name]()
    print(json.dumps({"idle_mib": memory_mib("VmRSS")}), flush=True)
    for line in sys.stdin:
        try:
            answer: dict[str, Any] = _measured(peer, Place.parse(line))
        except Exception as exc:  # noqa: BLE001  each library fails in its own way
            answer = {"error": f"{type(exc).__name__}: {exc}"[:300]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
    # some libraries hang when their threads are joined
    os._exit(0)
