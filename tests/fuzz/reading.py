"""The child that reads mutated sources with our readers.

What is no `JobError` ends it with a traceback, which is what the fuzz tests look for.
"""

import resource
from base64 import b64decode
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from stocktake.errors import JobError, TransientError
from stocktake.readers import introspect, read_all, validate
from stocktake.readers.source import Source
from stocktake.schema.formats import TableFormat
from tests.fuzz.watched import answer_lines
from tests.support.memory import MemoryObjects


def serve(request: dict[str, Any]) -> dict[str, Any]:
    files = {path: b64decode(data) for path, data in request["files"].items()}
    source = Source(
        store=MemoryObjects(files),
        path=request["path"],
        format=TableFormat(request["format"]),
        options=request["options"],
    )
    try:
        answer = _read(source)
    except TransientError as error:
        raise AssertionError("a broken source is no matter of trying again") from error
    except JobError as error:
        answer = {"error": error.as_dict()}
    return answer | {"peak_kilobytes": _peak_kilobytes()}


def _peak_kilobytes() -> int:
    """The most memory this process held. getrusage would count its parent's, before the exec."""
    try:
        status = Path("/proc/self/status").read_text()
    except FileNotFoundError:  # not Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(status.partition("VmHWM:")[2].split()[0])


def _read(source: Source) -> dict[str, Any]:
    found = introspect(source)
    again = introspect(source)
    assert again.columns == found.columns, "the same bytes read twice are one answer"
    if source.format.facts.inferred:
        checked = validate(source, found.columns)
        assert found.row_count in (None, checked.row_count)
    if source.format in (TableFormat.EXCEL, TableFormat.ODS):
        counted = read_all(source)
        assert (counted.columns, counted.row_count) == (found.columns, found.row_count)
    if source.format.is_folder:
        with suppress(JobError):
            counted = introspect(replace(source, options={"delta_count": True}))
            assert counted.columns == found.columns, "a count changes no column"
    return {
        "version": found.source_version,
        "columns": [[column.name, column.clickhouse] for column in found.columns],
    }


if __name__ == "__main__":
    answer_lines(serve)
