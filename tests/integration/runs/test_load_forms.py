"""What is sent with an upload, types and options, holds for it and for the files after it."""

import json
from decimal import Decimal
from typing import Any

import pytest

from stocktake.errors import RaggedRowsError, SchemaConflictError
from stocktake.readers.source import Introspection
from stocktake.runs import ingest_file
from stocktake.runs.load import load_rows
from stocktake.runs.load_plan import Load
from tests.integration.runs.conftest import Desk
from tests.integration.runs.test_ingest import parquet
from tests.integration.runs.test_load import delta, rows
from tests.integration.runs.test_maintain import maintain


def types(**words: str) -> str:
    return json.dumps(words)


def test_the_first_load_has_the_types_and_the_options_that_it_is_sent_with(desk: Desk) -> None:
    form = {
        "columns": types(zip="string", price="decimal(18, 2)"),
        "options": json.dumps({"encoding": "latin-1", "csv_delimiter": ";"}),
    }
    desk.load("zip;price;à\n02139;1.10;é\n10001;2;ü\n".encode("latin-1"), **form)
    # the next one says nothing, and is read alike
    desk.load("zip;price;à\n20002;3.5;ö\n".encode("latin-1"))

    assert sorted(rows(desk), key=str) == [
        {"zip": "02139", "price": Decimal("1.10"), "à": "é"},
        {"zip": "10001", "price": Decimal("2.00"), "à": "ü"},
        {"zip": "20002", "price": Decimal("3.50"), "à": "ö"},
    ]
    table = desk.table()
    assert table.options == {"encoding": "latin-1", "csv_delimiter": ";"}
    assert {column["name"]: column["override"] for column in table.columns} == {
        "zip": True,
        "price": True,
        "à": False,
    }
    assert desk.columns()["price"] == "Decimal(18, 2))"


def test_options_of_a_later_load_are_kept_when_it_was_read(desk: Desk) -> None:
    desk.load(b"a;b\n1;2\n", options='{"csv_delimiter": ";"}')
    sent = {"options": '{"csv_delimiter": "|", "csv_comment": "#"}', "target": "delta"}
    job_id = desk.send(b"a|b\n1|2|3\n", **sent)
    desk.fail(job_id, RaggedRowsError)
    assert desk.table().options == {"csv_delimiter": ";"}

    desk.load(b"# x\na|b\n3|4\n", **sent)
    assert desk.table().options == {"csv_delimiter": "|", "csv_comment": "#"}
    desk.load(b"a,b\n5,6\n", options='{"csv_delimiter": null}')
    assert desk.table().options == {"csv_comment": "#"}
    assert sorted(row["b"] for row in rows(desk)) == [2, 4, 6]


