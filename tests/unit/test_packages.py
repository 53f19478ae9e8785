"""What the wheel holds is what the service and its demo need, and no more."""

import subprocess
import sys
from pathlib import Path
from typing import Final

from hatchling.builders.wheel import WheelBuilder

ROOT: Final = Path(__file__).parents[2]


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
    assert rooms == {"api", "servers", "stocktake", "tasks", "workers"}
    assert "servers/postgres.py" not in shipped()


def test_the_image_is_built_from_all_that_the_wheel_has() -> None:
    let_in = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    assert {path.partition("/")[0] for path in shipped()} <= let_in
