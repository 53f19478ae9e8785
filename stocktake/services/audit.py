"""The audit log: who did what, written in the transaction of the change. Only retention deletes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from stocktake.db.models import AuditEntry
from stocktake.db.pages import Place, part_of
from stocktake.services.context import Caller, Context


def record(context: Context, action: str, subject: UUID | str | None, **detail: Any) -> None:
    """Note a change by the context's caller.

    Args:
        action: ``thing.verb``, for example ``table.create``.
        subject: the id of what was changed.
        detail: JSON values that help a reader later; never a secret, nor a URL that holds one.
    """
    record_for(context.session, context.caller, action, subject, **detail)


def record_for(
    session: Session, caller: Caller, action: str, subject: UUID | str | None, **detail: Any
) -> None:
    """Note a change, or a refusal, where there is no context: see `record`."""
    session.add(
        AuditEntry(
            project_id=caller.project_id or None,
            user_id=caller.user_id,
            key_prefix=caller.key_prefix,
            action=action,
            subject=None if subject is None else str(subject),
            detail=detail,
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilter:
    """Which entries; None is any.

    Attributes:
        project_id: those of one project. Refusals before a project was known have none.
        subject: the id of what was changed.
    """

    project_id: int | None = None
    action: str | None = None
    subject: UUID | None = None


def page(
    session: Session,
    wanted: EntryFilter,
    *,
    limit: int,
    offset: int = 0,
    after: Place | None = None,
) -> tuple[int, Sequence[AuditEntry]]:
    """Return how many entries match, and one page of them, newest first."""
    matching = _matching(wanted)
    count = session.scalar(select(func.count()).select_from(matching.subquery()))
    newest = part_of(matching, AuditEntry.id, limit=limit, offset=offset, after=after)
    return count or 0, session.scalars(newest).all()


def _matching(wanted: EntryFilter) -> Select[AuditEntry]:
    query = select(AuditEntry)
    if wanted.project_id is not None:
        query = query.where(AuditEntry.project_id == wanted.project_id)
    if wanted.action is not None:
        query = query.where(AuditEntry.action == wanted.action)
    if wanted.subject is not None:
        query = query.where(AuditEntry.subject == str(wanted.subject))
    return query
