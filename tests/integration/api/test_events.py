"""The stream of a project's changes, on both databases."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from api.edge.feed import Feed
from servers.process import PATIENCE_SECONDS
from stocktake.db.models import ApiKey, Table
from stocktake.db.session import Database
from stocktake.jobs import leases
from stocktake.services import feed
from tests.integration.api.conftest import FinishJob, MakeJob, MakeKey, Served
from tests.support.rows import pending_change
from tests.support.stack import wait_until

MakeTable = Callable[..., UUID]


class Reader:
    """An open stream; `next` is its next event."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.iter_lines()

    def next(self) -> tuple[str, str, Any] | None:
        fields: dict[str, str] = {}
        for line in self._lines:
            if not line and "event" in fields:
                return fields["event"], fields.get("id", ""), json.loads(fields["data"])
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value
        return None

    def until(self, wanted: Callable[[Any], bool]) -> tuple[str, Any]:
        """The first event that is wanted, of those to come: its id and what it holds."""
        while (event := self.next()) is not None:
            if event[0] == "changes" and wanted(event[2]):
                return event[1], event[2]
        raise AssertionError("the stream ended")


@contextmanager
def reading(client: httpx.Client, last: str | None = None, **query: str) -> Iterator[Reader]:
    headers = {} if last is None else {"Last-Event-ID": last}
    with client.stream("GET", "events/", params=query, headers=headers) as answer:
        if not answer.is_success:
            answer.read()
        yield Reader(answer)


@contextmanager
def ready(client: httpx.Client, **query: str) -> Iterator[Reader]:
    with reading(client, **query) as stream:
        event = stream.next()
        assert event is not None
        assert (event[0], event[2]) == ("ready", {})
        assert event[1].isdigit()
        yield stream


def ids(event: Any, topic: str) -> list[str]:
    return [each["id"] for each in event[topic]]


def test_each_thing_that_changes_is_told(
    client: httpx.Client, make_table: MakeTable, make_job: MakeJob,
    claim_job: Callable[[UUID], leases.Claim], database: Database,
) -> None:  # fmt: skip
    with ready(client) as stream:
        table = make_table("orders")
        _, event = stream.until(lambda it: it["tables"])
        assert (ids(event, "tables"), event["tables"][0]["name"]) == ([str(table)], "orders")
        job = make_job(table_id=table)
        _, event = stream.until(lambda it: it["jobs"])
        assert (ids(event, "jobs"), event["jobs"][0]["state"]) == ([str(job)], "queued")
        claimed = claim_job(job)
        _, event = stream.until(lambda it: it["jobs"])
        assert event["jobs"][0]["state"] == "running"
        with database.write() as session:
            leases.succeed(session, claimed, {})
        _, event = stream.until(lambda it: it["jobs"])
        assert event["jobs"][0]["done"] is True
        client.delete(f"warehouse_tables/{table}/").raise_for_status()
        _, event = stream.until(lambda it: it["tables"])
        assert event["tables"][0]["deleted"] is True


def test_a_batch_is_told_when_its_jobs_move(
    client: httpx.Client, make_job: MakeJob, make_table: MakeTable, finish_job: FinishJob
) -> None:
    make_table("orders")
    with ready(client, topics="batches") as stream:
        batch = client.post("warehouse_tables/refresh/", json={"all": True}).json()
        _, event = stream.until(lambda it: it["batches"])
        assert set(event) == {"batches", "more"}
        assert ids(event, "batches") == [batch["id"]]
        client.post(f"jobs/{batch['expand_job_id']}/cancel/").raise_for_status()
        _, event = stream.until(lambda it: it["batches"])
        assert ids(event, "batches") == [batch["id"]]


def test_a_heartbeat_is_no_change(
    database: Database,
    make_job: MakeJob,
    claim_job: Callable[[UUID], leases.Claim],
    project_id: int,
) -> None:
    claimed = claim_job(make_job())
    with database.read() as session:
        before = feed.mark(session).number
    with database.write() as session:
        leases.heartbeat(session, claimed, lease_seconds=60)
    with database.read() as session:
        assert feed.changed(session, feed.Topic.JOBS, [project_id], before) == []


