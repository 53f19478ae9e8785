"""The key that encrypts credentials goes missing, comes back, and is replaced."""

from collections.abc import Callable

import pytest

from servers.seaweedfs import SeaweedFS
from servers.service import Web
from stocktake.db.models import StoredCredential
from stocktake.security.encryption import make_secret_key
from tests.faults.client import Client
from tests.faults.oracle import Oracle
from tests.faults.sources import DeltaSource
from tests.support.harness import Stack
from tests.support.stack import see_job, wait_for_end


@pytest.fixture
def extra_settings(extra_settings: dict[str, str], s3: SeaweedFS) -> dict[str, str]:
    return extra_settings | {"TRUSTED_ENDPOINTS": s3.endpoint}


@pytest.fixture
def guarded(s3: SeaweedFS, bucket: str) -> Callable[[str], DeltaSource]:
    """Makes Delta tables that cannot be read without keys."""

    def make(key: str) -> DeltaSource:
        return DeltaSource(
            f"s3://{bucket}/{key}",
            url_pattern=s3.url(bucket, key),
            storage_options=s3.delta_options(),
            credential={"access_key": s3.access_key, "access_secret": s3.secret_key},
        )

    return make


def test_a_missing_key_fails_jobs_and_loses_nothing(
    stack: Stack,
    client: Client,
    oracle: Oracle,
    guarded: Callable[[str], DeltaSource],
) -> None:
    stack.start_clock()
    worker = stack.start_worker()
    source = guarded("orders")
    table = client.create(source)
    oracle.wait_for_ends(60)
    source.grow()
    worker.stop()
    keyless = stack.start_worker(SECRET_KEYS=make_secret_key("another"))
    job = client.refresh(table).job
    assert job

    ended = wait_for_end(stack.database, job)
    assert ended.outcomes == ("credential_unavailable",)
    assert ended.error
    assert "SECRET_KEYS" in ended.error["hint"]
    keyless.stop()
    stack.start_worker()
    oracle.check(failures={"credential_unavailable"})


def test_a_key_that_is_replaced_while_jobs_run_still_opens_the_old_rows(
    stack: Stack,
    web: Web,
    client: Client,
    oracle: Oracle,
    guarded: Callable[[str], DeltaSource],
) -> None:
    stack.start_clock()
    worker = stack.start_worker()
    sources = [guarded(f"old_{number}") for number in range(5)]
    tables = [client.create(source) for source in sources]
    for source in sources:
        source.grow()
    both = ",".join([make_secret_key("new"), stack.settings["SECRET_KEYS"]])
    jobs = [client.refresh(table).job for table in tables]
    stack.start_worker(SECRET_KEYS=both)  # both workers at once, as a rolling restart has it
    jobs += [client.refresh(table).job for table in tables]
    client.move_to(stack.start_web(SECRET_KEYS=both).url)
    web.stop()
    worker.stop()
    client.create(guarded("new"))
    oracle.check()

    assert key_ids(stack) == {"test": 5, "new": 1}
    assert {see_job(stack.database, job).state for job in jobs if job} == {"succeeded"}


def key_ids(stack: Stack) -> dict[str, int]:
    """How many credentials each key has encrypted."""
    with stack.database.read() as session:
        found = [row.key_id for row in session.query(StoredCredential)]
    return {key: found.count(key) for key in found}
