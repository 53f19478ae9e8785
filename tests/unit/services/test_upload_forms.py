import pytest

from stocktake.errors import ValidationError
from stocktake.jobs.arguments import IngestArguments, Mode, Target
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
        (merge | {"key": "id\0"}, "key"),
        (merge | {"key": "i" * 1_001}, "key"),
    ):
        with pytest.raises(ValidationError) as refusal:
            check_form("x.csv", wrong)
        assert refusal.value.attr == attr


def test_types_and_options_are_sent_as_objects_and_kept_for_the_job() -> None:
    sent = {
        "name": "events",
        "columns": '{"zip": "string", "price": "Decimal(18,2)"}',
        "options": '{"csv_delimiter": ";", "encoding": null}',
    }
    arguments = check_form("x.csv", sent).arguments
    assert arguments.types == {"zip": "string", "price": "Decimal(18,2)"}
    assert arguments.options == {"csv_delimiter": ";", "encoding": None}
    assert IngestArguments.of(arguments.as_dict()) == arguments
    assert check_form("x.csv", {"columns": " ", "options": ""}).arguments.options == {}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("columns", "zip=string", "must be a JSON object"),
        ("columns", '["zip"]', "must be a JSON object"),
        ("columns", "[" * 60_000, "must be a JSON object"),
        ("columns", '{"a\\ud800": "string"}', "must be a JSON object"),
        ("columns", '{"a\\u0000": "string"}', "Null characters"),
        ("columns", '{"zip": "strng"}', "did you mean 'string'?"),
        ("columns", '{"zip": 7}', "cannot be '7'"),
        ("columns", '{"zip": null}', "cannot be 'null'"),
        ("columns", '{"zip": {"type": "string"}}', """cannot be '{"type": "string"}'"""),
        ("columns", '{"zip": "decimal(77, 2)"}', "cannot be"),
        ("columns", '{"zip": "decimal(3, 4)"}', "cannot be"),
        ("options", '{"csv_delimeter": ";"}', "did you mean 'csv_delimiter'?"),
        ("options", '{"csv_delimiter": ";;"}', "must be one character"),
        ("options", '{"sample_bytes": NaN}', "must be a JSON object"),
        ("options", '{"csv_null_values": "NA"}', 'such as ["NA", "-"]'),
        ("options", '{"sheet": "x"}', "says nothing about CSVWithNames files"),
        ("options", '{"public": true}', "says nothing about CSVWithNames files"),
    ],
)
def test_types_and_options_that_are_none_are_refused(field: str, value: str, words: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        check_form("x.csv", {field: value})
    assert words in refusal.value.detail
    assert str(refusal.value.attr).startswith(field)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("dryrun", "dry_run"),
        ("dry-run", "dry_run"),
        ("DRY_RUN", "dry_run"),
        ("dryRun", "dry_run"),
        ("dry", "dry_run"),
        ("dr_yrun", "dry_run"),
        ("Mode", "mode"),
        ("taget", "target"),
        ("keys", "key"),
        ("colums", "columns"),
        ("option", "options"),
        ("file_format", "format"),
        ("nmae", "name"),
    ],
)
def test_a_misspelt_field_is_refused_and_told_what_was_meant(name: str, near: str) -> None:
    with pytest.raises(ValidationError, match=f"did you mean '{near}'") as refusal:
        check_form("x.csv", {"name": "x", name: "true"})
    assert refusal.value.attr == name
    assert repr(name) in refusal.value.detail


def test_what_posthogs_clients_send_beside_a_file_is_passed_over() -> None:
    sent = {"id": "7", "deleted": "false", "url_pattern": "", "created_via": "api", "note": "x"}
    assert check_form("x.csv", sent) == check_form("x.csv", {})


@pytest.mark.parametrize(
    "ours", [{"target": "delta"}, {"mode": "replace"}, {"options": "{}"}, {"dry_run": "false"}]
)
def test_a_form_that_speaks_of_what_posthog_has_not_is_read_strictly(ours: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="'upsert_on' is not known") as refusal:
        check_form("x.csv", ours | {"upsert_on": "id"})
    assert refusal.value.attr == "upsert_on"


def test_an_empty_dry_run_is_no_load() -> None:
    with pytest.raises(ValidationError, match="must be true or false"):
        check_form("x.csv", {"dry_run": ""})


@pytest.mark.parametrize("name", ["fileformat", "format", "columns", "dry_run"])
def test_the_form_of_the_first_of_two_steps_passes_nothing_over_that_matters(name: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        check_upload("x.csv", {name: "parquet"})
    assert refusal.value.attr == name


def test_a_decimal_that_delta_has_not_is_refused_for_a_load() -> None:
    delta, columns = {"target": "delta"}, '{"price": "decimal(%d, 2)"}'
    assert check_form("x.csv", delta | {"columns": columns % 38}).types
    assert check_form("x.csv", {"columns": columns % 76}).types
    with pytest.raises(ValidationError, match="have 38 digits at most") as refusal:
        check_form("x.csv", delta | {"columns": columns % 39})
    assert refusal.value.attr == "columns"


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
