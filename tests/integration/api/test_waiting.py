import asyncio
import json
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import update

from api.edge import waiting
from api.edge.waiting import Hub, Sight
from servers.process import PATIENCE_SECONDS
from stocktake.db.models import Job
from stocktake.db.session import Database
from stocktake.jobs import leases
from stocktake.states import JobState
from tests.integration.api.conftest import PLAIN, FinishJob, MakeJob, MakeKey, Served
from tests.support.harness import Stack
from tests.support.stack import add_table, wait_until

T = TypeVar("T")


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


def test_a_long_poll_answers_when_the_job_ends(
    client: httpx.Client, make_job: MakeJob, finish_job: FinishJob, pool: ThreadPoolExecutor
) -> None:
    job_id = make_job()
    asked = pool.submit(client.get, f"jobs/{job_id}/", params={"wait": 60})
    finish_job(job_id, {"columns": 3})
    assert asked.result().json()["result"] == {"columns": 3}


def test_a_long_poll_of_an_unfinished_job_is_200_too(
    client: httpx.Client, make_job: MakeJob
) -> None:
    answer = client.get(f"jobs/{make_job()}/", params={"wait": 1})
    assert (answer.status_code, answer.json()["state"]) == (200, "queued")
    assert answer.headers["retry-after"] == "1"


def test_prefer_wait_on_a_get_is_honoured_and_said(client: httpx.Client, make_job: MakeJob) -> None:
    answer = client.get(f"jobs/{make_job()}/", headers={"Prefer": "wait=1"})
    assert answer.headers["preference-applied"] == "wait=1"


def test_a_submit_that_is_waited_for_is_200_with_the_ended_job(
    client: httpx.Client,
    make_job: MakeJob,
    finish_job: FinishJob,
    served: Served,
    pool: ThreadPoolExecutor,
) -> None:
    finish_job(old := make_job())
    asked = pool.submit(client.post, f"jobs/{old}/retry/", headers={"Prefer": "wait=300"})
    new = _rung(served)
    finish_job(new, {"columns": 3})
    answer = asked.result()
    assert answer.status_code == 200
    assert (answer.json()["id"], answer.json()["result"]) == (str(new), {"columns": 3})
    assert answer.headers["preference-applied"] == "wait=60"


def _rung(served: Served) -> UUID:
    """The job that was rung for last, as soon as one is."""
    wait_until(lambda: bool(served.rings.rung), "a ring")
    return served.rings.rung[-1].job_id


