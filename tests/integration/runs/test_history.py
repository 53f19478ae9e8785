"""What a source tells of its earlier schemas becomes the table's first versions."""

from pathlib import Path

from sqlalchemy import select

from stocktake.db.models import SchemaVersion
from stocktake.runs import refresh_schema
from tests.integration.runs.conftest import Desk
from tests.support.iceberg_tables import as_file, field_of, metadata_of, snapshot_of
from tests.support.rows import enqueue, make_table, refresh_of

ID, IDENT = field_of(1, "id", "int"), field_of(1, "ident", "long", required=True)
NOTE, DAY = field_of(2, "note", "string"), field_of(3, "day", "date")
#: Of one table, oldest first.
SCHEMAS = ([ID, NOTE], [NOTE, ID], [NOTE, ID, DAY], [NOTE, IDENT])


def write(folder: Path, number: int, schemas: int, *snapshots: int) -> None:
    """Write a metadata file that holds the first schemas, and a snapshot of each that is given."""
    metadata = metadata_of(
        *SCHEMAS[:schemas],
        snapshots=[snapshot_of(10 + each, schema=each) for each in snapshots],
        current_snapshot_id=10 + snapshots[-1] if snapshots else None,
    )
    (folder / "metadata").mkdir(parents=True, exist_ok=True)
    (folder / "metadata" / f"v{number}.metadata.json").write_bytes(as_file(metadata))


def register(desk: Desk, folder: Path, format_: str = "Iceberg") -> None:
    with desk.database.write() as session:
        pattern = f"file://{folder}"
        make_table(session, desk.project_id, "orders", format=format_, url_pattern=pattern)


def refreshed(desk: Desk) -> dict[str, object]:
    job_id = enqueue(desk.database, refresh_of(desk.table()))
    desk.run(job_id, refresh_schema.run)
    return desk.result(job_id)


def versions(desk: Desk) -> list[SchemaVersion]:
    with desk.database.read() as session:
        return [*session.scalars(select(SchemaVersion).order_by(SchemaVersion.number))]


def named(version: SchemaVersion) -> list[str]:
    return [column["name"] for column in version.columns]


def test_the_first_read_stores_the_history_that_the_file_holds(desk: Desk) -> None:
    folder = desk.sources / "orders"
    write(folder, 1, 4, 0, 2, 3)
    register(desk, folder)
    result = refreshed(desk)

    # another order alone makes no version: what is stored is the newest of the two
    first, second, third = versions(desk)
    assert [each.number for each in (first, second, third)] == [1, 2, 3]
    assert [named(each) for each in (first, second, third)] == [
        ["note", "id"],
        ["note", "id", "day"],
        ["note", "ident"],
    ]
    assert [each.source_version for each in (first, second, third)] == ["10", "12", "13"]
    assert [each.change for each in (first, second, third)] == ["additive", "additive", "breaking"]
    assert second.diff["added"] == [{"name": "day", "type": "Nullable(Date32)"}]
    assert third.diff["renamed"] == [{"from": "id", "to": "ident"}]
    assert [each["name"] for each in third.diff["removed"]] == ["day"]
    assert [each["from"] for each in third.diff["changed"]] == ["Nullable(Int32)"]
    assert len({each.job_id for each in versions(desk)}) == 1

    table = desk.table()
    assert (table.schema_version, table.source_version) == (3, "13")
    assert desk.columns() == {"note": "String)", "ident": "Int64"}
    assert table.schema_bytes > 0
    # the job tells what is new to the registry: the table itself
    assert (result["change"], result["schema_version"]) == ("additive", 3)


def test_later_reads_add_what_is_new_and_no_history(desk: Desk) -> None:
    folder = desk.sources / "orders"
    write(folder, 1, 1, 0)
    register(desk, folder)
    refreshed(desk)
    write(folder, 2, 4, 0, 2, 3)
    result = refreshed(desk)

    assert [named(each) for each in versions(desk)] == [["id", "note"], ["note", "ident"]]
    assert (result["change"], result["schema_version"]) == ("breaking", 2)
    assert refreshed(desk)["coverage"]["unchanged"] is True  # type: ignore[index]  # JSON


def test_a_table_that_had_versions_before_gets_no_history(desk: Desk) -> None:
    """Its URL was changed: what the new source was before, this table never was."""
    folder = desk.sources / "orders"
    write(folder, 1, 1)
    register(desk, folder)
    refreshed(desk)
    other = desk.sources / "other"
    write(other, 1, 4)
    desk.change_table(url_pattern=f"file://{other}")
    refreshed(desk)

    assert [named(each) for each in versions(desk)] == [["id", "note"], ["note", "ident"]]
