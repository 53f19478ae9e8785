"""ClickHouse itself as the oracle: what `DESCRIBE TABLE` and a read say of the same bytes.

chdb runs in a process of its own: a parent that has imported it hangs its forked children.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers.process import PATIENCE_SECONDS

_PROGRAM = r"""
import json, os, sys
import chdb
from tests.support.oracle import rows_of
# a table that its folder names must lie below the one that it was started in
os.chdir("/")
connection = chdb.connect(":memory:")
def ask(query):
    # an error is told to the query after it, too: only the second failure is its own
    for _ in range(2):
        try:
            return rows_of(connection.query(query, "JSONCompact").bytes())
        except Exception as exc:
            error = str(exc)[:300]
    return {"error": error}
for query in json.load(sys.stdin):
    print(json.dumps(ask(query)), flush=True)
os._exit(0)
"""


def rows_of(answer: bytes) -> list[list[Any]]:
    """The rows of an answer in JSONCompact, none of an INSERT; -0 keeps its sign."""
    if not answer:
        return []
    text = answer.decode(errors="surrogateescape")
    found = json.loads(text, parse_int=lambda digits: -0.0 if digits == "-0" else int(digits))
    rows: list[list[Any]] = found["data"]
    return rows


@dataclass(frozen=True)
class Case:
    """A file to describe."""

    format: str
    data: bytes


def describe(cases: list[Case], folder: Path) -> list[list[tuple[str, str]] | None]:
    """The columns that ClickHouse infers for each case; None where it fails."""
    queries = []
    for number, case in enumerate(cases):
        path = _written(case.data, folder, number)
        queries.append(
            f"DESCRIBE TABLE file('{path}', '{case.format}') SETTINGS print_pretty_type_names=0"
        )
    return [
        None if answer is None else [(row[0], row[1]) for row in answer] for answer in ask(queries)
    ]


def readable(cases: list[tuple[Case, str]], folder: Path) -> list[bool]:
    """Whether ClickHouse reads each case's file where its one column has the given type."""
    queries = []
    for number, (case, clickhouse) in enumerate(cases):
        path = _written(case.data, folder, number)
        structure = f"x {clickhouse}".replace("'", "\\'")
        queries.append(
            f"SELECT ignore(x) FROM file('{path}', '{case.format}', '{structure}') "
            "SETTINGS date_time_input_format='best_effort', input_format_csv_detect_header=0"
        )
    return [answer is not None for answer in ask(queries)]


def _written(data: bytes, folder: Path, number: int) -> Path:
    path = folder / f"case_{number}"
    path.write_bytes(data)
    return path


def ask(queries: list[str], folder: str | None = None) -> list[list[list[Any]] | None]:
    """The rows that each query answers; None where it fails. They are asked in the folder."""
    answers = ask_why(queries, folder)
    return [answer if isinstance(answer, list) else None for answer in answers]


def ask_why(
    queries: list[str], folder: str | None = None
) -> list[list[list[Any]] | dict[str, str]]:
    """The rows that each query answers; what it says where it fails."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        input=json.dumps(queries),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]
