"""No core dump of a process that reads: it would hold the credentials of whatever was read last."""

import subprocess
import sys

import psutil
import pytest

from servers.service import Worker
from tests.support.harness import Stack
from tests.support.stack import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these are Linux's limits")


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_no_child_leaves_its_memory_on_disk(stack: Stack) -> None:
    worker = stack.start_worker()
    limits = [(0, 0)] * (Worker.concurrency + 1)
    wait_until(
        lambda: [child.rlimit(psutil.RLIMIT_CORE) for child in worker.children()] == limits,
        "children that may dump nothing",
    )


def test_nobody_of_the_same_user_looks_into_a_child() -> None:
    get_dumpable = 3  # PR_GET_DUMPABLE
    code = (
        "import ctypes; from workers.process.core_dumps import forbid_core_dumps; "
        "forbid_core_dumps(); "
        f"print(ctypes.CDLL(None).prctl({get_dumpable}))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "0"
