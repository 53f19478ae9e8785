"""A store that fails, drips, hangs up or changes its mind: what may pass is tried again, what will
not pass ends, and no table is ever made of two versions of a file."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from servers.process import HOST
from servers.proxy import Proxy
from servers.scripted_store import ScriptedStore
from stocktake.db.models import Table
from stocktake.states import JobState
from tests.faults.client import Client
from tests.faults.oracle import Oracle
from tests.support.harness import Stack
from tests.support.stack import JobView, add_table, see_job, wait_for_end, wait_until

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)

KEY = "orders.parquet"
#: Enough for a read on a busy machine; a store that drips takes all of it.
TIME_LIMIT_SECONDS = 20


def parquet(prefix: str, columns: int = 900) -> bytes:
    """A file whose footer takes two reads."""
    names = [f"{prefix}_{number:04}_{'x' * 60}" for number in range(columns)]
    sink = io.BytesIO()
    pq.write_table(pa.table({name: pa.array([1], pa.int64()) for name in names}), sink)
    assert int.from_bytes(sink.getvalue()[-8:-4], "little") > 64 * 1024
    return sink.getvalue()


@pytest.fixture
def proxy(store: ScriptedStore) -> Iterator[Proxy]:
    with Proxy(store.port) as running:
        yield running


@pytest.fixture
def extra_settings(extra_settings: dict[str, str], proxy: Proxy) -> dict[str, str]:
    return extra_settings | {
        "TRUSTED_ENDPOINTS": f"http://{HOST}:{proxy.port}",
        "JOB_TIME_LIMIT_SECONDS": str(TIME_LIMIT_SECONDS),
        "JOB_MAX_ATTEMPTS": "20",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A table of one file, in a store behind a proxy."""

    stack: Stack
    client: Client
    store: ScriptedStore
    proxy: Proxy
    table: UUID

    def refresh(self) -> UUID:
        job = self.client.refresh(self.table).job
        assert job is not None
        return job

    def first_attempt(self, job: UUID) -> str | None:
        """How it ended, once it has."""

        def ended() -> bool:
            return any(see_job(self.stack.database, job).outcomes)

        wait_until(ended, "the end of an attempt")
        return see_job(self.stack.database, job).outcomes[0]

    def end(self, job: UUID) -> JobView:
        return wait_for_end(self.stack.database, job)

    def prefixes(self) -> set[str]:
        """Of the names of the table's columns: which versions of the file it is made of."""
        with self.stack.database.read() as session:
            columns = session.get_one(Table, self.table).columns
        return {column["name"].split("_")[0] for column in columns}


@pytest.fixture
def scene(stack: Stack, client: Client, store: ScriptedStore, proxy: Proxy) -> Scene:
    """It was read once, as `first`."""
    stack.start_worker()
    stack.start_clock()
    table = add_table(
        stack.database,
        stack.project_id,
        format="Parquet",
        url_pattern=f"http://{HOST}:{proxy.port}/bucket/{KEY}",
        options={"public": True},
    )
    scene = Scene(stack=stack, client=client, store=store, proxy=proxy, table=table)
    store.put(KEY, parquet("first"))
    store.release()
    assert scene.end(scene.refresh()).state is JobState.SUCCEEDED
    assert scene.prefixes() == {"first"}
    return scene


def answers_503(scene: Scene) -> None:
    scene.store.put(KEY, parquet("after503"))
    scene.store.status = 503
    job = scene.refresh()
    assert scene.first_attempt(job) == "storage_unavailable"
    assert scene.store.refused > 0
    scene.store.status = None
    assert scene.end(job).state is JobState.SUCCEEDED
    assert scene.prefixes() == {"after503"}


def hangs_up_in_the_middle(scene: Scene) -> None:
    scene.store.put(KEY, parquet("aftercut"))
    before = scene.proxy.counts.cut
    scene.proxy.reset()  # what was answered on a kept connection counts as well
    scene.proxy.answer_bytes = 40_000
    job = scene.refresh()
    assert scene.first_attempt(job) == "storage_unavailable"
    assert scene.proxy.counts.cut > before
    scene.proxy.heal()
    assert scene.end(job).state is JobState.SUCCEEDED
    assert scene.prefixes() == {"aftercut"}


def drips(scene: Scene) -> None:
    scene.store.put(KEY, parquet("afterdrip"))
    scene.proxy.answer_pace = 1.0
    delivered = scene.proxy.counts.delivered_bytes
    job = scene.end(scene.refresh())
    assert scene.proxy.counts.delivered_bytes > delivered
    assert (job.state, job.outcomes) == (JobState.FAILED, ("time_limit",))
    scene.proxy.heal()
    assert scene.prefixes() == {"aftercut"}
    assert scene.end(scene.refresh()).state is JobState.SUCCEEDED
    assert scene.prefixes() == {"afterdrip"}


def swaps_between_tail_and_footer(scene: Scene) -> None:
    scene.store.put(KEY, parquet("swapped"))
    scene.store.hold()
    job = scene.refresh()
    scene.store.let_through(1)  # what asks for the file's version; the file's tail waits
    scene.store.put(KEY, parquet("after"))
    scene.store.release()
    assert scene.first_attempt(job) == "succeeded"  # it listed again, once
    assert scene.end(job).state is JobState.SUCCEEDED
    assert scene.prefixes() == {"after"}


def swaps_after_the_listing_and_back(scene: Scene) -> None:
    """The columns of one version must not stand under the fingerprint of another, where they
    would stay once that one is back."""
    listed, read = parquet("listed"), parquet("read")
    scene.store.put(KEY, listed)
    scene.store.hold()
    job = scene.refresh()
    scene.store.wait_for_request()  # what asks for the file's version
    scene.store.put(KEY, read)
    scene.store.release()
    assert scene.first_attempt(job) == "succeeded"  # it listed again, once
    assert scene.end(job).state is JobState.SUCCEEDED
    assert scene.prefixes() == {"read"}
    scene.store.put(KEY, listed)
    assert scene.end(scene.refresh()).state is JobState.SUCCEEDED
    assert scene.prefixes() == {"listed"}


FAULTS: list[Callable[[Scene], None]] = [
    answers_503,
    hangs_up_in_the_middle,
    drips,
    swaps_between_tail_and_footer,
    swaps_after_the_listing_and_back,
]


def test_no_table_is_wrong_whatever_its_store_does(scene: Scene, oracle: Oracle) -> None:
    for fault in FAULTS:
        fault(scene)
        oracle.check(failures={"time_limit"}, refresh=False)
