"""How `up` and `demo` hear a signal."""

import subprocess
import sys

from servers.process import PATIENCE_SECONDS

_SWALLOWED = """
import os, signal, sys, weakref
from cli.stack import _ended_by_signals

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

_INSIDE_OF_EXEC = """
from cli.stack import _ended_by_signals

with _ended_by_signals():
    try:
        exec("import os, signal; os.kill(os.getpid(), signal.SIGTERM); signal.pause()")
    except KeyboardInterrupt:
        print("heard")
"""


def _outcome(program: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable],
        input=program,
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_signal_that_a_finalizer_swallows_is_heard_all_the_same() -> None:
    assert _outcome(_SWALLOWED) == (0, "swallowed\nheard\n", "")


def test_a_signal_inside_of_exec_leaves_the_exit_status_alone() -> None:
    assert _outcome(_INSIDE_OF_EXEC) == (0, "heard\n", "")
