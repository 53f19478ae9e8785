"""What changed, read by the numbers of changes: for streams of events.

Rows are read again until no transaction can be under way any more that took a smaller number, so
that none is passed over whose commit came late. PostgreSQL's snapshots tell: a number that was
taken before a snapshot was made is of a transaction that has ended when a later one's `xmin` has
reached the `xmax` of the first.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.orm import InstrumentedAttribute, Session

from stocktake.db.change_numbers import SEQUENCE
from stocktake.db.models import Batch, BatchItem, Job, SchemaChange, Table
from stocktake.security.scopes import TABLE_READ
from stocktake.states import JobState

#: Rows of a topic that one look takes, and ids that one statement names.
MOST_ROWS: Final = 1000
_MOST_IDS: Final = 500


class Topic(StrEnum):
    """What a stream may be about."""

    TABLES = "tables"
    JOBS = "jobs"
    BATCHES = "batches"
    #: What waits under a policy, and what became of it.
    CHANGES = "changes"


#: What a key needs for each.
SCOPES: Final[Mapping[Topic, str]] = MappingProxyType(dict.fromkeys(Topic, TABLE_READ))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A thing that changed, as an event shows it."""

    topic: Topic
    id: UUID
    project_id: int
    number: int
    shown: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Where a database stood.

    Attributes:
        number: the newest that was given before.
        ended_below, begun_below: of its transactions; 0 where there is one writer at a time.
    """

    number: int
    ended_below: int = 0
    begun_below: int = 0


def mark(session: Session) -> Mark:
    """Return where the database stands; its number is the newest given before that."""
    if session.get_bind().dialect.name == "sqlite":
        newest = (
            select(func.max(model.change_number)).scalar_subquery() for model in _MODELS.values()
        )
        found = session.execute(select(*newest)).one()
        return Mark(number=max(number or 0 for number in found))
    # First the number: who took it before has its transaction by the time of the snapshot.
    number = session.scalar(text(_LAST))
    ended, begun = session.execute(
        text(
            "SELECT pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint "
            "FROM pg_current_snapshot() AS s"
        )
    ).one()
    return Mark(number=number or 0, ended_below=ended, begun_below=begun)


#: A new sequence's last value is its first, which nobody has yet.
_LAST: Final = f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {SEQUENCE}"  # noqa: S608
_MODELS: Final[Mapping[Topic, type[Table | Job | Batch | SchemaChange]]] = MappingProxyType(
    {Topic.TABLES: Table, Topic.JOBS: Job, Topic.BATCHES: Batch, Topic.CHANGES: SchemaChange}
)
_COLUMNS: Final[Mapping[Topic, tuple[InstrumentedAttribute[Any], ...]]] = MappingProxyType(
    {
        Topic.TABLES: (Table.name, Table.deleted, Table.schema_version, Table.latest_job_id),
        Topic.JOBS: (Job.state, Job.kind, Job.table_id, Job.batch_id, Job.progress),
        Topic.BATCHES: (),
        Topic.CHANGES: (
            SchemaChange.table_id,
            SchemaChange.state,
            SchemaChange.change,
            SchemaChange.undecided,
            SchemaChange.decided,
            SchemaChange.replaced_by,
        ),
    }
)


def changed(
    session: Session, topic: Topic, project_ids: Collection[int], after: int
) -> Sequence[Change]:
    """Return what of a topic changed after a number, by numbers, `MOST_ROWS` at most."""
    model = _MODELS[topic]
    rows = session.execute(
        select(model.id, model.project_id, model.change_number, *_COLUMNS[topic])
        .where(model.change_number > after, model.project_id.in_(project_ids))
        .order_by(model.change_number)
        .limit(MOST_ROWS)
    )
    return [_change(topic, row) for row in rows]


def cut_off(
    session: Session, topic: Topic, project_ids: Collection[int], part: Sequence[Change]
) -> set[tuple[int, Topic]]:
    """Return the projects, with the topics, of which a full part of `changed` lacks rows of its
    last number: on SQLite all that one statement writes have the same one.
    """
    last, model = part[-1].number, _MODELS[topic]
    seen = Counter(each.project_id for each in part if each.number == last)
    counts = session.execute(
        select(model.project_id, func.count())
        .where(model.change_number == last, model.project_id.in_(project_ids))
        .group_by(model.project_id)
    )
    topics = {topic, Topic.BATCHES} if topic is Topic.JOBS else {topic}
    lacking = [project_id for project_id, count in counts if count > seen[project_id]]
    return {(project_id, each) for project_id in lacking for each in topics}


def _change(topic: Topic, row: Any) -> Change:
    shown = {column.key: getattr(row, column.key) for column in _COLUMNS[topic]}
    if topic is Topic.JOBS:
        shown["done"] = row.state in {state.value for state in JobState if state.done}
    return Change(
        topic=topic,
        id=row.id,
        project_id=row.project_id,
        number=row.change_number,
        shown={"id": row.id, **shown},
    )


def batches_of(session: Session, jobs: Sequence[Change]) -> list[Change]:
    """Return the batches whose counters changed with these jobs, some of which are others' too."""
    projects = {job.id: job.project_id for job in jobs}
    own = {(job.shown["batch_id"], job.project_id) for job in jobs if job.shown["batch_id"]}
    ids = list(projects)
    for begin in range(0, len(ids), _MOST_IDS):
        some = BatchItem.job_id.in_(ids[begin : begin + _MOST_IDS])
        for row in session.execute(select(BatchItem.batch_id, BatchItem.job_id).where(some)):
            own.add((row.batch_id, projects[row.job_id]))
    number = max((job.number for job in jobs), default=0)
    return [
        Change(
            topic=Topic.BATCHES, id=batch, project_id=project, number=number, shown={"id": batch}
        )
        for batch, project in own
    ]


def since(
    session: Session, project_id: int, topics: Collection[Topic], after: int
) -> tuple[list[Change], set[Topic]]:
    """Return what a client that was away has missed, and the topics of which there is more than
    that: all of them where the number is none that was given, as after a restore.
    """
    if after > mark(session).number:
        return [], set(topics)
    found: list[Change] = []
    more: set[Topic] = set()
    for topic in Topic:
        if topic in topics or (topic is Topic.JOBS and Topic.BATCHES in topics):
            part = changed(session, topic, (project_id,), after)
            found += part
            if len(part) == MOST_ROWS:
                more |= {topic, Topic.BATCHES} if topic is Topic.JOBS else {topic}
    if Topic.BATCHES in topics:
        found += batches_of(session, [each for each in found if each.topic is Topic.JOBS])
    return [each for each in found if each.topic in topics], more & set(topics)
