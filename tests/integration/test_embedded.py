"""The embedded broker, the supervisor of child processes, and what a first run makes."""

import os
import secrets
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest
import redis
from alembic.script import ScriptDirectory

from servers.process import HOST, PATIENCE_SECONDS, Server, free_ports
from servers.service import environment
from stocktake.db import migrate
from stocktake.db.models import StoredCredential, new_id
from stocktake.db.session import Database
from stocktake.errors import CommandError
from stocktake.security.encryption import AccessPair, Keyring
from stocktake.services import identity
from tests.support.stack import wait_until
from workers.stack import first_run, ports
from workers.stack.stack import Options, Stack
from workers.stack.supervision import Child, Program, stop
from workers.stack.valkey import broker_command


class Broker(Server):
    """``python -m workers.stack.stack broker``, as the Procfile starts it."""

    name = "broker"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        [self.port] = self.take_ports(1)
        self.password = secrets.token_urlsafe(8) + '"\\ä'

    def command(self) -> list[str]:
        return [sys.executable, "-m", "workers.stack.stack", "broker"]

    def environment(self) -> dict[str, str]:
        url = f"redis://:{quote(self.password)}@{HOST}:{self.port}/0"
        return dict(os.environ) | {
            "STOCKTAKE_BROKER_URL": url,
            "STOCKTAKE_DATA_DIR": str(self.folder / "data"),
        }

    def client(self) -> redis.Redis:
        return redis.Redis(host=HOST, port=self.port, password=self.password)

    def answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


# --- broker -------------------------------------------------------------------------------


def test_the_broker_keeps_what_it_acknowledged_over_a_restart(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker:
        with broker.client() as client:
            client.rpush("interactive", "job")
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            wait_until(
                lambda: client.info("persistence")["aof_pending_bio_fsync"] == 0, "the fsync"
            )
        broker.restart()
        with broker.client() as client:
            assert client.lrange("interactive", 0, -1) == [b"job"]


def test_the_broker_wants_its_password_and_shows_it_to_nobody(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker:
        with pytest.raises(redis.AuthenticationError), redis.Redis(port=broker.port) as client:
            client.ping()
        assert broker.password not in " ".join(psutil.Process(broker.pid).cmdline())
        configuration = tmp_path / "data" / "broker" / "valkey.conf"
        assert stat.S_IMODE(configuration.stat().st_mode) == 0o600


@pytest.mark.parametrize("url", ["redis://broker.corp:6379/0", "amqp://127.0.0.1", "rediss://x"])
def test_a_broker_elsewhere_is_not_started_here(url: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="STOCKTAKE_BROKER_URL"):
        broker_command(url, tmp_path)


# --- supervision --------------------------------------------------------------------------


def _child(folder: Path, script: str) -> Child:
    program = Program(name="probe", command=(sys.executable, "-c", script), environment={})
    return Child(program, folder, folder / "probe.log")


def test_a_dead_child_is_started_again_after_a_pause(tmp_path: Path) -> None:
    child = _child(tmp_path, "import time; time.sleep(100)")
    first = child.pid
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: child.exit_status is not None, "the death")

    news = child.restart_if_dead()

    assert news is not None
    assert "probe ended (-9)" in news
    assert child.restart_if_dead() is None
    wait_until(
        lambda: child.restart_if_dead() is None and child.exit_status is None, "the new process"
    )
    assert child.pid != first
    stop([child], patience_seconds=PATIENCE_SECONDS)


def test_each_death_in_a_row_makes_the_pause_longer(tmp_path: Path) -> None:
    child = _child(tmp_path, "raise SystemExit(3)")
    news: list[str] = []

    def collect() -> bool:
        if said := child.restart_if_dead():
            news.append(said)
        return len(news) == 2

    wait_until(collect, "two deaths")
    stop([child], patience_seconds=PATIENCE_SECONDS)

    assert [line.rpartition(" in ")[2] for line in news] == ["0.5 s", "1 s"]


def test_a_child_that_will_not_end_is_killed_with_what_it_forked(tmp_path: Path) -> None:
    script = (
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "os.fork(); print('deaf', flush=True); time.sleep(100)"
    )
    child = _child(tmp_path, script)
    wait_until(lambda: child.log_tail().count("deaf") == 2, "both processes")
    family = [psutil.Process(child.pid), *psutil.Process(child.pid).children()]
    assert len(family) == 2

    stop([child], patience_seconds=0.1)

    _, left = psutil.wait_procs(family, timeout=PATIENCE_SECONDS)
    assert not left


def test_a_child_ends_with_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; "
        "from workers.stack.supervision import Child, Program; "
        "program = Program(name='x', command=(sys.executable, '-c', 'import time;"
        " time.sleep(100)'), environment={}); folder = Path(sys.argv[1]); "
        "print(Child(program, folder, folder / 'log').pid, flush=True); time.sleep(100)"
    )
    supervisor = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with supervisor:
        assert supervisor.stdout is not None
        child = psutil.Process(int(supervisor.stdout.readline()))
        supervisor.kill()

    _, left = psutil.wait_procs([child], timeout=PATIENCE_SECONDS)
    assert not left


