"""Changes that wait under a policy: the list, one of them, its decision, and back."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, Response
from fastapi.responses import RedirectResponse

from api.console.forms import Form, read_form
from api.console.rendering import show
from api.console.routing import Router
from api.console.session import ReadEdge, WriteEdge
from api.schemas.changes import change_view
from stocktake.errors import ConflictError, ValidationError
from stocktake.schema.decisions import Verdict
from stocktake.schema.types import parse
from stocktake.services import changes
from stocktake.services.changes import Accept, ChangeFilter, ChangeView, Decision
from stocktake.services.context import Context
from stocktake.states import ChangeState

router = Router()

_LISTED: Final = 50
#: Columns of one page: their names and types may be long.
_PARTS: Final = 40
_WORST_FIRST: Final = {"breaking": 0, "widening": 1, "additive": 2}
Offset = Annotated[int, Query(ge=0, le=10**9)]
_ALL: Final = "all"
#: Enough that no two parts are taken for one.
_KEY_DIGITS: Final = 32


@router.get("/p/{project_id}/changes")
async def list_changes(
    edge: ReadEdge, state: str = ChangeState.PENDING.value, offset: Offset = 0
) -> Response:
    """List changes, those that wait at first."""
    known = ChangeState(state) if state in tuple(ChangeState) else None

    def work(context: Context) -> Mapping[str, Any]:
        wanted = ChangeFilter(state=known)
        count, found = changes.list_changes(context, wanted, limit=_LISTED, offset=offset)
        return {
            "found": found,
            "count": count,
            "offset": offset,
            "limit": _LISTED,
            "state": known.value if known else _ALL,
            "states": [*(each.value for each in ChangeState), _ALL],
        }

    return await show(edge, "changes.html", work)


@router.get("/p/{project_id}/changes/{change_id}")
async def show_change(edge: ReadEdge, change_id: UUID, offset: Offset = 0) -> Response:
    """Show one change, its worst parts first."""

    def work(context: Context) -> Mapping[str, Any]:
        view = changes.get_change(context, change_id, with_diff=False)
        parts = view.change.parts
        sorted_parts = sorted(parts, key=lambda part: _WORST_FIRST.get(part["change"], 0))
        shown = sorted_parts[offset : offset + _PARTS]
        return {
            "change": change_view(view),
            "can_be_undone": view.change.undo is not None,
            "parts": [(_key(part), part | {"origin": _origin(view, part)}) for part in shown],
            "seen": _keys(parts),
            "count": len(parts),
            "offset": offset,
            "limit": _PARTS,
        }

    return await show(edge, "change.html", work)


def _origin(view: ChangeView, part: dict[str, Any]) -> dict[str, Any] | None:
    """Return where a column comes from; of one whose type changed, who brought that type."""
    if view.origins is None or not part["after"]:
        return None
    name = part["after"][0]["name"]
    shown, found = view.origins.shown(name), view.origins.origins([name], camps=True)
    if shown and part["before"] and found and name in found.columns:
        place = found.columns[name].brought(parse(part["before"][0]["type"]))
        return shown | {"first": place.as_dict()}
    return shown


@router.post("/p/{project_id}/changes/{change_id}/decide")
async def decide(edge: WriteEdge, change_id: UUID) -> Response:
    """Decide what the form says of each column, or accept the rest."""
    form = await read_form(edge.request)

    def work(context: Context) -> None:
        _, change = changes.locked(context, change_id)
        changes.decide(context, change_id, _decision(change.parts, form))

    await edge.change(work)
    return _back(edge, change_id, "decided")


def _key(part: dict[str, Any]) -> str:
    """Return what names a part in a form: what it says, and no place of it, since parts come and go
    while a page is open. Their names may be long, and are in no form."""
    return _hashed(_said(part))


def _keys(parts: list[Any]) -> str:
    """Return the same of all parts, for the buttons that mean all. Those that are decided while a
    page is open may stand elsewhere."""
    return _hashed([_said(part) for part in sorted(parts, key=lambda part: part["names"])])


def _said(part: dict[str, Any]) -> list[Any]:
    return [part["names"], part["before"], part["after"]]


def _hashed(said: list[Any]) -> str:
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:_KEY_DIGITS]


def _decision(parts: list[Any], form: Form) -> Decision:
    """Return what the form says, if it is of these parts.

    Raises:
        ConflictError: they are others than when the page was opened.
        ValidationError: it says what no page of ours does.
    """
    accept = form.one("accept")
    if accept and accept not in tuple(Accept):
        raise ValidationError("There is no such choice.", attr="accept")
    if accept:
        # One button for all is no word about single columns.
        if form.one("seen") != _keys(parts):
            raise _other()
        return Decision(columns={}, accept=Accept(accept))
    by_key = {_key(part): part["names"][0] for part in parts}
    columns: dict[str, Verdict] = {}
    for key, word in form.under("part-").items():
        if not word:
            continue  # left open
        if word not in tuple(Verdict):
            raise ValidationError("There is no such choice.", attr="columns")
        if key not in by_key:
            raise _other()
        columns[by_key[key]] = Verdict(word)
    return Decision(columns=columns, accept=None)


def _other() -> ConflictError:
    return ConflictError(
        "What waits is not what the page showed any more, so nothing was decided. Open the change "
        "again and look at what it says now."
    )


@router.post("/p/{project_id}/changes/{change_id}/undo")
async def undo(edge: WriteEdge, change_id: UUID) -> Response:
    """Take the last decision back."""
    await edge.change(lambda context: changes.undo(context, change_id))
    return _back(edge, change_id, "undone")


def _back(edge: WriteEdge, change_id: UUID, notice: str) -> Response:
    project = edge.caller.project_id
    return RedirectResponse(f"/p/{project}/changes/{change_id}?notice={notice}", 303)
