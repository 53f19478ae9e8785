import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from stocktake.db.models import Canary, ClockBeat, JobAttempt, Upload
from stocktake.db.session import Database
from stocktake.jobs import counters, leases
from stocktake.jobs.shares import Presence
from stocktake.states import Queue, UploadState
from tests.integration.api.conftest import FinishJob, MakeJob, Served

Connect = Callable[..., httpx.Client]
Serve = Callable[..., Served]


def _ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def _tick(database: Database, ago: timedelta = timedelta()) -> None:
    with database.write() as session:
        session.add(ClockBeat(node="a", ticked_at=datetime.now(UTC) - ago))


@pytest.mark.parametrize("path", ["/healthz", "/healthz/"])
def test_healthz_answers_without_a_key(anonymous: httpx.Client, path: str) -> None:
    answer = anonymous.get(path)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def _canary(database: Database, **fields: Any) -> None:
    moments = {"sent_at": datetime.now(UTC), "rung_at": datetime.now(UTC)} | fields
    with database.write() as session:
        session.add(Canary(queue=Queue.INTERACTIVE.value, id=uuid4(), **moments))


def test_readyz_is_ok_with_a_migrated_database_a_ticking_clock_and_a_canary_at_home(
    anonymous: httpx.Client, database: Database
) -> None:
    _tick(database)
    _canary(database, ended_at=datetime.now(UTC), last_ended_at=datetime.now(UTC))
    answer = anonymous.get("/readyz")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["status"], body["reasons"]) == ("ok", [])
    assert body["checks"] == dict.fromkeys(["database", "clock", "broker", "worker"], "ok")
    assert body["clock_age_seconds"] < 60
    assert body["canary_age_seconds"] < 60


def test_readyz_says_that_no_clock_ticks(anonymous: httpx.Client, database: Database) -> None:
    answer = anonymous.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["clock"] == "not_ticking"
    assert "clock" in answer.json()["reasons"][0]
    _tick(database, ago=timedelta(minutes=5))
    answer = anonymous.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["clock_age_seconds"] >= 299
    # Nobody sends canaries: that none came home is no news of the workers.
    assert answer.json()["checks"]["worker"] == "unknown"


def test_readyz_says_that_the_broker_is_silent(
    anonymous: httpx.Client, served: Served, database: Database
) -> None:
    _tick(database)
    _canary(database, sent_at=_ago(100))
    served.rings.waiting = None
    answer = anonymous.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {
        "database": "ok",
        "clock": "ok",
        "broker": "unreachable",
        "worker": "unknown",
    }


@pytest.mark.parametrize(
    ("fields", "worker"),
    [
        ({"sent_at": 5}, "ok"),
        ({"sent_at": 100}, "silent"),
        ({"sent_at": 100, "started_at": 90}, "stuck"),
        ({"sent_at": 5, "last_ended_at": 100}, "ok"),
        ({"sent_at": 100, "last_ended_at": 110}, "silent"),
    ],
)
def test_readyz_tells_a_canary_on_its_way_from_one_that_nobody_takes_or_ends(
    anonymous: httpx.Client, database: Database, fields: dict[str, int], worker: str
) -> None:
    _tick(database)
    _canary(database, **{name: _ago(seconds) for name, seconds in fields.items()})
    answer = anonymous.get("/readyz")
    assert answer.json()["checks"]["worker"] == worker
    assert answer.status_code == (200 if worker == "ok" else 503)
    assert len(answer.json()["reasons"]) == (0 if worker == "ok" else 1)


@pytest.mark.parametrize(
    ("lease_seconds", "worker"), [(30.0, "busy"), (-1.0, "silent")], ids=["live", "run out"]
)
def test_readyz_tells_busy_workers_from_wedged_ones(
    anonymous: httpx.Client,
    database: Database,
    make_job: MakeJob,
    lease_seconds: float,
    worker: str,
) -> None:
    _tick(database)
    _canary(database, sent_at=_ago(100))
    job_id = make_job()
    with database.write() as session:
        leases.claim(session, job_id, worker="node/1", lease_seconds=lease_seconds)
    answer = anonymous.get("/readyz")
    assert answer.json()["checks"]["worker"] == worker
    assert answer.status_code == (200 if worker == "busy" else 503)


