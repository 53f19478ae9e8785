"""What other engines read of a managed table, in the order in which they give its rows."""

import importlib.metadata
import json
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from tests.support.oracle import ask, ask_why


def with_deltalake(root: str) -> list[dict[str, Any]]:
    """The rows as deltalake reads them."""
    return DeltaTable(root).to_pyarrow_table().to_pylist()


def with_duckdb(root: str) -> list[tuple[Any, ...]]:
    """The rows as DuckDB's delta extension reads them; each file in its order."""
    return _duckdb().execute(f"SELECT * FROM delta_scan('{root}')").fetchall()


def as_arrow(roots: list[str], folder: str) -> dict[str, list[pa.Table | str]]:
    """Each table as deltalake, DuckDB and ClickHouse read it; where one cannot, what it says.

    Args:
        folder: for what ClickHouse, which is a process of its own, hands over.
    """
    duck = _duckdb()
    duck.execute("SET TimeZone='UTC'")
    found: dict[str, list[pa.Table | str]] = {
        "deltalake": [DeltaTable(root).to_pyarrow_table() for root in roots],
        "DuckDB": [
            duck.execute(f"SELECT * FROM delta_scan('{root}')").fetch_arrow_table()
            for root in roots
        ],
    }
    files = [f"{folder}/clickhouse-{number}.arrow" for number in range(len(roots))]
    answers = ask_why(
        [
            f"INSERT INTO FUNCTION file('{file}', 'Arrow') SELECT * FROM deltaLakeLocal('{root}') "
            "SETTINGS max_threads=1, session_timezone='UTC', output_format_arrow_string_as_string=0"
            for file, root in zip(files, roots, strict=True)
        ],
        folder,
    )
    found["ClickHouse"] = [
        answer["error"] if isinstance(answer, dict) else pa.ipc.open_file(file).read_all()
        for answer, file in zip(answers, files, strict=True)
    ]
    return found


@cache
def _duckdb() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET autoinstall_known_extensions=false")
    connection.execute(f"LOAD '{_extension('delta')}'")
    return connection


def _extension(name: str) -> str:
    files = importlib.metadata.files(f"duckdb-ext-{name}") or []
    return str(next(each.locate() for each in files if each.suffix == ".duckdb_extension"))


def with_clickhouse(root: str, columns: str = "*") -> list[list[Any]] | None:
    """The rows as ClickHouse reads them, with one thread; None where it cannot."""
    query = f"SELECT {columns} FROM deltaLakeLocal('{root}') SETTINGS max_threads=1"
    [rows] = ask([query], folder=root)
    return rows


def adds(root: str) -> list[dict[str, Any]]:
    """What the log says of the files that hold the rows now, with their statistics decoded."""
    table = DeltaTable(root)
    live = set(table.get_add_actions().column("path").to_pylist())
    found = []
    for version in range(table.version() + 1):
        with open(f"{root}/_delta_log/{version:020}.json") as log:
            actions = [json.loads(line) for line in log]
        found += [action["add"] for action in actions if "add" in action]
    return [add | {"stats": json.loads(add["stats"])} for add in found if add["path"] in live]