# --- first run ----------------------------------------------------------------------------


def test_secrets_are_drawn_once(tmp_path: Path) -> None:
    made = first_run.load_secrets(tmp_path)

    assert first_run.load_secrets(tmp_path) == made
    assert made.secret_key not in repr(made)


def test_no_key_is_drawn_where_credentials_need_the_lost_one(tmp_path: Path) -> None:
    first_run.prepare_database(f"sqlite:///{tmp_path / 'stocktake.db'}", tmp_path)
    Stack(Options(data_dir=tmp_path, port=0), print).stop()  # nothing is lost yet
    key = (tmp_path / "secret_key").read_text()
    _store_credential(tmp_path / "stocktake.db", key.strip())
    Stack(Options(data_dir=tmp_path, port=0), print).stop()
    (tmp_path / "secret_key").unlink()

    with pytest.raises(CommandError, match=f"'{key.partition(':')[0]}'.*stocktake keys make"):
        Stack(Options(data_dir=tmp_path, port=0), print)

    assert not (tmp_path / "secret_key").exists()
    given = {"STOCKTAKE_SECRET_KEYS": key.strip()}
    Stack(Options(data_dir=tmp_path, port=0, environment=given), print).stop()


def _store_credential(file: Path, key: str) -> None:
    database, row_id = Database(f"sqlite:///{file}"), new_id()
    pair = AccessPair(access_key="AK", access_secret="SK")
    sealed = Keyring([key]).seal(pair, project_id=1, credential_id=row_id)
    with database.write() as session:
        session.add(
            StoredCredential(
                id=row_id, project_id=1, key_id=sealed.key_id, ciphertext=sealed.ciphertext
            )
        )
    database.dispose()


def test_drawn_keys_have_names_of_their_own(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()

    drawn = [first_run.load_secrets(folder).secret_key for folder in folders]

    assert len({Keyring([key]).first for key in drawn}) == 2


def test_a_key_that_another_database_does_not_know_is_replaced(tmp_path: Path) -> None:
    old, new = (f"sqlite:///{tmp_path / name}.db" for name in ("old", "new"))
    first_run.prepare_database(old, tmp_path)
    before = (tmp_path / "api_key").read_text()

    again = first_run.prepare_database(old, tmp_path)
    unchanged = (tmp_path / "api_key").read_text()
    other = first_run.prepare_database(new, tmp_path)

    assert unchanged == before
    assert again.id == 1
    assert (tmp_path / "api_key").read_text() != before
    database = Database(new)
    with database.read() as session:
        caller = identity.authenticate(session, other.key_file.read_text().strip())
    database.dispose()
    assert caller.project_ids == (other.id,)


def test_a_restored_database_keeps_its_one_project(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'restored.db'}"
    made = first_run.prepare_database(url, tmp_path)
    (tmp_path / "api_key").unlink()

    again = first_run.prepare_database(url, tmp_path)

    assert again.id == made.id
    database = Database(url)
    with database.write() as session:
        caller = identity.authenticate(session, again.key_file.read_text().strip())
        assert caller.project_ids == (made.id,)
        other = identity.create_project(session, "Another")
    again.key_file.unlink()
    assert first_run.prepare_database(url, tmp_path).id not in (made.id, other.id)
    database.dispose()


def test_a_data_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "taken"
    file.write_text("")

    with pytest.raises(CommandError, match="--data-dir"):
        first_run.open_data_dir(file)


def test_another_port_is_found_where_one_will_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]

        assert ports.usable_port(port, or_another=True) != port
        with pytest.raises(CommandError, match=str(port)):
            ports.usable_port(port)


def test_item_12_a_port_that_another_stack_takes_first_moves_flower_and_ends_nothing(
    tmp_path: Path,
) -> None:
    told: list[str] = []
    [port] = free_ports(1)
    options = Options(data_dir=tmp_path, port=0, flower_port=port, environment=environment({}))
    with Stack(options, told.append) as stack, socket.socket() as other:
        assert stack.addresses.flower == f"http://{HOST}:{port}"
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((HOST, port))
        other.listen()
        stack.start()

        moved = str(stack.addresses.flower).rpartition(":")[2]
        assert len(told) == 1
        assert told[0].startswith(f"Port {port} is taken; Flower gets {moved}. --flower-port asks")
        assert moved != str(port)


# --- migrations ---------------------------------------------------------------------------


def test_the_newest_revision_is_the_one_that_alembic_calls_head() -> None:
    head = ScriptDirectory.from_config(migrate.config("sqlite://")).get_current_head()

    assert migrate.newest() == head


def test_a_database_is_pending_until_it_is_upgraded(database_url: str) -> None:
    database = Database(database_url)

    before = migrate.pending(database.engine)
    migrate.upgrade(database_url)
    after = migrate.pending(database.engine)

    database.dispose()
    assert (before, after) == (True, False)
