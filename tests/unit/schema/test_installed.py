"""Formats that other packages add: the example is built, installed beside, and used."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from stocktake.catalog.formats import format_of
from stocktake.errors import UnsupportedError
from stocktake.schema import installed as module
from stocktake.schema.facts import Facts
from stocktake.schema.formats import TableFormat
from stocktake.schema.installed import InstalledFormatError, installed
from stocktake.security.encryption import make_secret_key

EXAMPLE = Path(__file__).parents[3] / "examples" / "lines_format"

#: What each process derives from the formats, and a read of a file.
USE = """
import json, sys
from api.app import create_app
from stocktake.schema.formats import FILE_FORMAT_OF, FILE_FORMATS, OPTIONS, UPLOADABLE, TableFormat
assert "stocktake_lines.reader" not in sys.modules and "pyarrow" not in sys.modules
from stocktake.settings import Settings
schemas = create_app(Settings()).openapi()["components"]["schemas"]
from stocktake.readers import read_all, registry
from stocktake.readers.source import Source
from stocktake.storage.stores.opening import LocalObjects
registry.load_all()
lines = TableFormat("Lines")
source = Source(
    store=LocalObjects(sys.argv[1]), path="x.lines", format=lines, options={"lines_column": "said"}
)
found = read_all(source)
print(json.dumps({
    "columns": [[column.name, column.clickhouse] for column in found.columns],
    "rows": found.row_count,
    "uploads": [FILE_FORMAT_OF["lines"], FILE_FORMATS["lines"], lines in UPLOADABLE],
    "option": "lines_column" in OPTIONS and "lines_column" in json.dumps(schemas),
    "told": '"Lines"' in json.dumps(schemas),
}))
"""


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the example is installed in."""
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    command += ["--no-build-isolation", "--target", str(folder / "site"), str(copied(folder))]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return folder


def copied(folder: Path) -> Path:
    """The example in a folder that a build may write to."""
    return Path(shutil.copytree(EXAMPLE, folder / "source"))


def run(beside: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A process that has the package of the folder."""
    (beside / "x.lines").write_text("one\ntwo\n\n")
    environment = {**os.environ, "PYTHONPATH": str(beside / "site")}
    environment["STOCKTAKE_SECRET_KEYS"] = make_secret_key("test")
    environment["STOCKTAKE_DATA_DIR"] = str(beside / "data")
    return subprocess.run(
        [sys.executable, *arguments],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        cwd=EXAMPLE.parents[1],
    )


def test_a_package_adds_a_format_to_every_process(beside: Path) -> None:
    done = run(beside, "-c", USE, str(beside))
    assert not done.returncode, done.stderr
    assert json.loads(done.stdout) == {
        "columns": [["said", "Nullable(String)"]],
        "rows": 3,
        "uploads": ["lines", "Lines", True],
        "option": True,
        "told": True,
    }


def test_the_command_line_takes_the_format(beside: Path) -> None:
    shown = run(beside, "-m", "cli", "inspect", str(beside / "x.lines"), "--format", "lines")
    assert not shown.returncode, shown.stderr
    assert "line" in shown.stdout
    assert "Nullable(String)" in shown.stdout


def test_without_the_package_a_table_of_the_format_says_what_is_missing() -> None:
    with pytest.raises(UnsupportedError, match="'Lines', which this worker does not know") as error:
        format_of("Lines")
    assert error.value.code == "unknown_format"
    assert format_of("Parquet") is TableFormat.PARQUET


def added(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> Callable[[], list[tuple[str, Facts]]]:
    """What is yielded where one package adds that entry point."""
    point = EntryPoint(name, value, module.GROUP)
    monkeypatch.setattr(module, "entry_points", lambda **_: [point])
    known: list[Any] = [(each.value, each.facts) for each in TableFormat]
    return lambda: list(installed(known))


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("parquet", "stocktake.schema.formats:_CSV", "there is a format of that name"),
        ("Two Words", "stocktake.schema.formats:_CSV", "its name must be"),
        ("ANameOfMoreThanTwenty", "stocktake.schema.formats:_CSV", "its name must be"),
        ("Other", "stocktake.schema.formats:_PARQUET", "called 'parquet' in uploads"),
        ("Other", "stocktake.schema.formats:MANAGED", "is no stocktake.schema.facts.Facts"),
        ("Other", "no_such_module:FACTS", "cannot be loaded: No module named 'no_such_module'"),
        ("Other", "stocktake.schema.formats:NOTHING", "cannot be loaded"),
    ],
)
def test_a_format_that_cannot_be_used_is_told_at_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str
) -> None:
    with pytest.raises(InstalledFormatError, match=f"adds the format '{name}'.*{why}"):
        added(monkeypatch, name, value)()


def test_a_format_that_can_be_used_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    [(name, facts)] = added(monkeypatch, "Other", "stocktake.schema.formats:_CSV")()
    assert (name, facts) == ("Other", TableFormat.CSV.facts)
