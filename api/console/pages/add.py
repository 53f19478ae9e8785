"""Adding a table: what a pasted URL tells, trying it before it is saved, and uploading a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Response
from fastapi.responses import RedirectResponse

from api.console.forms import Form, read_form
from api.console.rendering import show
from api.console.results import UNTOLD
from api.console.routing import Router
from api.console.session import ReadEdge, WriteEdge
from api.uploads import receiving
from stocktake.errors import (
    ManagedStorageRefusedError,
    NotFoundError,
    PayloadTooLargeError,
    RequestError,
    StorageUnavailableError,
    ValidationError,
)
from stocktake.schema.formats import UPLOADABLE, TableFormat, format_of_file
from stocktake.services import files, jobs, source_checks, suggestions, tables, upload_forms
from stocktake.services.context import Context
from stocktake.services.credentials import CredentialFields
from stocktake.services.tables import TableFields
from stocktake.services.words import ANY_NAME, BAD_IDENTIFIER, MAX_URL_LENGTH
from stocktake.states import JobKind, JobState

router = Router()

#: What goes into the address; keys never do.
_NAMES: Final = ("url", "name", "format", "public")
_FORMATS: Final = tuple(each.value for each in TableFormat)
_YES: Final = "yes"
_COLUMNS: Final = 60
#: The route counts what comes itself, as the API's does.
_COUNTED_HERE: Final = 2**62


@dataclass(frozen=True, slots=True)
class _Wrong:
    """Why a form was not taken: which, the field, and the sentence."""

    form: str
    attr: str | None
    detail: str
    status: int = 400


@router.get("/p/{project_id}/add")
async def add(edge: ReadEdge) -> Response:
    """Show the forms, what the address's URL tells, and what its check has found."""
    return await _show(edge, dict(edge.request.query_params))


async def _show(edge: ReadEdge, given: Mapping[str, str], wrong: _Wrong | None = None) -> Response:
    typed = _typed(given)

    def work(context: Context) -> Mapping[str, Any]:
        told, problem = None, wrong
        if typed["url"]:
            try:
                told = suggestions.suggest(context, typed["url"])
            except ValidationError as exc:
                problem = wrong or _Wrong("url", "url_pattern", str(exc))
        job = _check(context, given.get("job", ""))
        result = {**UNTOLD, **((job and job.result) or {})}
        found = result.get("format") if job else None
        return {
            "typed": typed,
            "told": told,
            "wrong": problem,
            "job": job,
            "done": job is not None and JobState(job.state).done,
            "result": result,
            "most_columns": _COLUMNS,
            "name": typed["name"] or (told.name if told else ""),
            "format": typed["format"] or found or (told and told.format) or "",
            "formats": _FORMATS,
            "any_name": ANY_NAME,
            "identifier": BAD_IDENTIFIER,
            "uploadable": UPLOADABLE,
            "most_bytes": context.process.settings.max_upload_bytes,
        }

    return await show(edge, "add.html", work, wrong.status if wrong else 200)


def _typed(given: Mapping[str, str]) -> dict[str, str]:
    typed = {
        name: given.get(name, "").replace("\0", "").strip()[:MAX_URL_LENGTH] for name in _NAMES
    }
    # Of the address anybody may have written it: it is a format, or it is not shown.
    return typed | {"format": typed["format"] if typed["format"] in _FORMATS else ""}


def _check(context: Context, job_id: str) -> Any:
    """Return the check that the address names; None where there is none, or no more."""
    try:
        job = jobs.get_job(context, UUID(job_id))
    except (ValueError, NotFoundError):
        return None
    return job if job.kind == JobKind.CHECK_SOURCE else None


@router.post("/p/{project_id}/add/try")
async def try_source(edge: WriteEdge) -> Response:
    """Have a job try the source, and show what becomes of it beside the form."""
    form = await read_form(edge.request)
    typed = _given(form)
    fields = _fields(form, typed)
    try:
        job_id = await edge.change(lambda it: source_checks.request(it, fields).job.id)
    except ValidationError as exc:
        return await _show(edge, typed, _Wrong("url", exc.attr, str(exc)))
    asked = {name: value for name, value in typed.items() if value} | {"job": str(job_id)}
    return RedirectResponse(f"/p/{edge.caller.project_id}/add?{urlencode(asked)}", 303)


@router.post("/p/{project_id}/add")
async def save(edge: WriteEdge) -> Response:
    """Register the table, and lead to it."""
    form = await read_form(edge.request)
    typed = _given(form)
    fields = _fields(form, typed) | {"name": typed["name"] or None}
    try:
        table_id = await edge.change(lambda it: tables.create(it, fields)[0].id)
    except ValidationError as exc:
        return await _show(
            edge, typed | {"job": form.one("job")}, _Wrong("url", exc.attr, str(exc))
        )
    return _to(edge, table_id, "added")


def _given(form: Form) -> dict[str, str]:
    return _typed({name: form.one(name) for name in _NAMES})


def _fields(form: Form, typed: Mapping[str, str]) -> TableFields:
    keys = CredentialFields(
        access_key=form.one("access_key"), access_secret=form.one("access_secret")
    )
    fields: TableFields = {
        "url_pattern": typed["url"],
        "format": typed["format"] or None,
        "options": {"public": True} if typed["public"] == _YES else {},
    }
    if any(keys.values()):
        fields["credential"] = keys
    return fields


@router.post("/p/{project_id}/add/upload", max_body_size=_COUNTED_HERE)
async def upload(edge: WriteEdge) -> Response:
    """Take a file, make a table of it, and lead to that."""
    try:
        table_id = await _receive(edge)
    except (ValidationError, PayloadTooLargeError) as exc:
        return await _show(edge, {}, _Wrong("upload", exc.attr, str(exc), _status(exc)))
    except StorageUnavailableError:
        told = "The storage for uploads does not answer. Send the file again in a moment."
        return await _show(edge, {}, _Wrong("upload", None, told, 503))
    except ManagedStorageRefusedError as exc:
        told = f"{exc.detail} {exc.hint}"
        return await _show(edge, {}, _Wrong("upload", None, told, 500))
    return _to(edge, table_id, "uploaded")


def _status(error: RequestError) -> int:
    return 413 if isinstance(error, PayloadTooLargeError) else 400


async def _receive(edge: WriteEdge) -> UUID:
    async with receiving(edge, upload_forms.too_large) as receiver:
        await receiver.receive()
        if not receiver.size_bytes:
            # A browser sends a part without a name where no file was chosen.
            raise ValidationError("Choose a file that is not empty.", attr="file")
        sent = {name: value for name, value in receiver.fields.items() if value.strip()}
        # A box that was not ticked is not sent.
        sent.setdefault("replace_source", "false")
        ending = format_of_file(receiver.filename or "")
        if "format" not in sent and ending in UPLOADABLE:
            sent["format"] = ending.value
        form = upload_forms.check_form(receiver.filename, sent)
        await receiver.finish()

        def work(context: Context) -> UUID:
            stored = files.store(context, receiver.upload_id, size_bytes=receiver.size_bytes)
            return files.ingest(context, stored, form).table.id

        return await edge.change(work)


def _to(edge: WriteEdge, table_id: UUID, notice: str) -> Response:
    url = f"/p/{edge.caller.project_id}/tables/{table_id}?notice={notice}"
    return RedirectResponse(url, 303)
