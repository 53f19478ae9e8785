"""One project's requests, however many and however large their answers, hold up nobody else's."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from uuid import UUID

import fastapi.routing
import httpx
import pytest
from sqlalchemy import event, update

import api.edge.edge
import api.routes.jobs
import api.routes.tables
from api.edge.answers import LARGE_BYTES
from api.edge.threads import PROJECT_THREADS, SLOW_AT_ONCE
from stocktake.db.models import Base, Job, SchemaVersion, Table, Upload
from stocktake.db.session import Database
from stocktake.services import schema_versions, table_views
from stocktake.services.context import Context
from tests.integration.api.conftest import FinishJob, MakeJob, MakeKey, Served
from tests.support.stack import wait_until

#: More than a process has threads for all projects.
MANY: Final = 64
LARGE: Final = {"columns": 1, "diff": {"added": ["x" * 1_500_000], "fields": {}}}
COLUMN: Final = {
    "name": "a",
    "clickhouse": "Int64",
    "hogql": "integer",
    "valid": True,
    "nullable": False,
    "override": False,
}

Connect = Callable[..., httpx.Client]
MakeTable = Callable[..., UUID]


@pytest.fixture
def modest(connect: Connect, make_key: MakeKey, other_project: int) -> httpx.Client:
    """A client of another project than `client`'s."""
    opened = connect(make_key(["*"], other_project))
    opened.base_url = opened.base_url.join(f"/api/projects/{other_project}/")
    return opened


