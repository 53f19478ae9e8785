"""`stocktake up` as a real process, and the commands that talk to it."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from servers.process import HOST, PATIENCE_SECONDS
from servers.service import Up, environment
from tests.support.commands import stocktake
from tests.support.stack import wait_until

#: broker, worker and three children (one in reserve) with their guard, web, clock, Flower
PROCESSES = 9
EXAMPLE = Path(__file__).parents[2] / "examples" / "refresh_and_wait.py"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A running stack that no test stops."""
    with Up(tmp_path_factory.mktemp("up")) as running:
        yield running


@pytest.fixture
def own_up(tmp_path: Path) -> Iterator[Up]:
    """A running stack of this test's own."""
    with Up(tmp_path) as running:
        yield running


def _get(url: str, headers: dict[str, str] | None = None) -> str:
    request = urllib.request.Request(url, headers=headers or {})
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        return str(answer.read().decode())


def _descendants(up: Up) -> list[psutil.Process]:
    return psutil.Process(up.pid).children(recursive=True)


def _delta(up: Up, name: str, **columns: pa.Array) -> str:
    folder = up.sources / name
    write_deltalake(str(folder), pa.table(columns), mode="append", schema_mode="merge")
    return f"file://{folder}"


def _run(up: Up, *arguments: str) -> str:
    done = stocktake(*arguments, folder=up.folder, settings=up.client_settings())
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


# --- the stack ----------------------------------------------------------------------------


def test_up_is_ready_when_it_says_so(up: Up) -> None:
    ready = json.loads(_get(f"{up.url}/readyz"))

    assert ready["status"] == "ok"
    assert up.output().count("ready ") == 1
    assert len(_descendants(up)) == PROCESSES

    # It finds the broker and the secrets that this stack made for itself.
    here = {"DATA_DIR": str(up.data_dir)}
    examined = stocktake("doctor", "--json", folder=up.folder, settings=here)
    assert json.loads(examined.stdout)["healthy"], examined.stdout


def test_flower_shows_workers_and_tasks_to_who_has_the_password(up: Up) -> None:
    flower = next(line.split()[1] for line in up.output().splitlines() if "Flower" in line)
    password = (up.data_dir / "flower_password").read_text().strip()
    login = {"Authorization": "Basic " + b64encode(f"stocktake:{password}".encode()).decode()}
    url = _delta(up, "seen", id=pa.array([1], pa.int64()))
    _run(up, "tables", "add", "seen", "--format", "Delta", "--url", url, "--wait")

    shown = json.loads(_run(up, "tables", "show", "seen", "--json"))
    job_id = shown["latest_job"]["id"]

    def outcome() -> tuple[str, str, str] | None:
        task = json.loads(_get(f"{flower}/api/tasks", login)).get(job_id)
        return task and (task["name"], task["state"], task["result"])

    wait_until(lambda: outcome() == ("refresh_schema", "SUCCESS", "'seen'"), "the job in Flower")
    assert len(json.loads(_get(f"{flower}/api/workers?refresh=1", login))) == 1
    for path in ("/api/tasks", "/healthcheck"):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            _get(f"{flower}{path}")


