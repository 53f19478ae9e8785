"""`stocktake settings` and `stocktake whoami`: the project that is asked, and the key it is asked
with."""

from typing import Annotated, Any

import typer

from cli.client import Client
from cli.output import AsJson, moment, show_fields, show_json

#: What `settings` shows of a project, which says more of it to PostHog's tools.
_SHOWN = ("id", "name", "change_policy", "stale_after_seconds", "row_previews")


def settings(
    stale_after: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Seconds until a read of a table that says nothing of its own is stale; 0: never.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what is set for all tables of the project, or set after which time they are stale.

    `policy --set` sets what of a change goes live, `previews --set` whether rows are shown, and
    `tables edit --stale-after` the time of one table.
    """
    with Client.from_environment() as client:
        if stale_after is None:
            project = client.get("")
        else:
            project = client.patch("", {"stale_after_seconds": stale_after or None})
    if as_json:
        show_json({name: project[name] for name in _SHOWN})
        return
    seconds = project["stale_after_seconds"]
    show_fields(
        [
            ("Project", f"{project['name']} ({project['id']})"),
            ("Policy", project["change_policy"]),
            ("Stale after", "never" if seconds is None else f"{seconds:,} s"),
            ("Row previews", "on" if project["row_previews"] else "off"),
        ]
    )


def whoami(as_json: AsJson = False) -> None:
    """Show the server that is asked, the key, its scopes and its projects."""
    with Client.from_environment() as client:
        key = client.get("/api/personal_api_keys/@current/")
        projects = list(client.all("/api/projects/"))
        url = client.url
    if as_json:
        named = [{"id": each["id"], "name": each["name"]} for each in projects]
        show_json({"url": url, "key": key, "projects": named})
        return
    show_fields(_described(url, key, projects))


def _described(
    url: str, key: dict[str, Any], projects: list[dict[str, Any]]
) -> list[tuple[str, Any]]:
    return [
        ("Server", url),
        ("Key", f"{key['mask_value']} {key['label']}".strip()),
        ("Scopes", ", ".join(key["scopes"])),
        ("Projects", ", ".join(f"{each['name']} ({each['id']})" for each in projects)),
        ("Made", moment(key["created_at"])),
        ("Last used", moment(key["last_used_at"])),
    ]
