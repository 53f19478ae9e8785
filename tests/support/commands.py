"""The `stocktake` command as a person runs it: a process of its own, and what it wrote."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.processes import PATIENCE_SECONDS, Server

COMMAND = (sys.executable, "-P", "-m", "stocktake.cli")


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


def environment(settings: dict[str, str]) -> dict[str, str]:
    """This process's variables with these ``STOCKTAKE_*`` and no others."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("STOCKTAKE_")
    }
    return inherited | {f"STOCKTAKE_{name}": value for name, value in settings.items()}


class Up(Server):
    """`stocktake up` on a free port, with a folder that file:// tables may be in.

    Attributes:
        settings: ``STOCKTAKE_*`` variables that it finds, without the prefix.
        variables: any others.
        options: of the command, beside those that it always has.
    """

    name = "up"

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        self.settings: dict[str, str] = {}
        self.variables: dict[str, str] = {}
        self.options: tuple[str, ...] = ()

    def prepare(self) -> None:
        self._started_at_byte = self.log.stat().st_size if self.log.exists() else 0
        self.sources.mkdir(exist_ok=True)

    def command(self) -> list[str]:
        data_dir = ("--data-dir", str(self.data_dir))
        roots = ("--local-root", str(self.sources))
        return [*COMMAND, "up", "--port", "0", *data_dir, *roots, *self.options]

    def environment(self) -> dict[str, str]:
        return environment(self.settings) | self.variables

    def answers(self) -> bool:
        return "ready http://" in self.output()

    def output(self) -> str:
        """What the terminal shows since the last start."""
        return self.log.read_text()[self._started_at_byte :]

    @property
    def sources(self) -> Path:
        return self.folder / "sources"

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        """Of the API, as the ready line names it."""
        line = next(line for line in self.output().splitlines() if line.startswith("ready "))
        return line.removeprefix("ready ")

    def client_settings(self) -> dict[str, str]:
        """What a command needs to talk to this stack."""
        return {"URL": self.url, "API_KEY": (self.data_dir / "api_key").read_text().strip()}
