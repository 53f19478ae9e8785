"""A second tenant's ids and each kind of key, on every route: nothing is seen, nothing changes."""

import json
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from api.app import create_app
from stocktake.db.models import Base, SchemaVersion
from stocktake.db.session import Database
from stocktake.security.scopes import (
    ALL,
    AUDIT_READ,
    KNOWN,
    TABLE_READ,
    TABLE_READ_ROWS,
    TABLE_WRITE,
)
from stocktake.services import identity
from stocktake.settings import Settings
from tests.security.routes import (
    ACCOUNT,
    CONSOLE,
    OPEN,
    OWN_TOKEN,
    PREFIXES,
    PROJECT,
    Rule,
    routes_of,
)
from tests.support.rows import pending_change

UNKNOWN: Final = "00000000-0000-7000-8000-000000000000"
NO_PROJECT: Final = 999_999
#: What a key with one scope may ask for.
OPENS: Final = {
    TABLE_READ: {TABLE_READ},
    TABLE_WRITE: {TABLE_READ, TABLE_WRITE},
    TABLE_READ_ROWS: {TABLE_READ_ROWS},
    AUDIT_READ: {AUDIT_READ},
    ALL: {TABLE_READ, TABLE_WRITE, TABLE_READ_ROWS, AUDIT_READ},
}

