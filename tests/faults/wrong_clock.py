"""Processes whose wall clock is off, in the eyes of Python and of native code alike: libfaketime.

It is Debian's package `faketime`, which `.ci/run` installs. The monotonic clock stays right, as it
does on a machine whose clock was set wrong, and so do the times of files, which are the store's.
"""

from pathlib import Path

import pytest

from tests.faults import inside


def off_by(seconds: float) -> dict[str, str]:
    """What a process must be started with, for its clock to be so far ahead, or behind where it is
    negative. Skips the test where the library is not installed."""
    found = [*Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")]
    if not found:
        pytest.skip("needs libfaketime: apt-get install faketime")
    return {
        **inside.variables(plain_sleep="1"),
        "LD_PRELOAD": str(found[0]),
        "FAKETIME": f"{seconds:+f}",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # what older releases call it
        "NO_FAKE_STAT": "1",
        # A file in /dev/shm for all of them would stay there when one is killed.
        "FAKETIME_DISABLE_SHM": "1",
    }