def test_secrets_are_readable_by_their_owner_only(up: Up) -> None:
    secrets = ("api_key", "secret_key", "broker_password", "flower_password", "broker/url")
    for name in (*secrets, "stocktake.db", "logs/web.log"):
        assert stat.S_IMODE((up.data_dir / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE((up.data_dir / "broker" / "valkey.conf").stat().st_mode) == 0o600


def test_no_secret_is_in_a_command_line_or_on_the_terminal(up: Up) -> None:
    names = ("api_key", "secret_key", "broker_password", "flower_password", "broker/url")
    secrets = [(up.data_dir / name).read_text().strip() for name in names]
    shown = [up.output(), *(" ".join(process.cmdline()) for process in _descendants(up))]

    assert not [secret for secret in secrets for text in shown if secret in text]


def test_every_server_listens_on_this_machine_only(up: Up) -> None:
    listening = [
        connection.laddr.ip
        for process in _descendants(up)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]

    assert set(listening) == {HOST}


def test_a_second_stack_on_the_same_data_is_refused(up: Up) -> None:
    second = stocktake("up", "--port", "0", "--data-dir", str(up.data_dir), folder=up.folder)

    assert second.returncode == 1
    assert "--data-dir" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_port_that_is_taken_is_named(up: Up, tmp_path: Path) -> None:
    port = up.url.rpartition(":")[2]

    second = stocktake("up", "--port", port, "--data-dir", str(tmp_path / "other"), folder=tmp_path)

    assert second.returncode == 1
    assert f"Port {port}" in second.stderr
    assert "--port" in second.stderr


@pytest.fixture
def asked_up(tmp_path: Path) -> Iterator[Up]:
    """A stack that the test starts, with options of its own."""
    running = Up(tmp_path)
    yield running
    running.stop()


def _flower_of(up: Up) -> str | None:
    lines = [line.split() for line in up.output().splitlines() if line.startswith("  Flower ")]
    return lines[0][1] if lines else None


def test_item_12_two_stacks_beside_each_other_have_a_flower_each(up: Up, asked_up: Up) -> None:
    taken = str(_flower_of(up)).rpartition(":")[2]
    asked_up.options = ("--flower-port", taken)
    asked_up.start()

    other = _flower_of(asked_up)
    assert other is not None
    assert not other.endswith(taken)
    assert f"Port {taken} is taken; Flower gets {other.rpartition(':')[2]}." in asked_up.output()
    for flower, folder in ((_flower_of(up), up.data_dir), (other, asked_up.data_dir)):
        password = (folder / "flower_password").read_text().strip()
        login = {"Authorization": "Basic " + b64encode(f"stocktake:{password}".encode()).decode()}
        assert _get(f"{flower}/healthcheck", login) == "OK"


def test_item_12_without_flower_no_monitor_runs(asked_up: Up) -> None:
    asked_up.options = ("--no-flower",)
    asked_up.start()

    assert json.loads(_get(f"{asked_up.url}/readyz"))["status"] == "ok"
    assert len(_descendants(asked_up)) == PROCESSES - 1
    assert _flower_of(asked_up) is None


def test_a_monitor_that_cannot_start_does_not_end_the_service(asked_up: Up) -> None:
    asked_up.data_dir.mkdir()
    (asked_up.data_dir / "flower_password").write_text("pässword\n")  # which it does not take
    asked_up.start()

    assert json.loads(_get(f"{asked_up.url}/readyz"))["status"] == "ok"
    assert "Flower did not start, and the service runs without it." in asked_up.output()
    assert "Flower needs a login" in asked_up.output()  # the end of its log
    assert len(_descendants(asked_up)) == PROCESSES - 1
    assert _flower_of(asked_up) is None


def test_a_worker_that_is_killed_is_started_again(up: Up) -> None:
    [worker] = [
        process for process in psutil.Process(up.pid).children() if "worker" in process.cmdline()
    ]
    children = worker.children()

    worker.kill()

    _, left = psutil.wait_procs([worker, *children], timeout=PATIENCE_SECONDS)
    assert not left
    wait_until(lambda: len(_descendants(up)) == PROCESSES, "a new worker with its children")
    assert "worker ended" in up.output()


def test_sigterm_ends_all_and_the_next_start_finds_what_was_there(own_up: Up) -> None:
    url = f"file://{own_up.sources}/kept"
    _run(own_up, "tables", "add", "kept", "--format", "Delta", "--url", url)
    key = own_up.client_settings()["API_KEY"]
    children = _descendants(own_up)
    supervisor = psutil.Process(own_up.pid)

    own_up.stop()

    assert not [process for process in (supervisor, *children) if process.is_running()]
    own_up.start()
    assert own_up.client_settings()["API_KEY"] == key
    assert "kept" in _run(own_up, "tables", "list")


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_status_zero_even_while_it_starts(
    ending: signal.Signals, tmp_path: Path
) -> None:
    up = Up(tmp_path)
    up.prepare()
    process = psutil.Popen(up.command(), cwd=tmp_path, env=up.environment())
    wait_until(lambda: len(process.children()) > 1, "the first processes")
    children = process.children(recursive=True)

    process.send_signal(ending)

    assert process.wait(PATIENCE_SECONDS) == 0
    # One that was being forked at that moment ends by the parent-death signal.
    _, left = psutil.wait_procs(children, timeout=PATIENCE_SECONDS)
    assert not left


@pytest.mark.faults
def test_a_killed_parent_leaves_no_orphan(own_up: Up) -> None:
    children = _descendants(own_up)
    assert len(children) == PROCESSES

    os.kill(own_up.pid, signal.SIGKILL)

    _, left = psutil.wait_procs(children, timeout=PATIENCE_SECONDS)
    assert not left


# --- commands -----------------------------------------------------------------------------


def test_a_table_is_added_refreshed_and_shown(up: Up) -> None:
    url = _delta(up, "orders", id=pa.array([1, 2], pa.int64()))
    add = _run(up, "tables", "add", "orders", "--format", "Delta", "--url", url, "--wait")
    [table] = [
        one for one in json.loads(_run(up, "tables", "list", "--json")) if one["name"] == "orders"
    ]
    assert add == f"Added orders ({table['id']}): 1 column.\n"
    _delta(up, "orders", id=pa.array([3], pa.int64()), note=pa.array(["x"]))

    refreshed = _run(up, "refresh", "orders", "--wait")

    assert "orders: additive" in refreshed
    assert "+ note  Nullable(String)" in refreshed
    shown = _run(up, "tables", "show", "orders")
    assert "note" in shown
    assert "orders" in _run(up, "tables", "list")


def test_a_refresh_that_fails_says_why_and_ends_with_status_one(up: Up) -> None:
    _run(up, "tables", "add", "gone", "--format", "Delta", "--url", f"file://{up.sources}/gone")

    done = stocktake("refresh", "gone", "--wait", folder=up.folder, settings=up.client_settings())

    assert done.returncode == 1
    assert "gone: failed, source_not_found" in done.stdout
    assert "  Check the path in the URL pattern. A folder of files needs a glob" in done.stdout


def _refused(up: Up, *arguments: str) -> str:
    done = stocktake(*arguments, folder=up.folder, settings=up.client_settings())
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_an_add_that_waits_says_what_to_do_about_a_failed_read(up: Up) -> None:
    source = ("--format", "parquet", "--url", f"file://{up.sources}")

    said = _refused(up, "tables", "add", "folder", *source, "--wait")

    assert "A folder of files needs a glob" in said
    assert "folder" not in _run(up, "tables", "list")


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("/data/orders", "file:///PATH"),
        ("s3://bucket/orders", "https://BUCKET.s3.REGION.amazonaws.com"),
        ("https://b.s3.amazonaws.com/orders", "--access-key"),
    ],
)
def test_a_registration_that_is_refused_names_what_to_type(up: Up, url: str, hint: str) -> None:
    assert hint in _refused(up, "tables", "add", "x", "--format", "Delta", "--url", url)


