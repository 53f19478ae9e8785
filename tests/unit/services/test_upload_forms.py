import pytest

from stocktake.errors import ValidationError
from stocktake.jobs.arguments import Mode, Target
from stocktake.schema.formats import TableFormat
from stocktake.services.upload_forms import (
    FileForm,
    body_too_large,
    check_form,
    check_upload,
    clean_filename,
    too_large,
    upload_too_large,
)


@pytest.mark.parametrize(
    ("sent", "cleaned"),
    [
        ("orders.csv", "orders.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\my orders.csv", "my_orders.csv"),
        ("naïve\0.csv", "na_ve_.csv"),
        ("", ""),
        (".", ""),
        ("..", ""),
        (".env", ""),
        ("folder/", ""),
        ("x" * 255, "x" * 255),
        ("x" * 256, ""),
    ],
)
def test_a_file_name_is_cleaned_and_loses_its_path(sent: str, cleaned: str) -> None:
    assert clean_filename(sent) == cleaned


def test_a_form_has_posthogs_defaults() -> None:
    assert check_form("orders", {}) == FileForm(name="orders", format=TableFormat.CSV_WITH_NAMES)


def test_a_load_appends_unless_it_is_told_to_replace() -> None:
    delta = {"name": "events", "target": "delta"}
    assert check_form("x.csv", delta).mode is Mode.APPEND
    assert check_form("x.csv", delta | {"mode": "replace"}) == FileForm(
        name="events", format=TableFormat.CSV_WITH_NAMES, target=Target.DELTA, mode=Mode.REPLACE
    )


def test_a_merge_has_a_key_and_nothing_else_has() -> None:
    delta = {"name": "events", "target": "delta"}
    merge = delta | {"mode": "merge", "key": " region, id ,region"}
    assert check_form("x.csv", merge).key == ("region", "id")
    assert check_form("x.csv", merge).arguments.as_dict() == {
        "target": "delta",
        "format": "CSVWithNames",
        "mode": "merge",
        "key": ["region", "id"],
    }
    for wrong, attr in (
        (merge | {"key": " , "}, "key"),
        (merge | {"mode": "append"}, "key"),
        (delta | {"key": "id"}, "key"),
        (merge | {"target": "file"}, "mode"),
        (merge | {"key": ",".join(f"c{number}" for number in range(65))}, "key"),
    ):
        with pytest.raises(ValidationError) as refusal:
            check_form("x.csv", wrong)
        assert refusal.value.attr == attr


def test_the_first_thing_wrong_is_told_in_posthogs_order() -> None:
    wrong = {"format": "XML", "name": "1x", "target": "moon"}
    told = []
    for filename, fixed in [
        (None, {}),
        ("", {}),
        ("", {"format": "CSV"}),
        ("", {"format": "CSV", "name": "x"}),
        ("x.csv", {"format": "CSV", "name": "x"}),
    ]:
        with pytest.raises(ValidationError) as refusal:
            check_form(filename, wrong | fixed)
        told.append(refusal.value.attr)
        assert refusal.value.legacy_message
    assert told == ["file", "format", "name", "file", "target"]


def test_an_empty_format_is_the_default_and_an_empty_name_is_none() -> None:
    assert check_form("x", {"format": ""}).format is TableFormat.CSV_WITH_NAMES
    with pytest.raises(ValidationError, match="Table names must start"):
        check_form("x", {"name": ""})


def test_the_cap_is_told_in_posthogs_words() -> None:
    assert too_large(52_428_800).detail == "File size exceeds maximum allowed size of 50MB"
    assert upload_too_large(52_428_800).detail == (
        "File size exceeds the maximum of 50MB. "
        "For larger files, connect the bucket they live in as a self-managed source instead."
    )
    assert body_too_large(52_428_800).detail == (
        "Upload exceeds the maximum of 50MB. "
        "For larger files, connect the bucket they live in as a self-managed source instead."
    )
    assert too_large(1000).detail == "File size exceeds maximum allowed size of 1000 bytes"


def test_a_format_that_is_sent_wins_over_the_files_name() -> None:
    assert check_upload("x.csv", {"file_format": "JSON"}) == "json"
    assert check_upload("x.tar.ndjson", {}) == "json"
    with pytest.raises(ValidationError, match="Invalid format"):
        check_upload("csv.", {})