Connect = Callable[..., httpx.Client]
MakeKey = Callable[..., str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Things:
    """One of each thing that a project can have, by the name that paths use."""

    table_id: UUID | str = UNKNOWN
    job_id: UUID | str = UNKNOWN
    batch_id: UUID | str = UNKNOWN
    schedule_id: UUID | str = UNKNOWN
    upload_id: UUID | str = UNKNOWN
    change_id: UUID | str = UNKNOWN

    def fill(self, path: str) -> str:
        for name in ("table_id", "job_id", "batch_id", "schedule_id", "change_id"):
            path = path.replace(f"{{{name}}}", str(getattr(self, name)))
        return path.replace("{number}", "1")


def _asking(
    route: str, rule: Rule, prefix: str, project: int, things: Things
) -> tuple[str, str, Any]:
    """Method, URL and what httpx sends: a request for these things."""
    method, _, path = route.partition(" ")
    url = prefix.replace("{project_id}", str(project)) + things.fill(path)
    sent: dict[str, Any] = {} if rule.body is None else {"json": rule.body}
    match rule.names:
        case "filters":
            sent = {"params": {"table": str(things.table_id), "batch": str(things.batch_id)}}
        case "upload_id":
            sent = {"json": rule.body | {"upload_id": str(things.upload_id)}}
        case "tables":
            sent = {"json": {"tables": [str(things.table_id)]}}
        case "table":
            sent = {"json": {"table": str(things.table_id)}}
        case "selector":
            sent = {"json": rule.body | {"selector": {"tables": [str(things.table_id)]}}}
    if path.endswith(("/file/", "/upload_file/")):
        sent = {"files": {"file": ("a.csv", b"a\n1\n")}, "data": {"file_format": "csv"}}
    return method, url, sent


def _seen(answer: httpx.Response) -> tuple[int, Any, set[str]]:
    """All of an answer that could tell one refusal from another."""
    return answer.status_code, answer.json(), set(answer.headers)


@pytest.fixture
def theirs(
    database: Database,
    connect: Connect,
    make_key: MakeKey,
    make_table: Callable[..., UUID],
    make_job: Callable[..., UUID],
    other_project: int,
) -> Things:
    """What another tenant has."""
    with connect(make_key(["*"], other_project)) as owner:
        owner.base_url = owner.base_url.join(f"/api/projects/{other_project}/")
        table = make_table("orders", other_project, schema_version=1)
        with database.write() as session:
            session.add(
                SchemaVersion(table_id=table, number=1, columns=[], diff={}, change="additive")
            )
            change = pending_change(other_project, table)
            session.add(change)
            session.flush()
            change_id = change.id
        named = {"name": "nightly", "cron": "0 3 * * *", "selector": {"all": True}}
        batch = owner.post("warehouse_tables/refresh/", json={"all": True})
        schedule = owner.post("schedules/", json=named)
        upload = owner.post(
            "warehouse_tables/upload_file/",
            files={"file": ("a.csv", b"a\n1\n")},
            data={"file_format": "csv"},
        )
        return Things(
            table_id=table,
            job_id=make_job(other_project, table_id=table),
            batch_id=batch.json()["id"],
            schedule_id=schedule.json()["id"],
            upload_id=upload.json()["upload_id"],
            change_id=change_id,
        )


@pytest.fixture
def rows(database: Database) -> Callable[[], dict[str, list[Any]]]:
    """Every row of the database but for keys, whose last use is noted, and the record."""

    def read() -> dict[str, list[Any]]:
        kept = [
            table
            for table in Base.metadata.sorted_tables
            if table.name not in ("api_keys", "audit_log")
        ]
        with database.read() as session:
            return {table.name: sorted(map(repr, session.execute(select(table)))) for table in kept}

    return read


def test_every_route_is_classified() -> None:
    """A new route belongs into `tests/security/routes.py`, where the walks find it."""
    known = {*OPEN, *OWN_TOKEN, *ACCOUNT, *CONSOLE}
    for route in PROJECT:
        method, _, path = route.partition(" ")
        known |= {f"{method} {prefix}{path}" for prefix in PREFIXES}
    assert routes_of(create_app(Settings())) == known


def test_the_walk_finds_what_its_owner_finds(
    connect: Connect, make_key: MakeKey, theirs: Things, other_project: int
) -> None:
    """Else a 404 to a stranger would prove nothing."""
    owner = connect(make_key(["*"], other_project))
    for route, rule in PROJECT.items():
        if route.startswith("GET ") and "events" not in route:
            method, url, sent = _asking(route, rule, PREFIXES[0], other_project, theirs)
            assert owner.request(method, url, **sent).status_code == 200, route


@pytest.mark.parametrize("prefix", PREFIXES)
def test_another_tenants_things_are_like_none(
    connect: Connect,
    make_key: MakeKey,
    rows: Callable[[], dict[str, list[Any]]],
    theirs: Things,
    project_id: int,
    prefix: str,
) -> None:
    """In my project, by their ids."""
    mine = connect(make_key(["*"]))
    before = rows()
    walked = 0
    for route, rule in PROJECT.items():
        if "_id}" not in route and not rule.names:
            continue
        walked += 1
        answers = [
            mine.request(method, url, **sent)
            for method, url, sent in (
                _asking(route, rule, prefix, project_id, things) for things in (theirs, Things())
            )
        ]
        taken, unknown = map(_seen, answers)
        assert taken == _renamed(unknown, theirs), route
        if not rule.names:
            assert answers[0].status_code == 404, route
        else:
            assert answers[0].status_code == (200 if rule.names == "filters" else 400), route
    assert walked > 20
    assert rows() == before


def test_no_list_shows_another_tenants_things(
    connect: Connect, make_key: MakeKey, theirs: Things, project_id: int, other_project: int
) -> None:
    """And it shows them to their owner, at least one of them somewhere."""
    ids = [str(each) for each in astuple(theirs)]
    found = {}
    for project in (project_id, other_project):
        holder = connect(make_key(["*"], project))
        found[project] = sorted(
            each
            for route, rule in PROJECT.items()
            if route.startswith("GET ") and "_id}" not in route and "events" not in route
            for method, url, _ in [_asking(route, rule, PREFIXES[0], project, Things())]
            for text in [holder.request(method, url).text]
            for each in ids
            if each in text
        )
    assert found[project_id] == []
    assert {str(theirs.table_id), str(theirs.schedule_id)} <= set(found[other_project])


def _renamed(seen: tuple[int, Any, set[str]], things: Things) -> tuple[int, Any, set[str]]:
    """The answer as it is where a sentence repeats the id that was asked for."""
    status, body, headers = seen
    if "detail" in body:
        body = body | {"detail": body["detail"].replace(UNKNOWN, str(things.table_id))}
    return status, body, headers


@pytest.mark.parametrize("prefix", PREFIXES)
def test_another_tenants_project_is_like_none(
    connect: Connect,
    make_key: MakeKey,
    rows: Callable[[], dict[str, list[Any]]],
    theirs: Things,
    other_project: int,
    prefix: str,
) -> None:
    """With their ids under their project, and a key with all scopes for mine."""
    mine = connect(make_key(["*"]))
    before = rows()
    for route, rule in PROJECT.items():
        there, nowhere = (
            _seen(mine.request(method, url, **sent))
            for method, url, sent in (
                _asking(route, rule, prefix, project, theirs)
                for project in (other_project, NO_PROJECT)
            )
        )
        assert there[0] == 404, route
        assert there == nowhere, route
    assert rows() == before


@pytest.mark.parametrize("scope", OPENS)
def test_each_scope_opens_what_it_says(
    connect: Connect, make_key: MakeKey, project_id: int, scope: str
) -> None:
    """A key for reading changes nothing; one for writing reads as well."""
    holder = connect(make_key([scope]))
    for route, rule in PROJECT.items():
        method, url, sent = _asking(route, rule, PREFIXES[0], project_id, Things())
        # A stream that is opened has no end.
        with holder.stream(method, url, **sent) as answer:
            if rule.scope in OPENS[scope]:
                assert answer.status_code not in (401, 403), route
            else:
                assert answer.status_code == 403, route
                told = json.loads(answer.read())["detail"]
                assert told == f"API key missing required scope '{rule.scope}'"


def test_every_scope_is_walked() -> None:
    assert OPENS.keys() == KNOWN


def test_routes_that_only_read_are_gets() -> None:
    for route, rule in PROJECT.items():
        assert rule.scope.endswith(":read") == route.startswith("GET "), route


@pytest.fixture
def dead_keys(database: Database, make_key: MakeKey, other_project: int) -> dict[str, str | None]:
    """What does not hold (any more)."""
    revoked, shortened = make_key(["*"]), make_key(["*"])
    with database.write() as session:
        assert identity.revoke_key(session, revoked[:10]) == 1
    return {
        "none": None,
        "expired": make_key(["*"], expires=datetime.now(UTC) - timedelta(seconds=1)),
        "revoked": revoked,
        "cut short": shortened[:-1],
        "never made": "stk_" + "a" * 32,
    }


def test_a_key_that_does_not_hold_opens_nothing(
    connect: Connect,
    rows: Callable[[], dict[str, list[Any]]],
    dead_keys: dict[str, str | None],
    theirs: Things,
    other_project: int,
) -> None:
    before = rows()
    for what, key in dead_keys.items():
        with connect(key) as holder:
            for method, url, sent in _keyed_requests(other_project, theirs):
                answer = holder.request(method, url, **sent)
                assert answer.status_code == 401, (what, method, url)
                expected = "not_authenticated" if key is None else "authentication_failed"
                assert answer.json()["code"] == expected
                assert "bearer" in answer.headers["www-authenticate"].lower()
    assert rows() == before


def _keyed_requests(project: int, things: Things) -> Iterator[tuple[str, str, Any]]:
    for route in sorted(ACCOUNT):
        method, _, path = route.partition(" ")
        yield method, path, {}
    for prefix in PREFIXES:
        for route, rule in PROJECT.items():
            yield _asking(route, rule, prefix, project, things)


def test_what_a_key_says_of_itself_is_its_own(
    connect: Connect, make_key: MakeKey, project_id: int, other_project: int
) -> None:
    mine = connect(make_key(["*"]))
    said = [mine.get(route.partition(" ")[2]).text for route in sorted(ACCOUNT)]
    assert all("Rival" not in each for each in said)
    assert [one["id"] for one in mine.get("/api/projects/").json()["results"]] == [project_id]
