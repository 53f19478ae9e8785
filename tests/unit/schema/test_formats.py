"""What is derived from the formats' declarations."""

import tomllib
from pathlib import Path
from uuid import UUID

import pytest

from stocktake.schema.formats import (
    FILE_FORMAT_OF,
    FILE_FORMATS,
    MANAGED,
    OPTIONS,
    TAKING_ROWS,
    UPLOADABLE,
    TableFormat,
)

#: PostHog's own; the others are spelled as ClickHouse spells its formats.
POSTHOG = ("CSV", "CSVWithNames", "Parquet", "JSONEachRow", "Delta", "DeltaS3Wrapper")


def test_formats_are_spelled_as_posthog_spells_them_and_ours_come_after() -> None:
    assert [*TableFormat] == [
        *POSTHOG, "Iceberg", "ORC", "Arrow", "ArrowStream", "Avro", "Excel", "ODS",
    ]  # fmt: skip
    assert TableFormat("CSVWithNames") is TableFormat.CSV_WITH_NAMES
    with pytest.raises(ValueError, match="'csv' is not a valid TableFormat"):
        TableFormat("csv")


def test_what_an_upload_may_be() -> None:
    typed = ("Arrow", "ArrowStream", "Avro", "Excel", "ODS", "ORC", "Parquet")
    assert set(UPLOADABLE) == {"CSV", "CSVWithNames", "JSONEachRow", *typed}
    assert dict(FILE_FORMATS) == {
        "arrow": TableFormat.ARROW,
        "arrow_stream": TableFormat.ARROW_STREAM,
        "avro": TableFormat.AVRO,
        "csv": TableFormat.CSV_WITH_NAMES,
        "json": TableFormat.JSON_EACH_ROW,
        "ods": TableFormat.ODS,
        "orc": TableFormat.ORC,
        "parquet": TableFormat.PARQUET,
        "xlsx": TableFormat.EXCEL,
    }
    assert dict(FILE_FORMAT_OF) == {
        "arrow": "arrow",
        "arrows": "arrow_stream",
        "avro": "avro",
        "csv": "csv",
        "feather": "arrow",
        "json": "json",
        "jsonl": "json",
        "ndjson": "json",
        "ods": "ods",
        "orc": "orc",
        "parquet": "parquet",
        "xls": "xlsx",
        "xlsb": "xlsx",
        "xlsm": "xlsx",
        "xlsx": "xlsx",
    }
    assert TAKING_ROWS == ("Delta", "DeltaS3Wrapper")
    assert MANAGED.value in TAKING_ROWS


def test_a_table_is_named_by_a_folder_or_by_a_pattern_of_files() -> None:
    folders = {each.value: each.facts.folder for each in TableFormat if each.is_folder}
    assert folders == {
        "Delta": "_delta_log",
        "DeltaS3Wrapper": "_delta_log",
        "Iceberg": "metadata",
    }


@pytest.mark.parametrize(
    ("table_format", "name", "proved"),
    [
        (TableFormat.DELTA, "whatever", True),
        (TableFormat.ICEBERG, "v3.metadata.json", True),
        (TableFormat.ICEBERG, "v3.gz.metadata.json", True),
        (TableFormat.ICEBERG, "v3.metadata.json.gz", True),
        (TableFormat.ICEBERG, f"00003-{UUID(int=3)}.metadata.json", True),
        (TableFormat.ICEBERG, "report.metadata.json", False),
        (TableFormat.ICEBERG, "v3.json", False),
        (TableFormat.ICEBERG, "version-hint.text", False),
    ],
)
def test_what_lies_in_a_folder_proves_a_table(
    table_format: TableFormat, name: str, proved: bool
) -> None:
    assert table_format.facts.is_proved_by(name) is proved


def test_options_are_those_that_some_format_or_every_table_has() -> None:
    of_formats = {option.name for each in TableFormat for option in each.facts.options}
    assert OPTIONS.keys() - of_formats == {"public"}
    assert {name for name in OPTIONS if name.startswith("csv_")} == {
        option.name for option in TableFormat.CSV.facts.options
    } - {option.name for option in TableFormat.JSON_EACH_ROW.facts.options}


def test_the_contract_that_keeps_formats_apart_names_each_folder() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    [apart] = [each["modules"] for each in contracts if each["type"] == "independence"]
    assert {each.facts.reader.rpartition(".")[0] for each in TableFormat} == {*apart}
