"""How `up` and `demo` hear a signal."""

import subprocess
import sys

from tests.processes import PATIENCE_SECONDS

_SWALLOWED = """
import os, signal, sys, weakref
from stocktake.cli.stack import _ended_by_signals

class Thing: ...

def finalizer(_):
    os.kill(os.getpid(), signal.SIGTERM)
    while signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
        pass

with _ended_by_signals():
    try:
        thing = Thing()
        watched = weakref.ref(thing, finalizer)
        del thing
        print("swallowed", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        print("heard")
"""


def test_a_signal_that_a_finalizer_swallows_is_heard_all_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SWALLOWED],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "swallowed\nheard\n", "")
