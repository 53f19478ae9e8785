"""A bucket as an object store, through obstore."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, cached_property, lru_cache
from itertools import chain
from threading import Lock
from typing import TYPE_CHECKING

from obstore.exceptions import BaseError

from stocktake.errors import WrongRegionError
from stocktake.storage.places.urls import Location
from stocktake.storage.stores import answers, clients, relay, store_errors
from stocktake.storage.stores.parts import Parts, info_of, pieces
from stocktake.storage.stores.protocol import (
    MAX_KEY_BYTES,
    Answer,
    Chunk,
    Credential,
    Item,
    ObjectInfo,
)

if TYPE_CHECKING:
    from obstore import ObjectMeta

#: A round trip is nearly all waiting: the hundred commits behind a checkpoint go in one round.
_THREADS = 128
#: Clients that a process keeps, with their connections: building one takes 8 ms, and with 32
#: threads the handshakes of a new one took longer than the reading of a small log. A sweep goes
#: from bucket to bucket, and back.
_KEPT_CLIENTS = 64
_PAGE = 1000

#: Stores whose documentation promises listings in ascending order of keys.
_ORDERED = frozenset({"s3", "gcs", "r2", "azure"})

#: Directory buckets list in no order: theirs are sorted when all is here.
_SORTED = frozenset({"s3_express"})

#: Those without suffix ranges. Others may lack them too, and say so.
_SUFFIXLESS = frozenset({"azure"})

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
        self._clients: dict[tuple[Location, bool], clients.Client] = {}

    @property
    def is_local(self) -> bool:
        """It is a bucket or a container."""
        return False

    @property
    def ordered(self) -> bool:
        """Whether listings ascend: as documented, or as they are sorted here."""
        return self._location.provider in _ORDERED | _SORTED

    def get(self, path: str, *, start: int = 0, length: int | None = None) -> Chunk:
        """Return bytes `start .. start + length` of one object; to the end when `length` is
        None."""
        return self._asked(path, lambda: self._get(path, start, length))

    def _get(self, path: str, start: int, length: int | None) -> Chunk:
        if length == 0:
            return self._nothing(path)
        try:
            return self._parts.get(path, start, length)
        except BaseError as error:
            if not answers.is_unsatisfiable_range(error):
                raise
            return self._nothing(path)

    def get_tail(self, path: str, length: int, *, size_bytes: int | None = None) -> Chunk:
        """Return the last `length` bytes of one object, or all where there are fewer."""
        return self._asked(path, lambda: self._get_tail(path, length, size_bytes))

    def _get_tail(self, path: str, length: int, size_bytes: int | None) -> Chunk:
        if not length:
            return self._nothing(path)
        if self._location.provider not in _SUFFIXLESS:
            try:
                return self._parts.get_suffix(path, length)
            except BaseError as error:
                if not (answers.is_refused_range(error) or answers.is_no_part(error)):
                    raise
        return self._parts.get_end(path, length, size_bytes)

    def stream(self, path: str, *, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """Yield the whole object in chunks of about `chunk_bytes`."""
        answer = self._asked(path, lambda: self._parts.open(path))
        with self._mapped(path):
            yield from pieces(answer, path, chunk_bytes)

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        """Yield objects whose key begins with `prefix`, a page at a time.

        obstore takes a prefix for whole parts of a key. So the folder is listed from just before
        the prefix, and left when the keys have passed it.
        """
        folder = prefix[: prefix.rfind("/")] if "/" in prefix else None
        offset = max(start_after or "", _just_before(prefix))
        ordered = self.ordered
        pages = self._asked(prefix, lambda: self._pages(folder, offset or None), listing=True)
        with self._mapped(prefix, listing=True):
            for page in pages:
                for meta in page:
                    if ordered and meta["path"] > prefix and not meta["path"].startswith(prefix):
                        return
                    if meta["path"].startswith(prefix) and meta["path"] > (start_after or ""):
                        yield info_of(meta)

    def _pages(self, folder: str | None, offset: str | None) -> "Iterable[Sequence[ObjectMeta]]":
        """Return a listing of which the first page is here. A web page reads as one without
        objects.
        """
        if self._location.provider not in _SORTED:
            pages: Iterator[Sequence[ObjectMeta]]
            pages = iter(self._client.list(folder, offset=offset, chunk_size=_PAGE))
        else:
            # They begin nowhere but at the start.
            all_pages = self._client.list(folder, chunk_size=_PAGE)
            found = sorted((m for page in all_pages for m in page), key=lambda m: m["path"])
            pages = iter([found] if found else [])
        first = next(pages, None)
        if first is None and self._parts.answers_anything(f"{folder or ''}/"):
            raise store_errors.not_a_store(folder or "")
        return chain([first] if first else [], pages)

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
    def _parts(self) -> Parts:
        return Parts(lambda: self._client, lambda: self._client_as_stored)

    @property
    def _client(self) -> clients.Client:
        return self._built(as_stored=False)

    @property
    def _client_as_stored(self) -> clients.Client:
        return self._built(as_stored=True)

    def _built(self, *, as_stored: bool) -> clients.Client:
        """Return the client of its location, so that after a move none is of the old region."""
        key = self._location, as_stored
        if key not in self._clients:
            self._clients[key] = self._build(*key)
        return self._clients[key]

    def _build(self, location: Location, as_stored: bool) -> clients.Client:
        # One client for a bucket: the cache would take each key, and each pattern, for another.
        location = replace(location, key="", pattern="")
        # A cache lets threads that ask at once build one each.
        with _building:
            return _kept_client(
                location, self._credential, self._public, self._allow_http, as_stored
            )

    def _nothing(self, path: str) -> Chunk:
        return Chunk(data=b"", info=self._parts.head(path))

    def _asked(self, path: str, ask: Callable[[], Answer], *, listing: bool = False) -> Answer:
        """Return an answer; where the bucket is in another region, from there."""
        asked = self._location
        try:
            with self._mapped(path, listing=listing):
                return ask()
        except WrongRegionError as error:
            if not self._move(asked, error.region):
                raise
        with self._mapped(path, listing=listing):
            return ask()

    def _move(self, asked: Location, region: str | None) -> bool:
        """Ask in another region from now on; False where it is unknown or would be the same."""
        if self._location != asked:
            return True  # another thread has moved meanwhile
        moved = clients.in_region(asked, region)
        if moved is None:
            return False
        self._location = moved
        return True

    @contextmanager
    def _mapped(self, path: str, *, listing: bool = False) -> Iterator[None]:
        if len(path.encode(errors="replace")) > MAX_KEY_BYTES:
            raise store_errors.key_too_long(path)
        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            endpoint = self._location.endpoint
            met = relay.failure(endpoint) if endpoint else None
            raise store_errors.from_store(error, path, listing=listing, connecting=met) from error


_building = Lock()


@lru_cache(maxsize=_KEPT_CLIENTS)
def _kept_client(
    location: Location,
    credential: Credential | None,
    public: bool,
    allow_http: bool,
    as_stored: bool,
) -> clients.Client:
    return clients.build_client(
        location, credential, public=public, allow_http=allow_http, as_stored=as_stored
    )


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="objects")


def _just_before(prefix: str) -> str:
    """Return a key that sorts before every one with this prefix, and after almost all others.

    >>> _just_before("logs/2024-")[:9]
    'logs/2024'
    """
    name = prefix.rpartition("/")[2]
    if not name:
        return ""
    last = ord(name[-1]) - 1
    # A control character, half a surrogate pair or a slash is nothing to begin from. The prefix
    # without its last character sorts before all, too, with more to pass over.
    if last < 0x20 or 0x7F <= last <= 0x9F or 0xD800 <= last <= 0xDFFF or chr(last) == "/":
        return prefix[:-1]
    return prefix[:-1] + chr(last) + _CHARACTER_MAX
