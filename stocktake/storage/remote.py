"""A bucket as an object store, through obstore."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, cached_property, lru_cache
from threading import Lock
from typing import TYPE_CHECKING

from obstore.exceptions import BaseError

from stocktake.storage import clients, faults
from stocktake.storage.protocol import Answer, Chunk, Credential, Item, ObjectInfo
from stocktake.storage.urls import Location

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult, ObjectMeta

#: A round trip is nearly all waiting: the hundred commits behind a checkpoint go in one round.
_THREADS = 128
#: Clients that a process keeps, with their connections: building one takes 8 ms, and with 32
#: threads the handshakes of a new one took longer than the reading of a small log.
_KEPT_CLIENTS = 8
_PAGE = 1000

#: Stores whose documentation promises listings in ascending order of keys.
_ORDERED = frozenset({"s3", "gcs", "r2", "azure"})

_CHARACTER_MAX = "\U0010ffff"


class RemoteObjects:
    """Read access to one bucket or container. Paths are keys below it.

    Neither a connection nor a thread exists before the first read, so that one may be made
    before a fork; but not used before it. A process keeps its threads, and for each bucket and
    credential its connections.

    Args:
        location: where; its key is not used.
        credential: the keys; None only with `public`.
        public: read unsigned, never with keys.
        allow_http: whether the endpoint may be plain http.
    """

    def __init__(
        self,
        location: Location,
        credential: Credential | None,
        *,
        public: bool = False,
        allow_http: bool = False,
    ) -> None:
        self._location = location
        self._credential = credential
        self._public = public
        self._allow_http = allow_http

    def get(self, path: str, *, start: int = 0, length: int | None = None) -> Chunk:
        """Bytes `start .. start + length` of one object; to the end when `length` is None."""
        if length == 0:
            return self._nothing(path)
        if length is not None:
            return self._get(path, {"range": (start, start + length)})
        return self._get(path, {"range": {"offset": start}} if start else {})

    def get_tail(self, path: str, length: int) -> Chunk:
        """The last `length` bytes of one object, or all where there are fewer."""
        return self._get(path, {"range": {"suffix": length}}) if length else self._nothing(path)

    def stream(self, path: str, *, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """The whole object in chunks of about `chunk_bytes`."""
        with self._mapped(path):
            for chunk in self._client.get(path).stream(min_chunk_size=chunk_bytes):
                yield bytes(chunk)

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        """Objects whose key begins with `prefix`, a page at a time.

        obstore takes a prefix for whole parts of a key. So the folder is listed from just before
        the prefix, and left when the keys have passed it.
        """
        folder = prefix[: prefix.rfind("/")] if "/" in prefix else None
        offset = max(start_after or "", _just_before(prefix))
        ordered = self._location.provider in _ORDERED
        with self._mapped(prefix, listing=True):
            for page in self._pages(folder, offset or None):
                for meta in page:
                    if ordered and meta["path"] > prefix and not meta["path"].startswith(prefix):
                        return
                    if meta["path"].startswith(prefix) and meta["path"] > (start_after or ""):
                        yield _info(meta)

    def _pages(self, folder: str | None, offset: str | None) -> "Iterable[Sequence[ObjectMeta]]":
        if self._location.provider != "s3_express":
            return self._client.list(folder, offset=offset, chunk_size=_PAGE)
        # Directory buckets list in no order, and begin nowhere but at the start.
        pages = self._client.list(folder, chunk_size=_PAGE)
        return [sorted((meta for page in pages for meta in page), key=lambda meta: meta["path"])]

    def map(self, function: Callable[[Item], Answer], items: Iterable[Item]) -> Sequence[Answer]:
        """Call `function` on each item in one of 128 threads. `function` must not call `map`.

        Each thread takes item after item: a future for each of 20,000 commits costs a fifth of
        the processor time that reading them takes.
        """
        items = list(items)
        answers: dict[int, Answer] = {}
        errors: dict[int, BaseException] = {}
        # next() of an enumeration is one step under the interpreter's lock
        left = enumerate(items)

        def work() -> None:
            for index, item in left:
                if errors:
                    return
                try:
                    answers[index] = function(item)
                except BaseException as error:
                    errors[index] = error
                    raise

        wait([_pool().submit(work) for _ in range(min(len(items), _THREADS))])
        if errors:
            raise errors[min(errors)]
        return [answers[index] for index in range(len(items))]

    @cached_property
    def _client(self) -> clients.Client:
        location = replace(self._location, key="")
        with _building:
            return _kept_client(location, self._credential, self._public, self._allow_http)

    def _get(self, path: str, options: "GetOptions") -> Chunk:
        with self._mapped(path):
            try:
                result: GetResult = self._client.get(path, options=options)
            except BaseError as error:
                if not faults.is_unsatisfiable_range(error):
                    raise
                return Chunk(data=b"", info=self._head(path))
            return Chunk(data=result.bytes().to_bytes(), info=_info(result.meta))

    def _nothing(self, path: str) -> Chunk:
        with self._mapped(path):
            return Chunk(data=b"", info=self._head(path))

    def _head(self, path: str) -> ObjectInfo:
        return _info(self._client.head(path))

    @contextmanager
    def _mapped(self, path: str, *, listing: bool = False) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            raise faults.from_store(error, path, listing=listing) from error


_building = Lock()


@lru_cache(maxsize=_KEPT_CLIENTS)
def _kept_client(
    location: Location, credential: Credential | None, public: bool, allow_http: bool
) -> clients.Client:
    return clients.build_client(location, credential, public=public, allow_http=allow_http)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="objects")


def _info(meta: "ObjectMeta") -> ObjectInfo:
    return ObjectInfo(
        path=meta["path"],
        size=meta["size"],
        etag=meta["e_tag"] or f"{meta['last_modified'].timestamp()}-{meta['size']}",
        modified_at=meta["last_modified"],
    )


def _just_before(prefix: str) -> str:
    """A key that sorts before every one with this prefix, and after almost all others.

    >>> _just_before("logs/2024-")[:9]
    'logs/2024'
    """
    name = prefix.rpartition("/")[2]
    if not name:
        return ""
    last = ord(name[-1]) - 1
    if last < 0x20 or 0x7F <= last <= 0x9F or 0xD800 <= last <= 0xDFFF or chr(last) == "/":
        return prefix[:-1]
    return prefix[:-1] + chr(last) + _CHARACTER_MAX
