"""Bodies are of admitted requests alone, are counted before they are made, and hold nobody up."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from fastapi._compat import ModelField
from fastapi.routing import APIRoute

import api.wire.strict_json
from api.app import create_app
from api.wire.multipart import Event, FormReader
from api.wire.strict_json import INLINE_BYTES, MAX_DEPTH, MAX_VALUES, StrictRoute, parse_json
from stocktake.db.session import Database
from stocktake.errors import ValidationError
from stocktake.security.scopes import TABLE_READ, TABLE_WRITE
from stocktake.settings import Settings
from tests.integration.api.conftest import Rings, Served
from tests.security.routes import PREFIXES, PROJECT
from tests.support.rows import pending_change

UNKNOWN: Final = "00000000-0000-7000-8000-000000000000"
WITH_BODY: Final = sorted(
    route
    for route, rule in PROJECT.items()
    if rule.body is not None or route.endswith(("/file/", "/upload_file/"))
)
#: Whose body nobody may send, and what the answer is.
REFUSED: Final = {
    "no key": 401,
    "unknown key": 401,
    "expired key": 401,
    "key that may only read": 403,
    "key of another project": 404,
    "project that is no number": 404,
}

MakeKey = Callable[..., str]


class Asking:
    """A request whose body has no end; `pieces` of it were taken."""

    def __init__(self, route: str, prefix: str, project: int | str, key: str | None) -> None:
        method, _, path = route.partition(" ")
        self._path = prefix.replace("{project_id}", str(project)) + path
        self._method, self._key = method, key
        self.pieces, self.status = 0, 0

    def named(self, row_id: UUID | str) -> "Asking":
        for name in ("table_id", "schedule_id", "change_id"):
            self._path = self._path.replace(f"{{{name}}}", str(row_id))
        return self

    async def ask(self, app: FastAPI) -> None:
        headers = [(b"host", b"x"), (b"content-type", self._content_type)]
        if self._key is not None:
            headers.append((b"authorization", f"Bearer {self._key}".encode()))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self._method,
            "scheme": "http",
            "path": self._path,
            "raw_path": self._path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        await app(scope, self._receive, self._send)

    @property
    def _content_type(self) -> bytes:
        upload = self._path.endswith(("/file/", "/upload_file/"))
        return b"multipart/form-data; boundary=b" if upload else b"application/json"

    async def _receive(self) -> dict[str, Any]:
        self.pieces += 1
        return {"type": "http.request", "body": b"[[],[],", "more_body": self.pieces < 3}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]


def _answers(settings: Settings, askings: Iterable[Asking]) -> set[tuple[int, int]]:
    """Ask one after the other: each status, and how many pieces were taken."""

    async def ask() -> set[tuple[int, int]]:
        app = create_app(settings, Rings())
        async with app.router.lifespan_context(app):
            for asking in askings:
                await asking.ask(app)
        return {(each.status, each.pieces) for each in askings}

    return asyncio.run(ask())


@pytest.fixture
def key_of(make_key: MakeKey, other_project: int) -> Callable[[str], str | None]:
    def key(kind: str) -> str | None:
        return {
            "expired key": lambda: make_key(["*"], expires=datetime.now(UTC)),
            "no key": lambda: None,
            "unknown key": lambda: "stk_" + "x" * 40,
            "key that may only read": lambda: make_key([TABLE_READ]),
            "key of another project": lambda: make_key(["*"], other_project),
            "project that is no number": lambda: make_key(["*"]),
        }[kind]()

    return key


@pytest.mark.parametrize("refused", REFUSED)
def test_nothing_is_taken_of_a_body_that_its_key_may_not_send(
    refused: str, key_of: Callable[[str], str | None], project_id: int, settings: Settings
) -> None:
    project = "x" if refused == "project that is no number" else project_id
    key = key_of(refused)
    askings = [
        Asking(route, prefix, project, key).named(UNKNOWN)
        for route in WITH_BODY
        for prefix in PREFIXES
    ]
    assert _answers(settings, askings) == {(REFUSED[refused], 0)}


def test_nothing_is_taken_of_a_body_about_what_the_project_does_not_have(
    make_key: MakeKey,
    make_table: Callable[..., UUID],
    other_project: int,
    project_id: int,
    settings: Settings,
) -> None:
    theirs, deleted = make_table(project=other_project), make_table(deleted=True)
    routes = [route for route in WITH_BODY if "_id}" in route]
    assert len(routes) == 5
    key = make_key(["*"])
    askings = [
        Asking(route, PREFIXES[0], project_id, key).named(row)
        for route in routes
        for row in (UNKNOWN, theirs, deleted, "not-an-id", "%00", "1" * 32)
    ]
    assert _answers(settings, askings) == {(404, 0)}


def test_a_body_that_its_key_may_send_is_taken(
    make_key: MakeKey, make_table: Callable[..., UUID], project_id: int, settings: Settings
) -> None:
    key, table = make_key([TABLE_WRITE]), make_table()
    elsewhere = ("{schedule_id}", "{change_id}")
    routes = [each for each in WITH_BODY if not any(name in each for name in elsewhere)]
    askings = [Asking(route, PREFIXES[0], project_id, key).named(table) for route in routes]
    assert {status for status, _ in _answers(settings, askings)} == {400}
    assert all(each.pieces for each in askings)


# --- how much -----------------------------------------------------------------------------

MIB: Final = 1024 * 1024
TOO_MANY: Final = {
    "empty lists": b"[" + b"[]," * (MIB // 3 - 2) + b"[]]",
    "empty objects": b"[" + b"{}," * (MIB // 3 - 2) + b"{}]",
    "numbers": b"[" + b"1," * (MIB // 2 - 2) + b"1]",
    "in a field": b'{"name": "x", "updates": [' + b"0," * 40_000 + b"0]}",
    "with space": b"[" + b" \n0 \t," * 40_000 + b"0]",
    "names": b"{" + b",".join(b'"%d":0' % n for n in range(40_000)) + b"}",
    "texts": b"[" + b'"\\"",' * 40_000 + b'"]"]',
    "quotation marks": b'"' * MIB,
    "only commas": b"," * MIB,
    "never closed": b"[" * MIB,
    "never opened": b"}" * MIB,
    "behind a text": b'["' + b"\\\\" * 1000 + b'"' + b",1" * 40_000 + b"]",
}


@pytest.mark.parametrize("body", TOO_MANY.values(), ids=TOO_MANY)
def test_too_many_values_are_refused_before_any_of_them_is_made(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "api.wire.strict_json.json.loads", lambda *_, **__: pytest.fail("it was parsed")
    )
    with pytest.raises(ValidationError, match=f"more than {MAX_VALUES} values") as refused:
        parse_json(body)
    assert refused.value.code == "parse_error"


@pytest.mark.parametrize(
    "body",
    [
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b'{"a":' * 900 + b"1" + b"}" * 900,
        b'["]]]]]]]]]]", ' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"]",
        b"[]" * 100 + b"[{" * MAX_DEPTH,
    ],
    ids=["lists", "objects", "brackets in a text close nothing", "after others"],
)
def test_depth_is_refused_before_anything_is_made(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "api.wire.strict_json.json.loads", lambda *_, **__: pytest.fail("it was parsed")
    )
    with pytest.raises(ValidationError, match=f"deeper than {MAX_DEPTH}"):
        parse_json(body)


@pytest.mark.parametrize(
    "value",
    [
        [0] * (MAX_VALUES - 1),
        "[{," * 100_000,
        {"a": '\\"' * 10_000 + "[" * 10_000},
        ["\\", "[" * 100_000, '"'],
        {'"' + "," * 50_000: "]" * 50_000},
    ],
    ids=["the most", "one text", "escapes", "a backslash before its end", "a name"],
)
def test_what_stands_in_a_text_does_not_count(value: Any) -> None:
    assert parse_json(json.dumps(value).encode()) == value


def _bodies(app: FastAPI) -> Iterator[APIRoute]:
    for route in app.router.routes:
        inner = getattr(route, "original_router", None)
        yield from (each for each in (inner.routes if inner else ()) if each.body_field)


@pytest.mark.parametrize("place", [(), ("credential",), ("selector",), ("options",), ("updates",)])
def test_however_many_names_are_unknown_few_errors_are_made(
    place: tuple[str, ...], settings: Settings
) -> None:
    value: Any = {f"x{number}": None for number in range(5000)}
    for name in reversed(place):
        value = {name: value}
    routes = _bodies(create_app(settings, Rings()))
    models = {route.body_field.field_info.annotation: route for route in routes}
    assert len(models) >= 6
    for route in models.values():
        assert len(route.body_field.validate(value, {}, loc=("body",))[1]) <= 10


# --- where --------------------------------------------------------------------------------


class Gate:
    """A function that waits, in whichever thread it is called, until the test lets it go on."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self, *arguments: Any) -> Any:
        self.entered.set()
        assert self.open.wait(60)
        return self._function(*arguments)


