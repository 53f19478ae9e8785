"""What a managed Delta table stores: told after each load, and counted against its project."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from sqlalchemy import event, select, text, update

from stocktake.catalog.stored_bytes import stored_bytes
from stocktake.db.clock import now
from stocktake.db.models import Table, Upload
from stocktake.errors import InvalidSourceError, QuotaExceededError, StaleAttemptError
from stocktake.parts import managed_storage
from stocktake.runs import ingest_file, maintain_table, restore_table
from stocktake.runs.managed_table import TRANSACTION_DAYS, ManagedTable
from stocktake.services import maintenance
from tests.integration.runs.conftest import Desk
from tests.support.rows import context, make_tables

CSV = b"id,note\n1,one\n2,two\n"
MORE = b"id,note\n3,three\n"


def opened(desk: Desk) -> DeltaTable:
    uri, options = managed_storage(desk.settings).delta_root(desk.project_id, str(desk.table().id))
    return DeltaTable(uri, storage_options=options)


def files(desk: Desk) -> dict[str, int]:
    """The data files that are in storage, and their sizes."""
    storage = managed_storage(desk.settings)
    root = storage.path(f"{storage.delta_key(desk.project_id, str(desk.table().id))}/")
    found = {each.path.removeprefix(root): each.size for each in storage.store().list(root)}
    return {
        path: size for path, size in found.items() if path.endswith(".parquet") and "/" not in path
    }


def live(desk: Desk) -> list[int]:
    """The sizes of the files that the table is made of, as storage has them."""
    sizes = files(desk)
    return [sizes[uri.rpartition("/")[2]] for uri in opened(desk).file_uris()]


def told(desk: Desk) -> tuple[int | None, int | None, int | None]:
    table = desk.table()
    return table.file_count, table.size_bytes, table.stored_bytes


def true(desk: Desk) -> tuple[int, int, int]:
    return len(live(desk)), sum(live(desk)), sum(files(desk).values())


def test_after_each_load_files_and_bytes_are_those_in_storage(any_desk: Desk) -> None:
    desk = any_desk
    for data, mode in ((CSV, "append"), (MORE, "append"), (MORE, "replace"), (CSV, "append")):
        job = desk.load(data, mode=mode).claim.job_id
        assert told(desk) == true(desk)
        assert desk.result(job)["file_count"] == len(live(desk))
        assert desk.result(job)["size_bytes"] == sum(live(desk))
    assert (len(live(desk)), len(files(desk))) == (2, 4)


def test_a_load_whose_record_was_lost_is_counted_by_the_next_attempt_once(desk: Desk) -> None:
    desk.load(CSV)
    job_id = desk.send(MORE, target="delta", mode="replace")
    attempt = desk.attempt(job_id)
    stale = replace(attempt.claim, attempt=attempt.claim.attempt - 1)
    with pytest.raises(StaleAttemptError):
        ingest_file.run(replace(attempt, claim=stale))
    desk.expire(job_id)
    desk.run(job_id)

    assert told(desk) == true(desk)
    assert len(files(desk)) == 2


def test_files_are_listed_where_the_commits_since_the_last_count_are_gone(desk: Desk) -> None:
    desk.load(CSV)
    desk.load(MORE, mode="replace")
    with desk.database.write() as session:
        session.execute(update(Table).values(stored_version=0, stored_bytes=0))
    opened(desk).create_checkpoint()
    for commit in Path(opened(desk).table_uri.removeprefix("file://"), "_delta_log").glob(
        "*1.json"
    ):
        commit.unlink()
    desk.load(MORE)

    assert told(desk) == true(desk)


def test_a_table_that_was_never_counted_is_counted_whole(desk: Desk) -> None:
    desk.load(CSV)
    with desk.database.write() as session:
        session.execute(update(Table).values(stored_version=None, stored_bytes=None))
    desk.load(MORE, mode="replace")

    assert told(desk) == true(desk)


def test_a_count_of_which_somebody_else_has_moved_the_base_is_no_count(desk: Desk) -> None:
    desk.load(CSV)
    job_id = desk.send(MORE, target="delta")
    counted = ManagedTable.of(desk.attempt(job_id)).stored(1)
    with desk.database.write() as session:
        session.execute(update(Table).values(stored_version=0, stored_bytes=77))
    with desk.database.write() as session:
        table = session.get_one(Table, desk.table().id)
        replace(counted, version=2).write(table)
    assert (desk.table().stored_bytes, desk.table().stored_version) == (None, None)


def counted(desk: Desk) -> int:
    with desk.database.read() as session:
        return stored_bytes(session, desk.project_id, max_upload_bytes=0)


def test_what_a_project_stores_is_summed_off_indexes(desk: Desk) -> None:
    """And off no row: of 100,000 tables, each some kilobytes long, that took .2 s for every new
    schema version, under SQLite's lock."""
    with desk.database.write() as session:
        make_tables(session, desk.project_id, 300)
        if not desk.database.sqlite:
            session.execute(text("ANALYZE tables"))
    plans = list[str]()

    def explain(_: Any, cursor: Any, statement: str, given: Any, *__: Any) -> None:
        if desk.database.sqlite:
            steps = cursor.execute(f"EXPLAIN QUERY PLAN {statement}", given).fetchall()
        else:  # which would rather read the few rows here
            for way in ("seqscan", "bitmapscan"):
                cursor.execute(f"SET LOCAL enable_{way} = off")
            steps = cursor.execute(f"EXPLAIN {statement}", given).fetchall()
        plans.append("\n".join(str(step[-1]) for step in steps))

    with desk.database.read() as session:
        session.connection()
        event.listen(desk.database.engine, "before_cursor_execute", explain)
        try:
            stored_bytes(session, desk.project_id, max_upload_bytes=0)
        finally:
            event.remove(desk.database.engine, "before_cursor_execute", explain)
    [plan] = plans
    only = "COVERING INDEX" if desk.database.sqlite else "Index Only Scan using"
    for index in (
        *("ix_uploads_stored", "ix_tables_stored", "ix_tables_schema_bytes"),
        "ix_schema_changes_size",
    ):
        assert f"{only} {index}" in plan, plan


