"""The arguments in a job's row: what older and newer processes wrote and will read."""

import pytest

from stocktake.jobs.arguments import IngestArguments, Mode, Target, is_for_file
from stocktake.schema.formats import TableFormat

#: As rows of the first release have them.
STORED = {
    "a file": (
        {"target": "file", "format": "CSVWithNames"},
        IngestArguments(format=TableFormat.CSV_WITH_NAMES),
    ),
    "rows that are added": (
        {"target": "delta", "format": "Parquet", "mode": "append"},
        IngestArguments(format=TableFormat.PARQUET, target=Target.DELTA, mode=Mode.APPEND),
    ),
    "rows in the place of others": (
        {"target": "delta", "format": "JSONEachRow", "mode": "replace"},
        IngestArguments(format=TableFormat.JSON_EACH_ROW, target=Target.DELTA, mode=Mode.REPLACE),
    ),
}


@pytest.mark.parametrize("name", STORED)
def test_what_a_row_holds_is_read_and_written_as_it_always_was(name: str) -> None:
    stored, arguments = STORED[name]
    assert IngestArguments.of(stored) == arguments
    assert arguments.as_dict() == stored
    assert is_for_file(stored) is (arguments.target is Target.FILE)


@pytest.mark.parametrize(
    "stored",
    [
        {"target": "iceberg", "format": "Parquet"},
        {"target": "delta", "format": "Parquet", "mode": "upsert"},
        {"target": "file", "format": "Lance"},
    ],
)
def test_what_a_newer_release_wrote_is_not_taken_for_something_else(stored: dict) -> None:
    with pytest.raises(ValueError, match="is not a valid"):
        IngestArguments.of(stored)
    assert is_for_file(stored) is (stored["target"] == "file")
