"""The inputs in a real S3-compatible store, which keeps them from one run to the next."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from obstore.store import S3Store

from benchmarks.inputs import Input, made
from benchmarks.peers import REGION
from servers.seaweedfs import SeaweedFS

BUCKET: Final = "benchmarks"
_AT_ONCE: Final = 16


class KeptStore(SeaweedFS):
    """A store whose data stay in the cache; its keys and ports are new in each run."""

    def __init__(self, cache: Path) -> None:
        folder = cache / "store"
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder)

    @property
    def port(self) -> int:
        """Where its S3 gateway listens."""
        return int(self.endpoint.rpartition(":")[2])

    def hold(self, cache: Path, inputs: Sequence[Input]) -> None:
        """Upload the inputs that an earlier run has not."""
        self.bucket(BUCKET)
        for each in inputs:
            folder = made(cache, each)
            stamp = self.folder / f"{folder.parent.name}-{each.name}.uploaded"
            if not stamp.exists():
                self._upload(folder, each.name)
                stamp.touch()

    def _upload(self, folder: Path, prefix: str) -> None:
        store = S3Store(
            BUCKET,
            prefix=prefix,
            endpoint=self.endpoint,
            access_key_id=self.access_key,
            secret_access_key=self.secret_key,
            region=REGION,
            client_options={"allow_http": True},
        )
        files = [path for path in folder.rglob("*") if path.is_file()]
        keys = [path.relative_to(folder).as_posix() for path in files]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(store.put, keys, files))
