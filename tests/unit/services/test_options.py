from typing import Any

import pytest

from stocktake.errors import ValidationError
from stocktake.services.options import check_options, is_public


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"csv_delimiter": "\t", "csv_quote": "'", "csv_header": False},
        {"csv_null_values": ["", "NULL"], "csv_allow_double_quotes": True},
        {"encoding": "latin-1", "compression": "gzip", "sample_bytes": 1},
        {"public": False, "validate": False},
        {"csv_delimiter": None, "public": None},
        {"metadata_file": "00003-5f1c4c5e.gz.metadata.json"},
        {"metadata_file": "v3.metadata.json.gz"},
    ],
)
def test_options_are_kept_as_they_were_sent(options: dict[str, Any]) -> None:
    assert check_options(options) == options


@pytest.mark.parametrize("value", [None, [], "x", 1, True])
def test_only_an_object_is_options(value: Any) -> None:
    with pytest.raises(ValidationError, match=r"^Options must be a JSON object\.$") as refusal:
        check_options(value)
    assert refusal.value.attr == "options"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("csv_delimiter", ""),
        ("csv_delimiter", "||"),
        ("csv_delimiter", "\n"),
        ("csv_delimiter", '"'),
        ("csv_quote", "''"),
        ("csv_quote", 1),
        ("csv_header", "yes"),
        ("csv_header", 1),
        ("csv_null_values", "NULL"),
        ("csv_null_values", [1]),
        ("csv_null_values", ["x"] * 51),
        ("csv_null_values", ["x" * 501]),
        ("csv_allow_double_quotes", "true"),
        ("encoding", "no-such"),
        ("encoding", "base64"),
        ("encoding", "utf-8\0"),
        ("compression", "rar"),
        ("sample_bytes", 0),
        ("sample_bytes", True),
        ("sample_bytes", 1.5),
        ("public", "true"),
        ("public", 1),
        ("validate", 0),
        *(
            ("metadata_file", name)
            for name in (
                *("", "v3", "..", "metadata/v3.metadata.json", "../v3.metadata.json"),
                *("s3://b/t/metadata/v3.metadata.json", "a\\v3.metadata.json", 3),
                *("v3.metadata.json\n", "v3\0.metadata.json", "x" * 500 + ".metadata.json"),
            )
        ),
    ],
)
def test_a_known_option_of_a_wrong_kind_is_refused_by_name(key: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refusal:
        check_options({key: value})
    assert refusal.value.attr == f"options__{key}"
    assert key in refusal.value.detail


@pytest.mark.parametrize(
    "key",
    [
        "aws_secret_access_key",
        "SECRET",
        "password",
        "sas_token",
        "account_key",
        "api-key",
        "azure_client_credential",
        "metadata_endpoint",
        "proxy_url",
        "allow_http",
        "private_key",
        "role_arn",
    ],
)
def test_secrets_and_connection_settings_are_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        check_options({key: "hunter2"})
    assert "hunter2" not in refusal.value.detail


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("csv_delimeter", "did you mean 'csv_delimiter'?"),
        ("CSV_HEADERS", "did you mean 'csv_header'?"),
        ("pubic", "did you mean 'public'?"),
        ("nothing_of_the_kind", "expected 'compression', 'csv_allow_double_quotes', "),
        ("nul\n", "is not known; expected"),
        ("csv_delimiter\u202e", "did you mean 'csv_delimiter'?"),
    ],
)
@pytest.mark.parametrize("value", [None, "x", 1, {"nested": 1}])
def test_an_unknown_option_is_refused_with_the_nearest(key: str, told: str, value: Any) -> None:
    with pytest.raises(ValidationError, match="is not known; ") as refusal:
        check_options({key: value})
    assert told in refusal.value.detail
    assert refusal.value.detail.isprintable()


@pytest.mark.parametrize(
    "options", [{"": 1}, {"k" * 65: 1}, {f"k{number}": 1 for number in range(51)}]
)
def test_too_much_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        check_options(options)


@pytest.mark.parametrize("value", [None, False, "true", 1])
def test_only_true_makes_a_source_public(value: Any) -> None:
    assert not is_public({"public": value})
    assert is_public({"public": True})
