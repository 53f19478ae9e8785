"""Managed storage: the bucket or folder of our own that uploads and managed Delta tables live in.

The API streams uploads into it, workers read them back. It is the only storage code in a request,
so it loads neither pyarrow nor deltalake.
"""

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol
from urllib.parse import quote

from stocktake.errors import StorageUnavailableError, ValidationError
from stocktake.storage.places.urls import Location, MalformedUrlError, parse
from stocktake.storage.stores import store_errors
from stocktake.storage.stores.certificates import certificate_error
from stocktake.storage.stores.opening import LocalObjects, delta_storage_options, open_store
from stocktake.storage.stores.protocol import Credential, ObjectStore

if TYPE_CHECKING:
    from obstore import AsyncWritableFile

    from stocktake.storage.stores.clients import Client

#: S3 takes parts of 5 MiB or more; two of these are all that one upload holds in memory.
_PART_BYTES = 8 << 20
_PARTS_AT_ONCE = 2
#: For a second question, after a failure that nobody explained.
_ASK_SECONDS = 5

#: The folder of a local upload until it is complete.
_RECEIVING = ".receiving"

#: deltalake 1.6 takes a folder for a URL: with one of these it panics, or writes elsewhere.
UNWRITABLE_CHARACTERS = "[ ] { } % ? * #"
_UNWRITABLE = frozenset(UNWRITABLE_CHARACTERS) - {" "}


