"""The guard once more at the connection, and stores that send a job elsewhere."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from stocktake.db.models import Table, Upload
from stocktake.jobs.queueing import JobRequest, enqueue
from stocktake.states import JobKind, Queue
from tests.security.service import Service, running
from tests.security.tripwire import Tripwire
from tests.support.hostile_store import Answer, Hostile, hostile
from tests.support.stack import opened, wait_for_end

KEYS = {"access_key": "AK", "access_secret": "SK"}

#: Where a store may send its client, by a word in the key.
ELSEWHERE = {
    "tripwire": "http://127.0.0.1:{port}/x",
    "name": "http://localhost:{port}/x",
    "relative": "//127.0.0.1:{port}/x",
    "https": "https://127.0.0.1:{port}/x",
    "metadata": "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "mapped": "http://[::ffff:127.0.0.1]:{port}/x",
    "file": "file:///etc/passwd",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lured:
    """A service that trusts a store, which redirects by what its keys say."""

    service: Service
    store: Hostile
    tripwire: Tripwire

    def url(self, key: str) -> str:
        return f"{self.store.endpoint}/bucket/{key}"


@pytest.fixture(scope="module")
def lured(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path) -> Iterator[Lured]:
    folder = tmp_path_factory.mktemp("lured")
    with Tripwire() as tripwire:

        def answer(path: str) -> Answer:
            """What is asked of `302-tripwire/`, listings as well, goes where that says. A client
            that was sent elsewhere asks this store for it, and is sent on: no answer of this
            store's is taken for another's.
            """
            if "/bucket" not in path:
                return 302, b"", {"Location": path}
            for word, target in ELSEWHERE.items():
                for status in (301, 302, 303, 307, 308):
                    if f"{status}-{word}" in path:
                        return status, b"", {"Location": target.format(port=tripwire.port)}
            return 404, b"", {}

        with (
            hostile(answer) as store,
            running(folder, migrated_sqlite_file, TRUSTED_ENDPOINTS=store.endpoint) as service,
        ):
            yield Lured(service=service, store=store, tripwire=tripwire)


@pytest.mark.parametrize("word", ELSEWHERE)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused_once(lured: Lured, status: int, word: str) -> None:
    name = f"{status}-{word}"
    assert_refused(
        lured.service.register(
            name=name,
            format="CSVWithNames",
            url_pattern=lured.url(f"{name}/a.csv"),
            credential=KEYS,
        )
    )
    assert lured.tripwire.heard == []


@pytest.mark.parametrize(
    ("format_", "key"),
    [
        ("CSVWithNames", "{}/*.csv"),
        ("JSONEachRow", "{}/a.json"),
        ("Parquet", "{}/a.parquet"),
        ("Parquet", "{}/**.parquet"),
        ("Delta", "{}/table"),
        ("DeltaS3Wrapper", "{}/table"),
        ("Iceberg", "{}/table"),
    ],
)
@pytest.mark.parametrize("public", [True, False])
def test_every_way_of_reading_refuses_it(
    lured: Lured, format_: str, key: str, public: bool
) -> None:
    how = {"options": {"public": True}} if public else {"credential": KEYS}
    key = key.format("302-tripwire")
    url = lured.url(key)
    job = lured.service.register(
        name=f"{format_}-{key}-{public}", format=format_, url_pattern=url, **how
    )
    assert_refused(job)
    assert lured.tripwire.heard == []


@pytest.mark.parametrize("kind", [JobKind.REFRESH_SCHEMA, JobKind.VALIDATE_COLUMNS])
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/b/k.csv",
        "https://localhost:{port}/b/k.csv",
        "http://169.254.169.254/latest/meta-data",
        "https://evil.example/b/k.csv",
        "file:///etc/passwd",
        "../../etc/passwd",
    ],
)
def test_a_row_that_was_changed_past_the_api_is_not_opened(
    lured: Lured, kind: JobKind, url: str
) -> None:
    name = f"{kind}-{url}"
    good_file = lured.service.sources / "good.csv"
    good_file.write_text("id\n1\n")
    answer = lured.service.client.post(
        "warehouse_tables/",
        json={"name": name, "format": "CSVWithNames", "url_pattern": f"file://{good_file}"},
    )
    good = lured.service.ended(answer.headers["location"])
    assert good["state"] == "succeeded", good["error"]
    # a sample is followed by a validation, which the job below would join or wait for
    jobs = lured.service.client.get("jobs/", params={"table": answer.json()["id"]}).json()
    assert all(lured.service.ended(job["id"])["done"] for job in jobs["results"])
    with opened(lured.service.settings["DATABASE_URL"]) as database:
        with database.write() as session:
            table = session.get_one(Table, UUID(answer.json()["id"]))
            table.url_pattern = url.format(port=lured.tripwire.port)
            request = JobRequest(
                project_id=table.project_id,
                kind=kind,
                queue=Queue.VALIDATE,
                table_id=table.id,
                max_attempts=5,
            )
            job_id = enqueue(session, request).job.id
        # nobody rings for a job that was put in past the API; the retry below does
        lured.service.client.post(f"jobs/{job_id}/cancel/").raise_for_status()
        retried = lured.service.client.post(f"jobs/{job_id}/retry/")
        assert retried.status_code == 202, retried.text
        ended = wait_for_end(database, UUID(retried.json()["id"]))
    assert ended.error is not None
    assert_refused({"state": ended.state, "attempt": ended.attempt, "error": ended.error})
    assert lured.tripwire.heard == []


def test_an_upload_that_was_moved_out_of_its_folder_is_not_read(lured: Lured) -> None:
    answer = lured.service.client.post(
        "warehouse_tables/file/", files={"file": ("a.csv", b"id\n1\n")}, data={"name": "moved"}
    )
    lured.service.ended(answer.headers["location"])
    outside = lured.service.folder / "outside.csv"
    outside.write_text("secret\n1\n")
    with (
        opened(lured.service.settings["DATABASE_URL"]) as database,
        database.write() as session,
    ):
        table = session.get_one(Table, UUID(answer.json()["id"]))
        session.get_one(Upload, table.upload_id).object_key = "../../outside.csv"
        table.source_state = None
    assert_refused(lured.service.refresh(answer.json()["id"]))


def assert_refused(job: dict[str, Any]) -> None:
    assert job["state"] == "failed"
    assert job["error"]["code"] == "url_refused"
    assert job["attempt"] == 1
    assert "127.0.0.1" not in str(job["error"])
