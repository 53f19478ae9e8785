"""A process that ends with the one that started it, however that one ended.

Linux sends the signal (`prctl(2)`, PR_SET_PDEATHSIG) when the *thread* that forked ends, so fork
from the main thread. It survives `execve`; elsewhere than on Linux nothing happens.
"""

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
# Loaded at import: between fork and exec nothing may be imported.
LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent(parent: int, signal_number: int = signal.SIGKILL) -> None:
    """Ask the kernel for the signal when the parent ends; leave at once if it has ended.

    Args:
        parent: the process id that the caller's parent must have.
    """
    if LIBC is None:
        return
    LIBC.prctl(_PR_SET_PDEATHSIG, int(signal_number))
    if os.getppid() != parent:
        os._exit(1)