def test_requests_of_one_project_leave_threads_to_the_others(
    client: httpx.Client, modest: httpx.Client, project_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_views, gate, inside = table_views.list_views, threading.Event(), list[int]()
    full = threading.Semaphore(0)

    def gated(context: Context, *given: Any, **named: Any) -> Any:
        if context.caller.project_id == project_id:
            inside.append(1)
            full.release()
            gate.wait(60)
        return list_views(context, *given, **named)

    monkeypatch.setattr(table_views, "list_views", gated)
    client.timeout = modest.timeout = httpx.Timeout(30)
    with ThreadPoolExecutor(MANY) as pool:
        asked = [pool.submit(client.get, "warehouse_tables/") for _ in range(MANY)]
        try:
            for _ in range(PROJECT_THREADS):
                assert full.acquire(timeout=30)
            for _ in range(3):
                assert modest.get("warehouse_tables/").status_code == 200
            assert len(inside) == PROJECT_THREADS
        finally:
            gate.set()
        assert {each.result().status_code for each in asked} == {200}


def test_answers_become_json_away_from_the_event_loop(
    client: httpx.Client,
    served: Served,
    make_job: MakeJob,
    finish_job: FinishJob,
    make_table: MakeTable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job_id = make_job()
    finish_job(job_id, LARGE)
    threads: dict[str, set[int]] = {}
    for module, name in (
        (api.routes.jobs, "job_view"),
        (api.routes.jobs, "full_job_view"),
        (api.edge.edge, "respond"),
    ):
        monkeypatch.setattr(module, name, _noting(getattr(module, name), name, threads))
    assert client.get(f"jobs/{job_id}/").json()["result"] == LARGE
    assert "event: end" in client.get(f"jobs/{job_id}/events/").text
    table_id = make_table("a")
    assert client.post(f"warehouse_tables/{table_id}/update_schema/", json={}).status_code == 200
    assert threads.keys() == {"job_view", "full_job_view", "respond"}
    assert served.thread.ident not in set().union(*threads.values())


def test_a_page_takes_no_more_rows_than_it_has_room_for(
    client: httpx.Client,
    database: Database,
    make_job: MakeJob,
    finish_job: FinishJob,
) -> None:
    for _ in range(20):
        finish_job(make_job(), LARGE)
    with _loaded(Job) as jobs:
        page = client.get("jobs/", params={"limit": 1000}).json()
    assert page["count"] == 20
    assert len(page["results"]) == 2
    assert len(jobs) <= 8
    with database.write() as session:
        latest = {job.table_id: job.id for job in session.query(Job)}
        for table_id, job_id in latest.items():
            session.execute(update(Table).where(Table.id == table_id).values(latest_job_id=job_id))
    with _loaded(Job) as jobs:
        assert len(client.get("warehouse_tables/").json()["results"]) == 20
    assert len(jobs) == 20
    assert not any("result" in held for held in jobs)


def test_a_list_of_versions_reads_none_of_their_columns(
    client: httpx.Client, database: Database, make_table: MakeTable
) -> None:
    table_id = make_table("a")
    _add_versions(database, table_id, overridden=False)
    with _loaded(SchemaVersion) as versions:
        listed = client.get(f"warehouse_tables/{table_id}/schema_versions/").json()["results"]
    assert [(each["number"], each["column_count"]) for each in listed] == [(2, 1), (1, 1)]
    assert len(versions) == 2
    assert not any(held & {"columns", "diff"} for held in versions)


def test_no_lock_is_held_while_the_versions_are_looked_through(
    client: httpx.Client,
    database: Database,
    make_table: MakeTable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table_id = make_table("a")
    _add_versions(database, table_id, overridden=True)
    looked, find = list[bool](), schema_versions._of_source

    def noted(context: Context, table: Table, names: set[str]) -> Any:
        if names:
            options = context.session.connection().get_execution_options()
            looked.append(bool(options.get("read_only")))
        return find(context, table, names)

    monkeypatch.setattr(schema_versions, "_of_source", noted)
    answer = client.post(
        f"warehouse_tables/{table_id}/update_schema/", json={"updates": {"a": None}}
    )
    assert answer.json()["columns"][0]["type"] == "integer"
    assert looked == [True]


def test_large_ends_of_streams_are_sent_a_few_at_a_time(
    client: httpx.Client,
    modest: httpx.Client,
    make_job: MakeJob,
    finish_job: FinishJob,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each client takes its headers, and then nothing: what a socket holds is less than an end."""
    job_id, made, several = make_job(), list[bytes](), threading.Semaphore(0)
    finish_job(job_id, {"columns": 1, "diff": {"added": ["x" * 12_000_000]}})
    make = fastapi.routing.format_sse_event

    def noted(**event: Any) -> bytes:
        made.append(b"")
        several.release()
        return make(**event)

    monkeypatch.setattr(fastapi.routing, "format_sse_event", noted)
    with ExitStack() as streams:
        for _ in range(4 * SLOW_AT_ONCE):
            answer = streams.enter_context(client.stream("GET", f"jobs/{job_id}/events/"))
            assert answer.status_code == 200
        for _ in range(SLOW_AT_ONCE):
            assert several.acquire(timeout=30)
        for _ in range(20):
            assert modest.get("warehouse_tables/").status_code == 200
        # "state" and "end" of each stream whose turn it is.
        assert SLOW_AT_ONCE <= len(made) <= 2 * SLOW_AT_ONCE


def test_large_answers_that_nobody_takes_are_made_a_few_at_a_time(
    client: httpx.Client,
    modest: httpx.Client,
    make_job: MakeJob,
    finish_job: FinishJob,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each would stay in the process's memory for as long as its client may take: 400 of 5 MB were
    two gigabytes."""
    job_id, made, several = make_job(), list[int](), threading.Semaphore(0)
    finish_job(job_id, {"columns": 1, "diff": {"added": ["x" * 12_000_000]}})
    make = api.edge.edge.respond

    def noted(answer: Any) -> Any:
        response = make(answer)
        if len(response.body) > LARGE_BYTES:
            made.append(len(response.body))
            several.release()
        return response

    monkeypatch.setattr(api.edge.edge, "respond", noted)
    most = SLOW_AT_ONCE + PROJECT_THREADS
    url = client.base_url
    with ExitStack() as slow:
        for _ in range(3 * most):
            connection = slow.enter_context(socket.create_connection((url.host, url.port or 80)))
            path, key = f"{url.path}jobs/{job_id}/", client.headers["authorization"]
            head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n\r\n"
            connection.sendall(head.encode())
        for _ in range(most):
            assert several.acquire(timeout=30)
        for _ in range(20):
            assert modest.get("warehouse_tables/").status_code == 200
        assert len(made) == most
    for _ in range(2):  # whoever has gone keeps nothing
        assert client.get(f"jobs/{job_id}/").status_code == 200


def test_files_of_one_project_come_in_a_few_at_a_time(
    client: httpx.Client, modest: httpx.Client, database: Database
) -> None:
    """A store's client keeps megabytes of each, for as long as it comes."""
    over, sending, count = threading.Event(), threading.Semaphore(0), 3 * SLOW_AT_ONCE

    def slowly() -> Iterator[bytes]:
        head = b'Content-Disposition: form-data; name="file"; filename="a.csv"'
        yield b"--x\r\n" + head + b"\r\n\r\na,b\n1,2\n"
        sending.release()
        over.wait(60)
        yield b"1,2\r\n--x--\r\n"

    def upload(_: int) -> int:
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        path = "warehouse_tables/upload_file/"
        return client.post(path, content=slowly(), headers=headers, timeout=60).status_code

    def begun() -> int:
        with database.read() as session:
            return session.query(Upload).count()

    with ThreadPoolExecutor(count) as pool:
        sent = [pool.submit(upload, number) for number in range(count)]
        try:
            for _ in sent:
                assert sending.acquire(timeout=30)
            wait_until(lambda: begun() == SLOW_AT_ONCE, "those whose turn it is", begun)
            for _ in range(20):
                assert modest.get("warehouse_tables/").status_code == 200
            assert begun() == SLOW_AT_ONCE
        finally:
            over.set()
        assert {each.result() for each in sent} == {201}
    assert begun() == count


def _noting(
    function: Callable[..., Any], name: str, threads: dict[str, set[int]]
) -> Callable[..., Any]:
    def noted(*arguments: Any, **named: Any) -> Any:
        threads.setdefault(name, set()).add(threading.get_ident())
        return function(*arguments, **named)

    return noted


@contextmanager
def _loaded(model: type[Base]) -> Iterator[list[set[str]]]:
    """The names of the values that each row of this model was loaded with, meanwhile."""
    rows: list[set[str]] = []

    def note(row: Any, _context: Any) -> None:
        rows.append(set(row.__dict__))

    event.listen(model, "load", note)
    try:
        yield rows
    finally:
        event.remove(model, "load", note)


def _add_versions(database: Database, table_id: UUID, *, overridden: bool) -> None:
    """Two of one column; whose type a user has set, in the second, where it is overridden."""
    last = COLUMN | ({"hogql": "string", "override": True} if overridden else {})
    with database.write() as session:
        for number, column in enumerate((COLUMN, last), 1):
            session.add(
                SchemaVersion(
                    table_id=table_id, number=number, columns=[column], diff={}, change="none"
                )
            )
        session.execute(
            update(Table).where(Table.id == table_id).values(columns=[last], schema_version=2)
        )


def test_the_body_of_a_changed_table_is_made_after_the_commit(
    client: httpx.Client,
    make_table: MakeTable,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of 10,000 columns it is work, and on SQLite nobody else writes until the commit."""
    make, seen = api.routes.tables.table_view, list[str]()

    def look(view: table_views.TableView, *caller: Any) -> Any:
        with database.read() as session:
            seen.append(session.get_one(Table, view.table.id).name)
        return make(view, *caller)

    monkeypatch.setattr(api.routes.tables, "table_view", look)
    answer = client.patch(f"warehouse_tables/{make_table('orders')}/", json={"name": "renamed"})
    assert answer.json()["name"] == "renamed"
    assert seen == ["renamed"]