def test_another_project_is_never_told_of(
    client: httpx.Client,
    connect: Callable[..., httpx.Client],
    make_key: MakeKey,
    make_table: MakeTable,
    other_project: int,
) -> None:
    """Not even where both are listened to, and one look finds the changes of both."""
    rival = connect(make_key(["*"], other_project))
    rival.base_url = rival.base_url.join(f"/api/projects/{other_project}/")
    with ready(client) as stream, ready(rival) as other:
        theirs, mine = make_table("theirs", other_project), make_table("mine")
        for each, own in ((stream, mine), (other, theirs)):
            _, event = each.until(lambda it: it["tables"])
            assert ids(event, "tables") == [str(own)]


def test_who_comes_back_is_told_of_what_was_missed_and_of_nothing_else(
    client: httpx.Client, make_table: MakeTable
) -> None:
    with ready(client, topics="tables") as stream:
        make_table("seen")
        last, _ = stream.until(lambda it: it["tables"])
    missed = [make_table("missed"), make_table("and_this")]
    with reading(client, last, topics="tables") as stream:
        event = stream.next()
        assert event is not None
        assert event[0] == "changes"
        # The one before may come again, as it is told at least once.
        assert set(map(str, missed)) <= set(ids(event[2], "tables"))
        make_table("more")
        last, _ = stream.until(lambda it: it["tables"])

    def caught_up() -> bool:
        nonlocal last
        following = _id_after(client, last)
        last = following or last
        return following is None

    # The last may come again, as each is told at least once; and then no more.
    wait_until(caught_up, "a look that finds nothing new")


def _id_after(client: httpx.Client, last: str) -> str | None:
    """The id of what was missed since; None: nothing was."""
    with reading(client, last, topics="tables") as stream:
        event = stream.next()
    assert event is not None
    return event[1] if event[0] == "changes" else None


def test_a_number_that_was_never_given_has_everything_asked_for_again(
    client: httpx.Client, make_table: MakeTable
) -> None:
    make_table("orders")
    with reading(client, "9" * 17) as stream:
        event = stream.next()
    assert event is not None
    assert (event[0], event[2]["more"]) == ("changes", ["batches", "changes", "jobs", "tables"])


