"""docs/cli.md is what the commands say of themselves, and each of them says something."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer.main

from cli import app

ROOT: Final = Path(__file__).parents[3]


def _everything(command: Any, path: str = "stocktake") -> Iterator[tuple[str, str | None]]:
    """Each command, option and argument with its help."""
    yield path, command.help
    for parameter in command.params:
        yield f"{path} {parameter.name}", getattr(parameter, "help", None)
    for name, below in getattr(command, "commands", {}).items():
        yield from _everything(below, f"{path} {name}")


def test_every_command_option_and_argument_has_a_help() -> None:
    found = dict(_everything(typer.main.get_command(app)))
    assert "stocktake tables add url" in found
    assert [path for path, text in found.items() if not (text or "").strip()] == []


def test_the_document_is_what_make_docs_writes(tmp_path: Path) -> None:
    [line] = re.findall(r"^\t\$\(BIN\)/typer (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    *command, page = shlex.split(line)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("STOCKTAKE_")}
    written = tmp_path / "cli.md"
    subprocess.run(
        [sys.executable, "-m", "typer", *command, str(written)],
        check=True,
        cwd=ROOT,
        env=environment,
        capture_output=True,
    )
    assert (ROOT / page).read_text() == written.read_text(), "a command has changed: `make docs`"
