"""How a managed table's schema changes by loads: what docs/loads.md allows, widens and refuses."""

import datetime as dt
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from stocktake.errors import CommitConflictError, EmptySourceError, SchemaConflictError
from stocktake.runs import load as module
from stocktake.runs import load_plan
from tests.integration.runs.conftest import Desk
from tests.integration.runs.test_ingest import parquet
from tests.integration.runs.test_load import delta, rows
from tests.integration.runs.test_load_values import root
from tests.support import loaded


def jsonl(*objects: Any) -> bytes:
    return "\n".join(map(json.dumps, objects)).encode()


def load_json(desk: Desk, *objects: Any) -> str:
    """The change that the load was, as its diff classes it."""
    data = jsonl(*objects)
    attempt = desk.load(data, filename="x.jsonl", format="JSONEachRow")
    change: str = desk.result(attempt.claim.job_id)["change"]
    return change


def refuse_json(desk: Desk, *objects: Any) -> SchemaConflictError:
    before = (delta(desk).version(), desk.table().columns)
    job_id = desk.send(jsonl(*objects), filename="x.jsonl", format="JSONEachRow", target="delta")
    error = desk.fail(job_id, SchemaConflictError)
    assert (delta(desk).version(), desk.table().columns) == before
    assert isinstance(error, SchemaConflictError)
    return error


@pytest.mark.parametrize(
    ("first", "second", "read", "change"),
    [
        # a new column, a missing one, another order
        ({"a": 1}, {"a": 2, "b": "x"}, [{"a": 1, "b": None}, {"a": 2, "b": "x"}], "additive"),
        ({"a": 1, "b": "x"}, {"a": 2}, [{"a": 1, "b": "x"}, {"a": 2, "b": None}], "none"),
        ({"a": 1, "b": 2}, {"b": 3, "a": 4}, [{"a": 1, "b": 2}, {"a": 4, "b": 3}], "none"),
        # int to float and back
        ({"a": 1}, {"a": 1.5}, [{"a": 1.0}, {"a": 1.5}], "widening"),
        ({"a": 1.5}, {"a": 1}, [{"a": 1.5}, {"a": 1.0}], "none"),
        # a date to a moment, and back
        (
            {"a": "2024-01-31"},
            {"a": "2024-01-31 10:00:00"},
            [
                {"a": dt.datetime(2024, 1, 31, tzinfo=dt.UTC)},
                {"a": dt.datetime(2024, 1, 31, 10, tzinfo=dt.UTC)},
            ],
            "widening",
        ),
        # fields of structs, in lists too
        (
            {"a": {"b": 1}},
            {"a": {"c": "x", "b": 2}},
            [{"a": {"b": 1, "c": None}}, {"a": {"b": 2, "c": "x"}}],
            "additive",
        ),
        (
            {"a": [{"b": 1, "c": "x"}]},
            {"a": [{"b": 2}]},
            [{"a": [{"b": 1, "c": "x"}]}, {"a": [{"b": 2, "c": None}]}],
            "none",
        ),
        (
            {"a": [{"b": 1}]},
            {"a": [{"b": 1.5}]},
            [{"a": [{"b": 1.0}]}, {"a": [{"b": 1.5}]}],
            "widening",
        ),
        # a number into a text, as it is spelled
        ({"a": "x"}, {"a": 1.5}, [{"a": "x"}, {"a": "1.5"}], "none"),
    ],
)
def test_what_a_load_may_change(
    desk: Desk, first: Any, second: Any, read: list[Any], change: str
) -> None:
    load_json(desk, first)
    assert load_json(desk, second) == change

    found = loaded.with_deltalake(root(desk))
    assert sorted(found, key=str) == sorted(read, key=str)
    assert desk.table().row_count == 2


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ({"a": 1}, {"a": "x"}, ["line 1", "'a'", "x (String)", "expected Int64"]),
        ({"a": True}, {"a": 2}, ["'a'", "2 (Int64)", "expected Bool"]),
        ({"a": {"b": 1}}, {"a": {"b": "x"}}, ["'a.b'", "x (String)", "expected Int64"]),
        ({"a": [{"b": 1}]}, {"a": [{"b": "x"}]}, ["'a.b'", "x (String)", "expected Int64"]),
        ({"a": {"b": 1}}, {"a": 2}, ["'a'", "2 (Int64)", "expected Tuple(b Nullable(Int64))"]),
        ({"a": 1}, {"A": 2, "a": 3}, ["'a'", "'A'", "ignores case"]),
        ({"a": {"b": 1}}, {"a": {"B": 2}}, ["The fields of 'a'", "'b' and 'B'"]),
        ({"a": 9007199254740993}, {"a": 1.5}, ["'a'", "9007199254740993", "expected Float64"]),
    ],
)
def test_what_a_load_may_not_change_is_refused_with_path_and_value(
    desk: Desk, first: Any, second: Any, words: list[str]
) -> None:
    load_json(desk, first)
    error = refuse_json(desk, second)

    assert [word for word in words if word not in error.detail] == []
    if "ignores case" not in error.detail:
        assert "mode=replace takes the file's types, and removes the 1 row that" in error.hint


def test_a_widened_column_reads_the_same_to_other_engines(desk: Desk) -> None:
    desk.load(b"id,price\n1,1\n2,2\n")
    desk.load(b"id,price\n3,3\n")
    desk.load(b"id,price\n4,4.5\n")
    expected = [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.5)]

    assert loaded.with_duckdb(root(desk)) == expected
    clickhouse = loaded.with_clickhouse(root(desk), "id, price")
    assert [(int(one), float(two)) for one, two in clickhouse or []] == expected


