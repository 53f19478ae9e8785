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

#: Commands without `--json`, and why.
WITHOUT_JSON: Final = {
    "stocktake up": "it runs until it is ended, and prints what its processes log",
    "stocktake demo": "a story for a person who looks on",
    "stocktake db upgrade": "it answers nothing but that it is done",
    "stocktake projects create": "stdout is the project's id alone",
    "stocktake keys create": "stdout is the key alone",
    "stocktake keys make-secret": "stdout is the secret alone",
}
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


def _without_json(command: Any, path: str = "stocktake") -> Iterator[str]:
    below = getattr(command, "commands", {})
    for name, each in below.items():
        yield from _without_json(each, f"{path} {name}")
    if not below and not any("--json" in parameter.opts for parameter in command.params):
        yield path


def test_every_command_answers_programs_or_says_why_not() -> None:
    assert set(_without_json(typer.main.get_command(app))) == WITHOUT_JSON.keys()


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
