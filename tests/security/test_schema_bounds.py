"""No table grows so large that it could be no answer: by its source, and by what users set."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from stocktake.errors import InvalidSourceError, LimitExceededError
from stocktake.readers import introspect
from stocktake.readers.source import Limits, Source
from stocktake.schema.columns import Column, is_stored_within, stored_size
from stocktake.schema.formats import TableFormat
from tests.integration.api.conftest import Served
from tests.integration.api.playing import read_columns, start_worker
from tests.support.memory import MemoryObjects


def answered(data: str, table_format: TableFormat = TableFormat.JSON_EACH_ROW, **files: str) -> int:
    """The bytes of the columns that a read gives."""
    named = {"a": data} | files
    store = MemoryObjects({name: text.encode() for name, text in named.items()})
    found = introspect(Source(store=store, path="*", format=table_format))
    assert stored_size(found.columns) <= Limits().max_schema_bytes
    return stored_size(found.columns)


@pytest.mark.parametrize(
    ("data", "setting"),
    [
        (json.dumps({"k" * (1 << 20): 1}), "MAX_NAME_LENGTH"),
        (json.dumps({"a": [[{"k" * 1_001: 1}]]}), "MAX_NAME_LENGTH"),
        (json.dumps({"a": {f"k{n}": 1 for n in range(50_000)}}), "MAX_FIELDS"),
        (json.dumps([{"a": {f"k{n}": {f"l{n}": 1}}} for n in range(25_000)]), "MAX_FIELDS"),
        (json.dumps({f"c{n}": {f"k{m}": 1 for m in range(100)} for n in range(501)}), "MAX_FIELDS"),
        (json.dumps({"a": {f"{n:0900}": 1 for n in range(5_000)}}), "MAX_SCHEMA_BYTES"),
        # a letter that JSON spells with six characters, twice over
        (json.dumps({"\U0001f600" * 500 + str(n): 1 for n in range(800)}), "MAX_SCHEMA_BYTES"),
    ],
)
def test_a_json_file_is_held_to_the_bounds(data: str, setting: str) -> None:
    with pytest.raises(LimitExceededError, match=setting) as caught:
        answered(data)
    assert len(caught.value.detail) <= 2_010
    assert setting in caught.value.hint


def test_what_is_below_the_bounds_is_read() -> None:
    assert answered(json.dumps({"k" * 1_000: 1})) > 1_000
    assert answered(json.dumps({"a": {f"k{n}": 1 for n in range(49_000)}})) > 49_000
    assert answered(json.dumps({f"c{n}": 1 for n in range(10_000)})) > 10_000


def test_a_large_column_in_one_of_many_files_is_written_once() -> None:
    small = json.dumps({"a": {"k0": 1}})
    files = {f"f{n}": small for n in range(150)}
    assert answered(json.dumps({"a": {f"k{n}": 1 for n in range(5_000)}}), **files) > 5_000


def test_an_error_is_no_longer_than_two_thousand_characters() -> None:
    with pytest.raises(InvalidSourceError) as caught:
        answered(json.dumps({f"\0{n:0900}": n for n in range(9)}))
    caught.value.file = "f" * 100_000
    shown = caught.value.as_dict()
    assert max(len(shown[key]) for key in ("detail", "hint", "file")) <= 2_003


def test_types_that_users_set_are_held_to_the_bound(
    serve: Callable[..., Served],
    connect: Callable[..., httpx.Client],
    make_key: Callable[..., str],
    project_id: int,
) -> None:
    columns = [Column.of(f"c{n}", "Int8") for n in range(10)]
    room = stored_size(columns) + 20
    served = serve(inference_max_schema_bytes=max(room, 1024))
    start_worker(served, read_columns(columns))
    client = connect(make_key(["*"], project_id), served.url)
    client.base_url = client.base_url.join(f"/api/projects/{project_id}/")
    url = {"url_pattern": "https://bucket.s3.amazonaws.com/orders/*.parquet"}
    body = {"name": "orders", "format": "Parquet", "options": {"public": True}}
    made = client.post("warehouse_tables/", json=body | url, headers={"Prefer": "wait=20"}).json()
    path = f"warehouse_tables/{made['id']}/"

    def update(**updates: Any) -> httpx.Response:
        return client.post(path + "update_schema/", json={"updates": updates})

    assert update(c0="datetime").status_code == 200
    refused = update(**{column.name: "datetime" for column in columns})
    assert (refused.status_code, refused.json()["attr"]) == (400, "updates"), refused.text
    assert "STOCKTAKE_INFERENCE_MAX_SCHEMA_BYTES" in refused.json()["detail"]
    types = [column["type"] for column in client.get(path).json()["columns"]]
    assert types.count("datetime") == 1


@pytest.mark.parametrize("letter", ["a", '"', "\\", "\n", "\x1f", "é", "\uffff", "𝄞"])
@pytest.mark.parametrize("length", [1, 50, 5_000])
def test_what_is_surely_within_a_size_is_within_it(letter: str, length: int) -> None:
    columns = [Column.of(letter * length, "Nullable(Int64)"), Column.of("id", "Int64")]
    size = stored_size(columns)
    assert not is_stored_within(columns, size - 1)
    assert is_stored_within(columns, 12 * size)
