"""Every package says what lives in it, and the wheel holds what service and demo need, no more."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT: Final = Path(__file__).parents[2]
ROOMS: Final = ("api", "benchmarks", "cli", "servers", "stocktake", "tasks", "tests", "workers")
#: Loaded by their paths, and imported by nobody.
SCRIPTS: Final = ("stocktake/db/migrations", "tests/acceptance/clients")
FOLDERS: Final = {
    file.parent.relative_to(ROOT).as_posix()
    for room in ROOMS
    for file in (ROOT / room).rglob("*.py")
}
PACKAGES: Final = sorted(each for each in FOLDERS if not each.startswith(SCRIPTS))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_in_a_sentence_or_two_what_lives_there(package: str) -> None:
    said = ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text()))
    assert said is not None
    first = said.partition("\n\n")[0]
    assert first.endswith("."), first
    assert len(said) >= 20, said


def test_the_architecture_names_every_room() -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    rooms = [each for each in PACKAGES if each.startswith("stocktake/") and each.count("/") == 1]
    assert [each for each in [*rooms, *ROOMS] if f"`{each}/`" not in page] == []


def shipped() -> set[str]:
    """The paths of all files that the wheel gets."""
    builder = WheelBuilder(str(ROOT))
    return {each.distribution_path for each in builder.recurse_included_files()}


def loaded_by(statement: str) -> set[str]:
    """The files of this checkout that a new process has loaded after it."""
    ours = (
        "import sys\n"
        "for each in list(sys.modules.values()): print(getattr(each, '__file__', None) or '')"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\n{ours}"],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    found = (Path(line) for line in done.stdout.splitlines())
    return {
        path.relative_to(ROOT).as_posix()
        for path in found
        if path.is_relative_to(ROOT) and not path.is_relative_to(sys.prefix)
    }


def test_the_wheel_has_all_that_the_demo_loads() -> None:
    loaded = loaded_by("import cli.demo.story, cli.demo.sources")
    assert "servers/seaweedfs.py" in loaded
    assert loaded <= shipped()


def test_the_wheel_has_no_part_for_development() -> None:
    rooms = {path.partition("/")[0] for path in shipped()}
    assert rooms == {"api", "cli", "servers", "stocktake", "tasks", "workers"}
    assert "servers/postgres.py" not in shipped()


def test_the_image_is_built_from_all_that_the_wheel_has() -> None:
    let_in = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    assert {path.partition("/")[0] for path in shipped()} <= let_in