def test_a_large_table_is_not_written_anew(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    load_json(desk, {"a": 1})
    monkeypatch.setattr(load_plan, "_MOST_REWRITTEN_BYTES", 10)
    error = refuse_json(desk, {"a": 1.5})

    assert "holds 1.5 (Float64), expected Int64" in error.detail
    assert "A column of type Float64 would take the values of both" in error.hint


def test_a_table_that_grew_while_it_was_written_anew_is_a_conflict_that_is_retried(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_json(desk, {"a": 1})
    widened, table = module._commit, delta(desk)

    def commit(*args: Any, **kwargs: Any) -> None:
        monkeypatch.setattr(module, "_commit", widened)
        write_deltalake(table, pa.table({"a": [2]}), mode="append")
        widened(*args, **kwargs)

    job_id = desk.send(jsonl({"a": 3.5}), filename="x.jsonl", format="JSONEachRow", target="delta")
    monkeypatch.setattr(module, "_commit", commit)
    desk.fail(job_id, CommitConflictError)
    desk.run(job_id)

    assert sorted(row["a"] for row in loaded.with_deltalake(root(desk))) == [1.0, 2.0, 3.5]


# --- columns that are open, and types that a user has set ------------------------------------


@pytest.mark.parametrize("first", [b"id,n\n", b"id,n\n1,\n"])
def test_a_column_without_a_value_takes_the_type_of_the_first_that_comes(
    desk: Desk, first: bytes
) -> None:
    desk.load(first)
    desk.load(b"id,n\n2,7\n")
    desk.load(b"id,n\n3,\n")

    assert desk.columns() == {"id": "Int64)", "n": "Int64)"}
    assert [row["n"] for row in rows(desk)][-2:] == [7, None]


@pytest.mark.parametrize("value", [1.5, "x", True])
def test_a_column_of_nulls_in_parquet_is_open_too(desk: Desk, value: Any) -> None:
    data = parquet(id=[1], x=pa.nulls(1))
    desk.load(data, filename="x.parquet", format="Parquet")
    desk.load(parquet(id=[2], x=[value]), filename="x.parquet", format="Parquet")

    assert [row["x"] for row in rows(desk)] == [None, value]


def test_a_column_with_texts_is_not_open(desk: Desk) -> None:
    desk.load(b"id,n\n1,\n2,x\n")
    desk.load(b"id,n\n3,7\n")

    assert desk.columns()["n"] == "String)"
    assert [row["n"] for row in rows(desk)] == [None, "x", "7"]


def test_a_type_that_a_user_has_set_holds_for_loads(desk: Desk) -> None:
    desk.load(b"id,zip\n1,10001\n")
    desk.override("zip", "Nullable(String)")
    desk.load(b"id,zip\n2,20002\n")
    assert [row["zip"] for row in rows(desk)] == ["10001", "20002"]

    desk.load(b"id,zip\n3,30003\n", mode="replace")
    assert [row["zip"] for row in rows(desk)] == ["30003"]
    assert desk.columns()["zip"] == "String)"


# --- Parquet's odd ones ------------------------------------------------------------------


def test_bytes_load_as_bytes(desk: Desk) -> None:
    values = [b"\xff\x00", b"", None]
    data = parquet(id=[1, 2, 3], b=pa.array(values), n=pa.array([{"b": v} for v in values]))
    desk.load(data, filename="x.parquet", format="Parquet")

    found = rows(desk)
    assert [row["b"] for row in found] == values
    assert [row["n"]["b"] for row in found] == values


def test_bytes_make_a_column_of_texts_one_of_bytes(desk: Desk) -> None:
    desk.load("id,b\n1,é\n".encode())
    data = parquet(id=[2], b=pa.array([b"\xff"]))
    desk.load(data, filename="x.parquet", format="Parquet")

    assert [row["b"] for row in rows(desk)] == ["é".encode(), b"\xff"]


@pytest.mark.parametrize(
    ("data", "format_"),
    [(parquet(), "Parquet"), (b"{}\n{}\n", "JSONEachRow")],
)
def test_a_file_without_columns_is_refused_at_once(desk: Desk, data: bytes, format_: str) -> None:
    job_id = desk.send(data, filename="x.file", format=format_, target="delta")
    error = desk.fail(job_id, EmptySourceError)

    assert error.detail
    assert not error.retryable
    assert desk.job(job_id).state == "failed"


def test_a_column_without_a_name_is_told_and_the_others_load(desk: Desk) -> None:
    table = pa.table([[1], [2]], names=["", "b"])
    attempt = desk.load(as_parquet(table), filename="x.parquet", format="Parquet")

    assert rows(desk) == [{"b": 2}]
    warnings = desk.result(attempt.claim.job_id)["warnings"]
    assert any("name" in warning["sentence"] for warning in warnings)


def as_parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def test_a_column_is_added_and_one_widened_wherever_the_table_is(any_desk: Desk) -> None:
    """To some stores the way leads through this process, which must not hold its own lock."""
    any_desk.load(b"id,note\n1,one\n")
    any_desk.load(b"id,note,price\n2,two,2\n")
    any_desk.load(b"id,note,price\n3,three,3.5\n")
    assert any_desk.columns() == {"id": "Int64)", "note": "String)", "price": "Float64)"}
