"""The README's first screens, typed as they stand."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.service import Up, environment

README = (Path(__file__).parents[2] / "README.md").read_text()


class UpInAFolder(Up):
    """`make up` as the README has it, but for the port."""

    @property
    def sources(self) -> Path:
        return self.folder / "data-demo"

    @property
    def data_dir(self) -> Path:
        return self.folder / ".stocktake"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with UpInAFolder(tmp_path_factory.mktemp("readme")) as running:
        yield running


def _typed(section: str, up: Up) -> str:
    """The lines of a section that a person types, without the one that started the stack."""
    text = README.split(f"## {section}\n", 1)[1].split("\n## ", 1)[0]
    lines = re.findall(r"^\$ (.+)$", text, re.MULTILINE)
    script = "\n".join(line for line in lines if not line.startswith("make up"))
    return script.replace("http://127.0.0.1:8000", up.url)


def _run(script: str, up: Up) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/bash", "-euc", script],
        cwd=up.folder,
        env=environment({"URL": up.url}) | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def first_table(up: Up) -> str:
    """What the terminal shows after the first section."""
    return _run(_typed("Your first table", up), up)


def test_first_table_is_registered_and_refreshed(first_table: str) -> None:
    assert re.search(r"^Added orders \([0-9a-f-]{36}\): 2 columns\.$", first_table, re.MULTILINE)
    told = "  + note  Nullable(String)\n      by orders-2.csv, "
    assert told in first_table
    behind = first_table.partition(told)[2]
    assert re.match(r".+Z\n      in 1 of 2 files\n1 refreshed, 1 changed, 0 failed\.\n", behind)
    assert "note\tNullable(String)\tyes\t1 of 2\torders-2.csv\n" in first_table


@pytest.mark.skipif(not shutil.which("curl"), reason="the README types curl; .ci/run has it")
def test_submit_and_poll_shows_the_change(first_table: str, up: Up) -> None:
    key = f"export STOCKTAKE_API_KEY={(up.data_dir / 'api_key').read_text().strip()}\n"
    shown = _run(key + _typed("Submit and poll", up), up)
    assert shown.startswith("HTTP/1.1 202 Accepted")
    job = json.loads(shown[shown.rindex('{"id":') :])
    assert job["state"] == "succeeded"
    [added] = job["result"]["diff"]["added"]
    assert (added["name"], added["type"]) == ("price", "Nullable(Float64)")
    assert added["origin"]["brought_by"]["file"] == "orders-3.csv"