def test_the_example_registers_refreshes_and_prints_what_changed(up: Up) -> None:
    def run() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, str(EXAMPLE), "shown", "Delta", f"file://{up.sources}/shown"],
            check=False,
            capture_output=True,
            text=True,
            env=environment(up.client_settings()),
            timeout=PATIENCE_SECONDS,
        )

    missing = run()
    _delta(up, "shown", id=pa.array([1], pa.int64()))
    first = run()
    _delta(up, "shown", id=pa.array([2], pa.int64()), note=pa.array(["x"]))
    second = run()

    assert missing.returncode == 1
    assert "not registered: The folder has no Delta log" in missing.stderr
    assert first.stdout == "registered, 1 columns\nnone, 1 columns\n", first.stderr
    assert second.stdout == "additive, 2 columns\n+ note  Nullable(String)\n", second.stderr


def test_the_example_says_what_it_wants(tmp_path: Path) -> None:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, str(EXAMPLE), *arguments],
            check=False,
            capture_output=True,
            text=True,
            env=environment({}),
            timeout=PATIENCE_SECONDS,
        )

    for done, words in (
        (run(), "required: name, format, url"),
        (run("shown", "Delta", "file:///x"), "STOCKTAKE_API_KEY"),
    ):
        assert done.returncode == 2
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_a_refresh_of_a_table_without_an_accepted_upload_says_so(up: Up) -> None:
    client = up.client_settings()
    failed = httpx.post(
        f"{up.url}/api/projects/@current/warehouse_tables/file/",
        headers={"Authorization": f"Bearer {client['API_KEY']}", "Prefer": "wait=30"},
        files={"file": ("never.csv", b"")},
    )
    assert failed.json()["latest_job"]["state"] == "failed"

    assert "no upload was accepted" in _refused(up, "refresh", "never", "--wait")


