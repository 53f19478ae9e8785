"""What very wide tables cost: lists, one of them, changes; and who is held up meanwhile."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx
import psutil

from benchmarks.deployment import Deployment, deployed
from benchmarks.figures import Figure, Outcome, distributed
from benchmarks.options import Options
from stocktake.db.models import SchemaVersion, Table
from stocktake.schema.columns import Column
from stocktake.schema.diff import diff

_TABLES: Final = 100
_COLUMNS: Final = 10_000
_ROUNDS: Final = 5
_AT_ONCE: Final = 8
_HEALTH_PAUSE_SECONDS: Final = 0.005
_TIMEOUT_SECONDS: Final = 120.0
_MIB: Final = 2**20

Ask = Callable[[httpx.Client], httpx.Response]


def measure(options: Options) -> Iterator[Outcome]:
    """Ask for each kind of wide answer a few times, and for `/healthz` all the while."""
    tables = options.sized(_TABLES)
    with deployed(options) as deployment, _client(deployment) as client:
        wide = f"warehouse_tables/{_fill(deployment, tables)}/"
        web = psutil.Process(deployment.web.pid)
        client.get("jobs/").raise_for_status()
        before = web.memory_info().rss
        for name, ask in _asks(wide, tables).items():
            yield _asked(name, deployment, client, ask)
        yield _walked(deployment, client)
        yield _crowded(deployment)
        yield _memory(before, web.memory_info().rss, tables)


def _asks(wide: str, tables: int) -> dict[str, Ask]:
    turn = iter(range(1_000_000))

    def types(count: int) -> dict[str, Any]:
        kind = ("float", "string")[next(turn) % 2]
        return {"updates": {f"column_{number}": kind for number in range(count)}}

    def path() -> str:
        return f"https://bucket.s3.amazonaws.com/changed_{next(turn)}/*.parquet"

    return {
        f"GET a page of {tables} tables": lambda it: it.get("warehouse_tables/"),
        "GET one": lambda it: it.get(wide),
        "PATCH its URL": lambda it: it.patch(wide, json={"url_pattern": path()}),
        "update_schema of 9,900 columns": lambda it: it.post(
            f"{wide}update_schema/", json=types(9_900)
        ),
        "GET its versions": lambda it: it.get(f"{wide}schema_versions/"),
        "GET a version": lambda it: it.get(f"{wide}schema_versions/1/"),
        "GET a diff": lambda it: it.get(f"{wide}schema_versions/1/diff/"),
    }


def _client(deployment: Deployment) -> httpx.Client:
    return httpx.Client(
        base_url=f"{deployment.web.url}/api/projects/{deployment.project_id}/",
        headers={"Authorization": f"Bearer {deployment.key}"},
        timeout=_TIMEOUT_SECONDS,
    )


def _fill(deployment: Deployment, tables: int) -> str:
    """Insert tables as refreshes would have left them; return the id of the last, which has a
    version too.
    """
    columns = [Column.of(f"column_{number}", "Nullable(Int64)") for number in range(_COLUMNS)]
    stored = [column.as_dict() for column in columns]
    with deployment.database.write() as session:
        for number in range(tables):
            url = f"https://bucket.s3.amazonaws.com/{number}/*.parquet"
            table = Table(
                project_id=deployment.project_id,
                name=f"wide_{number}",
                columns=stored,
                format="Parquet",
                url_pattern=url,
                options={"public": True},
                schema_version=1,
            )
            session.add(table)
            session.flush()
        changes = {"diff": diff((), tuple(columns)).as_dict(), "change": "additive"}
        session.add(SchemaVersion(table_id=table.id, number=1, columns=stored, **changes))
        return str(table.id)


@contextmanager
def _asking_for_health(deployment: Deployment) -> Iterator[list[float]]:
    """Collect the milliseconds of each answer of `/healthz`, one asked for after the other."""
    answers: list[float] = []
    ended = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=deployment.web.url, timeout=_TIMEOUT_SECONDS) as client:
            while not ended.wait(_HEALTH_PAUSE_SECONDS):
                answers.append(_timed(lambda: client.get("/healthz").raise_for_status())[0])

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        ended.set()
        thread.join()


def _timed(ask: Callable[[], httpx.Response]) -> tuple[float, httpx.Response]:
    begun = time.perf_counter()
    answer = ask()
    return (time.perf_counter() - begun) * 1000, answer.raise_for_status()


def _asked(name: str, deployment: Deployment, client: httpx.Client, ask: Ask) -> Outcome:
    with _asking_for_health(deployment) as health:
        answered = [_timed(lambda: ask(client)) for _ in range(_ROUNDS)]
    size = max(len(answer.content) for _, answer in answered)
    return Outcome(
        figures=[
            distributed(name, [milliseconds for milliseconds, _ in answered], "ms"),
            Figure(name=f"{name}: its answer", value=size / _MIB, unit="MiB"),
            distributed(f"{name}: /healthz meanwhile", health, "ms"),
        ],
    )


def _walked(deployment: Deployment, client: httpx.Client) -> Outcome:
    pages, following = 0, "warehouse_tables/?cursor="
    begun = time.perf_counter()
    with _asking_for_health(deployment) as health:
        while following:
            following = client.get(following).raise_for_status().json()["next"]
            pages += 1
    name = f"all tables, by {pages} pages"
    return Outcome(
        figures=[
            Figure(name=name, value=time.perf_counter() - begun, unit="s"),
            distributed(f"{name}: /healthz meanwhile", health, "ms"),
        ]
    )


def _crowded(deployment: Deployment) -> Outcome:
    def ask() -> None:
        with _client(deployment) as client:
            for _ in range(_ROUNDS):
                client.get("warehouse_tables/").raise_for_status()

    crowd = [threading.Thread(target=ask) for _ in range(_AT_ONCE)]
    with _asking_for_health(deployment) as health:
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join()
    return Outcome(figures=[distributed(f"{_AT_ONCE} pages at once: /healthz", health, "ms")])


def _memory(before: int, after: int, tables: int) -> Outcome:
    return Outcome(
        figures=[
            Figure(name="memory of the web process, before", value=before / _MIB, unit="MiB"),
            Figure(
                name="memory of the web process, after all of it", value=after / _MIB, unit="MiB"
            ),
        ],
        conditions=[
            f"{tables} tables of {_COLUMNS:,} columns; {_ROUNDS} requests of each kind, one after "
            "the other, while `/healthz` is asked for over and over; one web process, no worker; "
            "a page ends after about 2 MiB of stored columns, and `next` goes on",
        ],
    )
