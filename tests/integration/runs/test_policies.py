"""What a read may change by itself, what waits for somebody, and what becomes of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from api.schemas.changes import full_change_view
from stocktake.catalog.stored_bytes import stored_bytes
from stocktake.db.models import AuditEntry, SchemaChange, Table
from stocktake.errors import ConflictError, LimitExceededError, NotFoundError, ValidationError
from stocktake.runs import refresh_schema
from stocktake.schema.decisions import Verdict
from stocktake.services import changes, table_changes, tables
from stocktake.services.changes import Accept, ChangeView, Decision
from stocktake.services.schema_versions import update_types
from tests.integration.runs.conftest import Desk
from tests.integration.runs.test_refresh import queue, refreshed, register
from tests.support.rows import context

ACCEPT, PIN, REJECT = Verdict.ACCEPT, Verdict.PIN, Verdict.REJECT
ALL = Decision(columns={}, accept=Accept.ALL)


@pytest.fixture
def file(desk: Desk) -> Path:
    """A Parquet table of one file, read once, of which nothing goes live by itself."""
    file = desk.sources / "orders.parquet"
    write(file, id=pa.int64(), n=pa.int32())
    register(desk, file, "Parquet")
    refreshed(desk)
    set_policy(desk, "manual")
    return file


def write(file: Path, **types: pa.DataType) -> None:
    pq.write_table(pa.schema(types.items()).empty_table(), file)


def set_policy(desk: Desk, policy: str | None) -> None:
    with context(desk.database, desk.settings, desk.project_id) as ctx:
        table_changes.change(ctx, desk.table().id, {"change_policy": policy})


def all_changes(desk: Desk) -> list[SchemaChange]:
    with desk.database.read() as session:
        return list(session.scalars(select(SchemaChange).order_by(SchemaChange.id)))


def pending(desk: Desk) -> SchemaChange:
    (found,) = [each for each in all_changes(desk) if each.state == "pending"]
    return found


def parts_of(change: SchemaChange) -> dict[str, str | None]:
    return {part["name"]: part["decision"] for part in change.parts}


def decide(
    desk: Desk, change_id: UUID, decision: Decision | None = None, **columns: Verdict
) -> ChangeView:
    decided = decision or Decision(columns=columns)
    with context(desk.database, desk.settings, desk.project_id) as ctx:
        return changes.decide(ctx, change_id, decided)


def undo(desk: Desk, change_id: UUID) -> ChangeView:
    with context(desk.database, desk.settings, desk.project_id) as ctx:
        return changes.undo(ctx, change_id)


def types(desk: Desk) -> dict[str, str]:
    return {c["name"]: c["clickhouse"] for c in desk.table().columns}


OLD = {"id": "Nullable(Int64)", "n": "Nullable(Int32)"}


# --- what a read leaves ----------------------------------------------------------------------


def test_under_manual_readers_keep_the_columns_and_the_change_waits(desk: Desk, file: Path) -> None:
    write(file, id=pa.int64(), n=pa.string(), note=pa.string())
    result = refreshed(desk)

    change = pending(desk)
    assert types(desk) == OLD
    assert (desk.table().schema_version, desk.versions()) == (1, 1)
    assert (result["change"], result["pending_change"]) == (
        "none",
        {"id": str(change.id), "change": "breaking"},
    )
    assert parts_of(change) == {"n": None, "note": None}
    assert (change.change, change.undecided) == ("breaking", 2)


def test_under_additive_only_new_columns_go_live_and_the_rest_waits(desk: Desk, file: Path) -> None:
    set_policy(desk, "additive_only")
    write(file, note=pa.string(), id=pa.int64(), n=pa.int64())
    result = refreshed(desk)

    assert types(desk) == {"note": "Nullable(String)"} | OLD
    assert (result["change"], result["schema_version"]) == ("additive", 2)
    assert (parts_of(pending(desk)), pending(desk).change) == ({"n": None}, "widening")


def test_without_a_policy_of_its_own_a_table_has_its_projects(desk: Desk, file: Path) -> None:
    set_policy(desk, None)
    write(file, id=pa.string())
    refreshed(desk)
    assert types(desk) == {"id": "Nullable(String)"}


def test_the_first_read_goes_live_under_any_policy(desk: Desk) -> None:
    write(desk.sources / "orders.parquet", id=pa.int64())
    register(desk, desk.sources / "orders.parquet", "Parquet")
    set_policy(desk, "manual")
    refreshed(desk)
    assert types(desk) == {"id": "Nullable(Int64)"}
    assert all_changes(desk) == []


def test_an_unchanged_source_is_not_read_again_and_the_change_stays(desk: Desk, file: Path) -> None:
    write(file, id=pa.int64(), n=pa.string())
    refreshed(desk)
    before = pending(desk)
    result: Any = refreshed(desk)
    assert result["coverage"]["unchanged"]
    assert pending(desk).id == before.id


def test_other_files_with_the_same_columns_leave_the_change_as_it_is(
    desk: Desk, file: Path
) -> None:
    write(file, id=pa.int64(), n=pa.string())
    refreshed(desk)
    before = pending(desk)
    pq.write_table(pa.table({"id": [1], "n": ["x"]}), file)
    refreshed(desk)
    assert (pending(desk).id, desk.table().row_count) == (before.id, 1)


def test_a_newer_read_replaces_the_change_and_says_so(desk: Desk, file: Path) -> None:
    write(file, id=pa.int64(), n=pa.string())
    refreshed(desk)
    old = pending(desk)
    write(file, id=pa.int64(), n=pa.string(), note=pa.string())
    refreshed(desk)

    new = pending(desk)
    (replaced,) = [each for each in all_changes(desk) if each.id == old.id]
    assert (replaced.state, replaced.replaced_by) == ("replaced", new.id)
    with pytest.raises(ConflictError, match=str(new.id)) as caught:
        decide(desk, old.id, ALL)
    assert caught.value.code == "change_replaced"
    assert types(desk) == OLD


def test_a_source_that_is_back_withdraws_the_change(desk: Desk, file: Path) -> None:
    write(file, id=pa.int64(), n=pa.int32(), note=pa.string())
    refreshed(desk)
    write(file, id=pa.int64(), n=pa.int32())
    refreshed(desk)
    (change,) = all_changes(desk)
    assert (change.state, change.reason) == ("withdrawn", "The source is back at the live schema.")
    with pytest.raises(ConflictError, match="waits no more"):
        decide(desk, change.id, ALL)


def test_a_sample_that_lacks_a_column_does_not_withdraw_what_another_one_saw(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        write(desk.sources / f"{number}.parquet", id=pa.int64())
    register(desk, f"{desk.sources}/*.parquet", "Parquet")
    refreshed(desk)
    set_policy(desk, "manual")
    write(desk.sources / "0.parquet", id=pa.int64(), note=pa.string())
    refreshed(desk)
    real = refresh_schema.introspect

    def sampled(*given: Any) -> Any:
        found = real(*given)
        return replace(
            found,
            columns=found.columns[:1],
            coverage=replace(found.coverage, truncated=True),
        )

    monkeypatch.setattr(refresh_schema, "introspect", sampled)
    pq.write_table(pa.table({"id": [1]}), desk.sources / "1.parquet")
    refreshed(desk)
    assert parts_of(pending(desk)) == {"note": None}


def test_what_waits_is_held_to_the_bounds_of_a_schema(
    desk: Desk, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each sample adds to what the one before saw, and nothing of it goes live."""
    real = refresh_schema.introspect

    def sampled(*given: Any) -> Any:
        found = real(*given)
        return replace(found, coverage=replace(found.coverage, truncated=True))

    monkeypatch.setattr(refresh_schema, "introspect", sampled)
    settings = desk.settings.model_copy(update={"inference_max_columns": 6})
    small = replace(desk, settings=settings)
    write(file, **{name: pa.int64() for name in ("id", "n", "a", "b")})
    refreshed(small)
    waiting = {"n": None, "a": None, "b": None}
    assert parts_of(pending(desk)) == waiting
    write(file, **{name: pa.int64() for name in ("id", "n", "c", "d", "e")})
    small.fail(queue(desk), LimitExceededError, refresh_schema.run)
    assert parts_of(pending(desk)) == waiting