def test_options_reach_the_reader(up: Up) -> None:
    (up.sources / "semicolons.csv").write_text("a;b,c\n1;2\n")
    source = ("--format", "csvwithnames", "--url", f"file://{up.sources}/semicolons.csv")
    options = ("--option", "csv_delimiter=;", "--option", "validate=false")

    _run(up, "tables", "add", "semicolons", *source, *options, "--wait")

    table = json.loads(_run(up, "tables", "show", "semicolons", "--json"))
    assert [column["name"] for column in table["columns"]] == ["a", "b,c"]
    assert table["options"] == {"csv_delimiter": ";", "validate": False}
    refused = _refused(up, "tables", "add", "x", *source, "--option", "csv_delimiter=;;")
    assert "Error: options.csv_delimiter: Option" in refused


def test_a_table_and_a_schedule_are_removed_by_name(up: Up) -> None:
    url = f"file://{up.sources}/removed"
    _run(up, "tables", "add", "removed", "--format", "Delta", "--url", url)
    _run(up, "schedules", "add", "removed", "--cron", "0 6 1 1 *", "--table", "removed")

    for kind in ("schedules", "tables"):
        assert "say --yes" in _refused(up, kind, "remove", "removed")
    again = ("schedules", "add", "removed", "--cron", "@daily", "--all")
    assert "There is a schedule 'removed' already" in _refused(up, *again)
    assert _run(up, "schedules", "remove", "removed", "--yes") == "Removed removed.\n"
    assert _run(up, "tables", "remove", "removed", "--yes") == "Removed removed.\n"

    assert "There is no table 'removed'" in _refused(up, "tables", "remove", "removed")
    assert "There is no schedule 'removed'" in _refused(up, "schedules", "remove", "removed")


def test_an_ended_job_is_done_again_and_not_cancelled(up: Up) -> None:
    url = _delta(up, "again", id=pa.array([1], pa.int64()))
    _run(up, "tables", "add", "again", "--format", "Delta", "--url", url, "--wait")
    [job] = json.loads(_run(up, "jobs", "list", "--table", "again", "--json"))

    new = _run(up, "jobs", "retry", job["id"]).split()[1]

    assert "succeeded" in _run(up, "jobs", "watch", new)
    assert new != job["id"]
    assert "ended" in _refused(up, "jobs", "cancel", job["id"])
    for action in ("show", "watch", "cancel", "retry"):
        assert "There is no job 'x/y'" in _refused(up, "jobs", action, "x/y")


def test_progress_is_plain_lines_where_there_is_no_terminal(up: Up) -> None:
    url = _delta(up, "plain", id=pa.array([1], pa.int64()))
    _run(up, "tables", "add", "plain", "--format", "Delta", "--url", url, "--wait")

    refreshed = _run(up, "refresh", "plain", "--wait")

    assert "1/1 done" in refreshed
    assert "\x1b" not in refreshed


def test_jobs_are_listed_watched_and_shown(up: Up) -> None:
    url = _delta(up, "watched", id=pa.array([1], pa.int64()))
    _run(up, "tables", "add", "watched", "--format", "Delta", "--url", url, "--wait")

    [job] = json.loads(_run(up, "jobs", "list", "--table", "watched", "--json"))

    assert "succeeded" in _run(up, "jobs", "watch", job["id"])
    shown = _run(up, "jobs", "show", job["id"])
    assert "refresh_schema" in shown
    assert re.search(
        r"^Attempt 1\tsucceeded\n\t\S+ \S+Z to \S+ \S+Z on worker@\S+/\d+$", shown, re.MULTILINE
    )
    assert job["id"] in _run(up, "jobs", "list")


