"""Totals over all processes of what leaves no row of its own, for `/metrics`.

A process's own counters would vanish with it, and worker children live for a thousand tasks.
What is rare is added where it happens. Attempts are many, and all workers would queue for their
counter's row: the clock adds them up from their rows instead, which the totals outlive.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import structlog
from sqlalchemy import exists, func, select, text, update
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from stocktake.db.clock import now
from stocktake.db.models import Counter, JobAttempt
from stocktake.db.session import Database, inserting

#: Attempts by how they ended: ``succeeded``, ``cancelled``, or the error's code.
ATTEMPTS: Final = "attempts"
#: Attempts taken from a worker that is gone, by what told of it.
RESCUES: Final = "rescues"
#: What an attempt wanted to write after it had lost its lease.
STALE_WRITES: Final = "stale_writes"
#: Rings that did not reach the broker, by the process that gave them up.
DROPPED_RINGS: Final = "dropped_rings"

_TALLIED: Final = "attempts_tallied"
#: A row's time is that of its statement; its commit must have come by then.
_SETTLED_SECONDS: Final = 10.0
#: How long to wait for a counter that another transaction is adding to.
_PATIENCE_SECONDS: Final = 2
#: PostgreSQL's SQLSTATE for a lock that was not given in time.
_LOCK_NOT_AVAILABLE: Final = "55P03"
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)

log = structlog.get_logger(__name__)


def add(session: Session, name: str, label: str = "", amount: int = 1) -> None:
    """Add to a total. Let it be a transaction's last statement: it locks a row that others want.

    The amount is lost, and the transaction goes on, where another process keeps that row for
    longer than `_PATIENCE_SECONDS`: a figure must stop nothing, and a frozen clock is no reason
    for the other to rescue nothing.
    """
    try:
        # In a savepoint: a lock that is not given in time would else end the whole transaction.
        with session.begin_nested():
            if session.get_bind().dialect.name != "sqlite":
                session.execute(text(f"SET LOCAL lock_timeout = '{_PATIENCE_SECONDS}s'"))
            _add(session, name, label, amount)
    except OperationalError as exc:
        if getattr(exc.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        _log_lost(name, amount, exc)


def _add(session: Session, name: str, label: str, amount: int) -> None:
    given = inserting(session, Counter).values(name=name, label=label, value=amount)
    more = Counter.value + given.excluded.value
    session.execute(
        given.on_conflict_do_update(index_elements=["name", "label"], set_={"value": more})
    )


def note(database: Database, name: str, label: str = "", amount: int = 1) -> None:
    """Add in a transaction of its own, if the database takes it: a figure must stop nothing."""
    try:
        with database.write() as session:
            add(session, name, label, amount)
    except SQLAlchemyError as exc:
        _log_lost(name, amount, exc)


def _log_lost(name: str, amount: int, exc: SQLAlchemyError) -> None:
    log.warning("count_lost", counter=name, amount=amount, reason=type(exc).__name__)


def drops_of(process: str, database: Database) -> Callable[[int], None]:
    """Return what a doorbell calls with the number of rings that it dropped.

    Args:
        process: ``web``, ``worker`` or ``clock``.
    """
    return lambda amount: note(database, DROPPED_RINGS, process, amount)


def tally_attempts(session: Session) -> int:
    """Add the attempts that ended since the last call to their totals; how many.

    None are added where another clock holds the row that says how far the last one came: it does
    this work, or is frozen in it.
    """
    mark = Counter.name == _TALLIED
    # Looked for first: an insert waits for whoever has the row, even to do nothing.
    if not session.scalar(select(exists().where(mark))):
        session.execute(
            inserting(session, Counter)
            .values(name=_TALLIED, label="", value=0, counted_to=_BEGINNING)
            .on_conflict_do_nothing()
        )
    since = session.scalars(
        select(Counter.counted_to).where(mark).with_for_update(skip_locked=True)
    ).one_or_none()
    if since is None:
        return 0
    until = session.scalars(select(now(-_SETTLED_SECONDS))).one()
    found = session.execute(
        select(JobAttempt.outcome, func.count())
        .where(JobAttempt.ended_at > since, JobAttempt.ended_at <= until)
        .group_by(JobAttempt.outcome)
        .order_by(JobAttempt.outcome)
    ).all()
    for outcome, amount in found:
        add(session, ATTEMPTS, outcome or "", amount)
    session.execute(update(Counter).where(mark).values(counted_to=until))
    return sum(amount for _, amount in found)


def any_untallied(session: Session) -> bool:
    """Return whether there is an attempt for `tally_attempts` to add."""
    since = select(Counter.counted_to).where(Counter.name == _TALLIED).scalar_subquery()
    return bool(
        session.scalar(
            select(
                exists().where(
                    JobAttempt.ended_at > func.coalesce(since, _BEGINNING),
                    JobAttempt.ended_at <= now(-_SETTLED_SECONDS),
                )
            )
        )
    )


def totals(session: Session, name: str) -> dict[str, int]:
    """Return a counter's totals by label."""
    rows = session.execute(select(Counter.label, Counter.value).where(Counter.name == name))
    return {row.label: row.value for row in rows}