def test_another_source_withdraws_the_change_and_what_was_rejected(desk: Desk, file: Path) -> None:
    write(file, id=pa.int64(), n=pa.string(), note=pa.string())
    refreshed(desk)
    decide(desk, pending(desk).id, note=REJECT)
    with context(desk.database, desk.settings, desk.project_id) as ctx:
        url = f"file://{desk.sources}/else.parquet"
        table_changes.change(ctx, desk.table().id, {"url_pattern": url})
    (change,) = all_changes(desk)
    assert (change.state, desk.table().rejected) == ("withdrawn", [])


# --- what somebody decides --------------------------------------------------------------------


def test_all_at_once_is_one_version_and_is_undone_by_one_call(desk: Desk, file: Path) -> None:
    write(file, id=pa.int64(), n=pa.string(), note=pa.string())
    refreshed(desk)
    change_id = pending(desk).id
    decided = decide(desk, change_id, ALL).change

    new = {"id": "Nullable(Int64)", "n": "Nullable(String)", "note": "Nullable(String)"}
    assert types(desk) == new
    assert (decided.state, decided.applied_version, desk.versions()) == ("decided", 2, 2)

    undone = undo(desk, change_id).change
    assert types(desk) == OLD
    assert (undone.state, undone.undecided, undone.applied_version) == ("pending", 2, None)
    assert desk.table().schema_version == 3
    with pytest.raises(ConflictError, match="no decision"):
        undo(desk, change_id)
    decide(desk, change_id, ALL)
    assert types(desk) == new


