"""The form of a schedule, new or not: what it would do is shown before it is saved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query as InQuery
from fastapi import Response
from fastapi.responses import RedirectResponse

from api.console.cron_words import in_words
from api.console.forms import Form, read_form
from api.console.pages.schedules import FIRES, zoned
from api.console.rendering import show
from api.console.routing import Router
from api.console.search import Query
from api.console.selectors import as_query, told
from api.console.session import ReadEdge, WriteEdge
from stocktake.db.models import Schedule
from stocktake.errors import ValidationError
from stocktake.services import schedules
from stocktake.services.context import Context

router = Router()

_NAMES: Final = ("name", "cron", "timezone", "jitter_seconds", "tables", "which")
_NEW: Final = {"cron": "0 6 * * *", "timezone": "UTC", "jitter_seconds": "0", "which": "query"}
_KEEP: Final = "same"
_MOST: Final = 300
#: Tables that an address names: those of a page of them.
_NAMED: Final = 50


@dataclass(frozen=True, slots=True)
class _Typed:
    """What is in the form's fields.

    Attributes:
        kept: the selector of a schedule that the box has no words for.
    """

    values: Mapping[str, str]
    kept: Mapping[str, Any] | None = None

    def fields(self) -> dict[str, Any]:
        """Return them as services take them.

        Raises:
            ValidationError: a value is none.
        """
        return {
            "name": self.values["name"],
            "cron": self.values["cron"],
            "timezone": self.values["timezone"],
            "jitter_seconds": _seconds(self.values["jitter_seconds"]),
            "selector": self._selector(),
        }

    def _selector(self) -> dict[str, Any]:
        if self.values["which"] == _KEEP and self.kept is not None:
            return dict(self.kept)
        query = Query.parse(self.values["tables"])
        if query.wrong:
            raise ValidationError(query.wrong[0], attr="selector")
        return query.selector


def _seconds(text: str) -> float:
    try:
        return float(text or 0)
    except ValueError as exc:
        raise ValidationError("The delay is a number of seconds.", attr="jitter_seconds") from exc


def _typed(given: Mapping[str, str], default: Mapping[str, str]) -> dict[str, str]:
    return {
        name: given.get(name, default.get(name, "")).replace("\0", "").strip()[:_MOST]
        for name in _NAMES
    }


def _fresh(ids: Sequence[UUID]) -> tuple[Mapping[str, str], Mapping[str, Any] | None]:
    """Return what a new schedule's form has at first, and the named tables that it is for."""
    return (_NEW | {"which": _KEEP} if ids else _NEW), _named(ids)


def _named(ids: Sequence[UUID]) -> Mapping[str, Any] | None:
    return {"tables": [str(each) for each in ids]} if ids else None


def _of(schedule: Schedule) -> tuple[dict[str, str], Mapping[str, Any] | None]:
    """Return a schedule as its form has it, and its selector where that has no words."""
    query = as_query(schedule.selector)
    values = {
        "name": schedule.name,
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "jitter_seconds": f"{schedule.jitter_seconds:g}",
        "tables": "" if query is None else query.text,
        "which": _KEEP if query is None else "query",
    }
    return values, schedule.selector if query is None else None


@router.get("/p/{project_id}/schedules/new")
async def new(
    edge: ReadEdge,
    ids: Annotated[list[UUID] | None, InQuery(alias="id", max_length=_NAMED)] = None,
) -> Response:
    """Show the form of a new schedule, and what the address says of one would do; of named tables
    where it has their ids."""
    return await _show(edge, None, ids=ids or ())


@router.get("/p/{project_id}/schedules/{schedule_id}/edit")
async def edit(edge: ReadEdge, schedule_id: UUID) -> Response:
    """Show the form of a schedule, with what the address says instead."""
    return await _show(edge, schedule_id)


async def _show(
    edge: ReadEdge,
    schedule_id: UUID | None,
    given: Mapping[str, str] | None = None,
    wrong: ValidationError | None = None,
    ids: Sequence[UUID] = (),
) -> Response:
    asked = dict(edge.request.query_params) if given is None else given

    def work(context: Context) -> Mapping[str, Any]:
        old = None if schedule_id is None else schedules.get(context, schedule_id)
        default, kept = _fresh(ids) if old is None else _of(old)
        typed = _Typed(_typed(asked, default), kept)
        # Before anything was typed there is no name to complain of.
        begun = old is not None or "cron" in asked
        upcoming, problem = _preview(context, typed) if begun and wrong is None else (None, wrong)
        return {
            "schedule": old,
            "typed": typed.values,
            "kept": None if kept is None else told(kept),
            "ids": ids,
            "upcoming": upcoming,
            "body": typed.fields() if upcoming else None,
            "fires": zoned(upcoming, typed.values["timezone"]) if upcoming else [],
            "wrong": problem,
            "words": in_words(typed.values["cron"]) if upcoming else "",
        }

    return await show(edge, "schedule_form.html", work, 400 if wrong else 200)


def _preview(context: Context, typed: _Typed) -> tuple[Any, ValidationError | None]:
    try:
        return schedules.preview(context, typed.fields(), count=FIRES), None
    except ValidationError as exc:
        return None, exc


@router.post("/p/{project_id}/schedules/new")
async def create(edge: WriteEdge) -> Response:
    """Save a new schedule."""
    form = await read_form(edge.request)
    ids = form.ids("id")
    typed = _Typed(_typed(_given(form), {}), _named(ids))
    try:
        made = await edge.change(lambda it: schedules.create(it, typed.fields()).id)
    except ValidationError as exc:
        return await _show(edge, None, typed.values, exc, ids)
    return _saved(edge, made)


@router.post("/p/{project_id}/schedules/{schedule_id}/edit")
async def change(edge: WriteEdge, schedule_id: UUID) -> Response:
    """Save what was changed of a schedule."""
    form = await read_form(edge.request)
    values = _typed(_given(form), {})

    def work(context: Context) -> UUID:
        kept = schedules.get(context, schedule_id).selector
        return schedules.change(context, schedule_id, _Typed(values, kept).fields()).id

    try:
        await edge.change(work)
    except ValidationError as exc:
        return await _show(edge, schedule_id, values, exc)
    return _saved(edge, schedule_id)


def _given(form: Form) -> dict[str, str]:
    return {name: form.one(name) for name in _NAMES}


def _saved(edge: WriteEdge, schedule_id: UUID) -> Response:
    url = f"/p/{edge.caller.project_id}/schedules/{schedule_id}?notice=saved"
    return RedirectResponse(url, 303)