@pytest.mark.parametrize(("outcome", "worker"), [("succeeded", "busy"), ("worker_lost", "silent")])
def test_readyz_takes_ended_attempts_for_work_but_not_those_that_the_clock_ended(
    anonymous: httpx.Client, database: Database, make_job: MakeJob, outcome: str, worker: str
) -> None:
    _tick(database)
    _canary(database, sent_at=_ago(100))
    job_id = make_job()
    with database.write() as session:
        ended = {"started_at": _ago(9), "ended_at": _ago(8), "outcome": outcome}
        session.add(JobAttempt(job_id=job_id, number=1, worker="node/1", **ended))
    assert anonymous.get("/readyz").json()["checks"]["worker"] == worker


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_readyz_says_that_the_database_is_not_migrated(
    serve: Serve, connect: Connect, tmp_path: Path
) -> None:
    empty = serve(database_url=f"sqlite:///{tmp_path / 'new.db'}")
    answer = connect(url=empty.url).get("/readyz")
    assert answer.status_code == 503
    assert "not migrated" in answer.json()["reasons"][0]
    assert answer.json()["checks"]["database"] == "not_migrated"


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_readyz_says_that_the_database_is_away_and_healthz_does_not_care(
    serve: Serve, connect: Connect
) -> None:
    gone = connect(url=serve(database_url="postgresql+psycopg://x@127.0.0.1:1/gone").url)
    answer = gone.get("/readyz")
    assert answer.status_code == 503
    [reason] = answer.json()["reasons"]
    assert "connection refused" in reason
    assert answer.json()["checks"] == {
        "database": "unreachable",
        "clock": "unknown",
        "broker": "ok",
        "worker": "unknown",
    }
    assert gone.get("/healthz").status_code == 200


def test_metrics_count_requests_by_route_and_jobs_by_state(
    client: httpx.Client, anonymous: httpx.Client, make_job: MakeJob, finish_job: FinishJob
) -> None:
    finish_job(job_id := make_job())
    make_job()
    client.get(f"jobs/{job_id}/")
    client.get("no_such_thing/")
    samples = _samples(anonymous.get("/metrics").text)
    requests = {
        (labels["route"], labels["status"]): value
        for labels, value in samples["stocktake_http_requests_total"]
    }
    assert requests[("/jobs/{job_id}/", "200")] == 1
    assert requests[("none", "404")] == 1
    jobs = _by("state", samples["stocktake_jobs"])
    assert {state: count for state, count in jobs.items() if count} == {"succeeded": 1, "queued": 1}
    assert _by("queue", samples["stocktake_due_jobs"]) == {
        "interactive": 1,
        "bulk": 0,
        "validate": 0,
    }
    oldest = _by("queue", samples["stocktake_oldest_queued_seconds"])
    assert 0 < oldest["interactive"] < 60
    assert (oldest["bulk"], oldest["validate"]) == (0, 0)


def test_metrics_show_the_workers_places_by_queue(
    anonymous: httpx.Client, make_job: MakeJob, database: Database
) -> None:
    job_id = make_job()
    for worker, places, queues in (("a", 2, tuple(Queue)), ("b", 3, (Queue.VALIDATE,))):
        presence = Presence(
            worker=worker, places=places, project_places=1, lease_seconds=30, queues=queues
        )
        with database.write() as session:
            presence.keep(session)
    with database.write() as session:
        assert leases.claim(session, job_id, worker="a/1", lease_seconds=30)

    samples = _samples(anonymous.get("/metrics").text)

    places = _by("queue", samples["stocktake_places"])
    assert places == {"interactive": 2, "bulk": 2, "validate": 5}
    taken = _by("queue", samples["stocktake_places_taken"])
    assert taken == {"interactive": 1, "bulk": 1, "validate": 1}


