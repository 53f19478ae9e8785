"""SeaweedFS out of its wheel: an S3-compatible store with a made-up pair of keys."""

import json
import secrets
import signal
import sysconfig
from pathlib import Path
from typing import ClassVar

from servers.certificates import Certificate, make_certificate
from servers.process import HOST, Server, status_of


class SeaweedFS(Server):
    """An S3-compatible store with one pair of keys, made up for this run; others get a 403.

    Attributes:
        certificate: of its second port, which speaks TLS.
    """

    name = "seaweedfs"
    region = "us-east-1"
    stop_signal = signal.SIGKILL  # in good order takes it 20 s, and nothing is kept
    poll_seconds = 0.25  # each question to its master starts the making of volumes
    #: Where its wheel puts it.
    program: ClassVar[Path] = Path(sysconfig.get_path("scripts")) / "weed"
    _parts = ("s3", "master", "volume", "filer")
    #: What nobody gets without keys.
    refused = "/"

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        self.access_key = secrets.token_hex(8)
        self.secret_key = secrets.token_hex(16)
        names = [f"{part}{kind}" for part in self._parts for kind in ("", ".grpc")]
        names.append("s3.https")
        self._ports = dict(zip(names, self.take_ports(len(names)), strict=True))
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
        """Return the path-style address of an object or a glob, as a table's ``url_pattern`` has
        it.
        """
        return f"{self.endpoint}/{bucket}/{path}"

    def delta_options(self) -> dict[str, str]:
        """Return ``storage_options`` for deltalake, with the conditional put that commits need."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_ALLOW_HTTP": "true",
            "aws_conditional_put": "etag",
        }

    def environment(self) -> dict[str, str]:
        return {}  # it would take the keys of AWS_* as well

    def prepare(self) -> None:
        keys = {"accessKey": self.access_key, "secretKey": self.secret_key}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identity = {"name": "owner", "credentials": [keys], "actions": actions}
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
            str(self.program),
            *("server", f"-dir={self.folder / 'data'}", f"-ip={HOST}", f"-ip.bind={HOST}"),
            *("-s3", f"-s3.config={self._config}", *ports),
            f"-s3.cert.file={self.certificate.identity}",
            f"-s3.key.file={self.certificate.identity}",
            *("-master.volumeSizeLimitMB=64", "-master.electionTimeout=1s"),
            *("-volume.max=10000", "-volume.preStopSeconds=0", "-master.telemetry=false"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0"),
        ]

    def answers(self) -> bool:
        """Return whether the gateway knows its keys and the master hands out space to write to."""
        assign = f"http://{HOST}:{self._ports['master']}/dir/assign"
        return status_of(self.endpoint + self.refused) == 403 and status_of(assign) == 200

    def _end(self, how: signal.Signals) -> None:
        super()._end(how)
        for port in self._ports.values():
            # Killed, it leaves its sockets behind.
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink(missing_ok=True)

    @property
    def _config(self) -> Path:
        return self.folder / "s3.json"
