"""An upload is told by the name that its owner gave it, wherever a file is named."""

from stocktake.db.models import Job, SchemaVersion, Upload
from stocktake.schema.stored_origins import StoredOrigins
from stocktake.services.live_schemas import live_schema
from tests.integration.runs.conftest import Desk
from tests.integration.runs.test_ingest import CSV
from tests.integration.runs.test_refresh import refreshed
from tests.support.rows import context


def test_origins_and_diffs_name_the_file_as_it_was_sent(desk: Desk) -> None:
    desk.run(desk.send(CSV, "../june orders.csv"))
    second = desk.send(b"id,note,more\n1,a,b\n", "july.csv")
    desk.run(second)

    table = desk.table()
    with desk.database.read() as session:
        origins = StoredOrigins(session.merge(table).origins)
    assert origins.files == ["july.csv"]
    [added] = desk.result(second)["diff"]["added"]
    assert added["origin"]["brought_by"]["file"] == "july.csv"
    assert _told_by_id(desk) == []


def test_a_refresh_tells_the_same_name_and_finds_it_unchanged(desk: Desk) -> None:
    desk.run(desk.send(CSV, "june.csv"))
    coverage = refreshed(desk)["coverage"]
    assert isinstance(coverage, dict)
    assert coverage["unchanged"] is True
    with desk.database.write() as session:
        session.merge(desk.table()).source_state = None
    assert refreshed(desk)["change"] == "none"
    with desk.database.read() as session:
        assert StoredOrigins(session.merge(desk.table()).origins).files == ["june.csv"]


def test_warnings_name_the_file_as_it_was_sent(desk: Desk) -> None:
    job_id = desk.send(b"id,note\r\r\n1,a\r\r\n2,b\r\r\n", "june.csv")
    desk.run(job_id)
    warnings = desk.result(job_id)["warnings"]
    assert [each["file"] for each in warnings] == ["june.csv"]
    assert "june.csv" in warnings[0]["sentence"]
    assert _told_by_id(desk) == []


def test_the_schema_for_a_file_is_asked_by_its_name(desk: Desk) -> None:
    desk.run(desk.send(CSV, "june.csv"))
    desk.run(desk.send(b"id,note,more\n1,a,b\n", "july.csv"))
    with context(desk.database, desk.settings, desk.project_id) as ctx:
        found = live_schema(ctx, desk.table().id, for_file="july.csv")
    assert found.version.number == 2


def test_two_uploads_of_one_name_are_told_apart_by_their_time(desk: Desk) -> None:
    desk.run(desk.send(CSV, "orders.csv"))
    desk.run(desk.send(b"id,note,more\n1,a,b\n", "orders.csv"))
    desk.run(desk.send(b"id,note,more,most\n1,a,b,c\n", "orders.csv"))
    with desk.database.read() as session:
        versions = session.query(SchemaVersion).order_by(SchemaVersion.number)
        [_, *diffs] = [each.diff for each in versions]
    places = [diff["added"][0]["origin"]["brought_by"] for diff in diffs]
    assert [place["file"] for place in places] == ["orders.csv"] * 2
    assert places[0]["at"] < places[1]["at"]


def _told_by_id(desk: Desk) -> list[str]:
    """The uploads whose ids stand in what is told of tables and their jobs."""
    with desk.database.read() as session:
        ids = [str(upload.id) for upload in session.query(Upload)]
        versions = [str(each.diff) for each in session.query(SchemaVersion)]
        jobs = [f"{job.result} {job.error}" for job in session.query(Job)]
        table = session.merge(desk.table())
        told = " ".join([*versions, *jobs, str(table.origins), str(table.warnings)])
    return [each for each in ids if each in told]
