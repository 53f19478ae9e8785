"""`stocktake audit-log`: who did what, out of the database or over the API."""

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from cli.client import Client
from cli.database import opened_database
from cli.output import AsJson, moment, show_json, show_rows
from stocktake.errors import CommandError

if TYPE_CHECKING:
    from stocktake.db.models import AuditEntry


def show_audit_log(
    server: Annotated[
        bool,
        typer.Option(
            "--server",
            help="Ask the server, for the key's project; the key needs the scope audit_log:read.",
        ),
    ] = False,
    project: Annotated[int | None, typer.Option(help="Id of a project; all if not given.")] = None,
    action: Annotated[
        str | None, typer.Option(help="Such as table.create, key.revoke or refused.")
    ] = None,
    subject: Annotated[UUID | None, typer.Option(help="Id of what was changed.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List who did what, and what was refused, newest first: of the service's own database, which
    needs no server, or with --server of what a key may see."""
    if server and project is not None:
        raise CommandError("--server shows the key's project: set STOCKTAKE_PROJECT_ID instead.")
    if server:
        entries = _of_server(action, subject, limit)
    else:
        entries = _of_database(project, action, subject, limit)
    if as_json:
        show_json(entries)
    else:
        _show(entries)


def _of_server(action: str | None, subject: UUID | None, limit: int) -> list[dict[str, Any]]:
    with Client.from_environment() as client:
        asked = {"action": action, "subject": subject and str(subject)}
        return list(islice(client.all("audit_log/", **asked), limit))


def _of_database(
    project: int | None, action: str | None, subject: UUID | None, limit: int
) -> list[dict[str, Any]]:
    from stocktake.services import audit

    wanted = audit.EntryFilter(project_id=project, action=action, subject=subject)
    with opened_database() as database, database.read() as session:
        return [_entry(each) for each in audit.page(session, wanted, limit=limit)[1]]


def _entry(entry: "AuditEntry") -> dict[str, Any]:
    return {
        "id": str(entry.id),
        "created_at": entry.created_at.isoformat(),
        "project_id": entry.project_id,
        "user_id": entry.user_id,
        "key_prefix": entry.key_prefix,
        "action": entry.action,
        "subject": entry.subject,
        "detail": entry.detail,
    }


def _show(entries: Iterable[dict[str, Any]]) -> None:
    show_rows(
        ("AT", "PROJECT", "KEY", "ACTION", "SUBJECT", "DETAIL"),
        [
            (
                moment(each["created_at"]),
                each.get("project_id"),
                each["key_prefix"],
                each["action"],
                each["subject"],
                ", ".join(f"{name}={value}" for name, value in each["detail"].items()),
            )
            for each in entries
        ],
        empty="No entries.",
        least=("KEY", "PROJECT"),
    )
