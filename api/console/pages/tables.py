"""The list of tables, and what is done to many of them at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Query as InQuery
from fastapi import Response
from fastapi.responses import RedirectResponse

from api.console import commands
from api.console.forms import Form, read_form
from api.console.job_search import jobs_like
from api.console.rendering import show
from api.console.routing import Router
from api.console.search import Query
from api.console.session import ReadEdge, WriteEdge
from stocktake.errors import ConflictError, ValidationError
from stocktake.schema.decisions import Policy
from stocktake.services import batches, table_counts, table_views, tables
from stocktake.services.context import Context
from stocktake.states import BatchAction

router = Router()

_LISTED: Final = 50
#: Of a number that a form says: more than there will be tables.
_COUNT_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class _Heading:
    """A column of the list: its word, and what it sorts by, at first ascending or not."""

    word: str
    key: str
    descends: bool = False
    kind: str = ""


_HEADINGS: Final = (
    _Heading("Table", "name"),
    _Heading("State", "state"),
    _Heading("Last change", "last_changed_at", descends=True),
    _Heading("Rows", "row_count", descends=True, kind="right wide"),
    _Heading("Size", "size_bytes", descends=True, kind="right wide"),
    _Heading("Last looked", "last_refreshed_at", descends=True, kind="tight"),
)
_ORDERS: Final = frozenset(f"{sign}{each.key}" for each in _HEADINGS for sign in ("", "-"))
_BY_NAME: Final = "name"
#: Leads to the form of a schedule of these tables.
_SCHEDULE: Final = "schedule"
_BUTTONS: Final = {
    "refresh": BatchAction.REFRESH,
    "plan": BatchAction.REFRESH,
    "policy": BatchAction.POLICY,
    "delete": BatchAction.DELETE,
}


@router.get("/p/{project_id}/tables")
async def list_tables(
    edge: ReadEdge,
    q: str = "",
    order: str = _BY_NAME,
    offset: Annotated[int, InQuery(ge=0, le=10**9)] = 0,
) -> Response:
    """List the tables that the box and the chips ask for."""
    query = Query.parse(q)
    order = order if order in _ORDERS else _BY_NAME
    asked = {**query.asked, "order_by": order}

    def work(context: Context) -> Mapping[str, Any]:
        page = table_views.list_views(
            context, query.filter, order_by=order, limit=_LISTED, offset=offset, columns=False
        )
        counts = table_counts.count_tables(context)
        return {
            "query": query,
            "found": page.views,
            "count": page.count,
            "counts": counts,
            "offset": offset,
            "limit": _LISTED,
            "order": order,
            "headings": _HEADINGS,
            "policies": list(Policy),
            "jobs_like": jobs_like(query),
            "api": commands.path("warehouse_tables/", asked),
            "command": commands.command("stocktake tables list", asked),
            "without": [] if page.count or not counts.total else _without(context, query),
        }

    return await show(edge, "tables.html", work)


def _without(context: Context, query: Query) -> list[tuple[str, str, int]]:
    """Return each part of a query that finds nothing: the part, the rest, and what that finds."""
    rests = [(f"{name}:{value}", query.having(name, None)) for name, value in query.parts]
    if query.words:
        rests.append((" ".join(query.words), Query(qualifiers=query.qualifiers)))
    return [
        (part, rest.text, table_views.count_views(context, rest.filter)) for part, rest in rests
    ]


@router.post("/p/{project_id}/tables/do")
async def do(edge: WriteEdge) -> Response:
    """Start a batch that does what the button says: to those that are ticked, or all that match."""
    form = await read_form(edge.request)
    asked = form.one("action")
    if asked == _SCHEDULE:
        return _to_schedule(edge, form)
    if asked not in _BUTTONS:
        raise ValidationError("There is no such button.", attr="action")
    action = _BUTTONS[asked]
    if action is BatchAction.DELETE and form.one("sure") != "yes":
        raise ValidationError("Tick the box beside the button to delete tables.", attr="sure")
    policy = tables.check_policy(form.one("policy") or None)
    arguments = {"change_policy": policy} if action is BatchAction.POLICY else None

    def work(context: Context) -> UUID:
        _require_no_more(context, form)
        made = batches.create(
            context,
            _selector(form),
            dry_run=asked == "plan",
            action=action,
            arguments=arguments,
        )
        return made.id

    batch_id = await edge.change(work)
    return RedirectResponse(f"/p/{edge.caller.project_id}/batches/{batch_id}?notice=batch", 303)


def _require_no_more(context: Context, form: Form) -> None:
    """Refuse all that match where these are more than the page said.

    Raises:
        ConflictError: they are.
    """
    if form.one("which") != "all":
        return
    said, matching = form.one("count"), Query.parse(form.one("q")).filter
    number = table_views.count_views(context, matching)
    if not said.isdecimal() or number > int(said[:_COUNT_DIGITS]):
        raise ConflictError(
            f"{number:,} tables match by now, and the page said {said[:_COUNT_DIGITS] or 'none'}. "
            "Nothing was done: look at the list again."
        )


def _to_schedule(edge: WriteEdge, form: Form) -> Response:
    selector = _selector(form)
    asked = {"id": selector["tables"]} if "tables" in selector else {"tables": form.one("q")}
    url = f"/p/{edge.caller.project_id}/schedules/new?{urlencode(asked, doseq=True)}"
    return RedirectResponse(url, 303)


def _selector(form: Form) -> dict[str, Any]:
    if form.one("which") == "all":
        query = Query.parse(form.one("q"))
        if query.wrong:
            raise ValidationError(query.wrong[0], attr="q")
        return query.selector
    ids = form.ids("id")
    if not ids:
        raise ValidationError("Tick the tables first, or choose all that match.", attr="id")
    return {"tables": [str(each) for each in ids]}
