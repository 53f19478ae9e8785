"""The audit log on the wire."""

from datetime import datetime
from typing import Any
from uuid import UUID

from api.schemas.base import Wire


class AuditEntryBody(Wire):
    """One change or refusal. Without a user and a key, an operator made it on the command line."""

    id: UUID
    action: str
    subject: str | None
    user_id: int | None
    key_prefix: str | None
    detail: dict[str, Any]
    created_at: datetime
