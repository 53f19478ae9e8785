"""Who writes to SQLite, and when; what PostgreSQL's client is told.

Two `Database`s of one file stand for two processes.
"""

import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from structlog.testing import capture_logs

from servers.postgres import Postgres
from stocktake.db import long_writes, write_turns
from stocktake.db import session as sessions
from stocktake.db.session import Database


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    with Database(url).write() as session:
        session.execute(text("CREATE TABLE counters (value INTEGER)"))
        session.execute(text("INSERT INTO counters VALUES (0)"))
    return url


def _add_one(database: Database, times: int) -> None:
    for _ in range(times):
        with database.write() as session:
            value = session.scalar(text("SELECT value FROM counters"))
            session.execute(text("UPDATE counters SET value = :new"), {"new": value + 1})


def _value(url: str) -> int | None:
    with Database(url).read() as session:
        return session.scalar(text("SELECT value FROM counters"))


def test_what_one_process_reads_to_write_no_other_changes_meanwhile(url: str) -> None:
    one, other = Database(url), Database(url)
    threads = [
        threading.Thread(target=_add_one, args=(database, 10))
        for database in (one, one, other, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _value(url) == 40


def test_a_writer_waits_for_another_process_to_end_its_transaction(url: str) -> None:
    waiting = threading.Thread(target=_add_one, args=(Database(url), 1))
    with Database(url).write() as session:
        session.execute(text("UPDATE counters SET value = 10"))
        waiting.start()
    waiting.join()
    assert _value(url) == 11


#: Does to the log's shared index what a process does that recovers it: its header is void, and the
#: locks of the writer and of the recovery are held (bytes 120 and 122, sqlite.org/walformat.html).
_RECOVERING = """
import fcntl, sys
with open(sys.argv[1], "r+b", buffering=0) as index:
    for byte in (120, 122):
        fcntl.lockf(index, fcntl.LOCK_EX, 1, byte)
    index.write(bytes(96))
    print("holds", flush=True)
    sys.stdin.read()
"""


def test_a_writer_waits_for_another_process_to_recover_the_log(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(url)
    _add_one(database, 1)
    command = [sys.executable, "-c", _RECOVERING, f"{make_url(url).database}-shm"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as recovering:
        assert recovering.stdout is not None
        assert recovering.stdout.readline() == "holds\n"
        waits = []

        def wait(seconds: float) -> None:
            waits.append(seconds)
            recovering.communicate("")

        monkeypatch.setattr(sessions, "time", SimpleNamespace(monotonic=time.monotonic, sleep=wait))
        _add_one(database, 1)
    assert len(waits) == 1
    assert _value(url) == 2


def test_a_lock_that_is_never_given_back_is_an_error_of_the_databases(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "PATIENCE_SECONDS", 0.05)
    with Database(url).write() as session:
        session.execute(text("UPDATE counters SET value = 10"))
        with pytest.raises(OperationalError, match="locked"):
            _add_one(Database(url), 1)
    _add_one(Database(url), 1)
    assert _value(url) == 11


def test_a_reader_does_not_wait_for_a_writer(url: str) -> None:
    with Database(url).write() as session:
        session.execute(text("UPDATE counters SET value = 10"))
        assert _value(url) == 0


def test_a_writer_waits_for_another_thread_no_longer_than_for_another_process(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "PATIENCE_SECONDS", 0.05)
    database = Database(url)
    with database.write(), pytest.raises(SQLAlchemyError, match="write lock"), database.write():
        pass
    _add_one(database, 1)
    assert _value(url) == 1


def test_a_process_that_writes_without_a_pause_leaves_the_lock_to_another(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its next thread takes the lock at once, and was faster than who tries now and then: ten long
    writes came before the other's."""
    monkeypatch.setattr(write_turns, "_LONG_SECONDS", 0.0)
    monkeypatch.setattr(write_turns, "_LEFT_FREE_SECONDS", 0.2)
    busy, other, over = Database(url), Database(url), threading.Event()
    wrote, begun = list[None](), threading.Semaphore(0)

    def write_on() -> None:
        while not over.is_set():
            with busy.write() as session:
                session.execute(text("UPDATE counters SET value = value + 1"))
                begun.release()
                over.wait(0.1)
            wrote.append(None)

    passed = []
    with ThreadPoolExecutor(3) as pool:
        try:
            writing = [pool.submit(write_on) for _ in range(3)]
            for _ in range(12):
                while begun.acquire(blocking=False):
                    pass
                assert begun.acquire(timeout=30)  # and so the lock is not to be had
                before = len(wrote)
                _add_one(other, 1)
                passed.append(len(wrote) - before)
        finally:
            over.set()
        for each in writing:
            each.result()
    assert max(passed) <= 2, passed


def test_threads_write_in_the_order_in_which_they_came(url: str) -> None:
    """Who has just written comes behind everybody who waits, however soon it writes again."""
    database = Database(url)
    turns = write_turns.Turns(patience_seconds=60)
    database._turn = turns.turn
    order = []

    def write(number: int) -> None:
        with database.write():
            order.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(5)]
    with turns.turn():
        for waiting, thread in enumerate(threads, 1):
            thread.start()
            while len(turns._waiting) < waiting:
                threading.Event().wait(0.001)
    write(5)
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4, 5]


def test_who_gives_up_waiting_keeps_nobody_from_the_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By its patience or by a signal, before the turn or just when it has come."""
    turns = write_turns.Turns(patience_seconds=0.01)
    with turns.turn(), pytest.raises(SQLAlchemyError), turns.turn():
        pass
    assert not turns._waiting
    turns._waiting.append(gone := threading.Lock())
    assert turns._leave(gone)
    assert not turns._leave(gone)

    class Interrupted:
        """A lock in which a signal finds the thread that waits, its turn just come."""

        def acquire(self, timeout: float | None = None) -> bool:
            if timeout is not None:
                turns._pass_on()
                raise SystemExit
            return True

        def release(self) -> None:
            pass

    turns._taken = True
    monkeypatch.setattr(write_turns, "threading", SimpleNamespace(Lock=Interrupted))
    with pytest.raises(SystemExit), turns.turn():
        pass
    assert not turns._taken


def test_a_long_write_and_who_waited_for_it_are_logged(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_writes, "_LONG_SECONDS", 0.0)
    monkeypatch.setattr(sessions, "PATIENCE_SECONDS", 0.05)
    with capture_logs() as logs, Database(url).write() as session:
        session.execute(text("UPDATE  counters\nSET value = :new"), {"new": 4711})
        session.execute(text("SELECT value FROM counters"))
        with pytest.raises(OperationalError):
            _add_one(Database(url), 1)
    [refused, held] = logs
    assert refused["event"] == "write_lock_not_had"
    assert refused["tries"] > 0
    assert held["event"] == "write_lock_held_long"
    assert held["first_statement"] == "UPDATE counters SET value = ?"
    assert held["statements"] == 2
    assert held["held_seconds"] >= held["commit_seconds"] > 0
    assert "4711" not in repr(held)


def test_a_short_write_and_a_read_are_not_logged(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(url)
    with capture_logs() as logs:
        monkeypatch.setattr(long_writes, "_LONG_SECONDS", 600.0)
        _add_one(database, 1)
        monkeypatch.setattr(long_writes, "_LONG_SECONDS", 0.0)
        with database.read() as session:
            session.execute(text("SELECT value FROM counters"))
    assert logs == []


def test_an_error_of_a_statement_names_no_value(migrated_database_url: str) -> None:
    """It goes into the log with its traceback, and values are what sources and requests hold."""
    database = Database(migrated_database_url)
    with pytest.raises(SQLAlchemyError) as caught, database.write() as session:
        session.execute(text("SELECT nothing FROM nowhere WHERE :value"), {"value": "a customer's"})
    assert "nowhere" in str(caught.value)
    assert "customer" not in str(caught.value)
    database.dispose()


@pytest.mark.parametrize(
    ("asked", "milliseconds"), [("", 10_000), ("?tcp_user_timeout=3000", 3000)]
)
def test_a_postgresql_that_vanishes_is_noticed_by_the_kernel(
    postgres: Postgres, asked: str, milliseconds: int
) -> None:
    """libpq waits for an answer without an end. The URL may ask for another patience."""
    database = Database(postgres.create_database() + asked)
    try:
        with database.read() as session:
            driver: Any = session.connection().connection.dbapi_connection
            with closing(socket.socket(fileno=os.dup(driver.fileno()))) as copy:
                assert copy.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                assert copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
                patience = copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    finally:
        database.dispose()
    assert patience == milliseconds


def test_a_transaction_whose_client_does_nothing_loses_its_locks(postgres: Postgres) -> None:
    one = Database(url := postgres.create_database(), idle_seconds=1)
    other = Database(url)
    with one.write() as session:
        session.execute(text("CREATE TABLE counters (value INTEGER)"))
        session.execute(text("INSERT INTO counters VALUES (0)"))

    def freeze() -> None:
        with one.write() as frozen:
            frozen.execute(text("UPDATE counters SET value = 1"))
            with other.write() as session:
                session.execute(text("UPDATE counters SET value = 2"))

    with pytest.raises(SQLAlchemyError):
        freeze()
    with other.read() as session:
        assert session.scalar(text("SELECT value FROM counters")) == 2
    one.dispose()
    other.dispose()
