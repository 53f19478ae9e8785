import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.wire.strict_json import MAX_DEPTH, parse_json
from stocktake.errors import ValidationError

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=20,
)


@given(values)
def test_json_that_is_in_order_is_parsed_as_it_is(value: object) -> None:
    assert parse_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b"NaN",
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b"1" * 5000,
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 900 + b"1" + b"}" * 900,
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_no_client_should_send_is_a_parse_error(body: bytes) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_json(body)
    assert caught.value.code == "parse_error"


def test_the_deepest_body_that_is_taken_is_parsed() -> None:
    assert parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


@pytest.mark.parametrize("text", [r"\u0000", r"\ud800", r"x\udfff"])
def test_text_that_no_database_stores_is_refused_with_its_field(text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_json(f'{{"credential": {{"access_key": "{text}"}}}}'.encode())
    assert caught.value.attr == "credential__access_key"
    with pytest.raises(ValidationError):
        parse_json(f'{{"{text}": 1}}'.encode())


def test_a_whole_surrogate_pair_is_a_character() -> None:
    assert parse_json(rb'"\ud83d\ude00"') == "\U0001f600"


def test_the_field_of_a_nested_value_is_named_with_the_fields_around_it() -> None:
    with pytest.raises(ValidationError) as refused:
        parse_json(b'{"a": [{"b": {"c": "\\u0000"}}]}')
    assert refused.value.attr == "a__b__c"


def test_a_long_name_over_many_values_costs_no_more_than_the_body() -> None:
    many = ",".join(f'"{number}":1' for number in range(2000))
    body = b'{"' + b"k" * 100_000 + b'":{' + many.encode() + b"}}"
    tracemalloc.start()
    try:
        parse_json(body)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 20 * len(body)


def test_an_error_names_no_more_of_a_long_field_than_people_read() -> None:
    with pytest.raises(ValidationError) as refused:
        parse_json(b'{"' + b"k" * 100_000 + b'": "\\u0000"}')
    assert refused.value.attr == "k" * 256
