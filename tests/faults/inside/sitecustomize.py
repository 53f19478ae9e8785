"""What a test does inside one of the service's processes. Python runs it at the start of each
process that has this folder on its PYTHONPATH (`tests.faults.inside.variables`).

FAULTS_FREEZE_AFTER_COMMIT
    The start of an SQL statement: right after the commit of a transaction that ran one like it,
    the process freezes itself (SIGSTOP). The test sees that it did, and kills it there.
FAULTS_PLAIN_SLEEP
    `time.sleep` waits by `select`. Debian's libfaketime refuses a sleep up to a moment of the
    monotonic clock (EINVAL), which Python's is.
FAULTS_RECORD_CONNECTIONS
    A file that gets a line for each name that Python code resolves and each address that it
    connects to. Native clients are not heard.
FAULTS_HOLD_INTERPRETER
    The end of a file's name. Whoever opens such a file from Python keeps the interpreter's lock
    from then on, as native code may: no other thread of the process runs. Of the bytes in
    FAULTS_HOLD_BYTES it takes hold first.
FAULTS_PANIC
    The end of a file's name. Whoever opens such a file from Python is struck by a panic of native
    code, a real one: obstore's, at a key of 70,000 characters.
FAULTS_FREEZE_AT
    A method or function and where, ``deltalake.table:DeltaTable.vacuum before``: the first process
    that comes there freezes itself, and makes the file in FAULTS_FROZEN, which tells the others.
FAULTS_DATABASE_CLOCK
    A file with the seconds that SQLite's clock is ahead, read anew at each statement.
"""

import importlib.abc
import importlib.util
import os
import re
import select
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def freeze_after_commit(statement: str) -> None:
    from sqlalchemy import event
    from sqlalchemy.engine import Engine
    from sqlalchemy.orm import Session

    here = threading.local()

    @event.listens_for(Engine, "before_cursor_execute")
    def _executes(_connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        here.ran = getattr(here, "ran", False) or text.startswith(statement)

    @event.listens_for(Session, "after_rollback")
    def _rolled_back(_: Session) -> None:
        here.ran = False

    @event.listens_for(Session, "after_commit")
    def _committed(_: Session) -> None:
        if getattr(here, "ran", False):
            os.kill(os.getpid(), signal.SIGSTOP)


def sleep_by_select() -> None:
    time.sleep = lambda seconds: select.select((), (), (), seconds) and None


def move_sqlite_clock(file: Path) -> None:
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def strftime(layout: str, *rest: str) -> Any:
        ahead = f"{float(file.read_text())} seconds"
        marks = ", ".join("?" * (len(rest) + 2))
        with_clock = sqlite3.connect(":memory:")
        try:
            return with_clock.execute(
                f"SELECT strftime({marks})", (layout, *rest, ahead)
            ).fetchone()[0]
        finally:
            with_clock.close()

    @event.listens_for(Engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.create_function("strftime", -1, strftime)


def record_connections(file: Path) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    heard = ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect", "socket.sendto")

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event in heard:
            # the first argument of the last two is the socket
            where = arguments[:2] if event.startswith("socket.get") else arguments[1]
            os.write(descriptor, f"{event} {where!r}\n".encode(errors="replace"))

    sys.addaudithook(hear)


def hold_interpreter(end: str, size_bytes: int) -> None:
    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and str(arguments[0]).endswith(end):
            # In the process's turn to write: a thread of it that stood still amid a write would
            # keep SQLite's lock, and who finds the child dead might be faster to say so.
            from tasks.base import JobTask

            assert JobTask.runtime is not None
            with JobTask.runtime.process.database._turn():
                kept = bytearray(b"x") * size_bytes
                re.match(r"(a+)+$", "a" * 60 + "b")  # longer than the universe has lasted
                del kept

    sys.addaudithook(hear)


if found := os.environ.get("FAULTS_HOLD_INTERPRETER"):
    hold_interpreter(found, int(os.environ.get("FAULTS_HOLD_BYTES", "0")))


def obstore_panics() -> None:
    from obstore.store import S3Store

    keys = {"access_key_id": "a", "secret_access_key": "b"}
    store = S3Store("b", config={"endpoint": "http://127.0.0.1:9", **keys})
    store.get("k" * 70_000)


def panic(end: str) -> None:
    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and str(arguments[0]).endswith(end):
            obstore_panics()

    sys.addaudithook(hear)


def freeze_at(call: str, where: str, mark: Path) -> None:
    place, _, method = call.partition(":")
    owner, _, name = method.rpartition(".")

    def freeze() -> None:
        try:
            mark.touch(exist_ok=False)
        except FileExistsError:
            return  # somebody was here
        os.kill(os.getpid(), signal.SIGSTOP)

    def strike(module: Any) -> None:
        kind = getattr(module, owner) if owner else module
        true = getattr(kind, name)

        def struck(*args: Any, **named: Any) -> Any:
            if where == "before":
                freeze()
            answer = true(*args, **named)
            if where == "after":
                freeze()
            return answer

        setattr(kind, name, struck)

    sys.meta_path.insert(0, AtLoad(place, strike))


class AtLoad(importlib.abc.MetaPathFinder):
    """Hands a module to a function as soon as it is loaded."""

    def __init__(self, name: str, then: Callable[[Any], None]) -> None:
        self._name, self._then = name, then

    def find_spec(self, fullname: str, *_: Any) -> Any:
        if fullname != self._name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def loaded(module: Any) -> None:
            load(module)
            self._then(module)

        spec.loader.exec_module = loaded  # type: ignore[method-assign]
        return spec


if found := os.environ.get("FAULTS_FREEZE_AT"):
    freeze_at(*found.split(), Path(os.environ["FAULTS_FROZEN"]))
if found := os.environ.get("FAULTS_PANIC"):
    panic(found)
if found := os.environ.get("FAULTS_FREEZE_AFTER_COMMIT"):
    freeze_after_commit(found)
if os.environ.get("FAULTS_PLAIN_SLEEP"):
    sleep_by_select()
if found := os.environ.get("FAULTS_DATABASE_CLOCK"):
    move_sqlite_clock(Path(found))
if found := os.environ.get("FAULTS_RECORD_CONNECTIONS"):
    record_connections(Path(found))
