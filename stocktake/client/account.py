"""Who asks: the key and its projects; and what everybody did in the project."""

from stocktake.client.answers import AuditEntry, Key, Project
from stocktake.client.pages import PAGE_SIZE, all_of, one
from stocktake.client.requests import Flow, Request, Stream


def whoami() -> Flow[Key]:
    """Return the key that the client asks with: its scopes and its projects."""
    return (yield from one(Key, Request(method="GET", path="/api/personal_api_keys/@current/")))


def list_projects(*, page_size: int = PAGE_SIZE) -> Stream[Project]:
    """Iterate over the key's projects."""
    return all_of(Project, "/api/projects/", page_size=page_size)


def audit_log(
    *, action: str | None = None, subject: str | None = None, page_size: int = PAGE_SIZE
) -> Stream[AuditEntry]:
    """Iterate over who did what in the project, and what was refused, newest first.

    Args:
        action: such as `table.create` or `refused`.
        subject: the id of what was changed.

    Raises:
        PermissionDeniedError: the key lacks the scope `audit_log:read`.
    """
    return all_of(AuditEntry, "audit_log/", page_size=page_size, action=action, subject=subject)
