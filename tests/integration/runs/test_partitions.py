"""Loads into tables with partition columns: what every other kind of work does with them, too."""

import json
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from stocktake.errors import SchemaConflictError
from stocktake.loading import partitions
from stocktake.runs.own_commits import live_files
from tests.integration.runs.conftest import Desk
from tests.integration.runs.test_maintain import maintain
from tests.integration.runs.test_restore import restore
from tests.integration.runs.test_stored_bytes import opened
from tests.support import loaded

FIRST = b"id,region,note\n1,eu,a\n2,us,b\n3,eu,c\n4,,d\n"
ODD = 'a/b %20=\u00e9 \'x\' ""q"" \\ :'


def rows(desk: Desk) -> list[dict[str, Any]]:
    """In the order of their ids."""
    return opened(desk).to_pyarrow_table().sort_by("id").to_pylist()


def by_partition(table: DeltaTable) -> list[dict[str, str | None]]:
    """The partition values of each file that the table is made of, as its log spells them."""
    return [add["partitionValues"] for add in loaded.adds(table.table_uri.removeprefix("file://"))]


def test_a_first_load_makes_a_partitioned_table_and_later_ones_keep_it(desk: Desk) -> None:
    desk.load(FIRST, partition_by="region")
    table = opened(desk)
    assert table.metadata().partition_columns == ["region"]
    assert sorted(by_partition(table), key=str) == [
        {"region": "eu"},
        {"region": "us"},
        {"region": None},
    ]
    # without the word, with the same, and with a file that lacks the column
    desk.load(b"id,region,note\n5,us,e\n")
    desk.load(b"id,region,note\n6,eu,f\n", partition_by="region")
    desk.load(b"id,note\n7,g\n")

    assert [(row["id"], row["region"]) for row in rows(desk)] == [
        (1, "eu"), (2, "us"), (3, "eu"), (4, None), (5, "us"), (6, "eu"), (7, None),
    ]  # fmt: skip
    assert desk.table().row_count == 7
    assert list(desk.columns()) == ["id", "region", "note"]


def test_rows_stand_in_the_files_order_within_each_partition(desk: Desk) -> None:
    lines = (f"{each},{each % 20}" for each in range(5_000))
    desk.load("\n".join(["id,part", *lines, ""]).encode(), partition_by="part")
    root = opened(desk).table_uri
    for read in (loaded.with_deltalake, loaded.with_duckdb):
        found: dict[int, list[int]] = {}
        for row in read(root):
            at, part = row.values() if isinstance(row, dict) else row
            found.setdefault(part, []).append(at)
        assert found == {part: list(range(part, 5_000, 20)) for part in range(20)}


def test_another_partition_by_is_refused_and_so_are_columns_that_cannot_be_one(desk: Desk) -> None:
    for sent, columns, told in [
        ("regoin", "{}", "did you mean 'region'?"),
        ("id,region,note", "{}", "has to have a column that it is not partitioned by"),
        ("id", '{"id": "float"}', "Column 'id' is double"),
        ("id", '{"id": "decimal(9, 2)"}', "Column 'id' is decimal128"),
    ]:
        job_id = desk.send(FIRST, target="delta", partition_by=sent, columns=columns)
        assert told in desk.fail(job_id, SchemaConflictError).detail
    desk.load(FIRST, partition_by="region")
    for mode in ("append", "replace"):
        job_id = desk.send(FIRST, target="delta", mode=mode, partition_by="note")
        assert desk.fail(job_id, SchemaConflictError).detail == (
            "The table is partitioned by 'region'; partition_by asks for 'note'."
        )
    lacking = desk.send(b"id,note\n1,x\n", target="delta", mode="replace")
    assert "has no column 'region'" in desk.fail(lacking, SchemaConflictError).detail
    assert len(rows(desk)) == 4


def test_a_table_without_partitions_gets_none_later(desk: Desk) -> None:
    desk.load(FIRST)
    job_id = desk.send(FIRST, target="delta", partition_by="region")
    assert "partitioned by no column" in desk.fail(job_id, SchemaConflictError).detail


