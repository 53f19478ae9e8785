"""What is set for all tables of a project."""

from stocktake.client.answers import Project
from stocktake.client.pages import one
from stocktake.client.requests import Flow, Request


def get_project() -> Flow[Project]:
    """Return the project."""
    return (yield from one(Project, Request(method="GET", path="")))


def edit_project(
    *, change_policy: str | None = None, row_previews: bool | None = None
) -> Flow[Project]:
    """Change what is given.

    Args:
        change_policy: of the tables that have none of their own: `auto`, `additive_only`, `manual`.
        row_previews: whether rows of tables may be looked at.
    """
    given = {"change_policy": change_policy, "row_previews": row_previews}
    body = {name: value for name, value in given.items() if value is not None}
    return (yield from one(Project, Request(method="PATCH", path="", body=body)))