def test_more_than_an_event_names_is_said(
    client: httpx.Client, make_table: MakeTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.edge.feed.MOST_SHOWN", 3)
    monkeypatch.setattr("stocktake.services.feed.MOST_ROWS", 10)
    with ready(client, topics="tables") as stream:
        last = ""
        names = {str(make_table(f"t{number}")) for number in range(12)}
        told: set[str] = set()
        while not told >= names and "tables" not in (event := stream.until(bool)[1])["more"]:
            told |= set(ids(event, "tables"))
    with reading(client, "1", topics="tables") as stream:
        caught = stream.next()
    assert caught is not None
    assert (len(caught[2]["tables"]), caught[2]["more"], last) == (3, ["tables"], "")


def test_more_rows_of_one_statement_than_a_look_takes_are_told_or_said(
    client: httpx.Client,
    make_table: MakeTable,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On SQLite all of them have one number."""
    names = {str(make_table(f"t{number}")) for number in range(12)}
    monkeypatch.setattr("stocktake.services.feed.MOST_ROWS", 5)
    with ready(client, topics="tables") as stream:
        with database.write() as session:
            session.execute(update(Table).values(row_count=1))
        told: set[str] = set()
        is_said = False
        while not (is_said or told >= names):
            _, event = stream.until(bool)
            told |= set(ids(event, "tables"))
            is_said = event["more"] == ["tables"]
    assert is_said == database.sqlite


def test_one_who_writes_for_long_keeps_nobody_from_what_is_new(
    client: httpx.Client,
    make_table: MakeTable,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if database.sqlite:
        pytest.skip("SQLite has one writer at a time; the same test runs on PostgreSQL")
    monkeypatch.setattr("stocktake.services.feed.MOST_ROWS", 5)
    monkeypatch.setattr("api.edge.feed._SURELY_ENDED_SECONDS", 3600.0)
    slow = make_table("slow")
    with ready(client, topics="tables") as stream, database.write() as session:
        session.execute(update(Table).where(Table.id == slow).values(row_count=1))
        names = {str(make_table(f"t{number}")) for number in range(17)}
        told: set[str] = set()
        while not told >= names:
            _, event = stream.until(bool)
            told |= set(ids(event, "tables"))


def test_who_comes_within_a_look_misses_nothing_that_is_newer(
    database: Database, make_table: MakeTable, project_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, is_armed = threading.Event(), threading.Event(), threading.Event()
    mark = feed.mark

    def late_mark(session: Any) -> feed.Mark:
        if is_armed.is_set() and not begun.is_set():
            begun.set()
            go_on.wait(PATIENCE_SECONDS)
        return mark(session)

    monkeypatch.setattr(feed, "mark", late_mark)

    async def scenario() -> Any:
        looking = Feed(database, interval_seconds=0.01)
        running = asyncio.create_task(looking.run())
        topics = {feed.Topic.TABLES}
        with looking.listener(project_id, topics) as first:
            await first.settled()
            is_armed.set()
            await asyncio.to_thread(begun.wait, PATIENCE_SECONDS)
            with looking.listener(project_id, topics) as second:
                if second.cursor is None:  # not ready before the look has ended
                    go_on.set()
                    await second.settled()
                table = await asyncio.to_thread(make_table, "late")
                go_on.set()
                event = await asyncio.wait_for(second.next(), PATIENCE_SECONDS)
        running.cancel()
        assert event is not None
        assert [each["id"] for each in event["tables"]] == [table]

    asyncio.run(scenario())


def test_a_change_that_commits_late_is_told(
    client: httpx.Client, make_table: MakeTable, database: Database
) -> None:
    """Its number is smaller than one that everybody has seen by then."""
    if database.sqlite:
        pytest.skip("SQLite has one writer at a time; the same test runs on PostgreSQL")
    slow, quick = make_table("slow"), make_table("quick")
    with ready(client, topics="tables") as stream, ExitStack() as late:
        session = late.enter_context(database.write())
        session.execute(update(Table).where(Table.id == slow).values(row_count=1))
        for number in range(4):
            with database.write() as other:
                other.execute(update(Table).where(Table.id == quick).values(row_count=number))
            before, event = stream.until(lambda it: str(quick) in ids(it, "tables"))
            assert ids(event, "tables") == [str(quick)]
        late.close()  # the commit
        _, event = stream.until(lambda it: str(slow) in ids(it, "tables"))
    # And to who was away meanwhile: the id has not gone beyond it.
    with reading(client, before, topics="tables") as stream:
        found = stream.next()
    assert found is not None
    assert str(slow) in ids(found[2], "tables")


def test_many_clients_cost_one_look_and_no_threads(
    served: Served, client: httpx.Client, make_table: MakeTable
) -> None:
    feed_ = served.parts.feed
    with ExitStack() as streams:
        first = streams.enter_context(ready(client))
        threads, looks = threading.active_count(), feed_.looks
        opened = [streams.enter_context(ready(client)) for _ in range(50)]
        assert feed_.listening == 51
        table = str(make_table("orders"))
        for stream in (first, *opened):
            _, event = stream.until(lambda it: it["tables"])
            assert ids(event, "tables") == [table]
        assert threading.active_count() <= threads + 3  # one project's, for 50 requests
        assert "stocktake_event_streams 51.0" in httpx.get(f"{served.url}/metrics").text
        before, at = feed_.looks, feed_.looks - looks
        assert at < 51  # not one for each
        wait_until(lambda: feed_.looks > before + 2, "looks")
    wait_until(lambda: feed_.listening == 0, "the streams' ends")
    wait_until(lambda: _rests(feed_), "the last look")


def _rests(feed_: Any) -> bool:
    before = feed_.looks
    threading.Event().wait(1.2)
    return bool(feed_.looks == before)


def test_no_more_streams_than_a_key_or_a_project_may_have(
    serve: Callable[..., Served], make_key: MakeKey, project_id: int,
    connect: Callable[..., httpx.Client], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    served = serve(max_waits_per_key=2)
    clients = [connect(make_key(), served.url) for _ in range(2)]
    for each in clients:
        each.base_url = each.base_url.join(f"/api/projects/{project_id}/")
    monkeypatch.setattr("api.edge.feed.MAX_PROJECT_STREAMS", 3)
    with ExitStack() as streams:
        for _ in range(2):
            streams.enter_context(ready(clients[0]))
        with reading(clients[0]) as refused:
            assert refused.answer.status_code == 429
            assert int(refused.answer.headers["retry-after"]) > 0
        streams.enter_context(ready(clients[1]))
        with reading(clients[1]) as refused:
            assert refused.answer.status_code == 429
    wait_until(lambda: served.parts.feed.listening == 0, "the streams' ends")
    with ready(clients[1]):
        pass


def test_a_stream_ends_when_its_key_is_revoked(client: httpx.Client, database: Database) -> None:
    with ready(client) as stream:
        with database.write() as session:
            session.execute(update(ApiKey).values(revoked_at=ApiKey.created_at))
        event = stream.next()
        assert event is not None
        assert (event[0], event[2]["code"]) == ("refused", "authentication_failed")
        assert stream.next() is None


def test_a_stopping_server_ends_streams_without_an_error(
    client: httpx.Client, served: Served
) -> None:
    with ready(client) as stream:
        loop = served.server._loop
        assert loop is not None
        loop.call_soon_threadsafe(served.parts.feed.close)
        assert stream.next() is None
    with reading(client) as refused:
        assert refused.answer.status_code == 429


@pytest.mark.parametrize(
    ("query", "last", "attr"),
    [
        ({"topics": "tabels"}, None, "topics"),
        ({"topics": ","}, None, "topics"),
        ({}, "x", "Last-Event-ID"),
        ({}, "9" * 40, "Last-Event-ID"),
    ],
)
def test_what_means_nothing_is_refused(
    client: httpx.Client, query: dict[str, str], last: str | None, attr: str
) -> None:
    with reading(client, last, **query) as stream:
        assert (stream.answer.status_code, stream.answer.json()["attr"]) == (400, attr)


def test_a_topic_that_is_none_is_answered_in_the_words_of_the_query(client: httpx.Client) -> None:
    with reading(client, topics="tabels") as stream:
        assert stream.answer.json()["detail"] == (
            "There is no topic 'tabels'; did you mean 'tables'?"
        )


def test_a_key_without_the_scope_gets_none(
    connect: Callable[..., httpx.Client], make_key: MakeKey, project_id: int
) -> None:
    client = connect(make_key(["audit_log:read"]))
    answer = client.get(f"/api/projects/{project_id}/events/", timeout=PATIENCE_SECONDS)
    assert answer.status_code == 403


def test_what_waits_is_told_as_it_is_found_decided_and_taken_back(
    client: httpx.Client, make_table: MakeTable, database: Database, project_id: int
) -> None:
    table = make_table("orders")
    with ready(client, topics="changes") as stream:
        change = pending_change(project_id, table)
        with database.write() as session:
            session.add(change)
            session.flush()
            change_id = change.id
        _, event = stream.until(lambda it: it["changes"])
        (told,) = event["changes"]
        assert (told["id"], told["table_id"], told["state"], told["undecided"]) == (
            str(change_id),
            str(table),
            "pending",
            1,
        )
        for path, state in (("decide", "decided"), ("undo", "pending")):
            body = {"accept": "all"} if path == "decide" else {}
            client.post(f"changes/{change_id}/{path}/", json=body).raise_for_status()
            _, event = stream.until(lambda it: it["changes"])
            assert [each["state"] for each in event["changes"]] == [state]
