"""What the demo shows, step by step, and what it insists on: it ends well only if all came true."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cli.client import Client
from cli.demo import sources
from cli.demo.sources import Kind
from cli.demo.store import BUCKET, Store
from cli.output import console, describe_diff, number, say, show_rows, size
from cli.progress import await_batch, progress
from servers.process import Server, ServerDiedError
from servers.service import Up
from stocktake.errors import CommandError

_START_SECONDS: Final = 90.0
_END_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.1
_PLACES: Final = ("store", "disk")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """One registered table."""

    name: str
    id: str
    kind: Kind


class Story:
    """The demo's processes and its telling.

    Args:
        folder: empty; everything goes in there.
    """

    def __init__(self, folder: Path) -> None:
        self._began = time.monotonic()
        self._store = Store(folder / "store")
        self._stack = Up(folder)
        self._stack.settings["TRUSTED_ENDPOINTS"] = self._store.endpoint
        self._root = self._stack.sources
        for each in self._processes:
            each.ready_seconds = _START_SECONDS
            each.begin()

    def tell(self) -> None:
        """Tell all of it.

        Raises:
            CommandError: something did not come out as it must.
        """
        with _step("Read the airports of the world"):
            rows = sources.airports()
        with _step(f"Write {len(rows):,} rows as Delta, Parquet, CSV and JSON lines"):
            sources.write_all(self._root, rows)
            _insist(sources.count_delta_rows(self._root) == len(rows), "deltalake reads all rows")
        say(
            f"  Delta in {sources.COMMITS:,} commits with a checkpoint at {sources.CHECKPOINT:,};"
            f"\n  Parquet in {sources.PARQUET_FILES} files; "
            f"CSV and JSON in {sources.TEXT_FILES} each"
        )
        with _step("Wait for object store, API, worker, clock and Flower"):
            self._wait_for_processes()
        with _step("Upload the same files to the object store"):
            self._upload(set())
        with self._client() as client:
            self._show_work(client, rows)
        say("")
        say(
            f"Done in {time.monotonic() - self._began:.0f} s: every job succeeded, "
            "every change was found."
        )

    def _show_work(self, client: Client, rows: list[sources.Row]) -> None:
        with _step("Register eight tables over HTTP, each read by a job of its own"):
            tables = [
                self._register(client, kind, place) for kind in sources.KINDS for place in _PLACES
            ]
            self._wait_for_jobs(client)
        _show_first_reads(client, tables)
        _insist_on_rows(client, tables, len(rows))
        with _step("Add columns at every source, behind the service's back"):
            before = _files(self._root)
            sources.evolve(self._root, rows)
            self._upload(before)
        say("Refresh all tables as one batch")
        batch = client.post("warehouse_tables/refresh/", {"all": True})
        with progress() as look:
            batch = await_batch(client, batch, look)
        _insist(batch["counts"]["succeeded"] == len(tables), "every table was refreshed")
        self._wait_for_jobs(client)
        _show_changes(client, tables)

    def wait(self) -> None:
        """Say where everything is, and wait for Ctrl-C."""
        say("")
        say("Left running; Ctrl-C stops it and removes its data.")
        say(f"  docs     {self._stack.url}/docs")
        say(f"  export STOCKTAKE_URL={self._stack.url}")
        say(f"  export STOCKTAKE_API_KEY=$(cat {self._stack.data_dir / 'api_key'})")
        say("  stocktake tables list")
        for line in self._stack.output().splitlines():
            if line.strip().startswith("Flower"):
                say(line)
        while self._stack.runs:
            time.sleep(_POLL_SECONDS)
        raise CommandError(f"The stack ended:\n{self._stack.log_tail()}")

    def end(self) -> None:
        """Stop the processes."""
        self._stack.stop()
        self._store.stop()

    # --- the processes --------------------------------------------------------------------

    @property
    def _processes(self) -> tuple[Server, ...]:
        return self._store, self._stack

    def _wait_for_processes(self) -> None:
        try:
            for each in self._processes:
                each.wait_until_ready()
        except ServerDiedError as exc:
            raise CommandError(str(exc)) from exc

    def _client(self) -> Client:
        key = (self._stack.data_dir / "api_key").read_text().strip()
        return Client(self._stack.url, key, "@current")

    # --- sources and tables ---------------------------------------------------------------

    def _upload(self, known: set[Path]) -> None:
        self._store.upload(self._root, sorted(_files(self._root) - known))

    def _register(self, client: Client, kind: Kind, place: str) -> _Table:
        name = f"airports_{kind.name}_{place}"
        body: dict[str, Any] = {"name": name, "format": kind.format}
        if place == "disk":
            body["url_pattern"] = f"file://{self._root}/{kind.pattern}"
        else:
            body["url_pattern"] = self._store.url(BUCKET, kind.pattern)
            body["credential"] = {
                "access_key": self._store.access_key,
                "access_secret": self._store.secret_key,
            }
        made = client.post("warehouse_tables/", body)
        return _Table(name=name, id=made["id"], kind=kind)

    def _wait_for_jobs(self, client: Client) -> None:
        """Wait until nothing is queued or running, and insist that all went well."""
        give_up_at = time.monotonic() + _END_SECONDS
        while not all(job["done"] for job in client.all("jobs/")):
            if time.monotonic() > give_up_at:
                raise CommandError(f"Jobs were still running after {_END_SECONDS:g} s.")
            time.sleep(_POLL_SECONDS)
        for job in client.all("jobs/"):
            error = job["error"] or {}
            _insist(
                job["state"] == "succeeded",
                f"{job['kind']} succeeds ({error.get('code')}: {error.get('detail')})",
            )


def _show_first_reads(client: Client, tables: list[_Table]) -> None:
    show_rows(
        ("TABLE", "FORMAT", "COLUMNS", "ROWS", "SIZE", "FILES READ", "BYTES READ", "TOOK"),
        [_first_read(client, table) for table in tables],
        empty="",
    )
    say(
        "  A Delta table is read from its checkpoint on, and no data file is opened. CSV and JSON "
        "are\n  then read whole by a second job, to hold each column to its type."
    )


def _first_read(client: Client, table: _Table) -> tuple[Any, ...]:
    [job] = client.all("jobs/", table=table.id, kind="refresh_schema")
    result, coverage = job["result"], job["result"]["coverage"]
    return (
        table.name,
        table.kind.format,
        result["columns"],
        number(result["row_count"]),
        size(result["size_bytes"]),
        f"{coverage['files_read']} of {coverage['files_matched']}",
        size(coverage["bytes_read"]),
        _took(job),
    )


def _insist_on_rows(client: Client, tables: list[_Table], rows: int) -> None:
    for table in tables:
        found = client.get(f"warehouse_tables/{table.id}/")["row_count"]
        _insist(found in (rows, None), f"{table.name} has {rows:,} rows (found {found})")


def _show_changes(client: Client, tables: list[_Table]) -> None:
    for table in tables:
        job, *_ = client.all("jobs/", table=table.id, kind="refresh_schema")
        diff = job["result"]["diff"]
        say(f"  {table.name}: {job['result']['change']}, found in {_took(job)}")
        for line in describe_diff(diff):
            say(f"    {line}")
        added = {column["name"] for column in diff["added"]}
        changed = {column["name"] for column in diff["changed"]}
        _insist(added == set(table.kind.added), f"{table.name} gets {table.kind.added}")
        _insist(changed == set(table.kind.widened), f"{table.name} widens {table.kind.widened}")


def _took(job: dict[str, Any]) -> str:
    started, finished = (datetime.fromisoformat(job[key]) for key in ("started_at", "finished_at"))
    return f"{(finished - started).total_seconds() * 1000:,.0f} ms"


def _files(root: Path) -> set[Path]:
    return {file for file in root.rglob("*") if file.is_file()}


def _insist(true: bool, what: str) -> None:
    if not true:
        raise CommandError(f"The demo did not come out as it must: {what}.")


@contextmanager
def _step(text: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    began = time.monotonic()
    out = console()
    if out.is_terminal:
        with out.status(text):
            yield
    else:
        yield
    out.print(f"{text} [dim]({time.monotonic() - began:.1f} s)[/dim]", soft_wrap=True)
