"""A run of the tests leaves nothing behind: not its servers, not chdb, not what was killed."""

import os
import subprocess
import sys
from pathlib import Path

from servers.process import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
#: A real ClickHouse in a child that ends without cleaning up, and a server that is killed.
LITTERING = (
    "tests/unit/readers/test_documented_types.py::test_known_difference_still_stands",
    "tests/integration/test_servers.py::test_stop_leaves_neither_process_nor_folder",
)


def test_a_run_leaves_nothing_in_the_folder_for_temporary_files(tmp_path: Path) -> None:
    here = {"TMPDIR": str(tmp_path), "PYTEST_DEBUG_TEMPROOT": "", "PYTEST_ADDOPTS": ""}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2", "-p", "no:cacheprovider", *LITTERING],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | here,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stdout
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []
    assert [path.name for path in tmp_path.iterdir() if "pytest-of-" not in path.name] == []
    assert list(ROOT.glob("clickhouse-embedded-*")) == []