def test_metrics_show_what_all_processes_counted(
    anonymous: httpx.Client, served: Served, database: Database, project_id: int
) -> None:
    before = _samples(anonymous.get("/metrics").text)
    assert _by("reason", before["stocktake_rescues_total"])["lease_expired"] == 0
    assert before["stocktake_stale_writes_refused_total"] == [({}, 0)]
    assert "stocktake_canary_age_seconds" not in before

    _tick(database, ago=timedelta(seconds=7))
    _canary(database, sent_at=_ago(40), last_ended_at=_ago(50))
    counters.note(database, counters.ATTEMPTS, "succeeded", 3)
    counters.note(database, counters.ATTEMPTS, "storage_timeout", 2)
    counters.note(database, counters.RESCUES, "lease_expired", 4)
    counters.note(database, counters.STALE_WRITES)
    counters.drops_of("worker", database)(6)
    with database.write() as session:
        for state, size in ((UploadState.ACTIVE, 100), (UploadState.ACTIVE, 20)):
            upload = Upload(id=uuid4(), project_id=project_id, filename="a.csv", object_key="k")
            upload.state, upload.size_bytes = state.value, size
            session.add(upload)
    served.rings.waiting = {Queue.BULK: 9}

    samples = _samples(anonymous.get("/metrics").text)
    assert _by("code", samples["stocktake_attempts_total"]) == {
        "succeeded": 3,
        "storage_timeout": 2,
    }
    assert _by("reason", samples["stocktake_rescues_total"])["lease_expired"] == 4
    assert samples["stocktake_stale_writes_refused_total"] == [({}, 1)]
    assert _by("process", samples["stocktake_rings_dropped_total"]) == {
        "web": 0,
        "worker": 6,
        "clock": 0,
    }
    assert _by("state", samples["stocktake_upload_bytes"])["active"] == 120
    assert _by("queue", samples["stocktake_queue_messages"])["bulk"] == 9
    ages = [
        samples[f"stocktake_{name}_seconds"][0][1]
        for name in ("clock_age", "canary_away", "canary_age")
    ]
    assert ages == pytest.approx([7, 40, 50], abs=5)


def test_metrics_say_that_the_broker_is_silent(anonymous: httpx.Client, served: Served) -> None:
    served.rings.waiting = None
    samples = _samples(anonymous.get("/metrics").text)
    assert samples["stocktake_broker_up"] == [({}, 0)]
    assert "stocktake_queue_messages" not in samples


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_metrics_say_that_the_database_is_away(serve: Serve, connect: Connect) -> None:
    gone = connect(url=serve(database_url="postgresql+psycopg://x@127.0.0.1:1/gone").url)
    gone.get("/healthz")
    answer = gone.get("/metrics")
    assert answer.status_code == 200
    samples = _samples(answer.text)
    assert samples["stocktake_database_up"] == [({}, 0)]
    assert samples["stocktake_http_requests_total"]


def test_each_metric_is_documented_and_no_other(
    anonymous: httpx.Client, database: Database
) -> None:
    _tick(database)
    _canary(database, last_ended_at=_ago(1))
    anonymous.get("/healthz")
    families = text_string_to_metric_families(anonymous.get("/metrics").text)
    exported = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in families
        if not family.name.endswith("_created")  # the client's own companion of each counter
    }
    page = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text()
    documented = set(re.findall(r"^\| `(stocktake_\w+)", page, re.MULTILINE))
    # The doorbell of this test counts nothing.
    assert documented == exported | {"stocktake_rings_published_total"}


Sample = tuple[dict[str, str], float]


def _by(label: str, samples: list[Sample]) -> dict[str, float]:
    return {labels[label]: value for labels, value in samples}


def _samples(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def test_metrics_want_their_token_where_one_is_set(serve: Serve, connect: Connect) -> None:
    url = serve(metrics_token=SecretStr("let-me-see")).url
    assert connect(url=url).get("/metrics").status_code == 401
    assert connect("wrong", url).get("/metrics").status_code == 401
    assert connect("let-me-see", url).get("/metrics").status_code == 200


def test_the_docs_page_loads_from_this_server_alone(anonymous: httpx.Client) -> None:
    page = anonymous.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert "//" not in page.text
    for part in page.text.split('"'):
        if part.startswith("/docs/"):
            asset = anonymous.get(part)
            assert asset.status_code == 200, part
            assert asset.content


def test_the_docs_serve_no_other_file(anonymous: httpx.Client) -> None:
    for name in ("index.html", "..%2f__init__.py", "%2e%2e/__init__.py", "x" * 5000):
        assert anonymous.get(f"/docs/{name}").status_code == 404, name
