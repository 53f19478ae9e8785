"""`stocktake.client`, blocking and not, against the API over a real socket."""

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from stocktake.catalog import previews
from stocktake.client import (
    AuthenticationError,
    Client,
    ConfigurationError,
    JobFailedError,
    NotEndedError,
    NotFoundError,
    PermissionDeniedError,
    RefusedError,
    Retries,
    UnreachableError,
)
from stocktake.db.models import Batch, Job, Table, Upload
from stocktake.db.session import Database
from stocktake.errors import SourceNotFoundError
from stocktake.jobs import leases
from stocktake.jobs.arguments import IngestArguments
from tests.integration.api.conftest import FinishJob, MakeJob, MakeKey, Served
from tests.integration.api.playing import start_worker
from tests.integration.api.test_changes import NEW, OLD, settle
from tests.support.client import KINDS, LosesAnswers, open_client
from tests.support.stack import wait_until

Open = Callable[..., Any]
#: As `Retries()`, without its rests.
QUICK = Retries(first_seconds=0.01)
ORDERS = {"format": "Parquet", "url_pattern": "https://bucket.s3.amazonaws.com/orders/*.parquet"}
RETRY = leases.RetryPolicy(base_seconds=1, max_seconds=1)
PUBLIC = {"options": {"public": True}}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which of the clients."""
    chosen: str = request.param
    return chosen


@pytest.fixture
def open_api(served: Served, make_key: MakeKey, kind: str) -> Iterator[Open]:
    """Open a client: `open_api()`, `open_api(key=…, transport=…)`."""
    with ExitStack() as stack:

        def opened(key: str | None = None, url: str | None = None, **settings: Any) -> Any:
            settings = {"retries": QUICK} | settings
            return open_client(stack, kind, url or served.url, key or make_key(), **settings)

        yield opened


@pytest.fixture
def api(open_api: Open) -> Any:
    """A client that may do everything."""
    return open_api()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
def fail_job(
    database: Database, claim_job: Callable[[UUID], leases.Claim]
) -> Callable[[UUID], None]:
    def fail(job_id: UUID) -> None:
        claimed = claim_job(job_id)
        with database.write() as session:
            leases.fail(session, claimed, SourceNotFoundError("Nothing there."), RETRY)

    return fail


def _count(database: Database, model: Any) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def _rung(served: Served, count: int = 1) -> UUID:
    wait_until(lambda: len(served.rings.rung) >= count, "a ring")
    return served.rings.rung[-1].job_id


def test_a_table_from_its_making_to_its_end(api: Any) -> None:
    made = api.tables.create("orders", **ORDERS, **PUBLIC)
    assert (made.name, made.format, made.latest_job.state) == ("orders", "Parquet", "queued")
    assert made.created_at.tzinfo is not None
    assert api.tables.get("orders") == api.tables.get(made.id) == api.tables.get(made)
    assert api.tables.edit("orders", name="sales").name == "sales"
    api.tables.delete("sales")
    with pytest.raises(NotFoundError, match="There is no table 'sales'"):
        api.tables.get("sales")
    with pytest.raises(NotFoundError):
        api.tables.get(made.id)


def test_a_name_is_the_whole_name_in_its_letters(api: Any, make_table: Callable[..., UUID]) -> None:
    make_table("Orders"), make_table("orders_2026")
    wanted = make_table("orders")
    assert api.tables.get("orders").id == str(wanted)
    with pytest.raises(NotFoundError):
        api.tables.get("order")


def test_lists_go_over_all_pages_and_no_further_than_they_are_taken(
    open_api: Open, make_table: Callable[..., UUID]
) -> None:
    ids = [str(make_table(f"t{number}")) for number in range(7)]
    network = LosesAnswers()
    api = open_api(transport=network)
    assert [each.id for each in api.tables.list(page_size=3)] == ids[::-1]
    assert len(network.sent) == 3
    listed = iter(api.tables.list(page_size=2))
    assert [next(listed).id, next(listed).id] == ids[:-3:-1]
    assert len(network.sent) == 4
    assert [each.name for each in api.tables.list(search="T3")] == ["t3"]


def test_a_refresh_that_is_waited_for_returns_its_result(
    api: Any,
    served: Served,
    make_table: Callable[..., UUID],
    finish_job: FinishJob,
    pool: ThreadPoolExecutor,
) -> None:
    make_table("orders")
    asked = pool.submit(api.tables.refresh, "orders", wait=True)
    finish_job(_rung(served), {"change": "additive", "row_count": 7})
    job = asked.result()
    assert (job.state, job.result.change, job.result.row_count) == ("succeeded", "additive", 7)


def test_a_plan_is_what_a_refresh_would_change(
    api: Any,
    served: Served,
    make_table: Callable[..., UUID],
    finish_job: FinishJob,
    pool: ThreadPoolExecutor,
) -> None:
    make_table("orders")
    asked = pool.submit(api.tables.plan, "orders")
    finish_job(_rung(served), {"change": "breaking"})
    plan = asked.result()
    assert (plan.kind, plan.result.change) == ("plan_refresh", "breaking")


def test_a_refresh_that_fails_is_an_error_with_its_job(
    api: Any,
    served: Served,
    make_table: Callable[..., UUID],
    fail_job: Callable[[UUID], None],
    pool: ThreadPoolExecutor,
) -> None:
    make_table("orders")
    asked = pool.submit(api.tables.refresh, "orders", wait=60)
    fail_job(job_id := _rung(served))
    with pytest.raises(JobFailedError, match="Nothing there") as failed:
        asked.result()
    assert (failed.value.code, failed.value.job.id) == ("source_not_found", str(job_id))
    assert failed.value.request_id


def test_a_job_is_waited_for_beyond_what_one_request_may(
    api: Any, make_job: MakeJob, finish_job: FinishJob, pool: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("stocktake.client.waiting.LONGEST_WAIT_SECONDS", 1)
    job_id = make_job()
    with pytest.raises(NotEndedError) as late:
        api.jobs.wait(str(job_id), timeout_seconds=2.5)
    assert late.value.job.state == "queued"
    asked = pool.submit(api.jobs.wait, str(job_id))
    finish_job(job_id)
    assert asked.result().state == "succeeded"


def test_jobs_are_listed_cancelled_and_tried_again(api: Any, make_job: MakeJob) -> None:
    job_id = str(make_job())
    assert [job.id for job in api.jobs.list(state="queued")] == [job_id]
    assert [job.id for job in api.jobs.list(table="table_1")] == [job_id]
    assert list(api.jobs.list(state="failed")) == []
    assert api.jobs.cancel(job_id).state == "cancelled"
    with pytest.raises(JobFailedError, match="cancelled"):
        api.jobs.wait(job_id)
    assert api.jobs.retry(job_id).state == "queued"


def test_a_job_is_watched_to_its_end(
    api: Any, make_job: MakeJob, claim_job: Callable[[UUID], leases.Claim], database: Database
) -> None:
    job_id = make_job()
    seen = iter(api.jobs.watch(str(job_id)))
    assert next(seen).state == "queued"
    claimed = claim_job(job_id)
    assert next(seen).state == "running"
    with database.write() as session:
        leases.succeed(session, claimed, {"row_count": 3})
    assert [(job.state, job.result.row_count) for job in seen] == [("succeeded", 3)]


def test_a_watch_without_a_stream_to_be_had_looks_instead(
    serve: Callable[..., Served], open_api: Open, make_key: MakeKey, make_job: MakeJob,
    finish_job: FinishJob, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("stocktake.client.jobs._LOOK_SECONDS", 0.05)
    monkeypatch.setattr("api.edge.waiting.MAX_WAITERS", 0)
    job_id = make_job()
    seen = iter(open_api().jobs.watch(str(job_id)))
    assert next(seen).state == "queued"
    finish_job(job_id)
    assert [job.state for job in seen][-1] == "succeeded"


@pytest.mark.parametrize(
    ("act", "model"),
    [
        (lambda api: api.tables.create("orders", **ORDERS, **PUBLIC), Table),
        (lambda api: api.batches.refresh(all=True), Batch),
        (lambda api: api.tables.upload(io.BytesIO(b"a\n1\n"), filename="a.csv"), Upload),
    ],
    ids=["create", "bulk refresh", "upload"],
)
def test_a_repeated_post_does_nothing_twice(
    open_api: Open, database: Database, act: Callable[[Any], Any], model: Any
) -> None:
    network = LosesAnswers(2)
    api = open_api(transport=network)
    made = act(api)
    assert made.id
    posts = [sent for sent in network.sent if sent[0] == "POST"]
    assert len(posts) == 3
    assert len(set(posts)) == 1
    live = _count(database, model)
    if model is Upload:  # the bytes of the repetitions were sent, and belong to nothing
        assert _count(database, Job) == 1
        assert _count(database, Table) == 1
    else:
        assert live == 1


def test_a_delete_whose_answer_is_lost_is_done(
    open_api: Open, make_table: Callable[..., UUID], database: Database
) -> None:
    table_id = make_table("orders")
    network = LosesAnswers(1)
    api = open_api(transport=network)
    api.tables.delete(str(table_id))
    assert [method for method, _ in network.sent] == ["DELETE", "DELETE"]
    assert list(api.tables.list()) == []


def test_no_server_is_an_error_after_the_last_attempt(open_api: Open, served: Served) -> None:
    api = open_api()
    served.stop()
    with pytest.raises(UnreachableError):
        api.jobs.get("01a2073f-4c89-7708-8323-b39d740573e3")


def test_files_are_sent_from_paths_and_from_open_files(
    api: Any, tmp_path: Path, served: Served, database: Database
) -> None:
    path = tmp_path / "orders.parquet"
    path.write_bytes(b"x" * 3_000_000)
    sent = api.tables.upload(path)
    assert (sent.name, sent.format, sent.latest_job.id) == ("orders", "Parquet", sent.job_id)
    with path.open("rb") as opened:
        opened.read(10)
        again = api.tables.upload(
            opened, table="typed", format="CSV", columns={"zip": "string"},
            options={"csv_delimiter": ";"},
        )  # fmt: skip
    assert (again.name, again.format) == ("typed", "CSV")
    with database.read() as session:
        assert set(session.scalars(select(Upload.size_bytes))) == {3_000_000}
        [last] = session.scalars(select(Job).order_by(Job.id.desc()).limit(1))
        arguments = IngestArguments.of(last.arguments)
    assert arguments.types == {"zip": "string"}
    assert again.options == {"csv_delimiter": ";"}  # a new table has them at once


def test_a_file_that_would_be_refused_is_told_and_nothing_is_changed(
    api: Any, served: Served, finish_job: FinishJob, pool: ThreadPoolExecutor, database: Database
) -> None:
    asked = pool.submit(api.tables.check, io.BytesIO(b"a\n1\n"), filename="orders.csv")
    refusal = {"code": "type_conflict", "detail": "No.", "hint": "Do.", "retryable": False}
    finish_job(_rung(served), {"change": "breaking", "refusal": refusal})
    verdict = asked.result().result
    assert (verdict.change, verdict.refusal.hint) == ("breaking", "Do.")
    assert _count(database, Table) == 0


def test_a_batch_is_followed_to_its_end(
    api: Any, make_table: Callable[..., UUID], served: Served, finish_job: FinishJob
) -> None:
    table = make_table("orders")
    batch = api.batches.refresh(tables=["orders", str(table)])
    assert batch.selector == {"tables": [str(table)] * 2} or batch.selector["tables"]
    steps = iter(api.batches.progress(batch))
    assert next(steps).state == "expanding"
    assert api.batches.cancel(batch).state == "cancelled"
    assert [each.done for each in steps][-1] is True
    assert api.batches.wait(batch).state == "cancelled"


def test_a_schedule_from_its_making_to_its_end(api: Any) -> None:
    made = api.schedules.create("nightly", cron="0 3 * * *", selector={"all": True})
    assert made.next_fire_at.hour == 3
    assert api.schedules.get("nightly") == made
    assert api.schedules.edit("nightly", paused=True).next_fire_at is None
    assert api.schedules.run_now(made).schedule_id == made.id
    assert [each.name for each in api.schedules.list()] == ["nightly"]
    api.schedules.delete("nightly")
    with pytest.raises(NotFoundError, match="nightly"):
        api.schedules.get("nightly")


def test_refusals_are_errors_of_their_kind(
    open_api: Open, make_key: MakeKey, make_table: Callable[..., UUID]
) -> None:
    make_table("orders")
    with pytest.raises(AuthenticationError) as unknown:
        open_api("stk_" + "x" * 40).tables.get("orders")
    assert unknown.value.code == "authentication_failed"
    with pytest.raises(PermissionDeniedError, match="missing required scope"):
        open_api(make_key(["warehouse_table:read"])).tables.refresh("orders")
    with pytest.raises(RefusedError) as wrong:
        open_api().tables.create("orders", **ORDERS, **PUBLIC)
    assert (wrong.value.attr, wrong.value.status) == ("name", 400)
    assert wrong.value.request_id


def test_where_to_ask_is_said_by_arguments_or_the_environment(
    served: Served, make_key: MakeKey, project_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("URL", "API_KEY", "PROJECT_ID"):
        monkeypatch.delenv(f"STOCKTAKE_{name}", raising=False)
    with pytest.raises(ConfigurationError, match="STOCKTAKE_API_KEY"):
        Client()
    monkeypatch.setenv("STOCKTAKE_API_KEY", make_key())
    monkeypatch.setenv("STOCKTAKE_URL", served.url)
    monkeypatch.setenv("STOCKTAKE_PROJECT_ID", str(project_id))
    with Client() as client:
        assert list(client.tables.list()) == []
    with Client(project=project_id + 1) as client, pytest.raises(NotFoundError):
        list(client.tables.list())
    for wrong in ("localhost:8000", "http://x:port", "http://127.0.0.1/api"):
        with pytest.raises(ConfigurationError, match=r"^url "):
            Client(wrong)


def test_a_watch_shows_what_changes_and_goes_on_where_it_was(
    api: Any, served: Served, make_table: Callable[..., UUID]
) -> None:
    seen = iter(api.watch(["tables", "jobs"]))
    ready = next(seen)
    assert (ready.tables, ready.jobs, ready.more) == ((), (), ())
    orders = str(make_table("orders"))
    changes = next(seen)
    assert [(each.id, each.name) for each in changes.tables] == [(orders, "orders")]
    seen.close()
    sales = str(make_table("sales"))
    again = next(iter(api.watch(["tables"], last_event_id=changes.id)))
    assert sales in [each.id for each in again.tables]


def test_a_watch_that_is_cut_off_comes_back(
    api: Any, served: Served, make_table: Callable[..., UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stocktake.client.watching._REST_SECONDS", 0.05)
    seen = iter(api.watch(["tables"]))
    next(seen)
    make_table("orders")
    assert [each.name for each in next(seen).tables] == ["orders"]
    for listener in served.parts.feed._listeners.copy():
        served.server._loop.call_soon_threadsafe(listener.end)  # type: ignore[union-attr]
    make_table("sales")
    while "sales" not in {each.name for each in next(seen).tables}:
        pass
    seen.close()


# --- changes ---------------------------------------------------------------------------------


@pytest.fixture
def change(make_table: Callable[..., UUID], database: Database) -> UUID:
    """A table under `manual`, of which a change waits."""
    stored = [column.as_dict() for column in OLD]
    table = make_table(columns=stored, schema_version=1, change_policy="manual")
    settle(database, table, NEW)
    return table


@pytest.mark.usefixtures("change")
def test_a_change_is_found_by_its_table_decided_and_undone(api: Any) -> None:
    change = api.changes.latest("orders")
    assert [(part.name, part.change) for part in change.parts] == [
        ("n", "breaking"),
        ("note", "additive"),
    ]
    assert change.parts[0].before[0].type == "Int32"
    assert api.changes.pin(change, ["n"]).undecided == 1
    assert api.changes.accept(change.id).state == "decided"
    assert [each.name for each in api.tables.get("orders").columns] == ["id", "n", "note"]
    assert api.changes.undo(change).undecided == 1
    mixed = api.changes.decide(change, {"note": "reject"}, accept="all")
    assert (mixed.state, api.changes.latest("orders").id) == ("decided", change.id)
    assert [each.id for each in api.changes.list(state="decided", table="orders")] == [change.id]
    assert list(api.changes.list(state="pending")) == []


def test_a_table_of_which_nothing_waits_has_no_change(
    api: Any, make_table: Callable[..., UUID]
) -> None:
    make_table()
    with pytest.raises(NotFoundError):
        api.changes.latest("orders")


def test_a_policy_is_given_with_a_table(api: Any) -> None:
    made = api.tables.create("orders", **ORDERS, **PUBLIC, change_policy="manual")
    assert made.change_policy == "manual"
    assert api.tables.edit(made, change_policy="auto").change_policy == "auto"


# --- looking ------------------------------------------------------------------------------------


def test_what_is_set_for_a_project(api: Any) -> None:
    assert (api.project.get().change_policy, api.project.get().row_previews) == ("auto", False)
    changed = api.project.edit(change_policy="manual", row_previews=True, stale_after_seconds=60)
    assert (changed.change_policy, changed.row_previews) == ("manual", True)
    assert (changed.stale_after_seconds, api.project.get().stale_after_seconds) == (60, 60)
    assert api.project.edit(stale_after_seconds=0).stale_after_seconds is None
    assert api.project.get().change_policy == "manual"


def test_a_source_is_checked(served: Served, api: Any, finish: Any) -> None:
    found = {"passed": True, "steps": [], "columns": [{"name": "id", "type": "Int64"}]}
    start_worker(served, lambda _, job_id: finish(job_id, found))
    checked = api.tables.check_source(ORDERS["url_pattern"], **PUBLIC)
    assert (checked.passed, checked.columns[0].name) == (True, "id")


def test_rows_are_previewed(
    served: Served, api: Any, finish: Any, make_table: Callable[..., UUID]
) -> None:
    make_table("orders")
    with pytest.raises(PermissionDeniedError, match="row_previews"):
        api.tables.preview("orders")
    api.project.edit(row_previews=True)
    found = {"file": "a.csv", "columns": [{"name": "id", "type": "Int64"}], "row_count": 1}
    start_worker(served, lambda _, job_id: finish(job_id, found, [[1]]))
    shown = api.tables.preview("orders", file="a.csv")
    assert (shown.file, shown.rows) == ("a.csv", ((1,),))


@pytest.fixture
def finish(
    served: Served, database: Database, claim_job: Callable[[UUID], leases.Claim], project_id: int
) -> Callable[..., None]:
    """End a job with this result, and rows beside it."""

    def end(job_id: UUID, result: dict[str, Any], rows: list[list[Any]] | None = None) -> None:
        claimed = claim_job(job_id)
        with database.write() as session:
            if rows is not None:
                keyring = served.parts.process.keyring
                previews.keep(session, keyring, job_id, rows, project_id=project_id)
            leases.succeed(session, claimed, result)

    return end