def test_each_column_is_decided_by_itself_and_the_rest_waits(desk: Desk, file: Path) -> None:
    write(file, id=pa.string(), n=pa.string(), note=pa.string(), more=pa.int8())
    refreshed(desk)
    change = decide(desk, pending(desk).id, n=PIN, more=REJECT).change

    assert types(desk) == OLD
    assert (change.state, change.undecided, change.decided) == ("pending", 2, 2)
    assert parts_of(change) == {"id": None, "n": "pin", "note": None, "more": "reject"}
    change = decide(desk, change.id, Decision(columns={}, accept=Accept.ADDITIVE)).change
    assert types(desk) == OLD | {"note": "Nullable(String)"}
    assert (change.change, change.undecided) == ("breaking", 1)
    change = decide(desk, change.id, id=ACCEPT).change
    assert types(desk) == {"id": "Nullable(String)", "n": OLD["n"], "note": "Nullable(String)"}
    assert (change.state, change.applied_version) == ("decided", 3)


def test_what_was_pinned_or_rejected_is_not_asked_again_until_the_source_says_else(
    desk: Desk, file: Path
) -> None:
    write(file, id=pa.int64(), n=pa.string(), note=pa.string())
    refreshed(desk)
    decide(desk, pending(desk).id, n=PIN, note=REJECT)
    for policy in ("manual", "auto"):
        set_policy(desk, policy)
        pq.write_table(pa.table({"id": [1], "n": ["x"], "note": [policy]}), file)
        refreshed(desk)
        assert types(desk) == OLD
        assert [change.state for change in all_changes(desk)] == ["decided"]
    set_policy(desk, "manual")
    write(file, id=pa.int64(), n=pa.string(), note=pa.int8())
    refreshed(desk)
    assert parts_of(pending(desk)) == {"note": None}
    assert desk.table().rejected == []


def test_a_column_that_was_rejected_as_it_went_stays(desk: Desk, file: Path) -> None:
    write(file, id=pa.int64())
    refreshed(desk)
    decide(desk, pending(desk).id, n=REJECT)
    pq.write_table(pa.table({"id": [1]}), file)
    refreshed(desk)
    assert types(desk) == OLD


