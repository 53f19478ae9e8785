"""Every call to the database goes wrong once, in every story of the service.

A story is told again and again: the first time its first call fails, then its second, until none is
left to fail. After each time all is made up for, and the oracle holds everything to the promises:
what a customer was not answered was told `503` while a call was broken, and within a bounded time.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, cast
from uuid import UUID

import pytest
from sqlalchemy import func, select

from stocktake.db import patient_connection
from stocktake.db.models import ScheduleFire
from stocktake.security.encryption import make_secret_key
from stocktake.settings import Settings
from tests.faults.calls import Kind
from tests.faults.client import Sent
from tests.faults.one_process import OneProcess, one_process
from tests.faults.oracle import Oracle
from tests.integration.api.conftest import start_app
from tests.support.harness import Stack

#: After which a request gives up a statement, in place of ten: a story has a hundred of them.
ANSWER_SECONDS: Final = 1.5
#: More calls than any story makes: who gets there tells itself in a circle.
MOST_CALLS: Final = 1000


@pytest.fixture
def service(
    request: pytest.FixtureRequest,
    migrated_database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[OneProcess]:
    if request.function is test_each_call_hangs:
        monkeypatch.setattr("api.app.ANSWER_SECONDS", ANSWER_SECONDS)
        # Who asks next is answered, and not told of the one before.
        monkeypatch.setattr(patient_connection, "_LEFT_ALONE_SECONDS", 0.0)
    sources = tmp_path / "sources"
    sources.mkdir()
    settings = Settings.model_validate(
        {
            "database_url": migrated_database_url,
            "data_dir": tmp_path / "data",
            "secret_keys": make_secret_key("test"),
            "allowed_url_schemes": ["https", "file"],
            "local_roots": [sources],
            "rate_limit_per_minute": 0,
            "rate_limit_per_hour": 0,
            "log_level": "WARNING",
        }
    )
    served = start_app(settings)
    try:
        with one_process(served, sources) as running:
            yield running
    finally:
        served.stop()
        served.database.dispose()


# --- the stories -----------------------------------------------------------------------------


def _table(it: OneProcess) -> UUID:
    sent = it.client.insist(it.client.register(it.source, it.new_name()))
    it.client.sources[sent.table_id] = it.source
    it.do_jobs()
    return sent.table_id


def _have_tables(it: OneProcess) -> None:
    """Two, made when the story is told first: a batch over more would be longer each time."""
    while len(it.client.sources) < 2:
        _table(it)


def refresh(it: OneProcess) -> None:
    """A table is made and read, read again, and looked at."""
    table = _table(it)
    sent = it.client.insist(it.client.refresh(table))
    it.do_jobs()
    it.client.insist(it.client.read(table))
    assert sent.job is not None
    it.client.insist(it.client.read_job(sent.job))


def upload(it: OneProcess) -> None:
    """Rows are loaded into a managed table, which the first time is made."""
    it.client.insist(it.client.upload("ledger", rows=2))
    it.do_jobs()


def upkeep(it: OneProcess) -> None:
    """A managed table is loaded and maintained."""
    sent = it.client.insist(it.client.upload("ledger", rows=1))
    it.do_jobs()
    path = f"warehouse_tables/{sent.table_id}/maintain/"
    it.client.insist(it.client.ask("maintain", "POST", path))
    it.do_jobs()


def upload_in_two_steps(it: OneProcess) -> None:
    """A file is received, and a table made of it."""
    file = {"file": ("sent.csv", b"id,paid\n1,true\n")}
    path = "warehouse_tables/upload_file/"
    kept = it.client.insist(it.client.ask("receive", "POST", path, files=file))
    body = {name: kept.body[name] for name in ("upload_id", "filename", "file_format")}
    body["table_name"] = it.new_name()
    path = "warehouse_tables/create_from_upload/"
    it.client.insist(it.client.ask("make", "POST", path, json=body))
    it.do_jobs()


def change(it: OneProcess) -> None:
    """A table gets another name, and a column another type."""
    table = _table(it)
    it.client.insist(it.client.change(table, name=it.new_name()))
    [column, *_] = it.client.sources[table].columns()
    it.client.insist(it.client.override(table, **{column: "string"}))
    it.do_jobs()


def delete(it: OneProcess) -> None:
    """A table goes while it waits to be read."""
    table = _table(it)
    it.client.insist(it.client.refresh(table))
    it.client.insist(it.client.delete(table))
    del it.client.sources[table]
    it.do_jobs()


def cancel_and_retry(it: OneProcess) -> None:
    """A job is cancelled before it began, and done after all."""
    table = _table(it)
    sent = it.client.insist(it.client.refresh(table))
    assert sent.job is not None
    it.client.insist(it.client.cancel(sent.job))
    it.client.insist(it.client.retry(sent.job))
    it.do_jobs()


def batch(it: OneProcess) -> None:
    """All tables are read."""
    _have_tables(it)
    it.client.insist(it.client.refresh_all())
    it.do_jobs()


def schedule(it: OneProcess) -> None:
    """A schedule is made, runs by hand, and comes due."""
    _have_tables(it)
    sent = it.client.insist(it.client.schedule(it.new_name(), "0 3 1 1 *"))
    it.client.insist(it.client.run_schedule(sent.body["id"]))
    it.do_jobs()
    it.come_due(sent.body["id"])
    assert it.clock.tick() or it.clock.tick(), "one broken call kept two ticks from going well"
    it.do_jobs()
    with it.database.read() as session:
        fires = select(func.count()).where(ScheduleFire.schedule_id == UUID(sent.body["id"]))
        assert session.scalar(fires) == 1


def rescue(it: OneProcess) -> None:
    """A worker claims a job and dies; the clock puts it back."""
    table = _table(it)
    it.client.insist(it.client.refresh(table))
    it.claim_and_die()
    it.do_jobs()


STORIES: Final[tuple[Callable[[OneProcess], None], ...]] = (
    refresh,
    upload,
    upkeep,
    upload_in_two_steps,
    change,
    delete,
    cancel_and_retry,
    batch,
    schedule,
    rescue,
)
#: Told in `make test`, with every so many of its calls broken; all calls of all stories are long.
SHORT: Final = (
    (refresh, Kind.FAILED, 10),
    (refresh, Kind.ANSWER_LOST, 3),
    (upload, Kind.ANSWER_LOST, 3),
)


def _told(*kinds: Kind) -> list[object]:
    return [
        pytest.param(story, kind, step, id=f"{story.__name__}-{kind}-each_{step}")
        for story, kind, step in SHORT
        if kind in kinds
    ] + [
        pytest.param(story, kind, 1, id=f"{story.__name__}-{kind}", marks=pytest.mark.long)
        for story in STORIES
        for kind in kinds
    ]


# --- the tests -------------------------------------------------------------------------------


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("story", "kind", "step"), _told(Kind.FAILED, Kind.ANSWER_LOST))
def test_each_call_fails_or_loses_its_answer(
    service: OneProcess, story: Callable[[OneProcess], None], kind: Kind, step: int
) -> None:
    tell(service, story, kind, step)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("story", "kind", "step"), _told(Kind.HUNG))
def test_each_call_hangs(
    service: OneProcess, story: Callable[[OneProcess], None], kind: Kind, step: int
) -> None:
    """On SQLite nothing but its lock lets a call hang: `test_database.py` holds that."""
    tell(service, story, kind, step)


def tell(
    service: OneProcess, story: Callable[[OneProcess], None], kind: Kind, step: int = 1
) -> None:
    """Tell the story with each of its calls broken once, or with each `step`th."""
    # It is whole first: a table that is new for the first is there for the others.
    story(service)
    oracle = Oracle(cast("Stack", service), service.client)
    assert not (verdict := oracle.judge()).broken, oracle.told(verdict)
    broken_at: list[datetime] = []

    def explained(sent: Sent) -> bool:
        struck = any(sent.sent_at <= at <= sent.ended_at for at in broken_at)
        # Of short patience a busy machine may use up all.
        return sent.put_off and (struck or kind is Kind.HUNG)

    struck: list[str] = []
    for number in range(step - 1, MOST_CALLS, step):
        with service.calls.striking(kind, number):
            story(service)
        if not service.calls.fired:
            break
        struck.append(service.calls.fired)
        assert service.calls.fired_at is not None
        broken_at.append(service.calls.fired_at)
        verdict = oracle.judge(allowed={503}, explained=explained)
        at = f"call {number}, {kind}: {service.calls.fired}"
        assert not verdict.broken, f"{at}\n{oracle.told(verdict)}"
    else:
        raise AssertionError(f"{story.__name__} makes more than {MOST_CALLS} calls")
    if step == 1:
        assert "COMMIT" in struck, struck
        assert (set(struck) == {"COMMIT"}) is (kind is Kind.ANSWER_LOST), struck
        assert len(struck) > 1, struck
    assert struck
