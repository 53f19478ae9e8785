"""The `stocktake` command as a person runs it: a process of its own, and what it wrote."""

import subprocess
from pathlib import Path

from servers.process import PATIENCE_SECONDS
from servers.service import COMMAND, environment


def stocktake(
    *arguments: str,
    folder: Path,
    settings: dict[str, str] | None = None,
    more: dict[str, str] | None = None,
    typed: str = "",
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end in a folder.

    Args:
        settings: the ``STOCKTAKE_*`` variables, without the prefix; it sees no others.
        more: other variables.
        typed: what is on its standard input.
    """
    return subprocess.run(
        [*COMMAND, *arguments],
        check=False,
        capture_output=True,
        text=True,
        input=typed,
        cwd=folder,
        env=environment(settings or {}) | (more or {}),
        timeout=PATIENCE_SECONDS,
    )
