"""Bounds on what native code sizes by the machine's processors: its threads, and its heaps.

A reading child waits for stores, and parses in one thread. On 64 processors each of the four
runtimes of obstore and deltalake would have 64 threads, and glibc as many as 512 heaps, each of
which keeps what the threads that shared it have freed.
"""

import os
from typing import Final

from workers.process.parent_death import LIBC

#: Of each of the runtimes.
_THREADS: Final = 4
_HEAPS: Final = 8
#: As glibc's `malloc.h` has it.
_M_ARENA_MAX: Final = -8


def bound_native_pools() -> None:
    """Set the bounds; call it before native code has started a thread. What the environment says of
    either holds."""
    # Read by each runtime of tokio when it starts.
    os.environ.setdefault("TOKIO_WORKER_THREADS", str(_THREADS))
    if LIBC is None or not hasattr(LIBC, "gnu_get_libc_version"):
        return  # another allocator
    if "MALLOC_ARENA_MAX" not in os.environ:
        LIBC.mallopt(_M_ARENA_MAX, _HEAPS)
