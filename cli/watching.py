"""`stocktake watch`: what changes in the project, as it changes."""

import json
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer

from cli.client import Client
from cli.output import say
from stocktake.errors import CommandError, did_you_mean

#: As the stream has them.
TOPICS = ("tables", "jobs", "batches", "changes")


def watch(
    topics: Annotated[
        list[str] | None,
        typer.Argument(help="tables, jobs, batches, changes; all if left out.", metavar="TOPIC"),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A line of JSON for each event, for programs.")
    ] = False,
    since: Annotated[
        str | None, typer.Option(help="The `id` of an event: tell what came after it, too.")
    ] = None,
) -> None:
    """Tell what changes, as it changes, until Ctrl-C. A lost connection is opened again where it
    was."""
    for topic in topics or ():
        if topic not in TOPICS:
            raise typer.BadParameter(f"There is no topic {topic!r}; {did_you_mean(topic, TOPICS)}")
    try:
        with Client.from_environment() as client:
            names = _Names(client)
            for event in client.watch(topics or TOPICS, since):
                if as_json:
                    sys.stdout.write(json.dumps(event, ensure_ascii=False) + "\n")
                else:
                    for line in _lines(event, names):
                        say(f"{datetime.now().astimezone():%H:%M:%S}  {line}")
                sys.stdout.flush()
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


class _Names:
    """The names of tables, each asked for once."""

    def __init__(self, client: Client) -> None:
        self._client, self._known = client, dict[str, str]()

    def learn(self, table: dict[str, Any]) -> None:
        self._known[table["id"]] = table["name"]

    def of(self, table_id: str | None) -> str:
        if table_id is None:
            return ""
        if table_id not in self._known:
            path = f"warehouse_tables/{table_id}/"
            try:
                self.learn(self._client.get(path, include_columns="false"))
            except CommandError:
                self._known[table_id] = table_id  # it was deleted since
        return self._known[table_id]


def _lines(event: dict[str, Any], names: _Names) -> Iterator[str]:
    for table in event.get("tables", ()):
        names.learn(table)
        state = "deleted" if table["deleted"] else f"schema version {table['schema_version']}"
        yield f"table   {table['name']}: {state}"
    for job in event.get("jobs", ()):
        of = names.of(job["table_id"])
        yield f"job     {job['kind']}{' of ' if of else ''}{of}: {_job(job)}"
    for batch in event.get("batches", ()):
        yield f"batch   {batch['id']}"
    for change in event.get("changes", ()):
        left = f", {change['undecided']} to decide" if change["state"] == "pending" else ""
        yield (
            f"change  {names.of(change['table_id'])}: {change['change']}, {change['state']}{left}"
        )
    for topic in event.get("more", ()):
        yield f"more {topic} changed than can be named: list them"


def _job(job: dict[str, Any]) -> str:
    if job["state"] != "running" or not (progress := job["progress"]):
        return str(job["state"])
    files = f"{progress['files_done']} of {progress['files_total'] or '?'} files"
    return f"running, {progress['phase']}: {files}"
