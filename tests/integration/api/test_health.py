from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from stocktake.db.models import ClockBeat
from stocktake.db.session import Database
from tests.integration.api.conftest import FinishJob, MakeJob, Served

Connect = Callable[..., httpx.Client]
Serve = Callable[..., Served]


def _tick(database: Database, ago: timedelta = timedelta()) -> None:
    with database.write() as session:
        session.add(ClockBeat(node="a", ticked_at=datetime.now(UTC) - ago))


@pytest.mark.parametrize("path", ["/healthz", "/healthz/"])
def test_healthz_answers_without_a_key(anonymous: httpx.Client, path: str) -> None:
    answer = anonymous.get(path)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_the_bare_address_leads_to_the_docs(anonymous: httpx.Client) -> None:
    answer = anonymous.get("/", follow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (307, "/docs")


def test_readyz_is_ok_with_a_migrated_database_and_a_ticking_clock(
    anonymous: httpx.Client, database: Database
) -> None:
    _tick(database)
    answer = anonymous.get("/readyz")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["reasons"]) == ("ok", [])
    assert answer.json()["clock_age_seconds"] < 60


def test_readyz_says_that_no_clock_ticks(anonymous: httpx.Client, database: Database) -> None:
    answer = anonymous.get("/readyz")
    assert answer.status_code == 503
    assert "clock" in answer.json()["reasons"][0]
    _tick(database, ago=timedelta(minutes=5))
    answer = anonymous.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["clock_age_seconds"] >= 299


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_readyz_says_that_the_database_is_not_migrated(
    serve: Serve, connect: Connect, tmp_path: Path
) -> None:
    empty = serve(database_url=f"sqlite:///{tmp_path / 'new.db'}")
    answer = connect(url=empty.url).get("/readyz")
    assert answer.status_code == 503
    assert "not migrated" in answer.json()["reasons"][0]


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_readyz_says_that_the_database_is_away_and_healthz_does_not_care(
    serve: Serve, connect: Connect
) -> None:
    gone = connect(url=serve(database_url="postgresql+psycopg://x@127.0.0.1:1/gone").url)
    answer = gone.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == ["The database does not answer."]
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
    jobs = {labels["state"]: value for labels, value in samples["stocktake_jobs"]}
    assert jobs == {"succeeded": 1, "queued": 1}
    ((_, age),) = samples["stocktake_oldest_queued_seconds"]
    assert 0 <= age < 60


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
