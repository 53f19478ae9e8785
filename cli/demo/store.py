"""The demo's object store: a SeaweedFS with one bucket, for as long as the demo runs."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from servers.seaweedfs import SeaweedFS

BUCKET: Final = "airports"
_UPLOADS_AT_ONCE: Final = 16


class Store(SeaweedFS):
    """One S3-compatible store with one bucket and one pair of keys, made up for this run.

    Args:
        folder: for its data and its log; made here.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        super().__init__(folder)

    def wait_until_ready(self) -> None:
        """Wait until it takes objects, and make the bucket."""
        super().wait_until_ready()
        self.bucket(BUCKET)

    def upload(self, root: Path, files: Sequence[Path]) -> None:
        """Copy files to the bucket, under their paths below the root."""
        import obstore
        from obstore.store import S3Store

        bucket = S3Store(
            BUCKET,
            endpoint=self.endpoint,
            access_key_id=self.access_key,
            secret_access_key=self.secret_key,
            region=self.region,
            client_options={"allow_http": True},
        )

        def put(file: Path) -> None:
            # Not in parts: most are smaller than what announcing the parts would take.
            obstore.put(bucket, str(file.relative_to(root)), file.read_bytes(), use_multipart=False)

        with ThreadPoolExecutor(_UPLOADS_AT_ONCE) as pool:
            list(pool.map(put, files))
