"""What is set for all tables of a project."""

from typing import Any

from stocktake.client.answers import Project
from stocktake.client.pages import one
from stocktake.client.requests import Flow, Request


def get_project() -> Flow[Project]:
    """Return the project."""
    return (yield from one(Project, Request(method="GET", path="")))


def edit_project(
    *,
    change_policy: str | None = None,
    stale_after_seconds: int | None = None,
    row_previews: bool | None = None,
) -> Flow[Project]:
    """Change what is given.

    Args:
        change_policy: of the tables that have none of their own: `auto`, `additive_only`, `manual`.
        stale_after_seconds: how old the last good read of a table may be; 0 for any age.
        row_previews: whether rows of tables may be looked at.
    """
    given = {
        "change_policy": change_policy,
        "stale_after_seconds": stale_after_seconds,
        "row_previews": row_previews,
    }
    body: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if stale_after_seconds == 0:
        body["stale_after_seconds"] = None
    return (yield from one(Project, Request(method="PATCH", path="", body=body)))