def test_the_same_once_more_changes_nothing_and_another_one_is_refused(
    desk: Desk, file: Path
) -> None:
    write(file, id=pa.int64(), n=pa.string(), note=pa.string())
    refreshed(desk)
    change_id = pending(desk).id
    decide(desk, change_id, note=REJECT)
    decide(desk, change_id, note=REJECT)
    with pytest.raises(ConflictError, match="decided already: reject"):
        decide(desk, change_id, note=ACCEPT)
    decide(desk, change_id, n=ACCEPT)
    version = desk.table().schema_version
    decide(desk, change_id, n=ACCEPT, note=REJECT)
    with pytest.raises(ConflictError, match="was decided already"):
        decide(desk, change_id, ALL)
    assert desk.table().schema_version == version


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({}, "Decide something"),
        ({"nope": ACCEPT}, "did you mean 'note'"),
        ({"id": ACCEPT}, "not one that this change asks about"),
        ({"note": PIN}, "no other type"),
        ({"n": ACCEPT, "N": ACCEPT}, "Column N is not one"),
    ],
)
def test_a_wrong_decision_changes_nothing(
    desk: Desk, file: Path, columns: dict[str, Verdict], told: str
) -> None:
    write(file, id=pa.int64(), n=pa.string(), note=pa.string())
    refreshed(desk)
    with pytest.raises(ValidationError, match=told):
        decide(desk, pending(desk).id, **columns)
    assert types(desk) == OLD
    assert set(parts_of(pending(desk)).values()) == {None}


def test_names_in_other_letters_are_decided_together(desk: Desk, file: Path) -> None:
    write(file, ID=pa.int64(), n=pa.int32())
    refreshed(desk)
    (part,) = pending(desk).parts
    assert part["names"] == ["ID", "id"]
    with pytest.raises(ValidationError, match="change together"):
        decide(desk, pending(desk).id, ID=ACCEPT, id=REJECT)
    decide(desk, pending(desk).id, id=ACCEPT)
    assert set(types(desk)) == {"ID", "n"}


def test_decisions_are_audited(desk: Desk, file: Path) -> None:
    write(file, id=pa.int64(), n=pa.string())
    refreshed(desk)
    change_id = pending(desk).id
    decide(desk, change_id, n=PIN)
    undo(desk, change_id)
    with desk.database.read() as session:
        mine = AuditEntry.subject == str(change_id)
        entries = session.scalars(select(AuditEntry).where(mine).order_by(AuditEntry.id)).all()
    assert [entry.action for entry in entries] == ["change.decide", "change.undo"]
    assert entries[0].detail["columns"] == {"n": "pin"}
    assert entries[0].created_at is not None


# --- beside a read, and beside a user ----------------------------------------------------------


@pytest.mark.parametrize("verdict", Verdict)
def test_a_decision_during_a_read_is_neither_lost_nor_asked_again(
    desk: Desk, file: Path, verdict: Verdict
) -> None:
    write(file, id=pa.int64(), n=pa.string())
    refreshed(desk)
    change_id = pending(desk).id
    pq.write_table(pa.table({"id": [1], "n": ["x"]}), file)
    attempt = desk.attempt(queue(desk))
    decided: list[ChangeView] = []

    def decide_while_reading(phase: str, done: int, total: int | None) -> None:
        if not decided:
            decided.append(decide(desk, change_id, n=verdict))

    refresh_schema.run(replace(attempt, progress=decide_while_reading))

    assert decided
    assert types(desk)["n"] == ("Nullable(String)" if verdict is ACCEPT else OLD["n"])
    assert [change.state for change in all_changes(desk)] == ["decided"]
    assert desk.table().row_count == 1


def test_a_type_that_a_user_sets_answers_for_its_column(desk: Desk, file: Path) -> None:
    write(file, id=pa.int64(), n=pa.string(), note=pa.string())
    refreshed(desk)
    with context(desk.database, desk.settings, desk.project_id) as ctx:
        update_types(ctx, desk.table().id, {"n": "float"})
    change = pending(desk)
    assert (parts_of(change), change.undecided, change.change) == ({"note": None}, 1, "additive")
    decide(desk, change.id, ALL)
    assert types(desk)["n"] == "Nullable(Float64)"


