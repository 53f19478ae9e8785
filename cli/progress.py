"""How far a batch has come, shown until it has ended."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column

from cli.client import Client
from cli.output import console, describe_job, say
from stocktake.redaction import harmless

_POLL_SECONDS: Final = 0.5

#: Told, each time it was looked at, of a batch and of what it waits for.
Look = Callable[[dict[str, Any], str], None]


def await_batch(client: Client, batch: dict[str, Any], look: Look) -> dict[str, Any]:
    """Return the batch once it has ended; `look` sees it on the way, and at the end."""
    while not batch["done"]:
        look(batch, _waited_for(client, batch["id"]))
        time.sleep(_POLL_SECONDS)
        batch = client.get(f"batches/{batch['id']}/")
    look(batch, "")
    return batch


def _waited_for(client: Client, batch_id: str) -> str:
    """Describe one of the batch's jobs that have not ended, and how far it is."""
    for state in ("running", "queued"):
        for job in client.get("jobs/", batch=batch_id, state=state, limit=1)["results"]:
            # The batch's own job, which makes the others, has no table.
            if job["kind"] in ("refresh_schema", "plan_refresh"):
                path = f"warehouse_tables/{job['table_id']}/"
                table = client.get(path, include_columns="false")
                return f"{table['name']}: {describe_job(job)}"
    return ""


@contextmanager
def progress(doing: str = "Refreshing", *, quiet: bool = False) -> Iterator[Look]:
    """Show a bar on a terminal, a line for each change elsewhere.

    Args:
        quiet: show nothing: the answer stands alone on stdout.
    """
    out = console()
    if quiet:
        yield lambda *_: None
        return
    if not out.is_terminal:
        yield _PlainProgress()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn(
            "{task.fields[waits_for]}",
            markup=False,
            table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
        ),
    )
    with Progress(*columns, console=out, expand=True) as bar:
        task = bar.add_task(doing, total=None, waits_for="")
        yield lambda batch, waits_for: bar.update(
            task,
            completed=_ended(batch),
            total=batch["total"] or None,
            description=_what(doing, batch),
            waits_for=harmless(waits_for),
        )


class _PlainProgress:
    """One line whenever the counters moved, or what is waited for."""

    def __init__(self) -> None:
        self._said = ""

    def __call__(self, batch: dict[str, Any], waits_for: str) -> None:
        line = f"{_ended(batch)}/{batch['total']} done"
        if waits_for:
            line += f"; {waits_for}"
        if line != self._said and batch["total"]:
            say(line)
        self._said = line


def _ended(batch: dict[str, Any]) -> int:
    return sum(batch["counts"][state] for state in ("succeeded", "failed", "cancelled"))


def _what(doing: str, batch: dict[str, Any]) -> str:
    failed = batch["counts"]["failed"]
    return f"{doing} ([red]{failed} failed[/red])" if failed else doing
