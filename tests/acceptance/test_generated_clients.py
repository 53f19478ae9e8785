"""Clients that public generators make of the description work against the service, as they are."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from servers.process import PATIENCE_SECONDS
from servers.service import Up

CLIENTS: Final = Path(__file__).parent / "clients"
#: `make setup` installs it, by the hashes of tests/openapi-python-client.lock.
PYTHON_GENERATOR: Final = Path(sys.prefix) / "openapi-python-client"
NODE_MODULES: Final = Path(__file__).parents[2] / ".tools/node_modules"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    running = Up(tmp_path_factory.mktemp("up"))
    running.options = ("--no-flower",)
    with running:
        yield running


@pytest.fixture
def asked(up: Up) -> list[str]:
    """What a client's script is given: the URL, a key of a project of its own, its folder."""
    settings = up.client_settings()
    folder = up.sources / os.urandom(4).hex()
    folder.mkdir()
    (folder / "1.csv").write_text("id;paid\n1;true\n2;false\n")
    return [up.url, settings["API_KEY"], str(folder)]


@pytest.fixture
def description(up: Up, tmp_path: Path) -> Path:
    """What `/api/schema/` answers, in a file."""
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(httpx.get(f"{up.url}/api/schema/").json()))
    return file


@pytest.fixture(autouse=True)
def emptied(up: Up) -> Iterator[None]:
    """Each client finds a project without tables."""
    yield
    headers = {"Authorization": f"Bearer {up.client_settings()['API_KEY']}"}
    with httpx.Client(base_url=f"{up.url}/api/projects/@current/", headers=headers) as client:
        for table in client.get("warehouse_tables/").json()["results"]:
            client.delete(f"warehouse_tables/{table['id']}/")


def _run(*command: str, folder: Path, **variables: str) -> str:
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=dict(os.environ) | variables,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(
    not PYTHON_GENERATOR.is_dir(), reason="openapi-python-client is missing: run `make setup`"
)
def test_item_15_openapi_python_client(description: Path, asked: list[str], tmp_path: Path) -> None:
    client = tmp_path / "stocktake_client"
    _run(
        *(sys.executable, "-m", "openapi_python_client", "generate", "--path", str(description)),
        *("--meta", "none", "--output-path", str(client), "--fail-on-warning"),
        folder=tmp_path,
        PYTHONPATH=str(PYTHON_GENERATOR),
        # It formats what it wrote.
        PATH=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
    )
    script = str(CLIENTS / "client.py")
    said = _run(sys.executable, "-P", script, *asked, folder=tmp_path, PYTHONPATH=str(tmp_path))
    assert said == "done\n"


@pytest.mark.skipif(
    shutil.which("node") is None or not (NODE_MODULES / "openapi-typescript").is_dir(),
    reason="Node 20 or openapi-typescript is missing: install Node and run `make tools`",
)
def test_item_15_openapi_typescript(description: Path, asked: list[str], tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shutil.copy(CLIENTS / "client.ts", tmp_path)
    binaries = tmp_path / "node_modules/.bin"
    _run(
        *(str(binaries / "openapi-typescript"), str(description)),
        *("--output", "schema.d.ts"),
        folder=tmp_path,
    )
    _run(
        *(str(binaries / "tsc"), "--strict", "--target", "es2022", "--module", "nodenext"),
        *("--types", "node", "client.ts"),
        folder=tmp_path,
    )
    assert _run("node", "client.js", *asked, folder=tmp_path) == "done\n"