def test_a_submit_whose_wait_runs_out_is_the_202_it_would_have_been(
    client: httpx.Client, make_job: MakeJob, finish_job: FinishJob
) -> None:
    finish_job(old := make_job())
    answer = client.post(f"jobs/{old}/retry/", headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert answer.headers["preference-applied"] == "wait=1"
    assert answer.headers["location"]


def test_the_operators_default_waits_for_clients_that_cannot_say_so(
    serve: Callable[..., Served],
    connect: Callable[..., httpx.Client],
    make_key: MakeKey,
    make_job: MakeJob,
    finish_job: FinishJob,
    pool: ThreadPoolExecutor,
    project_id: int,
) -> None:
    finish_job(old := make_job())
    patient = serve(default_wait_seconds=60.0)
    client = connect(make_key(), patient.url)
    asked = pool.submit(client.post, f"/api/projects/{project_id}/jobs/{old}/retry/")
    finish_job(_rung(patient))
    answer = asked.result()
    assert answer.status_code == 200
    assert "preference-applied" not in answer.headers


def test_a_client_that_hangs_up_ends_its_wait(
    client: httpx.Client, make_job: MakeJob, served: Served, make_key: MakeKey
) -> None:
    job_id = make_job()
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as raw:
        path = f"{client.base_url.path}jobs/{job_id}/?wait=50"
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {make_key()}\r\n\r\n"
        raw.sendall(head.encode())
        hub = served.parts.hub
        wait_until(lambda: hub.waiting == 1, "the wait")
    wait_until(lambda: hub.waiting == 0, "its end")


def _with_hub(database: Database, work: Callable[[Hub], Awaitable[T]]) -> T:
    async def run() -> T:
        hub = Hub(database)
        watching = asyncio.create_task(hub.run())
        try:
            return await work(hub)
        finally:
            watching.cancel()

    return asyncio.run(run())


def test_the_hub_asks_once_for_all_and_not_at_all_when_nobody_waits(
    database: Database, make_job: MakeJob, finish_job: FinishJob
) -> None:
    jobs = [make_job() for _ in range(5)]

    async def work(hub: Hub) -> list[JobState]:
        waits = [asyncio.create_task(hub.wait_for_end(job, PATIENCE_SECONDS)) for job in jobs]
        await asyncio.sleep(0)
        for job in jobs:
            await asyncio.to_thread(finish_job, job)
        sights = await asyncio.gather(*waits)
        asked = hub.polls
        assert hub.waiting == 0
        # Nobody waits: several intervals bring no query but one that was under way.
        await asyncio.sleep(0.3)
        assert hub.polls - asked <= 1
        return [sight.state for sight in sights if sight]

    assert _with_hub(database, work) == [JobState.SUCCEEDED] * 5


def test_an_ended_job_is_seen_right_after_somebody_begins_to_wait(
    database: Database, make_job: MakeJob, finish_job: FinishJob
) -> None:
    finish_job(job_id := make_job())

    async def work(hub: Hub) -> int:
        assert await hub.wait_for_end(job_id, PATIENCE_SECONDS)
        return hub.polls

    assert _with_hub(database, work) == 1


def test_a_job_that_is_gone_ends_the_wait(database: Database) -> None:
    assert _with_hub(database, lambda hub: hub.wait_for_end(uuid4(), PATIENCE_SECONDS)) is None


def test_an_error_that_nobody_foresaw_ends_the_waits_and_not_the_watching(
    database: Database, make_job: MakeJob, finish_job: FinishJob
) -> None:
    """A newer version, beside which this one still runs, knows one more state."""
    newer, known = make_job(), make_job()
    with database.write() as session:
        session.execute(update(Job).where(Job.id == newer).values(state="paused"))
    finish_job(known)

    async def work(hub: Hub) -> Sight | None:
        assert await hub.wait_for_end(newer, 3600) is None
        return await hub.wait_for_end(known, PATIENCE_SECONDS)

    seen = _with_hub(database, lambda hub: asyncio.wait_for(work(hub), PATIENCE_SECONDS))
    assert seen is not None
    assert seen.state is JobState.SUCCEEDED


def test_a_change_is_seen_and_no_change_is_not(database: Database, make_job: MakeJob) -> None:
    job_id = make_job()

    async def work(hub: Hub) -> None:
        changed = await hub.wait_for_change(job_id, -1, PATIENCE_SECONDS)
        assert changed is not None
        assert await hub.wait_for_change(job_id, changed.revision, 0.2) is None

    _with_hub(database, work)


def test_nobody_waits_beyond_the_hubs_capacity(
    database: Database, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.edge.waiting.MAX_WAITERS", 0)
    assert _with_hub(database, lambda hub: hub.wait_for_end(make_job(), PATIENCE_SECONDS)) is None


def test_item_9_of_streams_that_come_at_once_each_has_its_place_or_is_429(
    serve: Callable[..., Served], make_key: MakeKey, make_job: MakeJob, project_id: int
) -> None:
    """None is an empty 200; and each place is free again once its stream has ended."""
    served = serve(max_waits_per_key=5)
    url = f"{served.url}/api/projects/{project_id}/jobs/{make_job()}/events/"
    key = make_key(["warehouse_table:read"])
    for _ in range(2):
        answers = asyncio.run(_streams_at_once(url, key, count=40))
        assert sorted(set(answers)) == [(200, "event: state"), (429, "")]
        assert answers.count((200, "event: state")) == 5

        def one_more() -> bool:
            with httpx.stream("GET", url, headers={"Authorization": f"Bearer {key}"}) as answer:
                return answer.status_code == 200

        wait_until(one_more, "the places of those who left")


async def _streams_at_once(url: str, key: str, count: int) -> list[tuple[int, str]]:
    """The status of each, and its first line; all stay open until each has both."""
    answered = asyncio.Barrier(count)
    headers = {"Authorization": f"Bearer {key}"}
    limits = httpx.Limits(max_connections=count)

    async def ask(client: httpx.AsyncClient) -> tuple[int, str]:
        async with client.stream("GET", url, headers=headers) as answer:
            lines = answer.aiter_lines()
            first = await anext(lines, "nothing") if answer.status_code == 200 else ""
            await answered.wait()
            return answer.status_code, first

    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS, limits=limits) as client:
        return list(await asyncio.gather(*(ask(client) for _ in range(count))))


def test_item_9_a_stream_that_the_process_has_no_place_for_is_429(
    client: httpx.Client, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "MAX_WAITERS", 0)
    answer = client.get(f"jobs/{make_job()}/events/")
    assert (answer.status_code, answer.json()["code"]) == (429, "throttled")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("keys", "refused"), [(1, 200), (2, 0)], ids=["one key's", "each with a key of its own"]
)
def test_item_9_two_hundred_polls_and_streams_at_once_give_only_what_is_documented(
    stack: Stack, keys: int, refused: int
) -> None:
    """Of one key 200 requests wait. A poll beyond them shows the job at once, and a stream is 429;
    nobody else is held up, and all who wait are told of the end."""
    web = stack.start_web()
    table = {"format": "CSV", "url_pattern": "https://bucket.s3.amazonaws.com/x.csv"}
    job_id = stack.refresh(add_table(stack.database, stack.project_id, **table))
    crowd = _Crowd(
        url=f"{web.url}/api/projects/{stack.project_id}/jobs/{job_id}/",
        keys=[stack.make_key() for _ in range(keys)],
        at_once=refused,
    )

    def end_job() -> None:
        with stack.database.write() as session:
            claimed = leases.claim(session, job_id, worker="test/1", lease_seconds=60)
        assert claimed is not None
        with stack.database.write() as session:
            leases.succeed(session, claimed, {"columns": 3})

    health = asyncio.run(crowd.come(end_job, f"{web.url}/healthz"))
    assert health == 200
    assert [status for status, _ in crowd.polls] == [200] * 200
    assert {body["id"] for _, body in crowd.polls} == {str(job_id)}
    streams = Counter(status for status, _ in crowd.streams)
    states = Counter(body["state"] for _, body in crowd.polls)
    assert states["queued"] + streams[429] == refused
    assert states["queued"] + states["succeeded"] == 200
    assert streams[200] + streams[429] == 200
    for status, text in crowd.streams:
        assert status == 429 or _is_whole_life(text, job_id), text


