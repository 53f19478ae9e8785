"""`stocktake demo` tells its story and leaves nothing behind."""

from pathlib import Path

import pytest

from tests.support.commands import stocktake


@pytest.mark.slow
def test_the_demo_succeeds_and_cleans_up(tmp_path: Path) -> None:
    done = stocktake("demo", folder=tmp_path, more={"TMPDIR": str(tmp_path)})

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for kind in ("delta", "parquet", "csv", "json"):
        for place in ("store", "disk"):
            assert f"airports_{kind}_{place}: " in done.stdout
    assert "+ tz  Nullable(String)" in done.stdout
    assert not list(tmp_path.iterdir())
