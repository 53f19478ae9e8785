"""4. No older result stands over a newer one, and each table is at last what its source is."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any
from uuid import UUID

from stocktake.db.models import Job, Table
from stocktake.schema.formats import TableFormat
from tests.faults.client import Sent
from tests.faults.promises.broken import Broken
from tests.faults.promises.kept import OVERRIDES
from tests.faults.records import Records
from tests.faults.sources import Source


def nothing_older(
    log: Sequence[Sent], records: Records, sources: Mapping[UUID, Source]
) -> Iterator[Broken]:
    """4. What was read later stands.

    Args:
        sources: those that were read once more, after all faults.
    """
    for table in records.tables.values():
        yield from _never_back(table, records)
    for table_id, source in sources.items():
        known = records.tables.get(table_id)
        if known is not None:
            yield from _as_its_source(known, source)
            yield from _types_are_right(known, source, log, records)
            yield from _is_validated(known)


def _as_its_source(table: Table, source: Source) -> Iterator[Broken]:
    counts = source.rows(), source.size_bytes()
    seen = {
        "version": table.source_version if source.version() is not None else None,
        "columns": [column["name"] for column in table.columns],
        "rows": table.row_count if counts[0] is not None else None,
        "bytes": table.size_bytes if counts[1] is not None else None,
    }
    there = {
        "version": source.version(),
        "columns": list(source.columns()),
        "rows": counts[0],
        "bytes": counts[1],
    }
    if seen != there:
        last = [table.latest_job_id] if table.latest_job_id else []
        yield Broken(promise=4, what=f"{table.name} says {seen}, its source {there}", jobs=last)


def _is_validated(table: Table) -> Iterator[Broken]:
    """All of a text source was held to its columns, which hold."""
    if TableFormat(table.format).facts.inferred and table.validated_state != table.source_state:
        yield Broken(promise=4, what=f"{table.name} was not validated since it was read last")
    for column in table.columns:
        if not (column["valid"] or column.get("override")):
            yield Broken(promise=4, what=f"{table.name} says that {column['name']} is not valid")


def _types_are_right(
    table: Table, source: Source, log: Sequence[Sent], records: Records
) -> Iterator[Broken]:
    """In each version and now, a column's type is the source's or one that a user asked for."""
    asked: dict[str, set[str]] = {}
    for sent in log:
        if sent.action == "override" and sent.table == table.id:
            for name, wanted in sent.asked.items():
                asked.setdefault(name, set()).update({OVERRIDES[wanted]} if wanted else ())
    types = source.columns()
    stored: list[tuple[str, list[Any], list[UUID]]] = [("now", table.columns, [])]
    stored += [
        (f"in version {each.number}", each.columns, [each.job_id] if each.job_id else [])
        for each in records.versions.get(table.id, ())
    ]
    for when, columns, jobs in stored:
        for column in columns:
            name, found = column["name"], column["clickhouse"]
            right = {types.get(name)} if not column.get("override") else asked.get(name, set())
            if found not in right:
                what = f"{table.name} says {when} that {name} is {found}, not {right}"
                yield Broken(promise=4, what=what, jobs=jobs)


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
    found: Any = (job.result or {}).get("source_version")
    return found if isinstance(found, int) else None
