"""1. Each accepted job ends, with no failure but an explained one. 2. It has one effect."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

from stocktake.db.models import Batch, Job, SchemaVersion, Table
from stocktake.states import JobState
from tests.faults.client import Sent
from tests.faults.promises.broken import Broken
from tests.faults.records import Records

SUCCEEDED = JobState.SUCCEEDED.value
_A_MINUTE = timedelta(minutes=1)

#: The numbers of each upload's rows in a managed Delta table, by its marker, as they stand there.
Loaded = Mapping[str, Sequence[int]]


def ends(
    log: Sequence[Sent], records: Records, failures: Collection[str], *, one_clock: bool
) -> Iterator[Broken]:
    """1. Every job that was answered exists and has ended; so has every other one.

    Args:
        failures: the codes with which a job may fail here; no other failure is explained.
        one_clock: whether the database's clock was left alone.
    """
    for sent in log:
        if sent.job is not None and sent.job not in records.jobs:
            yield Broken(promise=1, what=f"the job of {sent} vanished", jobs=[sent.job])
    for job in records.jobs.values():
        if not JobState(job.state).done:
            yield Broken(promise=1, what=f"job {job.id} is still {job.state}", jobs=[job.id])
        code = (job.error or {}).get("code")
        if job.state == JobState.FAILED.value and code not in failures:
            yield Broken(promise=1, what=f"job {job.id} failed with {code}", jobs=[job.id])
    if one_clock:
        yield from _in_time(records)


def _in_time(records: Records) -> Iterator[Broken]:
    """By one clock, the database's, a job is made, then started, then ended."""
    for job in records.jobs.values():
        spans = [(job.created_at, job.started_at, job.finished_at)]
        attempts = records.attempts.get(job.id, ())
        spans += [(job.created_at, each.started_at, each.ended_at) for each in attempts]
        for moments in spans:
            known = [moment for moment in moments if moment is not None]
            if known != sorted(known):
                what = f"job {job.id} has its times in the wrong order: {known}"
                yield Broken(promise=1, what=what, jobs=[job.id])
        if (job.finished_at is not None) != JobState(job.state).done:
            what = f"job {job.id} is {job.state} and finished at {job.finished_at}"
            yield Broken(promise=1, what=what, jobs=[job.id])


def one_effect(
    log: Sequence[Sent], records: Records, loaded: Callable[[UUID], Loaded]
) -> Iterator[Broken]:
    """2. Each request had exactly one effect."""
    yield from _one_job_per_key(log)
    for job in records.jobs.values():
        yield from _attempts_fit(job, records)
    for table in records.tables.values():
        yield from _versions_fit(table, records.versions.get(table.id, ()))
    yield from _batches_are_whole(log, records)
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


def _batches_are_whole(log: Sequence[Sent], records: Records) -> Iterator[Broken]:
    """Each batch over everything has all tables that were there when it was asked for."""
    for batch in records.batches.values():
        items = records.items.get(batch.id, {})
        for table_id, job_id in items.items():
            if job_id not in records.jobs:
                what = f"batch {batch.id} lost the job of its table {table_id}"
                yield Broken(promise=2, what=what, jobs=[job_id])
        if batch.cancelled_at is not None:
            continue
        if batch.expanded_at is None:
            yield Broken(promise=2, what=f"batch {batch.id} was never expanded")
        elif batch.selector == {"all": True}:
            for table_id in _were_there(batch, log, records) - items.keys():
                yield Broken(promise=2, what=f"batch {batch.id} left out the table {table_id}")


def _were_there(batch: Batch, log: Sequence[Sent], records: Records) -> set[UUID]:
    """Tables whose making was answered before the batch was asked for; of a schedule's batch, those
    that are a minute older."""
    asked = [sent.sent_at for sent in log if sent.action == "refresh_all" and _is(sent, batch.id)]
    made = {
        sent.table_id: sent.ended_at for sent in log if sent.action == "create" and sent.accepted
    }
    return {
        table.id
        for table in records.tables.values()
        if not table.deleted
        and not table.managed
        and (
            made[table.id] < min(asked)
            if asked and table.id in made
            else table.created_at + _A_MINUTE < batch.created_at
        )
    }


def _is(sent: Sent, batch_id: UUID) -> bool:
    return sent.accepted and sent.body["id"] == str(batch_id)


def _rows_loaded_once(
    log: Sequence[Sent], records: Records, loaded: Callable[[UUID], Loaded]
) -> Iterator[Broken]:
    uploads = [sent for sent in log if sent.action == "upload"]
    tables = {sent.table_id for sent in uploads if sent.job is not None}
    found = {table: loaded(table) for table in tables}
    for sent in uploads:
        there = [
            each[sent.asked["marker"]] for each in found.values() if sent.asked["marker"] in each
        ]
        numbers = [number for each in there for number in each]
        all_of_it, nothing = list(range(sent.asked["rows"])), list[int]()
        job = records.jobs.get(sent.job) if sent.job else None
        if job is None:  # never answered: all of it or nothing
            allowed = [nothing, all_of_it]
        else:
            allowed = [all_of_it if job.state == SUCCEEDED else nothing]
        if numbers not in allowed:
            what = f"{len(numbers)} rows of {sent} are in its table: {str(numbers)[:200]}"
            yield Broken(promise=2, what=what, jobs=[job.id] if job else [])
    yield from _counted(records, found)


def _counted(records: Records, found: Mapping[UUID, Loaded]) -> Iterator[Broken]:
    """A managed table says how many rows it has."""
    for table_id, markers in found.items():
        table, rows = records.tables.get(table_id), sum(map(len, markers.values()))
        if table is not None and (table.row_count or 0) != rows:
            what = f"{table.name} says {table.row_count} rows and has {rows}"
            yield Broken(promise=2, what=what)
