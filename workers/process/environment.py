"""What a reading child finds in its environment: not the host's cloud identity, which an SDK that
is given no key would use, and no secret that only other processes need.
"""

import ctypes
import os
from collections.abc import Mapping
from typing import Final

from workers.process.parent_death import LIBC

_AMBIENT_PREFIXES: Final = (
    *("AWS_", "AZURE_", "IDENTITY_", "MSI_"),
    *("GOOGLE_", "GCLOUD_", "GCP_", "GCE_", "CLOUDSDK_"),
)
#: They come along where all processes are given the same file of settings.
_OF_OTHERS: Final = frozenset({"STOCKTAKE_METRICS_TOKEN", "FLOWER_BASIC_AUTH"})


def scrubbed(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the clouds' own credentials and without secrets that only other
    processes need."""
    return {name: text for name, text in environment.items() if not _is_for_others(name)}


def _is_for_others(name: str) -> bool:
    return name.startswith(_AMBIENT_PREFIXES) or name in _OF_OTHERS


def scrub_environment() -> None:
    """Take the clouds' credentials and other processes' secrets out of this process's environment.

    On Linux their text is wiped as well: of a variable that is merely unset, ``/proc`` goes on to
    show it.
    """
    for name in list(os.environ):
        if _is_for_others(name):
            _wipe(name)
            del os.environ[name]


def _wipe(name: str) -> None:
    if LIBC is None:
        return
    find = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p)(("getenv", LIBC))
    if (text := find(os.fsencode(name))) is not None:
        ctypes.memset(text, 0, len(ctypes.string_at(text)))