def test_types_are_kept_where_upkeep_has_written_a_later_version_first(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.load(b"id\n1\n")
    desk.load(b"id\n2\n")
    job_id = desk.send(b"id,n\n3,7\n", target="delta", columns=types(n="json", id="integer"))

    def load_and_maintain(load: Load) -> Introspection:
        found = load_rows(load)
        maintain(desk)
        return found

    monkeypatch.setattr(ingest_file, "load_rows", load_and_maintain)
    desk.run(job_id)

    loaded = desk.result(job_id)["source_version"]
    assert loaded < desk.table().source_version == delta(desk).version()
    assert {column["name"]: column["override"] for column in desk.table().columns} == {
        "id": True,
        "n": True,
    }
    assert desk.columns()["n"].startswith("Map")
    assert desk.table().row_count == 3


def test_wrong_options_of_a_first_file_are_mended_at_the_table(desk: Desk) -> None:
    job_id = desk.send(b"a;b\n1;2,5;\n", target="delta", options='{"csv_delimiter": ";"}')
    desk.fail(job_id, RaggedRowsError)
    assert desk.job(job_id).arguments.get("options") is None
    assert desk.table().options == {"csv_delimiter": ";"}


def test_a_file_in_the_place_of_another_keeps_form_too(desk: Desk) -> None:
    desk.run(desk.send(b"zip,n\n10001,1\n"))
    form = {"columns": types(zip="string"), "options": '{"csv_delimiter": ";"}'}
    desk.run(desk.send(b"zip;n\n02139;1\n", **form))

    assert desk.columns() == {"zip": "String)", "n": "Int64)"}
    assert desk.table().options == {"csv_delimiter": ";"}
    assert desk.valid() == {"zip": True, "n": True}
    desk.run(desk.send(b"zip;n\n20002;2\n"))
    assert desk.columns()["zip"] == "String)"


@pytest.mark.parametrize("target", ["delta", "file"])
def test_a_type_of_no_column_is_refused(desk: Desk, target: str) -> None:
    job_id = desk.send(b"zip\n1\n", target=target, columns=types(zpi="string"))
    error = desk.fail(job_id, SchemaConflictError)
    assert "did you mean 'zip'?" in error.detail


@pytest.mark.parametrize(
    ("word", "values", "kept"),
    [
        ("decimal", ["1.10", "2"], [Decimal("1.10"), Decimal(2)]),
        ("array", ["[1,2]", "[]"], [[1, 2], []]),
        ("array", ["[1]", '["x"]'], [["1"], ["x"]]),
        ("json", ['{"a": 1.10}', "[1]"], ['{"a": 1.10}', "[1]"]),
        ("string", ["007", "+1"], ["007", "+1"]),
        ("float", ["1", "2"], [1.0, 2.0]),
        ("datetime", ["2024-01-31", "31/01/2024"], None),
        ("integer", ["1", "+2"], [1, 2]),
    ],
)
def test_each_word_for_a_type_holds(desk: Desk, word: str, values: list[str], kept: Any) -> None:
    quoted = "".join(
        f'{n},"{value.replace(chr(34), chr(34) * 2)}"\n' for n, value in enumerate(values)
    )
    desk.load(f"n,x\n{quoted}".encode(), columns=types(x=word))
    found = [row["x"] for row in rows(desk)]
    assert found == kept if kept is not None else len({str(value) for value in found}) == 1


@pytest.mark.parametrize(
    ("word", "value", "words"),
    [
        ("decimal", "1.0000000001", ["1.0000000001", "Decimal(38, 9)"]),
        ("decimal(3,1)", "1.25", ["1.25", "Decimal(3, 1)"]),
        ("array", "x", ["x (String)", "expected Array"]),
        ("json", "x", ["it is no JSON"]),
        ("json", "NaN", ["it is no JSON"]),
        ("integer", "02139", ["02139"]),
        ("boolean", "maybe", ["maybe"]),
    ],
)
def test_what_a_word_does_not_take_is_refused_with_its_place(
    desk: Desk, word: str, value: str, words: list[str]
) -> None:
    job_id = desk.send(f"n,x\n1,{value}\n".encode(), target="delta", columns=types(x=word))
    error = desk.fail(job_id, SchemaConflictError)
    assert [each for each in ["line 2", "'x'", *words] if each not in error.detail] == []
    assert desk.table().schema_version == 0


def test_texts_of_a_file_with_types_are_held_to_json(desk: Desk) -> None:
    form = {"filename": "x.parquet", "format": "Parquet", "columns": types(x="json")}
    desk.load(parquet(x=['{"a": 1}', None]), **form)
    job_id = desk.send(parquet(x=["[1]", "{"]), target="delta", **form)
    error = desk.fail(job_id, SchemaConflictError)
    assert "row 2: column 'x' holds { (String), expected String: it is no JSON" in error.detail
    assert delta(desk).version() == 1


def test_a_type_that_the_rows_cannot_take_is_refused_with_the_file(desk: Desk) -> None:
    desk.load(b"id,n\n1,x\n")
    job_id = desk.send(b"id,n\n2,7\n", target="delta", columns=types(n="integer"))
    error = desk.fail(job_id, SchemaConflictError)
    assert "'n' is String in the table, and its rows cannot become Int64" in error.detail

    desk.load(b"id,n\n2,7\n", mode="replace", columns=types(n="integer"))
    assert rows(desk) == [{"id": 2, "n": 7}]


def test_spellings_of_null_are_nulls_in_readers_and_loads_alike(desk: Desk) -> None:
    data = b'id,n,s\n1,NA,-\n2,7,""\n3,-,"NA"\n4,,x\n'
    sent = {"options": json.dumps({"csv_null_values": ["NA", "-", '""']})}
    desk.load(data, **sent)
    assert [(row["n"], row["s"]) for row in rows(desk)] == [
        (None, None),
        (7, None),
        (None, "NA"),
        (None, "x"),
    ]
    # the table keeps them; a reader has the same types and finds them to hold
    desk.run(desk.send(data, name="files", **sent))
    types_of = {each["name"]: each["clickhouse"] for each in desk.table("files").columns}
    assert types_of == {
        f: f"Nullable({t})" for f, t in (("id", "Int64"), ("n", "Int64"), ("s", "String"))
    }
    assert all(column["valid"] for column in desk.table("files").columns)
