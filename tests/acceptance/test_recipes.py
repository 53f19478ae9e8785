"""The recipes of `docs/ARCHITECTURE.md`, followed to the letter: a copy of the source with what the
page says written into it, and nothing else, runs as a service and is asked for what was added.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from servers.process import PATIENCE_SECONDS
from servers.service import Up, environment
from stocktake.schema.formats import TableFormat
from tests.support.commands import stocktake

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "stocktake", "tasks", "workers")
#: A block of Python that says in its first line where it belongs.
_BLOCK = re.compile(
    r"^```python\n# (\S+\.py)(?:, (?:below (\w+)|(at the end)))?\n(.*?)^```$", re.M | re.S
)

#: Queues a job of the new kind as a service does; its id.
_QUEUE = """
import sys
from uuid import UUID
from stocktake.db.models import Table
from stocktake.db.session import Database
from stocktake.jobs.queueing import JobRequest, enqueue
from stocktake.settings import Settings
from stocktake.states import JobKind, Queue
from tasks.doorbell import CeleryDoorbell

doorbell = CeleryDoorbell(Settings())
database = Database(Settings().database_url, doorbell.ring)
with database.write() as session:
    table = session.get_one(Table, UUID(sys.argv[1]))
    job = enqueue(
        session,
        JobRequest(
            project_id=table.project_id,
            kind=JobKind.COUNT_COLUMNS,
            queue=Queue.INTERACTIVE,
            max_attempts=3,
            table_id=table.id,
        ),
    ).job
    print(job.id)
doorbell.close()
"""


def follow(page: str, tree: Path) -> list[str]:
    """Write what the page's blocks say into the tree; the files that it names."""
    named = []
    for path, anchor, at_end, code in _BLOCK.findall(page):
        file = tree / path
        named.append(path)
        if not anchor and not at_end:
            assert not file.exists(), f"{path} is there already"
            file.parent.mkdir(exist_ok=True)
            file.write_text(code)
            continue
        lines = file.read_text().splitlines(keepends=True)
        at = len(lines)
        if anchor:
            [at] = [n + 1 for n, line in enumerate(lines) if line.strip().startswith(f"{anchor} =")]
        lines.insert(at, code)
        file.write_text("".join(lines))
    return named


class Extended(Up):
    """`stocktake up` from a copy of the source that was added to."""

    def prepare(self) -> None:
        super().prepare()
        for package in PACKAGES:
            without = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / package, self.tree / package, ignore=without)
        self.named = follow((ROOT / "docs" / "ARCHITECTURE.md").read_text(), self.tree)
        self.variables = {"PYTHONPATH": str(self.tree)}

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    def run(self, *arguments: str) -> str:
        """What a command of the copy prints."""
        settings = self.client_settings()
        done = stocktake(*arguments, folder=self.folder, settings=settings, more=self.variables)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def queue(self, table_id: str) -> str:
        """The id of a new job of the new kind."""
        settings = {
            "DATABASE_URL": f"sqlite:///{self.data_dir / 'stocktake.db'}",
            "BROKER_URL": (self.data_dir / "broker" / "url").read_text().strip(),
        }
        done = subprocess.run(
            [sys.executable, "-P", "-c", _QUEUE, table_id],
            check=False,
            capture_output=True,
            text=True,
            env=environment(settings) | self.variables,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()[0]


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Extended]:
    """The service with the new format and the new kind of job."""
    with Extended(tmp_path_factory.mktemp("recipes")) as running:
        yield running


@pytest.fixture
def client(extended: Extended) -> Iterator[httpx.Client]:
    """The API, with a key; uploads are waited for."""
    headers = {
        "Authorization": f"Bearer {extended.client_settings()['API_KEY']}",
        "Prefer": f"wait={PATIENCE_SECONDS}",
    }
    base = f"{extended.url}/api/projects/1/"
    with httpx.Client(base_url=base, headers=headers, timeout=PATIENCE_SECONDS) as opened:
        yield opened


def table(client: httpx.Client, name: str) -> Any:
    [found] = client.get("warehouse_tables/", params={"search": name}).json()["results"]
    return found


def names(table: Any) -> list[str]:
    return [column["name"] for column in table["columns"]]


def test_the_recipes_are_a_folder_and_a_member_and_two_files_and_a_member(
    extended: Extended,
) -> None:
    assert sorted(extended.named) == [
        "stocktake/readers/lines/__init__.py",
        "stocktake/readers/lines/reader.py",
        "stocktake/runs/count_columns.py",
        "stocktake/schema/formats.py",
        "stocktake/schema/options.py",
        "stocktake/states.py",
        "tasks/count_columns.py",
    ]


