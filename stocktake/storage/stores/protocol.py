"""What every store offers the readers: one small protocol, and the plain values it deals in."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol, TypeVar

#: No store has longer ones: S3 and Google allow 1,024 bytes of UTF-8, Azure 1,024 characters of up
#: to four bytes each. A client whose URL grows beyond 64 KiB panics.
MAX_KEY_BYTES: Final = 4096

#: What an engine tries again by itself, within one request; the job tries as a whole. By its own
#: defaults it asks for minutes, and ten times after a 501.
MAX_RETRIES: Final = 2
RETRY_SECONDS: Final = 20

Item = TypeVar("Item")
Answer = TypeVar("Answer")

#: What may be read in vain before a part of an object, where a store sends whole ones only: as
#: much as a sample may have.
MOST_SKIPPED_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """One object of a listing.

    Attributes:
        path: the key below the store's root.
        size: bytes as stored.
        etag: what changes when the bytes change.
        modified_at: aware UTC.
    """

    path: str
    size: int
    etag: str
    modified_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Bytes of one object, with what the same answer said of the whole object.

    Attributes:
        skipped: bytes that had to be read before them, from a store that sends whole objects.
    """

    data: bytes
    info: ObjectInfo
    skipped: int = 0

    @property
    def cost_bytes(self) -> int:
        """What was read for it."""
        return self.skipped + len(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """Decrypted keys to one store; for Azure the account's name and key.

    >>> Credential(access_key="AK", access_secret="hunter2")
    Credential(access_key='AK')
    """

    access_key: str
    access_secret: str = field(repr=False)


class ObjectStore(Protocol):
    """Read access to one bucket or one local folder. Each method but `map` is one round trip
    (a listing: one a page), and more only where a store cannot give a part of an object.

    Attributes:
        ordered: whether the store is known to list in ascending order of keys.
        is_local: whether it is a folder of this machine, which has no bucket and takes no key.

    Raises (every method):
        JobError: SourceNotFoundError, AccessDeniedError, ArchivedSourceError, or a transient one.
    """

    @property
    def ordered(self) -> bool: ...

    @property
    def is_local(self) -> bool: ...

    def get(self, path: str, *, start: int = 0, length: int | None = None) -> Chunk:
        """Return bytes `start .. start + length`, to the end when `length` is None; fewer where the
        object ends before, none where it ends before `start`."""
        ...

    def get_tail(self, path: str, length: int, *, size_bytes: int | None = None) -> Chunk:
        """Return the last `length` bytes, or all where there are fewer.

        Args:
            size_bytes: the object's size as a listing gave it, which saves a round trip where
                the store must be told where the end is.
        """
        ...

    def stream(self, path: str, *, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """Return the whole object in chunks, in constant memory."""
        ...

    def list(self, prefix: str, *, start_after: str | None = None) -> Iterator[ObjectInfo]:
        """Yield objects whose key begins with `prefix`, paged lazily, in ascending key order where
        the store is `ordered`; those after the key `start_after` where it is given. Nothing there
        is an empty listing."""
        ...

    def map(self, function: Callable[[Item], Answer], items: Iterable[Item]) -> Sequence[Answer]:
        """Call `function` on each item, many at a time; answers in the order of the items. The
        first error is raised after those under way have ended."""
        ...