def test_nothing_is_undone_over_what_came_after(desk: Desk, file: Path) -> None:
    write(file, id=pa.int64(), n=pa.string())
    refreshed(desk)
    change_id = pending(desk).id
    decide(desk, change_id, ALL)
    with context(desk.database, desk.settings, desk.project_id) as ctx:
        update_types(ctx, desk.table().id, {"id": "float"})
    with pytest.raises(ConflictError, match="have changed since"):
        undo(desk, change_id)
    write(file, id=pa.int64(), n=pa.string(), note=pa.string())
    refreshed(desk)
    with pytest.raises(ConflictError):
        undo(desk, change_id)
    assert set(types(desk)) == {"id", "n"}


def test_a_deleted_tables_change_is_gone(desk: Desk, file: Path) -> None:
    write(file, id=pa.int64(), n=pa.string())
    refreshed(desk)
    change_id = pending(desk).id
    with context(desk.database, desk.settings, desk.project_id) as ctx:
        tables.delete(ctx, desk.table().id)
    for call in (lambda: decide(desk, change_id, ALL), lambda: undo(desk, change_id)):
        with pytest.raises(NotFoundError):
            call()
    with context(desk.database, desk.settings, desk.project_id) as ctx:
        assert changes.list_changes(ctx, changes.ChangeFilter(), limit=9, offset=0) == (0, [])


def test_of_changes_that_ended_only_some_are_kept(desk: Desk, file: Path) -> None:
    with desk.database.write() as session:
        table = session.get_one(Table, desk.table().id)
        for number in range(30):
            session.add(
                SchemaChange(
                    project_id=table.project_id,
                    table_id=table.id,
                    state="decided",
                    change="additive",
                    parts=[],
                    undecided=0,
                    decided=0,
                    proposed=[number],
                    undo={},
                )
            )
            session.flush()
    write(file, id=pa.int64(), n=pa.string())
    refreshed(desk)
    found = all_changes(desk)
    assert len(found) == 21
    assert {(str(each.proposed), each.undo) for each in found[:-1]} == {("[]", None)}


def test_a_change_tells_which_file_brought_what_waits(desk: Desk) -> None:
    write(desk.sources / "a.parquet", id=pa.int64())
    register(desk, desk.sources / "*.parquet", "Parquet")
    refreshed(desk)
    set_policy(desk, "manual")
    write(desk.sources / "b.parquet", id=pa.float64(), note=pa.string())
    refreshed(desk)

    with context(desk.database, desk.settings, desk.project_id) as ctx:
        shown = full_change_view(changes.get_change(ctx, pending(desk).id))

    origins = {part.name: part.origin for part in shown.parts}
    assert origins.keys() == {"id", "note"}
    note, id_ = origins["note"], origins["id"]
    assert note is not None
    assert id_ is not None
    assert (note["first"]["file"], note["files"], note["of_files"]) == ("b.parquet", 1, 2)
    assert {camp["type"]: camp["first"]["file"] for camp in id_["camps"]} == {
        "Nullable(Int64)": "a.parquet",
        "Nullable(Float64)": "b.parquet",
    }


def test_what_waits_counts_as_stored_and_is_bounded_with_it(desk: Desk, file: Path) -> None:
    """Each read of a source that swings would else leave megabytes that nobody counts."""
    set_policy(desk, "manual")
    with desk.database.read() as session:
        most = stored_bytes(session, desk.project_id, max_upload_bytes=0) + 2_000
    small = replace(
        desk, settings=desk.settings.model_copy(update={"max_stored_bytes_per_project": most})
    )
    write(file, id=pa.int64(), n=pa.int32(), note=pa.string())
    refreshed(small)
    waiting = pending(desk)
    assert waiting.size_bytes > 200
    write(file, id=pa.int64(), n=pa.int32(), **{f"c{n}": pa.string() for n in range(40)})
    error = small.fail(queue(desk), LimitExceededError, refresh_schema.run)
    assert "MAX_STORED_BYTES_PER_PROJECT" in str(error.hint)
    assert pending(desk).id == waiting.id  # nothing was written
    with desk.database.read() as session:
        assert stored_bytes(session, desk.project_id, max_upload_bytes=0) <= most
