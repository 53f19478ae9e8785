"""ClickHouse's own answer, asked in a process of its own: importing chdb costs 220 MB, and
children forked after it hang."""

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from servers.process import PATIENCE_SECONDS
from stocktake.schema.columns import Column
from stocktake.schema.types import element_name

_DESCRIBE = """
import json, os, sys
import chdb
for path in json.load(sys.stdin):
    query = f"DESCRIBE TABLE file('{path}', Parquet) SETTINGS print_pretty_type_names=0"
    try:
        rows = str(chdb.query(query, "JSONCompactEachRow")).splitlines()
        print(json.dumps([json.loads(row)[:2] for row in rows]))
    except Exception as error:
        print(json.dumps({"error": str(error)[:300]}))
    sys.stdout.flush()
os._exit(0)
"""


def describe_parquet(paths: Iterable[Path]) -> list[dict[str, str] | None]:
    """The columns that ClickHouse sees in each file; None where it fails."""
    answer = subprocess.run(
        [sys.executable, "-c", _DESCRIBE],
        input=json.dumps([str(path) for path in paths]),
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    lines = [json.loads(line) for line in answer.stdout.splitlines()]
    return [dict(line) if isinstance(line, list) else None for line in lines]


_REREAD = """
import json, os, sys
import chdb
for path, structure in json.load(sys.stdin):
    quoted = structure.replace("\\\\", "\\\\\\\\").replace("'", "\\\\'")
    query = (
        f"SELECT * FROM file('{path}', Parquet, '{quoted}') "
        "SETTINGS output_format_parquet_string_as_string=0, max_threads=1"
    )
    try:
        answer = chdb.query(query, "Parquet").bytes()
        with open(f"{path}.reread", "wb") as file:
            file.write(answer)
        print("null")
    except Exception as error:
        print(json.dumps(str(error)[:500]))
    sys.stdout.flush()
os._exit(0)
"""


def reread_parquet(
    cases: Sequence[tuple[Path, Sequence[Column]]],
) -> list[list[dict[str, Any]] | str]:
    """The rows that ClickHouse reads of each file with these columns, as `plain_rows` has them;
    what it says where it fails."""
    asked = [(str(path), structure(columns)) for path, columns in cases]
    answer = subprocess.run(
        [sys.executable, "-c", _REREAD],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    failures = [json.loads(line) for line in answer.stdout.splitlines()]
    return [
        failed or plain_rows(pq.read_table(f"{path}.reread"))
        for failed, (path, _) in zip(failures, asked, strict=True)
    ]


def structure(columns: Sequence[Column]) -> str:
    return ", ".join(f"{element_name(each.name)} {each.clickhouse}" for each in columns)


def plain_rows(table: pa.Table) -> list[dict[str, Any]]:
    """The rows of a table as values that two engines can agree on: texts are bytes, points in time
    count nanoseconds, and what ClickHouse has no null for is empty (Array, Map, Tuple)."""
    columns = {name: [_plain(each) for each in table[name]] for name in table.column_names}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


_HOLDS = (
    pa.types.is_map,
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
)
_NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def _plain(value: Any) -> Any:
    kind = value.type
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(value.value) if value.is_valid else None
    if isinstance(kind, pa.DictionaryType):
        return _plain(value.dictionary[value.index.as_py()]) if value.is_valid else None
    if pa.types.is_struct(kind):
        return {field.name: _plain(_field(value, field)) for field in kind}
    if any(holds(kind) for holds in _HOLDS):
        return [_plain(each) for each in value.values] if value.is_valid else []
    if not value.is_valid:
        return None
    if pa.types.is_timestamp(kind) or pa.types.is_time(kind):
        return value.value * _NANOSECONDS[kind.unit]
    if pa.types.is_duration(kind) or pa.types.is_date32(kind):
        return value.value
    if pa.types.is_floating(kind):
        return repr(float(value.as_py()))
    found = value.as_py()
    return found.encode() if isinstance(found, str) else found


def _field(value: Any, field: pa.Field) -> Any:
    return value[field.name] if value.is_valid else pa.scalar(None, field.type)
