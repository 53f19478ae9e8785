"""Changes of schemas that wait for a decision."""

from collections.abc import Iterable, Mapping
from typing import Any

from stocktake.client.answers import SchemaChange, Table
from stocktake.client.errors import NotFoundError
from stocktake.client.pages import PAGE_SIZE, all_of, first, one, part
from stocktake.client.requests import Flow, Request, Stream
from stocktake.client.tables import id_of


def list_changes(
    *, state: str | None = None, table: str | Table | None = None, page_size: int = PAGE_SIZE
) -> Stream[SchemaChange]:
    """Iterate over the project's changes, newest first, without their parts.

    Args:
        state: pending, decided, replaced or withdrawn.
        table: of this one alone.
    """
    table_id = None if table is None else (yield from id_of(table))
    yield from all_of(SchemaChange, "changes/", page_size=page_size, state=state, table=table_id)


def get_change(change: str | SchemaChange) -> Flow[SchemaChange]:
    """Return a change with its parts, by its id.

    Raises:
        NotFoundError: the project has none.
    """
    return (yield from one(SchemaChange, Request(method="GET", path=_path(change))))


def latest_change(table: str | Table) -> Flow[SchemaChange]:
    """Return the change that waits for a table, or the last one that did, with its parts.

    Raises:
        NotFoundError: no change of it waits, and none has.
    """
    table_id = yield from id_of(table)
    for state in ("pending", None):
        stream = list_changes(state=state, table=table_id, page_size=1)
        found = yield from first(stream, lambda _: True)
        if found is not None:
            return (yield from get_change(found))
    raise NotFoundError("No change of this table waits, and none has.", code="none", status=404)


def decide(
    change: str | SchemaChange,
    columns: Mapping[str, str] | None = None,
    *,
    accept: str | None = None,
) -> Flow[SchemaChange]:
    """Decide columns of a change, all at once; what is accepted is live with the answer.

    Args:
        columns: accept, pin or reject, by the names that columns had or have.
        accept: `all`, or `additive`: of the columns that `columns` does not name.

    Raises:
        ConflictError: it was replaced by a newer one, or a column was decided otherwise.
    """
    body: dict[str, Any] = {"columns": dict(columns or {})} | ({"accept": accept} if accept else {})
    return (yield from _posted(change, "decide", body))


def accept(change: str | SchemaChange, columns: Iterable[str] | None = None) -> Flow[SchemaChange]:
    """Take columns as the source has them; all that is undecided if none are named."""
    if columns is None:
        return (yield from decide(change, accept="all"))
    return (yield from decide(change, dict.fromkeys(columns, "accept")))


def pin(change: str | SchemaChange, columns: Iterable[str]) -> Flow[SchemaChange]:
    """Keep the old types of columns, as types that a user has set."""
    return (yield from decide(change, dict.fromkeys(columns, "pin")))


def reject(change: str | SchemaChange, columns: Iterable[str]) -> Flow[SchemaChange]:
    """Leave columns as they are, until the source says something else of them."""
    return (yield from decide(change, dict.fromkeys(columns, "reject")))


def undo(change: str | SchemaChange) -> Flow[SchemaChange]:
    """Take the last decision back: the columns are as before, and wait again.

    Raises:
        ConflictError: the columns have changed otherwise since, or a newer change waits.
    """
    return (yield from _posted(change, "undo", {}))


def _posted(change: str | SchemaChange, action: str, body: dict[str, Any]) -> Flow[SchemaChange]:
    request = Request(method="POST", path=f"{_path(change)}{action}/", body=body, once=True)
    return (yield from one(SchemaChange, request))


def _path(change: str | SchemaChange) -> str:
    return f"changes/{part(change if isinstance(change, str) else change.id)}/"
