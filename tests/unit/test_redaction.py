import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.redaction import MASK, redact, redact_text
from stocktake.security.keys import make_key

SECRET = "hunter2Canary"


@pytest.mark.parametrize(
    "text",
    [
        f"https://user:{SECRET}@bucket.example/path",
        f"redis://:{SECRET}@127.0.0.1:6379/0",
        f"postgresql+psycopg://app:p@ss{SECRET}@db/stocktake",
        f"https://h/o?X-Amz-Signature={SECRET}&x=1",
        f"https://h/o?a=1&sig={SECRET}",
        f"https://h/o?X-Amz-Credential={SECRET}%2F2026",
        f"Authorization: Bearer {SECRET}",
        f'{{"access_secret": "{SECRET}"}}',
        f"{{'access_secret': '{SECRET} with spaces'}}",
        f"AWS_SECRET_ACCESS_KEY={SECRET}",
        f"password={SECRET}, host=x",
        f"password:2{SECRET}",
        f"s3://1:{SECRET}@9",
        f"sig={SECRET}Longer%2Bx%3D&sv=2024-11-04",
        f"SharedAccessSignature={SECRET}",
        f"BlobEndpoint=https://x/;SharedAccessSignature=sv=2024&sig={SECRET}",
        f"AccountName=lake;AccountKey={SECRET};EndpointSuffix=x",
        f"grant_type=client_credentials&client_secret={SECRET}",
    ],
)
def test_a_secret_in_text_is_masked(text: str) -> None:
    assert SECRET not in redact_text(text)
    assert MASK in redact_text(text)


@pytest.mark.parametrize(
    "name",
    [
        "access_secret",
        "access_key",
        "managed_storage_access_secret",
        "secret_keys",
        "password",
        "Authorization",
        "metrics_token",
        "flower_basic_auth",
        "plaintext",
    ],
)
def test_a_field_with_a_secret_name_is_masked_whatever_it_holds(name: str) -> None:
    assert redact({name: SECRET})[name] == MASK
    assert redact({name: [SECRET]})[name] == MASK


@pytest.mark.parametrize("name", ["credential_id", "key_prefix", "key_id", "table_id", "tokens"])
def test_fields_that_only_sound_secret_stay(name: str) -> None:
    assert redact({name: "plain"}) == {name: "plain"}


def test_a_new_key_is_masked_in_any_depth() -> None:
    key = make_key().plaintext
    assert key not in str(redact({"a": [{"b": (f"got {key}!",)}]}))


@pytest.mark.parametrize(
    "text",
    [
        "https://bucket.s3.amazonaws.com/orders/*.parquet?versionId=3",
        "mail ada@example.com about it",
        "The provided bucket doesn't exist",
        "orders/sig=1/x.csv",
    ],
)
def test_plain_text_stays(text: str) -> None:
    assert redact_text(text) == text


@given(st.text(max_size=200))
def test_masking_twice_is_masking_once(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once
