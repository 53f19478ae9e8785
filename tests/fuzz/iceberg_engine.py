"""The child that reads mutated metadata of Iceberg tables with pyiceberg."""

from base64 import b64decode
from typing import Any

from pyiceberg.table.metadata import TableMetadataUtil

from tests.fuzz.watched import answer_lines
from tests.support.iceberg_writer import columns_of


def serve(request: dict[str, Any]) -> dict[str, Any]:
    (data,) = request["files"].values()
    try:
        table = TableMetadataUtil.parse_raw(b64decode(data).decode())
        columns = columns_of(table.schema())
    except Exception as error:  # noqa: BLE001  # pydantic's, and whatever its validators meet
        return {"error": str(error)[:200]}
    return {
        "columns": [[name, kind] for name, kind, *_ in columns],
        "version": table.current_snapshot_id,
    }


if __name__ == "__main__":
    answer_lines(serve)