def test_a_schedule_is_added_and_listed(up: Up) -> None:
    assert "Added nightly" in _run(
        up, "schedules", "add", "nightly", "--cron", "0 6 * * *", "--all"
    )
    listed = _run(up, "schedules", "list")
    [schedule] = json.loads(_run(up, "schedules", "list", "--json"))
    [row] = [line for line in listed.splitlines() if line.startswith("nightly")]
    assert row.split("\t")[1:4] == ["0 6 * * *", "UTC", "all"]
    assert row.split("\t")[-1] == schedule["id"]


def test_a_schedule_that_means_no_table_yet_says_so(up: Up) -> None:
    done = stocktake(
        *("schedules", "add", "early", "--cron", "@daily", "--glob", "not_yet_*"),
        folder=up.folder,
        settings=up.client_settings(),
    )
    assert done.returncode == 0
    assert "No table is meant by it yet (not_yet_*)" in done.stderr


def test_projects_and_keys_are_made_beside_a_running_stack(up: Up) -> None:
    settings = {"DATA_DIR": str(up.data_dir)}
    project = stocktake("projects", "create", "Second", folder=up.folder, settings=settings)
    key = stocktake(
        *("keys", "create", "--project", project.stdout.strip()),
        *("--scopes", "warehouse_table:read"),
        folder=up.folder,
        settings=settings,
    )
    client = {"URL": up.url, "API_KEY": key.stdout.strip()}

    listed = stocktake("tables", "list", "--json", folder=up.folder, settings=client)
    refused = stocktake("refresh", "--all", folder=up.folder, settings=client)

    assert json.loads(listed.stdout) == []
    assert refused.returncode == 1
    assert "warehouse_table:write" in refused.stderr


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"API_KEY": "stk_unknown"}, "does not know this API key"),
        ({"PROJECT_ID": "999"}, "STOCKTAKE_PROJECT_ID"),
        ({"PROJECT_ID": "../x"}, "STOCKTAKE_PROJECT_ID"),
    ],
)
def test_a_refusal_says_what_to_do(up: Up, settings: dict[str, str], words: str) -> None:
    done = stocktake("tables", "list", folder=up.folder, settings=up.client_settings() | settings)

    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_managed_table_is_merged_maintained_and_taken_back(up: Up) -> None:
    settings = up.client_settings()

    def load(text: bytes, **form: str) -> None:
        answer = httpx.post(
            f"{up.url}/api/projects/@current/warehouse_tables/file/",
            headers={"Authorization": f"Bearer {settings['API_KEY']}", "Prefer": "wait=30"},
            data={"name": "ledger", "target": "delta"} | form,
            files={"file": ("ledger.csv", text)},
            timeout=2 * PATIENCE_SECONDS,
        )
        assert answer.status_code == 201, answer.text

    def fields(*arguments: str) -> list[list[str]]:
        return [line.split() for line in _run(up, *arguments).splitlines()]

    load(b"id,note\n1,one\n2,two\n")
    load(b"id,note\n2,zwei\n3,drei\n", mode="merge", key="id")
    assert ["Rows", "3"] in fields("tables", "show", "ledger")
    maintained = _run(up, "tables", "maintain", "ledger").split()[1]
    assert ["Files", "1"] in fields("jobs", "watch", maintained)
    restored = _run(up, "tables", "restore", "ledger", "--yes").split()[1]
    assert ["Rows", "2"] in fields("jobs", "watch", restored)
    _run(up, "tables", "remove", "ledger", "--yes")


def test_a_file_is_judged_and_then_sent_with_its_types_and_options(up: Up) -> None:
    file = up.folder / "zips.csv"
    file.write_text("zip;n\n02139;1\n")
    sent = ("upload", str(file), "--target", "delta", "--option", "csv_delimiter=;")

    judged = _run(up, *sent, "--type", "zip=string", "--dry-run")
    assert judged.splitlines()[0] == "zips: additive"
    assert "It would be taken, with 1 row. Nothing was changed." in judged
    refused = _refused(up, *sent, "--type", "zip=integer", "--dry-run")
    assert "It would be refused: zips.csv, line 2: column 'zip' holds 02139" in refused
    assert "zips" not in _run(up, "tables", "list")

    assert "zips has 1 row." in _run(up, *sent, "--type", "zip=string", "--wait")
    assert "zips has 2 rows." in _run(up, "upload", str(file), "--target", "delta", "--wait")
    _run(up, "tables", "remove", "zips", "--yes")
