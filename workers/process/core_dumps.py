"""No image of a process on disk: it would hold the credentials of whatever was just read.

The limits on a child are these, the watchdog's, and Celery's hard limit; docs/adr/0010 says which
of the kernel's others are left alone, and why.
"""

import resource
from typing import Final

from workers.process.parent_death import LIBC

_PR_SET_DUMPABLE: Final = 4


def forbid_core_dumps() -> None:
    """Forbid core dumps of this process and of those that it forks.

    On Linux, another process of the same user cannot look into its memory either (`prctl(2)`,
    PR_SET_DUMPABLE), and a `core_pattern` that is a pipe, which no limit stops, gets nothing.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if LIBC is not None:
        LIBC.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