def _is_whole_life(stream: str, job_id: UUID) -> bool:
    names = [line[7:] for line in stream.splitlines() if line.startswith("event: ")]
    data = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: ")]
    told = len(data) == len(names) and {each["id"] for each in data} == {str(job_id)}
    ended = names[-1] == "end" and data[-1]["state"] == "succeeded"
    return told and ended and (names[0], data[0]["state"]) == ("state", "queued")


@dataclass
class _Crowd:
    """200 long polls and 200 streams of one job at once.

    Attributes:
        keys: of the polls the first, of the streams the last.
        at_once: how many are answered while the job goes on.
    """

    url: str
    keys: list[str]
    at_once: int
    polls: list[tuple[int, Any]] = field(default_factory=list)
    streams: list[tuple[int, str]] = field(default_factory=list)
    begun: int = 0
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    async def come(self, end_job: Callable[[], None], health_url: str) -> int:
        """All of them, to the end; the status of `/healthz` while they wait."""
        limits = httpx.Limits(max_connections=401)
        patient = {"timeout": PATIENCE_SECONDS, "limits": limits, "verify": PLAIN}
        async with httpx.AsyncClient(**patient) as client, asyncio.TaskGroup() as group:
            for _ in range(200):
                group.create_task(self._poll(client))
                group.create_task(self._stream(client))
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self.settled.wait()
            health = await client.get(health_url)
            await asyncio.to_thread(end_job)
        return health.status_code

    def _look(self) -> None:
        refused = len(self.streams)  # one that was not has not ended
        if refused + self.begun == 200 and refused + len(self.polls) == self.at_once:
            self.settled.set()

    async def _poll(self, client: httpx.AsyncClient) -> None:
        head = {"Authorization": f"Bearer {self.keys[0]}"}
        answer = await client.get(self.url, params={"wait": 60}, headers=head)
        self.polls.append((answer.status_code, answer.json()))
        self._look()

    async def _stream(self, client: httpx.AsyncClient) -> None:
        head = {"Authorization": f"Bearer {self.keys[-1]}"}
        async with client.stream("GET", f"{self.url}events/", headers=head) as answer:
            if answer.status_code == 429:
                refusal = json.loads(await answer.aread())
                seconds = answer.headers["retry-after"]
                assert refusal["detail"] == (
                    f"Request was throttled. Expected available in {seconds} seconds."
                )
                self.streams.append((429, ""))
                self._look()
                return
            text = ""
            async for part in answer.aiter_text():
                self.begun += not text
                self._look()
                text += part
            self.streams.append((answer.status_code, text))
