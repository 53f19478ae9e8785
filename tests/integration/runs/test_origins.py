"""Which file, version or snapshot brought a column: beside the columns, told with each diff."""

import json
import os
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import select

from stocktake.db.models import SchemaVersion, Table
from stocktake.runs import refresh_schema
from stocktake.schema.stored_origins import StoredOrigins
from tests.integration.runs.conftest import Desk
from tests.integration.runs.test_history import write as write_iceberg
from tests.support.rows import enqueue, make_table, refresh_of

#: 2026-11-20, and each file a day later than the one before.
BEGIN = 1_795_132_800
DAY = 86_400


def write(desk: Desk, day: int, **columns: Any) -> str:
    """Write a Parquet file of one day; its name."""
    folder = desk.sources / "orders"
    folder.mkdir(exist_ok=True)
    path = folder / f"{20 + day}.parquet"
    pq.write_table(pa.table(columns), path)
    os.utime(path, (BEGIN + day * DAY, BEGIN + day * DAY))
    return path.name


def register(desk: Desk, pattern: str, format_: str = "Parquet") -> None:
    with desk.database.write() as session:
        make_table(
            session,
            desk.project_id,
            "orders",
            format=format_,
            url_pattern=f"file://{desk.sources}/{pattern}",
        )


def refreshed(desk: Desk) -> dict[str, Any]:
    job_id = enqueue(desk.database, refresh_of(desk.table()))
    desk.run(job_id, refresh_schema.run)
    return desk.result(job_id)


def origin(desk: Desk, name: str) -> dict[str, Any]:
    """A column's origin as the API shows it."""
    with desk.database.read() as session:
        stored = session.scalars(select(Table.origins)).one()
    found = StoredOrigins(stored).shown(name)
    assert found is not None
    return found


def test_a_column_knows_its_first_and_its_newest_file_and_how_many_have_it(desk: Desk) -> None:
    for day in range(3):
        write(desk, day, id=[1])
    write(desk, 3, id=[1], note=["a"])
    write(desk, 4, id=[1], note=["a"])
    register(desk, "orders/*.parquet")
    result = refreshed(desk)

    note = origin(desk, "note")
    assert (note["first"]["file"], note["newest"]["file"]) == ("23.parquet", "24.parquet")
    assert note["first"]["at"] == "2026-11-23T00:00:00+00:00"
    assert (note["files"], note["of_files"], note["sampled"]) == (2, 5, False)
    assert (origin(desk, "id")["files"], origin(desk, "id")["camps"]) == (5, [])
    assert result["coverage"]["columns_in_all"] == 1
    assert result["coverage"]["columns_in_some"] == [{"name": "note", "files": 2, "of_files": 5}]


def test_a_widened_type_names_the_files_of_each_camp(desk: Desk) -> None:
    for day in range(11):
        write(desk, day, price=[1])
    register(desk, "orders/*.parquet")
    refreshed(desk)
    culprit = write(desk, 11, price=[1.5])
    result = refreshed(desk)

    camps = origin(desk, "price")["camps"]
    assert [(camp["type"], camp["files"]) for camp in camps] == [
        ("Nullable(Int64)", 11),
        ("Nullable(Float64)", 1),
    ]
    assert (camps[0]["first"]["file"], camps[0]["newest"]["file"]) == ("20.parquet", "30.parquet")
    (change,) = result["diff"]["changed"]
    assert change["origin"]["brought_by"]["file"] == culprit
    assert change["origin"]["camps"] == camps


def test_an_added_column_names_the_file_that_brought_it_in_job_and_version(desk: Desk) -> None:
    write(desk, 0, id=[1])
    register(desk, "orders/*.parquet")
    first = refreshed(desk)
    # of the first read all is new
    assert "origin" not in first["diff"]["added"][0]
    culprit = write(desk, 1, id=[1], note=["a"])
    write(desk, 2, id=[1], note=["a"])
    result = refreshed(desk)

    (added,) = result["diff"]["added"]
    assert added["origin"]["brought_by"]["file"] == culprit
    assert (added["origin"]["files"], added["origin"]["of_files"]) == (2, 3)
    with desk.database.read() as session:
        diffs = [*session.scalars(select(SchemaVersion.diff).order_by(SchemaVersion.number))]
    assert diffs[-1] == result["diff"]


def test_another_origin_of_equal_columns_is_no_version(desk: Desk) -> None:
    write(desk, 0, id=[1])
    register(desk, "orders/*.parquet")
    refreshed(desk)
    write(desk, 1, id=[2])
    result = refreshed(desk)

    assert (result["change"], result["schema_version"], desk.versions()) == ("none", 1, 1)
    assert origin(desk, "id")["newest"]["file"] == "21.parquet"


def test_a_column_that_a_policy_keeps_has_no_origin_once_its_source_lacks_it(desk: Desk) -> None:
    write(desk, 0, id=[1], note=["a"])
    register(desk, "orders/*.parquet")
    refreshed(desk)
    with desk.database.write() as session:
        session.scalars(select(Table)).one().change_policy = "manual"
    write(desk, 0, id=[1])
    refreshed(desk)
    assert [column["name"] for column in desk.table().columns] == ["id", "note"]
    with desk.database.read() as session:
        stored = session.scalars(select(Table.origins)).one()
    assert StoredOrigins(stored).shown("note") is None
    assert origin(desk, "id")["files"] == 1


