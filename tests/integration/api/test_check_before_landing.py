"""`{id}/check/` and `stocktake check`: what a file would do to a table before it lands there."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from stocktake.db.models import SchemaVersion, Table, Upload
from stocktake.db.session import Database
from stocktake.schema.columns import Column
from tests.integration.api.conftest import MakeKey, Served
from tests.integration.api.test_changes_cli import run, server, silent
from tests.integration.api.test_plan import served, work

__all__ = ["served", "server", "silent", "work"]
MakeTable = Callable[..., UUID]
LIVE = [
    Column.of("id", "Nullable(Int64)").as_dict(),
    Column.of("n", "Nullable(Int64)").as_dict(),
    Column.of("day", "Nullable(Date)", partition=True).as_dict(),
]


@pytest.fixture
def table(make_table: MakeTable, tmp_path: Path) -> UUID:
    """A table that reads many files."""
    return make_table(
        format="CSVWithNames",
        url_pattern=f"file://{tmp_path}/landed/*.csv",
        columns=LIVE,
        schema_version=1,
    )


def check(client: httpx.Client, table: UUID, data: bytes, **fields: str) -> dict[str, Any]:
    answer = client.post(
        f"warehouse_tables/{table}/check/",
        files={"file": ("new.csv", data)},
        data=fields,
        headers={"Prefer": "wait=20"},
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["result"])


FILES = [
    (b"id,n\n1,2\n", "none"),
    (b"n,id\n1,2\n", "none"),
    (b"id\n1\n", "none"),
    (b"id,n,note\n1,2,x\n", "additive"),
    (b"id,n\n1,2.5\n", "widening"),
    (b"id,n\n1,x\n", "breaking"),
]


@pytest.mark.parametrize(("data", "change"), FILES)
def test_a_file_that_lands_beside_others_is_told_by_class(
    client: httpx.Client, work: None, table: UUID, database: Database, data: bytes, change: str
) -> None:
    result = check(client, table, data)
    assert (result["table"], result["change"], result["row_count"]) == ("orders", change, 1)
    with database.read() as session:
        row = session.get_one(Table, table)
        assert (row.columns, row.source_state, row.generation) == (LIVE, None, 1)
        assert session.scalars(select(SchemaVersion)).all() == []
        assert [each.state for each in session.scalars(select(Upload))] == ["superseded"]


def test_a_file_in_the_place_of_the_only_one_may_not_lack_a_column(
    client: httpx.Client, work: None, make_table: MakeTable, tmp_path: Path
) -> None:
    only = make_table(
        format="CSVWithNames",
        url_pattern=f"file://{tmp_path}/only.csv",
        columns=LIVE[:2],
        schema_version=1,
    )
    assert check(client, only, b"id,n\n1,2\n")["change"] == "none"
    result = check(client, only, b"id\n1\n")
    assert (result["change"], result["diff"]["removed"]) == (
        "breaking",
        [{"name": "n", "type": "Nullable(Int64)"}],
    )


def test_rows_for_a_managed_table_are_held_to_it(client: httpx.Client, work: None) -> None:
    loaded = client.post(
        "warehouse_tables/file/",
        files={"file": ("new.csv", b"id,n\n1,2\n")},
        data={"name": "loaded", "target": "delta"},
    )
    result = check(client, loaded.json()["id"], b"id,n,note\n1,2,x\n", format="CSVWithNames")
    assert (result["change"], result["rows_before"], result["row_count"]) == ("additive", 1, 1)


def test_what_cannot_be_read_is_no_change_but_a_refusal(
    client: httpx.Client, work: None, table: UUID
) -> None:
    result = check(client, table, b"no parquet", format="Parquet")
    assert result["change"] is None
    assert "not in Parquet format" in result["refusal"]["detail"]


def test_options_over_the_tables_are_taken(client: httpx.Client, work: None, table: UUID) -> None:
    result = check(client, table, b"id;n\n1;2\n", options='{"csv_delimiter": ";"}')
    assert result["change"] == "none"


def test_a_file_is_judged_where_it_is(
    client: httpx.Client, work: None, table: UUID, tmp_path: Path
) -> None:
    (tmp_path / "new.csv").write_bytes(b"id,n,note\n1,2,x\n")

    def ask(url: str, **more: Any) -> httpx.Response:
        parts = {"url_pattern": (None, url)} | more
        path = f"warehouse_tables/{table}/check/"
        return client.post(path, files=parts, headers={"Prefer": "wait=20"})

    answer = ask(f"file://{tmp_path}/new.csv")
    assert answer.json()["result"]["change"] == "additive"
    for absent in ("none.csv", "landed/none-*.csv"):
        result = ask(f"file://{tmp_path}/{absent}").json()["result"]
        assert result["change"] is None
        assert "bucket" not in str(result["refusal"])
    elsewhere = ask("https://other.s3.amazonaws.com/new.csv")
    assert (elsewhere.status_code, elsewhere.json()["attr"]) == (400, "url_pattern")
    assert "bucket" not in elsewhere.json()["detail"]
    both = ask(f"file://{tmp_path}/new.csv", file=("new.csv", b"id\n1\n"))
    assert both.status_code == 400
    unknown = ask(f"file://{tmp_path}/new.csv", fromat=(None, "CSV")).json()
    assert (unknown["attr"], "did you mean 'format'" in unknown["detail"]) == ("fromat", True)
    assert client.post(f"warehouse_tables/{table}/check/").status_code == 400


def test_who_may_only_read_sends_nothing(
    connect: Callable[..., httpx.Client], make_key: MakeKey, table: UUID, project_id: int
) -> None:
    reader = connect(make_key(["warehouse_table:read"]))
    path = f"/api/projects/{project_id}/warehouse_tables/{table}/check/"
    assert reader.post(path, files={"file": ("a.csv", b"a\n")}).status_code == 403


STATUS = {"none": 0, "additive": 0, "widening": 3, "breaking": 4}


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_the_exit_status_tells_the_class(
    work: None, table: UUID, tmp_path: Path, served: Served
) -> None:
    file = tmp_path / "new.csv"
    for data, change in FILES:
        file.write_bytes(data)
        done = run("check", str(file), "--table", "orders", status=STATUS[change])
        assert done.stdout.startswith(f"orders: {change}\n")
        at_its_place = run("check", f"file://{file}", "--table", "orders", status=STATUS[change])
        assert at_its_place.stdout == done.stdout
    run("check", str(file), "--table", "orders", "--format", "Parquet", status=1)
    other = tmp_path / "new.parquet"
    other.write_bytes(b"PAR1 cut,off\n1,2\n")
    for each in (str(other), f"file://{other}"):
        refused = run("check", each, "--table", "orders", status=1)
        assert "'new.parquet' ends as a file of Parquet does" in str(refused.exception)
    run("check", str(file), status=2)
    run("check", str(tmp_path / "nothing.csv"), "--table", "orders", status=2)


def _sent(client: httpx.Client, table: UUID, name: str, data: bytes, **fields: str) -> Any:
    return client.post(
        f"warehouse_tables/{table}/check/",
        files={"file": (name, data)},
        data=fields,
        headers={"Prefer": "wait=20"},
    )


#: Texts that read as CSV, under names of other formats.
OTHERS = [
    ("new.parquet", b"PAR1 cut,off\n1,2\n"),
    ("new.json", b"id,n\n1,2\n"),
    ("new.json.gz", b"id,n\n1,2\n"),
    ("new.avro", b"id,n\n1,2\n"),
    ("new.xlsx", b"id,n\n1,2\n"),
]


@pytest.mark.parametrize(("name", "data"), OTHERS)
def test_a_file_whose_name_tells_another_format_is_refused(
    client: httpx.Client, work: None, table: UUID, tmp_path: Path, name: str, data: bytes
) -> None:
    answer = _sent(client, table, name, data)
    assert (answer.status_code, answer.json()["attr"]) == (400, "format")
    assert "reads its files as CSV" in answer.json()["detail"]
    (tmp_path / name).write_bytes(data)
    url = {"url_pattern": (None, f"file://{tmp_path}/{name}")}
    there = client.post(f"warehouse_tables/{table}/check/", files=url)
    assert (there.status_code, there.json()["detail"]) == (400, answer.json()["detail"])
    # Who says so has it read as that.
    if not name.endswith(".gz"):
        assert _sent(client, table, name, data, format="CSVWithNames").status_code == 200


def test_a_name_like_those_of_the_tables_own_files_is_taken(
    client: httpx.Client, work: None, make_table: MakeTable, tmp_path: Path
) -> None:
    odd = make_table(
        format="CSVWithNames",
        url_pattern=f"file://{tmp_path}/*.json",
        columns=LIVE[:2],
        schema_version=1,
    )
    told = _sent(client, odd, "new.json", b"id,n\n1,2\n").json()
    assert told["result"]["change"] == "none"
    assert _sent(client, odd, "new", b"id,n\n1,2\n").json()["result"]["change"] == "none"
    assert _sent(client, odd, "new.parquet", b"id,n\n1,2\n").status_code == 400


def test_bytes_tell_another_format_where_the_name_does_not(
    client: httpx.Client, work: None, table: UUID
) -> None:
    for data, title in (
        (b"PAR1\x15\x04\x15,cut\n1,2\n", "Parquet"),
        (b"Obj\x01\x04\x14avro.codec", "Avro"),
        (b'{"id": 1}\n', "JSON"),
    ):
        result = _sent(client, table, "new", data).json()["result"]
        assert (result["change"], result["refusal"]["code"]) == (None, "format_mismatch")
        assert title in result["refusal"]["detail"]


@pytest.mark.parametrize("target", ["file", "delta"])
def test_a_file_for_a_table_of_uploads_is_read_as_an_upload_is(
    client: httpx.Client, work: None, target: str
) -> None:
    made = client.post(
        "warehouse_tables/file/",
        files={"file": ("new.csv", b"id,n\n1,2\n")},
        data={"name": "loaded", "target": target},
    ).json()["id"]
    for name in ("again.json", "again.json.gz"):
        data = b'{"id": 1, "n": 2}\n'
        told = _sent(client, made, name, gzip.compress(data) if "gz" in name else data).json()
        assert (told["result"]["change"], told["result"]["row_count"]) == ("none", 1)
    assert _sent(client, made, "again", b"id,n\n1,2\n").json()["result"]["change"] == "none"
