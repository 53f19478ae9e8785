"""A reading child's native code has as many threads and heaps as we say, and not the machine; and
what it has freed, it does not keep."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from celery.signals import task_postrun

from workers import lifecycle
from workers.process import native_pools
from workers.process.freed_memory import FreedMemory

#: More threads than there may be heaps, each of which has asked for memory.
HEAPS = """
import ctypes, sys, threading
from workers.process.native_pools import bound_native_pools

if sys.argv[2] == "bound":
    bound_native_pools()
together, held = threading.Barrier(65), []
def work():
    held.append(bytearray(100_000))
    together.wait()
    together.wait()
for _ in range(64):
    threading.Thread(target=work).start()
together.wait()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
together.wait()
"""
#: What tokio makes of its variable: all threads that come with its first use are its workers.
THREADS = """
import os
from workers.process.native_pools import bound_native_pools

bound_native_pools()
from obstore.store import HTTPStore
before = len(os.listdir("/proc/self/task"))
try:
    options = {"client_options": {"allow_http": True}, "retry_config": {"max_retries": 0}}
    HTTPStore("http://127.0.0.1:0", **options).get("x")
except Exception:
    pass
print(len(os.listdir("/proc/self/task")) - before)
"""

#: Many threads share heaps and free nearly all that they asked for: pieces in use lie between.
PIECES = """
import random, sys, threading
import psutil
import pyarrow  # as a child that has read something has it
from workers.process.freed_memory import FreedMemory
from workers.process.native_pools import bound_native_pools

bound_native_pools()
freed, kept = FreedMemory(), []
held = psutil.Process().memory_info().rss
def work(seed):
    numbers = random.Random(seed)
    pieces = [bytes(numbers.randrange(600, 20_000)) for _ in range(2_000)]
    kept.append(pieces[::20])
threads = [threading.Thread(target=work, args=(seed,)) for seed in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
if sys.argv[1] == "given":
    assert freed.give_back()
    assert not freed.give_back(), "nothing has come since"
print(psutil.Process().memory_info().rss - held)
"""


def run(code: str, *arguments: str, **variables: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    environment = {
        name: text
        for name, text in os.environ.items()
        if name not in {"MALLOC_ARENA_MAX", "TOKIO_WORKER_THREADS"}
    }
    done = subprocess.run(
        command, env=environment | variables, check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heaps; any Linux would run it")
def test_threads_share_a_few_heaps(tmp_path: Path) -> None:
    heaps = {}
    for how in ("bound", "free"):
        run(HEAPS, str(tmp_path / how), how)
        heaps[how] = (tmp_path / how).read_text().count("<heap nr=")
    assert heaps["bound"] <= native_pools._HEAPS < heaps["free"]


@pytest.mark.skipif(sys.platform != "linux", reason="counts in /proc; any Linux would run it")
def test_a_runtime_has_as_many_threads_as_are_said() -> None:
    bound = int(run(THREADS))
    assert 0 < bound <= native_pools._THREADS
    # On a machine of few processors that alone would prove nothing.
    assert int(run(THREADS, TOKIO_WORKER_THREADS="7")) == 7


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heaps; any Linux would run it")
def test_what_was_freed_in_pieces_goes_back_to_the_machine() -> None:
    kept, given = int(run(PIECES, "kept")), int(run(PIECES, "given"))
    # A twentieth of 330 MB is in use.
    assert given < 35e6 < 45e6 < kept


def test_a_child_gives_back_what_it_freed_after_each_job(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    class Freed(FreedMemory):
        def give_back(self) -> bool:
            given.append(True)
            return True

    monkeypatch.setattr(lifecycle, "_freed", Freed())
    task_postrun.send(sender=None)
    assert given == [True]
