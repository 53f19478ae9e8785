"""The audit log: who did what, written in the transaction of the change."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from stocktake.db.models import AuditEntry
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
