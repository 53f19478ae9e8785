"""What a sweep does with the jobs that it holds: look at all their sources at once, and end those
whose source is as it was, in one transaction (ADR 27)."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from stocktake.catalog.tables import locked_many, note_refreshed
from stocktake.jobs import sweeps
from stocktake.jobs.sweeps import Chunk, Ended
from stocktake.parts import ProcessParts
from stocktake.runs.refresh_schema import unchanged_result
from stocktake.runs.sweep_probes import Seen, look


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What came of a sweep.

    Attributes:
        spoilt: whether the process must go; what it held has ended all the same.
    """

    ended: Ended
    spoilt: bool


def run(process: ProcessParts, chunk: Chunk, *, stopping: Callable[[], bool]) -> Swept:
    """Look at the sources of the chunk's jobs, and end all of these: as unchanged, as cancelled,
    as superseded, or back in the queue.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database did not take the end; whether it did is to be
            asked.
    """
    seen = look(process, chunk.claims, stopping=stopping)
    return Swept(ended=_end(process, chunk, seen), spoilt=seen.spoilt)


def _end(process: ProcessParts, chunk: Chunk, seen: Seen) -> Ended:
    with process.database.write() as session:
        # Tables before jobs, everywhere.
        tables = locked_many(session, [c.table_id for c in chunk.claims if c.table_id])
        mine = sweeps.owned(session, chunk)
        superseded = dict(seen.superseded)
        results = {}
        refreshed: list[UUID] = []
        for claim in chunk.claims:
            table = tables.get(claim.table_id) if claim.table_id else None
            if table is None or table.generation != claim.generation:
                superseded[claim.job_id] = "The table changed while its source was being read."
            elif claim.job_id in seen.unchanged:
                opened, found = seen.unchanged[claim.job_id]
                results[claim.job_id] = unchanged_result(opened, table.schema_version, found)
                if mine.get(claim.job_id) is False:
                    refreshed.append(table.id)
        note_refreshed(session, refreshed)
        return sweeps.end(
            session,
            chunk,
            mine,
            results=results,
            superseded=superseded,
            passed_on=seen.passed_on,
        )
