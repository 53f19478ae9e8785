"""The examples of the client's page and of the README, run as they stand against a stack."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.service import Up, environment

ROOT = Path(__file__).parents[2]

#: What the pages' examples take for given.
GIVEN = """
from pathlib import Path

folder = Path({folder!r})
(folder / "orders.csv").write_text("id,price\\n1,2.5\\n")
(folder / "zips.csv").write_text("zip\\n01234\\n")
ORDERS = f"file://{{folder}}/orders.csv"
NOWHERE = f"file://{{folder}}/nothing.csv"


def add_column(url: str) -> None:
    (folder / "orders.csv").write_text("id,price,note\\n1,2.5,x\\n")


def change_type(url: str) -> None:
    (folder / "orders.csv").write_text("id,price,note\\n1,dear,x\\n")
"""


def _examples(page: str) -> str:
    return "\n".join(re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S))


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with Up(tmp_path_factory.mktemp("client")) as running:
        yield running


def _run(script: str, up: Up) -> str:
    done = subprocess.run(
        [sys.executable, "-c", GIVEN.format(folder=str(up.sources)) + script],
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
from stocktake.client import Client
Client().tables.create("readme", format="CSVWithNames", url_pattern=ORDERS, wait=True)
add_column(ORDERS)
"""
    text = _examples("README.md")
    assert text.count('"orders"') == 1
    assert _run(made + text.replace('"orders"', '"readme"'), up) == "additive\n"