def _large(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields | {"padding": ["x"] * INLINE_BYTES}).encode()


@pytest.mark.parametrize(
    "route", [route for route in WITH_BODY if not route.endswith(("/file/", "/upload_file/"))]
)
def test_others_are_answered_while_a_large_body_is_parsed(
    route: str,
    client: httpx.Client,
    anonymous: httpx.Client,
    make_table: Callable[..., UUID],
    database: Database,
    project_id: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    method, _, path = route.partition(" ")
    selector = {"name": "n", "cron": "0 3 * * *", "selector": {"all": True}}
    schedule = client.post("schedules/", json=selector).json()["id"]
    table = make_table()
    with database.write() as session:
        change = pending_change(project_id, table)
        session.add(change)
        session.flush()
        path = path.format(table_id=table, schedule_id=schedule, change_id=change.id)
    gate = Gate(api.wire.strict_json.parse_json)
    monkeypatch.setattr("api.wire.strict_json.parse_json", gate)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(
            client.request,
            method,
            path,
            content=_large(PROJECT[route].body),
            headers={"Content-Type": "application/json"},
        )
        try:
            assert gate.entered.wait(60)
            assert anonymous.get("/healthz").status_code == 200
            assert not asked.done()
        finally:
            gate.open.set()
        assert asked.result().status_code < 500


def test_others_are_answered_while_a_form_is_taken_apart(
    client: httpx.Client, anonymous: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(FormReader.feed)

    def gated(reader: FormReader, data: bytes) -> list[Event]:
        events: list[Event] = gate(reader, data)
        return events

    monkeypatch.setattr(FormReader, "feed", gated)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(
            client.post, "warehouse_tables/file/", files={"file": ("a.csv", b"a\n1\n")}
        )
        try:
            assert gate.entered.wait(60)
            assert anonymous.get("/healthz").status_code == 200
        finally:
            gate.open.set()
        assert asked.result().status_code == 201


def test_a_large_body_becomes_a_model_away_from_the_event_loop(
    client: httpx.Client, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    validate, threads = ModelField.validate, set()

    def noted(self: Any, value: Any, *arguments: Any, **named: Any) -> Any:
        if isinstance(value, dict):
            threads.add(threading.get_ident())
        return validate(self, value, *arguments, **named)

    monkeypatch.setattr(ModelField, "validate", noted)
    for fields in ({"name": 1}, {"credential": {"padding": 0}}, {"name": "x"}):
        answer = client.post("warehouse_tables/", content=_large(fields))
        assert answer.status_code == 400
    assert threads
    assert served.thread.ident not in threads


def test_all_routes_read_their_bodies_this_way(settings: Settings) -> None:
    assert all(isinstance(route, StrictRoute) for route in _bodies(create_app(settings, Rings())))
