"""Changes that wait under a policy: the list, one of them, its decision, and back."""

from collections.abc import Mapping
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, Response
from fastapi.responses import RedirectResponse

from api.console.forms import Form, read_form
from api.console.rendering import show
from api.console.routing import Router
from api.console.session import ReadEdge, WriteEdge
from api.schemas.changes import change_view
from stocktake.errors import ValidationError
from stocktake.schema.decisions import Verdict
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
        # By their place in the change, which stays: names may be long, and are in no form.
        numbered = sorted(
            enumerate(view.change.parts), key=lambda each: _WORST_FIRST.get(each[1]["change"], 0)
        )
        shown = numbered[offset : offset + _PARTS]
        return {
            "change": change_view(view),
            "can_be_undone": view.change.undo is not None,
            "parts": [(at, part | {"origin": _origin(view, part)}) for at, part in shown],
            "count": len(numbered),
            "offset": offset,
            "limit": _PARTS,
        }

    return await show(edge, "change.html", work)


def _origin(view: ChangeView, part: dict[str, Any]) -> dict[str, Any] | None:
    if view.origins is None or not part["after"]:
        return None
    return view.origins.shown(part["after"][0]["name"])


@router.post("/p/{project_id}/changes/{change_id}/decide")
async def decide(edge: WriteEdge, change_id: UUID) -> Response:
    """Decide what the form says of each column, or accept the rest."""
    form = await read_form(edge.request)

    decision = await edge.read(lambda context: _decision(_parts(context, change_id), form))
    await edge.change(lambda context: changes.decide(context, change_id, decision).change.id)
    return _back(edge, change_id, "decided")


def _parts(context: Context, change_id: UUID) -> list[Any]:
    return changes.get_change(context, change_id, with_diff=False).change.parts


def _decision(parts: list[Any], form: Form) -> Decision:
    columns: dict[str, Verdict] = {}
    for number, word in form.under("part-").items():
        if not word:
            continue  # left open
        at = int(number) if number.isdecimal() and len(number) < 7 else len(parts)
        if at >= len(parts) or word not in tuple(Verdict):
            raise ValidationError("The form does not fit the change any more.", attr="columns")
        columns[parts[at]["names"][0]] = Verdict(word)
    accept = form.one("accept")
    if accept and accept not in tuple(Accept):
        raise ValidationError("There is no such choice.", attr="accept")
    # One button for all is no word about single columns.
    return Decision(columns={} if accept else columns, accept=Accept(accept) if accept else None)


@router.post("/p/{project_id}/changes/{change_id}/undo")
async def undo(edge: WriteEdge, change_id: UUID) -> Response:
    """Take the last decision back."""
    await edge.change(lambda context: changes.undo(context, change_id))
    return _back(edge, change_id, "undone")


def _back(edge: WriteEdge, change_id: UUID, notice: str) -> Response:
    project = edge.caller.project_id
    return RedirectResponse(f"/p/{project}/changes/{change_id}?notice={notice}", 303)