def test_an_unchanged_source_leaves_the_origins_as_they_are(desk: Desk) -> None:
    write(desk, 0, id=[1])
    register(desk, "orders/*.parquet")
    refreshed(desk)
    before = origin(desk, "id")
    result = refreshed(desk)
    assert result["coverage"]["unchanged"] is True
    assert origin(desk, "id") == before


def test_a_sample_says_so_and_keeps_the_first_file_that_was_seen(desk: Desk) -> None:
    desk = replace(desk, settings=desk.settings.model_copy(update={"inference_max_files": 2}))
    write(desk, 0, id=[1], old=["a"])
    write(desk, 1, id=[1])
    register(desk, "orders/*.parquet")
    refreshed(desk)
    assert origin(desk, "id")["sampled"] is False
    for day in (2, 3):
        write(desk, day, id=[1])
    refreshed(desk)

    found = origin(desk, "id")
    assert (found["files"], found["of_files"], found["sampled"]) == (2, 2, True)
    assert (found["first"]["file"], found["newest"]["file"]) == ("20.parquet", "23.parquet")
    # the sample has not met it, and keeps it
    old = origin(desk, "old")
    assert (old["files"], old["first"]["file"]) == (0, "20.parquet")


def test_files_of_texts_have_origins_too(desk: Desk) -> None:
    folder = desk.sources / "orders"
    folder.mkdir()
    for day, text in enumerate(("id,n\n1,2\n", "id,n\n1,2.5\n", "id\n1\n")):
        path = folder / f"{20 + day}.csv"
        path.write_text(text)
        os.utime(path, (BEGIN + day * DAY, BEGIN + day * DAY))
    register(desk, "orders/*.csv", "CSVWithNames")
    refreshed(desk)

    found = origin(desk, "n")
    assert (found["files"], found["of_files"]) == (2, 3)
    assert [(camp["type"], camp["first"]["file"]) for camp in found["camps"]] == [
        ("Nullable(Int64)", "20.csv"),
        ("Nullable(Float64)", "21.csv"),
    ]


def commit(desk: Desk, version: int, **types: str) -> None:
    """Write a commit of a Delta log, an hour after the one before; with types one of a schema."""
    log = desk.sources / "orders" / "_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    actions: list[dict[str, Any]] = [{"commitInfo": {"timestamp": (BEGIN + version * 3600) * 1000}}]
    if types:
        fields = [
            {"name": name, "type": type_, "nullable": True, "metadata": {}}
            for name, type_ in types.items()
        ]
        metadata = {
            "id": "0",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": fields}),
            "partitionColumns": [],
            "configuration": {},
        }
        protocol = {"minReaderVersion": 1, "minWriterVersion": 2}
        actions += [{"protocol": protocol}, {"metaData": metadata}]
    path = log / f"{version:020}.json"
    path.write_text("\n".join(map(json.dumps, actions)))


def test_a_delta_column_knows_the_version_that_brought_it_and_its_type(desk: Desk) -> None:
    commit(desk, 0, id="integer")
    commit(desk, 1)
    commit(desk, 2, id="integer", note="string")
    commit(desk, 3, id="long", note="string")
    commit(desk, 4)
    register(desk, "orders", "Delta")
    refreshed(desk)

    note, id_ = origin(desk, "note"), origin(desk, "id")
    assert (note["first"]["version"], note["newest"]["version"]) == (2, 4)
    assert note["first"]["at"] == "2026-11-20T02:00:00+00:00"
    assert (note["files"], note["of_files"], note["first"]["exact"]) == (None, None, True)
    assert (id_["first"]["version"], id_["type_since"]["version"]) == (0, 3)


def test_a_later_read_of_a_delta_log_keeps_what_the_earlier_one_knew(desk: Desk) -> None:
    commit(desk, 0, id="integer")
    register(desk, "orders", "Delta")
    refreshed(desk)
    commit(desk, 1)
    commit(desk, 2, id="integer", note="string")
    result = refreshed(desk)

    assert result["diff"]["added"][0]["origin"]["brought_by"]["version"] == 2
    assert origin(desk, "id")["first"] == {
        "file": None,
        "version": 0,
        "snapshot": None,
        "at": "2026-11-20T00:00:00+00:00",
        "exact": True,
    }
    commit(desk, 3, id="long", note="string")
    changed = refreshed(desk)["diff"]["changed"]
    assert changed[0]["origin"]["brought_by"]["version"] == 3
    commit(desk, 4)
    refreshed(desk)
    assert origin(desk, "id")["type_since"]["version"] == 3
    assert origin(desk, "note")["first"]["version"] == 2


def test_an_iceberg_column_knows_its_snapshot(desk: Desk) -> None:
    folder = desk.sources / "orders"
    write_iceberg(folder, 1, 4, 0, 2, 3)
    register(desk, "orders", "Iceberg")
    refreshed(desk)

    note, ident = origin(desk, "note"), origin(desk, "ident")
    assert (note["first"]["snapshot"], note["newest"]["snapshot"]) == ("10", "13")
    # the same field: it got another name, and another type
    assert (ident["first"]["snapshot"], ident["type_since"]["snapshot"]) == ("10", "13")