def test_a_table_of_the_new_format_is_registered_refreshed_and_inspected(
    extended: Extended, client: httpx.Client
) -> None:
    (extended.sources / "a.lines").write_text("one\ntwo\n")
    url = f"file://{extended.sources}/*.lines"
    add = ("tables", "add", "told", "--format", "Lines", "--url", url, "--wait")
    extended.run(*add, "--option", "lines_column=said")

    first = table(client, "told")
    assert (first["format"], names(first)) == ("Lines", ["said"])
    assert first["latest_job"]["state"] == "succeeded"

    (extended.sources / "b.lines").write_text("three\n")
    extended.run("refresh", "told", "--wait")
    again = table(client, "told")
    assert again["source_version"] != first["source_version"]
    assert again["size_bytes"] == len("one\ntwo\nthree\n")
    # nothing was inferred, so nothing is validated
    kinds = {job["kind"] for job in client.get("jobs/").json()["results"]}
    assert "validate_columns" not in kinds

    files = str(extended.sources / "*.lines")
    seen = json.loads(extended.run("inspect", files, "--format", "Lines", "--json"))
    assert [(one["name"], one["clickhouse"]) for one in seen["columns"]] == [
        ("line", "Nullable(String)")
    ]
    assert seen["coverage"]["files_matched"] == 2


def test_a_file_of_the_new_format_becomes_a_table_and_rows(
    extended: Extended, client: httpx.Client
) -> None:
    file = {"file": ("notes.lines", b"one\ntwo\nthree\n")}
    kept = client.post("warehouse_tables/upload_file/", files=file).json()
    assert kept["file_format"] == "lines"
    made = client.post("warehouse_tables/create_from_upload/", json=kept | {"table_name": "notes"})
    assert made.status_code == 201, made.text

    for _ in range(2):
        form = {"name": "rows", "format": "Lines", "target": "delta"}
        assert client.post("warehouse_tables/file/", files=file, data=form).status_code == 201

    notes, rows = table(client, "notes"), table(client, "rows")
    assert (notes["format"], names(notes), notes["row_count"]) == ("Lines", ["line"], 3)
    assert (rows["format"], names(rows), rows["row_count"]) == ("Delta", ["line"], 6)


def test_the_new_format_is_described_and_its_option_checked(
    extended: Extended, client: httpx.Client
) -> None:
    described = httpx.get(f"{extended.url}/api/schema/").json()
    schemas = described["components"]["schemas"]
    assert "Lines" in schemas["TableFormat"]["enum"]
    assert "lines_column" in schemas["TableOptions"]["properties"]
    forms = {
        path.rpartition("warehouse_tables/")[2]: item["post"]["requestBody"]["content"]
        for path, item in described["paths"].items()
        if path.endswith(("warehouse_tables/file/", "upload_file/"))
    }
    fields = {
        path: form["multipart/form-data"]["schema"]["properties"] for path, form in forms.items()
    }
    assert "Lines" in fields["file/"]["format"]["enum"]
    assert "lines" in fields["upload_file/"]["file_format"]["enum"]

    body = {"name": "x", "format": "Lines", "url_pattern": f"file://{extended.sources}/*.lines"}
    refused = client.post("warehouse_tables/", json=body | {"options": {"lines_column": 7}})
    assert refused.json()["detail"] == "Option 'lines_column' must be a string."
    file = {"file": ("x.y", b"")}
    wrong = client.post("warehouse_tables/file/", files=file, data={"format": "lines"})
    assert wrong.json()["message"].endswith(", ".join(sorted([*TableFormat, "Lines"])))


def test_a_job_of_the_new_kind_is_done_by_a_worker(
    extended: Extended, client: httpx.Client
) -> None:
    (extended.sources / "c.lines").write_text("one\n")
    url = f"file://{extended.sources}/c.lines"
    extended.run("tables", "add", "counted", "--format", "Lines", "--url", url, "--wait")

    job_id = extended.queue(table(client, "counted")["id"])
    extended.run("jobs", "watch", job_id)

    job = client.get(f"jobs/{job_id}/").json()
    assert (job["kind"], job["state"]) == ("count_columns", "succeeded")
    assert job["result"] == {"columns": 1}
    again = client.post(f"jobs/{job_id}/retry/").json()
    assert (again["kind"], again["state"]) == ("count_columns", "succeeded")
