"""The five promises, each as a function from what was heard and what is stored to what is broken.

Nothing here knows which fault was made: a promise holds under all of them.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from uuid import UUID

from stocktake.db.models import Job, SchemaVersion, Table
from stocktake.states import JobState
from tests.faults.client import Sent
from tests.faults.records import Records
from tests.faults.sources import Source

SUCCEEDED = JobState.SUCCEEDED.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A promise that does not hold, and the jobs whose history tells why."""

    promise: int
    what: str
    jobs: Sequence[UUID] = ()

    def __str__(self) -> str:
        return f"promise {self.promise}: {self.what}"


def ends(log: Sequence[Sent], records: Records) -> Iterator[Broken]:
    """1. Every job that was answered exists and has ended; so has every other one."""
    for sent in log:
        if sent.job is not None and sent.job not in records.jobs:
            yield Broken(promise=1, what=f"the job of {sent} vanished", jobs=[sent.job])
    for job in records.jobs.values():
        if not JobState(job.state).done:
            yield Broken(promise=1, what=f"job {job.id} is still {job.state}", jobs=[job.id])


def one_effect(
    log: Sequence[Sent], records: Records, loaded: Callable[[UUID], Mapping[str, int]]
) -> Iterator[Broken]:
    """2. Each request had exactly one effect.

    Args:
        loaded: rows by marker in a managed Delta table.
    """
    yield from _one_job_per_key(log)
    for job in records.jobs.values():
        yield from _attempts_fit(job, records)
    for table in records.tables.values():
        yield from _versions_fit(table, records.versions.get(table.id, ()))
    yield from _rows_loaded_once(log, records, loaded)


def _one_job_per_key(log: Sequence[Sent]) -> Iterator[Broken]:
    answers: dict[str, set[UUID]] = defaultdict(set)
    for sent in log:
        if sent.job is not None:
            answers[sent.key].add(sent.job)
    for key, jobs in answers.items():
        if len(jobs) > 1:
            yield Broken(promise=2, what=f"one Idempotency-Key, {key}, several jobs", jobs=[*jobs])


def _attempts_fit(job: Job, records: Records) -> Iterator[Broken]:
    attempts = records.attempts.get(job.id, ())
    outcomes = [attempt.outcome for attempt in attempts]
    if [attempt.number for attempt in attempts] != list(range(1, job.attempt + 1)):
        yield Broken(promise=2, what=f"job {job.id} lacks attempts or has too many", jobs=[job.id])
    if None in outcomes and JobState(job.state).done:
        yield Broken(promise=2, what=f"job {job.id} ended, an attempt of it not", jobs=[job.id])
    wanted = 1 if job.state == SUCCEEDED else 0
    if outcomes.count("succeeded") != wanted or "succeeded" in outcomes[:-1]:
        yield Broken(promise=2, what=f"job {job.id} is {job.state} after {outcomes}", jobs=[job.id])
    if (job.result is not None) != (job.state == SUCCEEDED):
        yield Broken(promise=2, what=f"job {job.id} is {job.state}: its result", jobs=[job.id])


def _versions_fit(table: Table, versions: Sequence[SchemaVersion]) -> Iterator[Broken]:
    jobs = [version.job_id for version in versions if version.job_id is not None]
    if [version.number for version in versions] != list(range(1, table.schema_version + 1)):
        yield Broken(promise=2, what=f"the schema versions of {table.id} have gaps", jobs=jobs)
    twice = [job for job, count in Counter(jobs).items() if count > 1]
    if twice:
        yield Broken(promise=2, what=f"a job made two versions of {table.id}", jobs=twice)
    for before, after in pairwise(versions):
        if _types(before.columns) == _types(after.columns):
            what = f"version {after.number} of {table.id} changes nothing"
            yield Broken(promise=2, what=what, jobs=[after.job_id] if after.job_id else [])
    if versions and _types(versions[-1].columns) != _types(table.columns):
        yield Broken(promise=2, what=f"{table.id} is not its newest version", jobs=jobs[-1:])


def _types(columns: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    return [(each["name"], each["clickhouse"], each.get("override")) for each in columns]


def _rows_loaded_once(
    log: Sequence[Sent], records: Records, loaded: Callable[[UUID], Mapping[str, int]]
) -> Iterator[Broken]:
    uploads = [sent for sent in log if sent.action == "upload"]
    tables = {sent.table_id for sent in uploads if sent.job is not None}
    found = {table: loaded(table) for table in tables}
    for sent in uploads:
        rows = sum(counts.get(sent.asked["marker"], 0) for counts in found.values())
        job = records.jobs.get(sent.job) if sent.job else None
        if job is None:  # never answered: all of it or nothing
            allowed = {0, sent.asked["rows"]}
        else:
            allowed = {sent.asked["rows"] if job.state == SUCCEEDED else 0}
        if rows not in allowed:
            what = f"{rows} rows of {sent} are in its table, not {sorted(allowed)}"
            yield Broken(promise=2, what=what, jobs=[job.id] if job else [])


def nothing_lost(log: Sequence[Sent], records: Records) -> Iterator[Broken]:
    """3. Every accepted change is there, unless a later one took its place."""
    for sent in log:
        if sent.accepted and sent.action in {"create", "upload"}:
            table = records.tables.get(sent.table_id)
            if table is None:
                yield Broken(promise=3, what=f"the table of {sent} is gone")
    changes = [sent for sent in log if sent.action in {"change", "override"}]
    for number, sent in enumerate(changes):
        if sent.accepted:
            yield from _change_is_there(sent, changes[number + 1 :], records)


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
    overrides = {column["name"]: column.get("override") for column in table.columns}
    return bool(overrides.get(name)) is (wanted is not None)


def nothing_older(records: Records, sources: Mapping[UUID, Source]) -> Iterator[Broken]:
    """4. No older result stands over a newer one, and each table equals its source at last."""
    for table in records.tables.values():
        yield from _never_back(table, records)
    for table_id, source in sources.items():
        table = records.tables[table_id]
        names = [column["name"] for column in table.columns]
        version = source.version()
        seen = (table.source_version if version is not None else None, names)
        there = (version, source.columns())
        if seen != there:
            last = [table.latest_job_id] if table.latest_job_id else []
            yield Broken(promise=4, what=f"{table.name} says {seen}, its source {there}", jobs=last)


def _never_back(table: Table, records: Records) -> Iterator[Broken]:
    mine = [
        job
        for job in records.jobs.values()
        if job.table_id == table.id and job.result and "source_version" in job.result
    ]
    mine.sort(key=lambda job: (job.finished_at or job.created_at, job.id))
    for before, after in pairwise(mine):
        older, newer = _version(before), _version(after)
        if before.generation != after.generation or older is None or newer is None:
            continue
        if newer < older:
            what = f"{table.name} went back from version {older} to {newer}"
            yield Broken(promise=4, what=what, jobs=[before.id, after.id])


def _version(job: Job) -> int | None:
    found = (job.result or {}).get("source_version")
    return found if isinstance(found, int) else None


def answered(log: Sequence[Sent], allowed: Collection[int | None]) -> Iterator[Broken]:
    """5. Every request was answered, and none with a 5xx.

    Args:
        allowed: statuses that this fault excuses; None excuses a missing answer.
    """
    for sent in log:
        failed = sent.status is None or sent.status >= 500
        if failed and sent.status not in allowed:
            yield Broken(promise=5, what=f"{sent} {sent.body or ''}")
