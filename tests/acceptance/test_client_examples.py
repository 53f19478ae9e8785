"""The examples of the client's page and of the README, run as they stand against a stack."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.service import Up, environment

ROOT = Path(__file__).parents[2]


def _examples(page: str) -> str:
    """Return a page's blocks, one after the other: each must find what it names in those before."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S))


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with Up(tmp_path_factory.mktemp("client")) as running:
        yield running


def _run(script: str, up: Up) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=up.sources,
        env=environment(up.client_settings()),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_examples_of_the_clients_page(up: Up) -> None:
    lines = _run(_examples("docs/client.md"), up).splitlines()
    assert lines[:7] == [
        "id integer",
        "price float",
        "none",
        "additive",
        "note Nullable(String)",
        "['additive', 'additive']",
        "additive",
    ]
    assert lines[7].startswith("source_not_found ")
    assert lines[-14:-12] == ["finished 100%", "{'refresh_schema'}"]
    assert lines[-6:-3] == ["True", "['source_not_found']", "(('1', 'dear', 'x'),)"]
    assert lines[-8:-6] == ["2", "None"]
    assert lines[-12:-8] == [
        "none breaking",
        "price Nullable(Float64) Nullable(String) orders.csv",
        "decided",
        "1",
    ]
    assert lines[-3:] == ["1 None", "1", "['zips', 'orders']"]


def test_the_readmes_example(up: Up) -> None:
    made = """
from pathlib import Path
from stocktake.client import Client
file = Path("readme.csv").absolute()
file.write_text("id\\n1\\n")
Client().tables.create("readme", format="CSVWithNames", url_pattern=file.as_uri(), wait=True)
file.write_text("id,note\\n1,x\\n")
"""
    text = _examples("README.md")
    assert text.count('"orders"') == 1
    assert _run(made + text.replace('"orders"', '"readme"'), up) == "additive\n"