def test_an_empty_text_is_no_partition_and_too_many_are_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Delta reads an empty text as null there: a value would change in silence."""
    job_id = desk.send(b'id,region\n1,eu\n2,""\n', target="delta", partition_by="region")
    assert desk.fail(job_id, SchemaConflictError).detail == (
        "Row 2 of the file has an empty text in the column 'region', by which the table is "
        "partitioned, and Delta keeps it as null there."
    )
    monkeypatch.setattr(partitions, "MOST_PARTITIONS", 3)
    desk.load(FIRST, partition_by="region")
    job_id = desk.send(FIRST, target="delta", name="other", partition_by="id")
    assert "more than 3 partitions" in desk.fail(job_id, SchemaConflictError).detail


def test_replace_merge_compaction_and_restore_know_the_partitions(any_desk: Desk) -> None:
    desk = any_desk
    desk.load(f'id,region,day,note\n1,"{ODD}",2024-01-31,a\n'.encode(), partition_by="region,day")
    desk.load(f'id,region,day,note\n2,"{ODD}",2024-01-31,b\n3,,,c\n'.encode())
    region = ODD.replace('""', '"')
    first = rows(desk)
    assert [row["region"] for row in first] == [region, region, None]

    # deltalake's merge makes folders of the values, in paths that are encoded
    desk.load(f'id,region,day,note\n2,"{ODD}",2024-01-31,B\n4,%41,2024-02-01,d\n'.encode(),
              mode="merge", key="id")  # fmt: skip
    merged = rows(desk)
    assert [(row["id"], row["region"], row["note"]) for row in merged] == [
        (1, region, "a"), (2, region, "B"), (3, None, "c"), (4, "%41", "d"),
    ]  # fmt: skip

    assert maintain(desk)["files_compacted"] == 2  # both of one partition
    assert rows(desk) == merged
    assert len(live_files(opened(desk))) == 3
    restore(desk, version=2)
    assert rows(desk) == first

    desk.load(b"id,region,day,note\n9,eu,2024-03-01,z\n", mode="replace")
    assert [row["id"] for row in rows(desk)] == [9]
    assert opened(desk).metadata().partition_columns == ["region", "day"]
    restore(desk)
    assert rows(desk) == first


def test_a_column_is_widened_beside_partitions(desk: Desk) -> None:
    desk.load(b"id,region,amount\n1,eu,1\n2,us,2\n", partition_by="region")
    desk.load(b"id,region,amount\n3,eu,2.5\n")
    assert [(row["region"], row["amount"]) for row in rows(desk)] == [
        ("eu", 1.0), ("us", 2.0), ("eu", 2.5),
    ]  # fmt: skip
    # the partition column itself keeps its type
    desk.load(b"id,part\n1,1\n", name="other", partition_by="part")
    job_id = desk.send(b"id,part\n2,1.5\n", name="other", target="delta")
    assert "column 'part' holds 1.5" in desk.fail(job_id, SchemaConflictError).detail


def test_a_dry_run_says_what_the_load_would(desk: Desk) -> None:
    from stocktake.runs import check_file

    def judged(data: bytes, by: str) -> dict[str, Any]:
        job_id = desk.send(data, target="delta", dry_run="true", partition_by=by)
        desk.run(job_id, check_file.run)
        return desk.result(job_id)

    assert judged(FIRST, "region")["refusal"] is None
    assert "empty text" in judged(b'id,region\n1,""\n', "region")["refusal"]["detail"]
    desk.load(FIRST, partition_by="region")
    assert "partitioned by 'region'" in judged(FIRST, "note")["refusal"]["detail"]


@pytest.mark.chdb
def test_every_reader_has_the_values_of_partitions(desk: Desk) -> None:
    texts = [ODD, " sp ", "null", "NULL", "__HIVE_DEFAULT_PARTITION__", "%41", "\u4e2d", "x\ty"]
    moments = ["1969-12-31 23:59:59.000001", "2024-01-02 00:00:00", "2024-01-02 03:04:05.123456"]
    lines = ["id,text,number,day,moment,flag"]
    for at, text in enumerate(texts):
        day, flag = f"{1901 + 49 * at}-12-31", ("true", "false")[at % 2]
        lines.append(
            f'{at},"{text}",{(-1) ** at * (2**63 - 9 + at)},{day},{moments[at % 3]},{flag}'
        )
    data = "\n".join([*lines, "99,,,,,", ""]).encode()
    for by in ("text", "number", "day", "moment", "flag", "text,number,day,moment,flag"):
        desk.load(data, name=f"by_{by.replace(',', '_')}", partition_by=by)
    desk.load(data, name="plain")

    names = ["plain", *(f"by_{each}" for each in ("text", "number", "day", "moment", "flag"))]
    names.append("by_text_number_day_moment_flag")
    roots = [_root(desk, name) for name in names]
    for reader, tables in loaded.as_arrow(roots, str(desk.sources)).items():
        found = [_sorted(reader, table) for table in tables]
        assert len(found[0]) == len(texts) + 1
        for name, each in zip(names, found, strict=True):
            assert each == found[0], (reader, name)


def _root(desk: Desk, name: str) -> str:
    from stocktake.parts import managed_storage

    storage, table = managed_storage(desk.settings), desk.table(name)
    return str(storage.delta_root(desk.project_id, str(table.id))[0])


def _sorted(reader: str, table: pa.Table | str) -> list[str]:
    assert isinstance(table, pa.Table), (reader, table)
    return sorted(json.dumps(row, default=str, sort_keys=True) for row in table.to_pylist())
