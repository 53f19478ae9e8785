"""A reading child's native code has as many threads and heaps as we say, and not the machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workers.process import native_pools

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