class UploadSink(Protocol):
    """Where one upload's bytes go. Nothing is visible under its key before `finish`.

    Raises (every method):
        StorageUnavailableError: managed storage failed; nothing was stored.
        ManagedStorageRefusedError: it will not take it, however often it is asked.
    """

    async def write(self, data: bytes) -> None:
        """Append bytes."""
        ...

    async def finish(self) -> int:
        """Store what was written and return its size in bytes."""
        ...

    async def abort(self) -> None:
        """Throw away what was written; after `finish` it does nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedStorage:
    """Managed storage, in a bucket or in a local folder. Build it with `storage_at`.

    Attributes:
        root: the bucket with the prefix below which everything is kept, or the local folder.
        credential: its own; None for a folder.
    """

    root: Location
    credential: Credential | None = None

    def upload_key(self, project_id: int, upload_id: str) -> str:
        """Return the key of an upload, from generated ids only: a client's file name never gets
        here.
        """
        return f"uploads/{project_id}/{upload_id}"

    def delta_key(self, project_id: int, table_id: str) -> str:
        """Return the key of a managed Delta table's root."""
        return f"delta/{project_id}/{table_id}"

    def location(self, key: str) -> Location:
        """Return the full location of a key, to open with `store` or to compare with."""
        base = self.root.key.rstrip("/")
        return replace(self.root, key=f"{base}/{key}" if base else key)

    def url_pattern(self, key: str) -> str:
        """Return the URL under which the API shows a key. The guard lets nobody register it.

        That of a folder names no path of this machine.
        """
        if self.root.provider == "file":
            return f"managed:///{quote(key)}"
        path = quote(self.location(key).key)
        if self.root.endpoint is None:
            return f"https://{self.root.host}/{path}"
        return f"{self.root.endpoint}/{self.root.bucket}/{path}"

    def delta_root(self, project_id: int, table_id: str) -> tuple[str, dict[str, str]]:
        """Return the URI and options with which the deltalake package writes a managed table."""
        location = self.location(self.delta_key(project_id, table_id))
        return delta_storage_options(location, self.credential)

    def store(self) -> ObjectStore:
        """Return a store to read from, in a worker; paths are those of `path`."""
        if self.root.provider == "file":
            return LocalObjects(Path(self.root.key))
        http = self.root.scheme == "http"
        return open_store(self.root, self.credential, public=False, allow_http=http)

    def path(self, key: str) -> str:
        """Return a key's path in `store`."""
        return key if self.root.provider == "file" else self.location(key).key

    def open_upload(self, key: str) -> UploadSink:
        """Return a sink for the bytes of one upload.

        Args:
            key: as `upload_key` gives it.
        """
        if self.root.provider == "file":
            return _FileSink(Path(self.location(key).key), Path(self.location(_RECEIVING).key))
        return _BucketSink(self.client(), self.location(key).key)

    def open_data_file(self, key: str) -> UploadSink:
        """Return a sink for a file of a managed table, which whoever may enter the folder may read,
        as they may read the table's log.

        Args:
            key: below that of `delta_key`.
        """
        if self.root.provider != "file":
            return self.open_upload(key)
        receiving = Path(self.location(_RECEIVING).key)
        return _FileSink(Path(self.location(key).key), receiving, shared=True)

    def create(self, key: str, data: bytes) -> bool:
        """Make an object where there is none; whether there was none. For a commit of a Delta log,
        where the store keeps to it (`stores.exclusive`).

        Raises:
            StorageUnavailableError: managed storage failed; it may have made the object or not.
            ManagedStorageRefusedError: it will not take it, however often it is asked.
        """
        path = self.location(key).key
        if self.root.provider == "file":
            with _mapped():
                return _create_file(Path(path), Path(self.location(_RECEIVING).key), data)
        from obstore.exceptions import AlreadyExistsError, PreconditionError  # late: as above

        try:
            with _mapped(AlreadyExistsError, PreconditionError):
                self.client().put(path, data, mode="create", use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            return False
        return True

    async def remove(self, key: str) -> None:
        """Remove one object; that it is gone already is no error."""
        path = self.location(key).key
        with _mapped():
            if self.root.provider == "file":
                await asyncio.to_thread(Path(path).unlink, missing_ok=True)
                return
            with contextlib.suppress(FileNotFoundError):
                await self.client().delete_async(path)

    def objects(self, folder: str, *, after: str = "") -> Iterator[tuple[str, datetime]]:
        """Yield the keys below a folder in ascending order, and when each was last written (UTC).

        Args:
            folder: a key that ends with a slash.
            after: only keys beyond this one.

        Raises:
            JobError: managed storage cannot be listed.
        """
        prefix = self.path(folder)
        begin = len(prefix) - len(folder)
        start_after = self.path(after) if after else None
        for info in self.store().list(prefix, start_after=start_after):
            yield info.path[begin:], info.modified_at

    def remove_leftovers(self, *, older_than_seconds: float) -> int:
        """Remove the files of killed uploads that never got their name; how many.

        Only a folder has such files. What a bucket keeps of a killed multipart upload has no
        key, and obstore cannot list it: a lifecycle rule of the bucket ends it.

        Args:
            older_than_seconds: since the last byte was written, by this machine's clock.
        """
        if self.root.provider != "file":
            return 0
        receiving = Path(self.location(_RECEIVING).key)
        too_old = time.time() - older_than_seconds
        with _mapped():
            old = [file for file in receiving.glob("upload-*") if file.stat().st_mtime < too_old]
            for file in old:
                file.unlink(missing_ok=True)
        return len(old)

    def client(self) -> "Client":
        """Return an obstore client for the bucket.

        Raises:
            AccessDeniedError: the configured keys are malformed.
        """
        from stocktake.storage.stores.clients import build_client  # late: a folder needs no obstore

        http = self.root.scheme == "http"
        return build_client(self.root, self.credential, public=False, allow_http=http)


def storage_at(
    url: str,
    *,
    access_key: str | None = None,
    access_secret: str | None = None,
    endpoint: str | None = None,
    region: str | None = None,
) -> ManagedStorage:
    """Return managed storage at a place, opened when it is used.

    Args:
        url: a folder (a path or ``file://``), the ``https://`` URL of a bucket, or
            ``s3://bucket/prefix``, which `endpoint` or, without it, AWS answers for.
        access_key: its key; none for a folder.
        access_secret: its secret.
        endpoint: ``scheme://host[:port]`` of an S3-compatible store.
        region: the bucket's region, where the URL does not name it.

    Raises:
        ValidationError: the settings name no bucket and no folder, or a bucket without keys.
    """
    try:
        root = _root(url, endpoint, region)
    except MalformedUrlError as exc:
        raise _unusable("names neither a folder nor a bucket") from exc
    if root.provider == "file":
        if _UNWRITABLE & set(root.key):
            raise _unusable("names a folder with one of the characters " + UNWRITABLE_CHARACTERS)
        return ManagedStorage(root=root)
    if not root.bucket:
        raise _unusable("names no bucket")
    if not access_key or not access_secret:
        raise _unusable("names a bucket, which needs an access key and a secret")
    keys = Credential(access_key=access_key, access_secret=access_secret)
    return ManagedStorage(root=root, credential=keys)


def _root(url: str, endpoint: str | None, region: str | None) -> Location:
    if "://" not in url:
        return parse(f"file://{quote(str(Path(url).absolute()))}")
    if url.startswith("s3://"):
        base = endpoint or f"https://s3.{region or 'us-east-1'}.amazonaws.com"
        url = f"{base.rstrip('/')}/{url.removeprefix('s3://')}"
    location = parse(url)
    return replace(location, region=region or location.region)


def _unusable(why: str) -> ValidationError:
    return ValidationError(f"MANAGED_STORAGE_URL {why}.", attr="managed_storage_url")


class _FileSink:
    """Writes into a folder that nothing reads, and takes the name when all is on the disk.

    Args:
        path: the final name.
        receiving: a folder on the same file system, for what is not complete yet.
        shared: whether others than the service's user may read it, where its folders let them.
    """

    def __init__(self, path: Path, receiving: Path, *, shared: bool = False) -> None:
        self._path = path
        self._receiving = receiving
        self._shared = shared
        self._size = 0
        self._file: IO[bytes] | None = None

    async def write(self, data: bytes) -> None:
        with _mapped():
            await asyncio.to_thread(self._append, data)
        self._size += len(data)

    async def finish(self) -> int:
        with _mapped():
            await asyncio.to_thread(self._publish)
        return self._size

    async def abort(self) -> None:
        if self._file is None:
            return
        with _mapped():
            await asyncio.to_thread(self._discard)

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            self._receiving.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = tempfile.NamedTemporaryFile(  # noqa: SIM115 - closed by the methods below
                dir=self._receiving, prefix="upload-", delete=False
            )
        return self._file

    def _append(self, data: bytes) -> None:
        self._opened().write(data)

    def _publish(self) -> None:
        file = self._opened()
        # The bytes are on the disk before the name is: after a crash no name stands for half a
        # file.
        file.flush()
        if self._shared:
            os.fchmod(file.fileno(), 0o644)
        os.fsync(file.fileno())
        file.close()
        folder_mode = 0o777 if self._shared else 0o700
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=folder_mode)
        os.replace(file.name, self._path)
        self._file = None
        _sync_folder(self._path.parent)

    def _discard(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()
            Path(file.name).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Put the new name itself on the disk: fsync of the file covers its bytes only."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create_file(path: Path, receiving: Path, data: bytes) -> bool:
    """Make a file that is whole as soon as it has its name, and never write over another."""
    receiving.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.NamedTemporaryFile(dir=receiving, prefix="upload-") as file:
        file.write(data)
        file.flush()
        os.fchmod(file.fileno(), 0o644)
        os.fsync(file.fileno())
        try:
            os.link(file.name, path)
        except FileExistsError:
            return False
    _sync_folder(path.parent)
    return True


class _BucketSink:
    """Streams into a multipart upload, which the store shows only when it is complete."""

    def __init__(self, client: "Client", path: str) -> None:
        from obstore import open_writer_async  # late: as above

        self._writer: AsyncWritableFile | None = open_writer_async(
            client, path, buffer_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE
        )
        self._client = client
        self._path = path
        self._size = 0

    async def write(self, data: bytes) -> None:
        async with self._told():
            await self._open().write(data)
        self._size += len(data)

    async def finish(self) -> int:
        async with self._told():
            await self._open().close()
        self._writer = None
        return self._size

    @asynccontextmanager
    async def _told(self) -> AsyncIterator[None]:
        """Map errors as `_mapped` does, but tell a certificate as such: obstore's writer leaves
        causes out of its errors, so the store is asked once more by something that does not."""
        try:
            with _mapped():
                yield
        except StorageUnavailableError as exc:
            if "error sending request" in str(exc.__cause__):
                await self._ask()
            raise

    async def _ask(self) -> None:
        from obstore.exceptions import BaseError  # late: as above

        try:
            async with asyncio.timeout(_ASK_SECONDS):
                await self._client.head_async(self._path)
        except (BaseError, OSError, TimeoutError) as exc:
            if told := certificate_error(str(exc)):
                raise told from exc

    async def abort(self) -> None:
        # Leaving its context with an error is how obstore's writer aborts its parts.
        writer, self._writer = self._writer, None
        if writer is not None:
            reason = asyncio.CancelledError()
            with _mapped():
                await writer.__aexit__(type(reason), reason, None)

    def _open(self) -> "AsyncWritableFile":
        if self._writer is None:
            raise StorageUnavailableError("The upload has ended already; start another.")
        return self._writer


@contextmanager
def _mapped(*passed: type[Exception]) -> Iterator[None]:
    from obstore.exceptions import BaseError  # late: as above

    try:
        yield
    except passed:
        raise
    except (BaseError, OSError) as exc:
        raise store_errors.from_managed(exc) from exc
