"""The servers that the other tests stand on start, answer, refuse strangers and leave nothing."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest
from obstore.exceptions import AlreadyExistsError, PermissionDeniedError
from obstore.store import S3Store
from sqlalchemy import create_engine, inspect, text

from servers.postgres import Postgres
from servers.process import (
    HOST,
    PATIENCE_SECONDS,
    Server,
    ServerDiedError,
    free_ports,
    release_ports,
)
from servers.seaweedfs import SeaweedFS
from servers.valkey import Valkey
from tests.support.azurite import Azurite
from tests.support.emptied import EmptiedDatabases

ROOT = Path(__file__).parents[2]


def _store(s3: SeaweedFS, bucket: str, access_key: str, secret_key: str) -> S3Store:
    return S3Store(
        bucket,
        endpoint=s3.endpoint,
        region=s3.region,
        access_key_id=access_key,
        secret_access_key=secret_key,
        client_options={"allow_http": True},
    )


def test_a_port_is_one_server_s_until_it_is_released() -> None:
    [port] = free_ports(1)

    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((HOST, port))  # as another process does that looks for one
    for _ in range(2):  # a server that comes back too
        with socket.create_server((HOST, port)) as server:
            socket.create_connection((HOST, port)).close()
            server.accept()[0].close()
    release_ports([port])
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # over what TIME_WAIT leaves
        other.bind((HOST, port))


def test_a_server_keeps_its_ports_until_it_is_stopped() -> None:
    server = Valkey()
    server.start()
    server.kill()

    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((HOST, server.port))
    server.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((HOST, server.port))


def test_valkey_keeps_what_it_acknowledged_over_a_kill() -> None:
    with Valkey() as server:
        with server.client() as client:
            client.rpush("queue", *range(200))
            client.waitaof(1, 0, 5000)
        server.restart()
        with server.client() as client:
            assert client.llen("queue") == 200


def test_paused_valkey_answers_again_after_resume() -> None:
    with Valkey() as server:
        server.pause()
        assert not server.answers()
        server.resume()
        assert server.answers()


def test_postgres_keeps_commits_over_a_kill() -> None:
    with Postgres() as server:
        url = server.create_database().replace("+psycopg", "")
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
        # The cluster runs with synchronous_commit off: a checkpoint puts the log on file.
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
        server.restart()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (7,)


def test_postgres_refuses_a_wrong_password(postgres: Postgres) -> None:
    scheme, _, rest = postgres.url().replace("+psycopg", "").partition("stocktake:")
    stranger = f"{scheme}stocktake:wrong@{rest.partition('@')[2]}"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(stranger)


def test_postgres_databases_do_not_see_each_other(postgres: Postgres) -> None:
    first, second = (postgres.create_database() for _ in range(2))
    for url in (first, second):
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            connection.execute("CREATE TABLE mine (n int)")
    postgres.drop_database(first)
    postgres.drop_database(second)


@pytest.mark.parametrize("changed", [None, "DROP TABLE counters", "ALTER TABLE users ADD n int"])
def test_an_emptied_database_is_as_new(
    changed: str | None, postgres: Postgres, migrated_postgres_template: str
) -> None:
    databases = EmptiedDatabases(postgres, migrated_postgres_template)
    url = databases.take().replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO users (uuid, first_name, last_name, email, created_at)"
            " VALUES (gen_random_uuid(), '', '', 'a@example.com', now())"
        )
        connection.execute(changed or "SELECT 1")
    forgotten = psycopg.connect(url)
    forgotten.execute("LOCK TABLE projects")
    databases.give_back(url.replace("postgresql:", "postgresql+psycopg:"))
    with pytest.raises(psycopg.OperationalError):
        forgotten.execute("SELECT 1")
    next_url = databases.take().replace("+psycopg", "")
    assert (next_url == url) is (changed is None)
    with psycopg.connect(next_url) as connection:
        assert connection.execute("SELECT count(*) FROM users").fetchone() == (0,)
        assert connection.execute("SELECT nextval('users_id_seq')").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)


def test_s3_gives_back_what_was_put(s3: SeaweedFS, bucket: str) -> None:
    store = _store(s3, bucket, s3.access_key, s3.secret_key)
    store.put("a/b.csv", b"n\n1\n")
    assert bytes(store.get("a/b.csv").bytes()) == b"n\n1\n"


def test_s3_refuses_a_second_put_that_must_create(s3: SeaweedFS, bucket: str) -> None:
    store = _store(s3, bucket, s3.access_key, s3.secret_key)
    store.put("once", b"1", mode="create")
    with pytest.raises(AlreadyExistsError):
        store.put("once", b"2", mode="create")


@pytest.mark.parametrize(
    ("wrong", "code"),
    [("access_key", "InvalidAccessKeyId"), ("secret_key", "SignatureDoesNotMatch")],
)
def test_s3_refuses_wrong_keys(s3: SeaweedFS, bucket: str, wrong: str, code: str) -> None:
    keys = {"access_key": s3.access_key, "secret_key": s3.secret_key, wrong: "0" * 16}
    with pytest.raises(PermissionDeniedError, match=f"(?s)403.*{code}"):
        _store(s3, bucket, **keys).get("anything")


def test_s3_commits_a_delta_table(s3: SeaweedFS, bucket: str) -> None:
    import deltalake
    import pyarrow as pa

    address = f"s3://{bucket}/events"
    for _ in range(2):
        rows = pa.table({"n": [1, 2]})
        deltalake.write_deltalake(address, rows, mode="append", storage_options=s3.delta_options())
    assert deltalake.DeltaTable(address, storage_options=s3.delta_options()).version() == 1


@pytest.mark.parametrize("kind", [Valkey, Postgres, SeaweedFS])
def test_server_ends_with_its_killed_parent(kind: type[Server], tmp_path: Path) -> None:
    program = (
        f"import sys; from pathlib import Path; from {kind.__module__} import {kind.__name__}\n"
        f"server = {kind.__name__}(Path(sys.argv[1])).start()\n"
        "print(server.pid, flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        server = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs([server], timeout=PATIENCE_SECONDS)
    assert not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]


def test_stop_leaves_neither_process_nor_folder() -> None:
    server = Valkey().start()
    pid = server.pid
    server.stop()
    assert not psutil.pid_exists(pid)
    assert not server.folder.exists()


class _NeverReady(Valkey):
    def answers(self) -> bool:
        return False


def test_server_that_cannot_start_shows_its_log() -> None:
    with Valkey() as first:
        second = _NeverReady()
        second.port = first.port
        with pytest.raises(ServerDiedError, match="Address already in use"):
            second.start()
        second.stop()


def test_postgres_does_not_run_as_root(postgres: Postgres) -> None:
    if os.geteuid() == 0:
        assert postgres.user != "same"
    with psycopg.connect(postgres.url().replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_database_url_is_an_empty_database(database_url: str) -> None:
    engine = create_engine(database_url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def test_migrated_database_url_has_the_tables_and_no_rows(migrated_database_url: str) -> None:
    engine = create_engine(migrated_database_url)
    with engine.connect() as connection:
        assert "jobs" in inspect(connection).get_table_names()
        assert connection.scalar(text("SELECT count(*) FROM jobs")) == 0
    engine.dispose()


def test_azurite_takes_and_gives_under_azures_name(azurite: Azurite) -> None:
    container = azurite.client(azurite.container())
    container.put("a b/x#y;z?.txt", b"hello")
    assert container.get("a b/x#y;z?.txt").bytes().to_bytes() == b"hello"
