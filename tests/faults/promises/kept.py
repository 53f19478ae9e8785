"""3. No accepted change is lost, nor what is kept of it: its answer, its entry in the audit log."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from stocktake.db.models import Table
from stocktake.states import JobKind
from tests.faults.client import Sent
from tests.faults.promises.broken import Broken
from tests.faults.records import Records

#: ClickHouse's type behind each name that `Client.override` gives.
OVERRIDES: Final = {"string": "Nullable(String)", "float": "Nullable(Float64)"}
#: What an accepted request is called in the audit log, by its action.
_AUDITED: Final = {
    "create": "table.create",
    "upload": "table.upload",
    "delete": "table.delete",
    "refresh_all": "batch.create",
    "schedule": "schedule.create",
    "cancel": "job.cancel",
    "retry": "job.retry",
}


def nothing_lost(log: Sequence[Sent], records: Records) -> Iterator[Broken]:
    """3. Every accepted change is there, unless a later one took its place."""
    yield from _tables_are_there(log, records)
    changes = [sent for sent in log if sent.action in {"change", "override"}]
    for number, sent in enumerate(changes):
        if sent.accepted:
            yield from _change_is_there(sent, changes[number + 1 :], records)
    for sent in log:
        if sent.accepted:
            yield from _batch_is_there(sent, records)
            yield from _answer_is_kept(sent, records)
            yield from _is_audited(sent, records)
    yield from _latest_jobs(records)


def _tables_are_there(log: Sequence[Sent], records: Records) -> Iterator[Broken]:
    deleted = {sent.table for sent in log if sent.action == "delete"}
    for sent in log:
        if sent.accepted and sent.action in {"create", "upload"}:
            table = records.tables.get(sent.table_id)
            if table is None or (table.deleted and table.id not in deleted):
                yield Broken(promise=3, what=f"the table of {sent} is gone")
        if sent.accepted and sent.action == "delete":
            table = records.tables.get(sent.table_id)
            if table is not None and not table.deleted:
                yield Broken(promise=3, what=f"{sent} came back")


def _change_is_there(sent: Sent, later: Sequence[Sent], records: Records) -> Iterator[Broken]:
    table = records.tables.get(sent.table_id)
    for name, value in sent.asked.items():
        others = [
            each.asked[name]
            for each in later
            if (each.action, each.table) == (sent.action, sent.table) and name in each.asked
        ]
        if table is None or not any(
            _holds(table, sent.action, name, wanted) for wanted in [value, *others]
        ):
            yield Broken(promise=3, what=f"{name} of {sent} was lost: {table and table.columns}")


def _holds(table: Table, action: str, name: str, wanted: Any) -> bool:
    if action == "change":
        return bool(getattr(table, name) == wanted)
    [column] = [each for each in table.columns if each["name"] == name] or [{}]
    if wanted is None:
        return not column.get("override")
    return bool(column.get("override")) and column["clickhouse"] == OVERRIDES[wanted]


def _batch_is_there(sent: Sent, records: Records) -> Iterator[Broken]:
    if sent.action == "refresh_all" and UUID(sent.body["id"]) not in records.batches:
        yield Broken(promise=3, what=f"the batch of {sent} is gone")


def _answer_is_kept(sent: Sent, records: Records) -> Iterator[Broken]:
    """A POST that comes again within a day is told what it was told before."""
    if sent.request.get("method") != "POST":
        return
    kept = records.answers.get(sent.key)
    if kept is None or not kept.body:
        yield Broken(promise=3, what=f"the answer of {sent} is not kept", jobs=_jobs(sent))
    elif (told := _id(kept.body["body"])) != _id(sent.body):
        what = f"the answer of {sent} is kept as that of {told}"
        yield Broken(promise=3, what=what, jobs=_jobs(sent))


def _id(body: Any) -> Any:
    return body.get("id") if isinstance(body, Mapping) else None


def _jobs(sent: Sent) -> list[UUID]:
    return [sent.job] if sent.job else []


def _is_audited(sent: Sent, records: Records) -> Iterator[Broken]:
    found = records.audit.get(_subject(sent), ())
    if sent.action == "change" and "name" in sent.asked:
        if not any(each.detail.get("new") == sent.asked["name"] for each in found):
            yield Broken(promise=3, what=f"{sent} is not in the audit log")
    elif sent.action in _AUDITED and _AUDITED[sent.action] not in {each.action for each in found}:
        yield Broken(promise=3, what=f"{sent} is not in the audit log")


def _subject(sent: Sent) -> str:
    """The id under which an action is audited."""
    if sent.action == "cancel":
        return str(sent.asked["job"])
    if sent.action in {"refresh_all", "schedule", "retry"}:
        return str(sent.body["id"])
    return str(sent.table_id) if sent.action in _AUDITED or sent.action == "change" else ""


def _latest_jobs(records: Records) -> Iterator[Broken]:
    """A table shows the newest of the jobs that were asked for it."""
    shown = {JobKind.REFRESH_SCHEMA.value, JobKind.INGEST_FILE.value}
    for table in records.tables.values():
        mine = [j for j in records.jobs.values() if j.table_id == table.id and j.kind in shown]
        latest = records.jobs.get(table.latest_job_id) if table.latest_job_id else None
        if not mine:
            continue
        if latest is None or latest.table_id != table.id:
            yield Broken(promise=3, what=f"{table.name} shows no job of its own")
        # A refresh that waits already is shown again, though an upload came after it.
        elif {job.kind for job in mine} == {JobKind.REFRESH_SCHEMA.value}:
            newest = max(mine, key=lambda job: job.created_at)
            if newest.created_at > latest.created_at:
                what = f"{table.name} shows {latest.id}, its newest job is {newest.id}"
                yield Broken(promise=3, what=what, jobs=[latest.id, newest.id])