def test_replaced_files_count_against_the_stored_bytes_until_they_are_gone(desk: Desk) -> None:
    desk.load(CSV)
    # Room for one more such file and what is kept of its upload, and not for two.
    most = counted(desk) + sum(files(desk).values()) + 100
    settings = desk.settings.model_copy(update={"max_stored_bytes_per_project": most})
    few = replace(desk, settings=settings)
    few.load(CSV, mode="replace")
    few.load(CSV, mode="replace")
    with pytest.raises(QuotaExceededError, match="STOCKTAKE_MAX_STORED_BYTES_PER_PROJECT"):
        few.send(CSV, target="delta", mode="replace")


def test_a_deleted_table_counts_for_as_long_as_its_files_are_there(desk: Desk) -> None:
    desk.load(CSV)
    before = counted(desk)
    desk.change_table(deleted=True)
    assert counted(desk) == before
    desk.change_table(managed=False)  # as the clock says it once they are gone
    assert counted(desk) == before - sum(files(desk).values())


def test_an_upload_older_than_what_the_log_remembers_is_not_loaded(desk: Desk) -> None:
    desk.load(CSV)
    job_id = desk.send(MORE, target="delta")
    seconds = (TRANSACTION_DAYS - 1) * 86_400 + 1
    with desk.database.write() as session:
        session.execute(update(Upload).values(created_at=now(-seconds)))
    error = desk.fail(job_id, InvalidSourceError)

    assert "29 days" in error.detail
    assert opened(desk).count() == 2


def test_every_kind_of_commit_leaves_the_figures_true(any_desk: Desk) -> None:
    """Merge, restore, a column written anew, compaction and vacuum, one after another."""
    desk = any_desk
    desk.load(CSV)
    desk.load(b"id,note\n2,zwei\n4,four\n", mode="merge", key="id")
    _check(desk, rows=3)
    _restore(desk)
    _check(desk, rows=2)
    desk.load(b"id,note\n2.5,half\n")  # the column becomes one of doubles, and all are replaced
    _check(desk, rows=3)
    _maintain(desk)
    _check(desk, rows=3)
    desk.load(b"id,note\n7,seven\n", mode="merge", key="id")
    desk.load(MORE)
    _check(desk, rows=5)
    _maintain(desk)
    _check(desk, rows=5)
    _restore(desk)  # of what was compacted
    _check(desk, rows=4)
    _maintain(replace(desk, settings=desk.settings.model_copy(update={"retain_replaced_days": 0})))
    _check(desk, rows=4)
    assert desk.table().stored_bytes == desk.table().size_bytes


def _check(desk: Desk, *, rows: int) -> None:
    """What is told of the table, and counted against its project, is what is in storage."""
    assert told(desk) == true(desk)
    assert desk.table().row_count == opened(desk).count() == rows
    assert counted(desk) - _of_uploads(desk) == sum(files(desk).values())


def _of_uploads(desk: Desk) -> int:
    """What counts beside managed tables: schemas, and uploads whose bytes may be there yet."""
    with desk.database.write() as session:
        kept = [(each, each.stored_bytes) for each in session.scalars(select(Table))]
        for each, _ in kept:
            each.stored_bytes = 0
        session.flush()
        found = stored_bytes(session, desk.project_id, max_upload_bytes=0)
        for each, before in kept:
            each.stored_bytes = before
    return found


def _maintain(desk: Desk) -> None:
    with context(desk.database, desk.settings, desk.project_id) as ctx:
        job_id = maintenance.request(ctx, desk.table().id).job.id
    desk.run(job_id, maintain_table.run)


def _restore(desk: Desk) -> None:
    with context(desk.database, desk.settings, desk.project_id) as ctx:
        job_id = maintenance.request_restore(ctx, desk.table().id, version=None).job.id
    desk.run(job_id, restore_table.run)
