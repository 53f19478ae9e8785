"""Whether a bucket makes an object only where there is none, which each Delta commit stands on.

Two writers of one Delta table both ask for the next file of its log, with `If-None-Match: *`,
and the store must refuse one of them. A store that ignores the header, or that looks first and
writes later, answers both with success and keeps one commit: the other's rows are gone, and
nobody is told. No answer to a single commit shows it, so the bucket is tried out beforehand.
"""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from stocktake.errors import UnsupportedError
from stocktake.storage.managed import ManagedStorage
from stocktake.storage.stores import answers, store_errors

if TYPE_CHECKING:
    from stocktake.storage.stores.clients import Client

_WRITERS: Final = 8
_RACES: Final = 3
#: Larger than most commits: a store that looks first and writes later takes a while over it.
_BODY: Final = bytes(64 << 10)


def require_exclusive_put(storage: ManagedStorage) -> None:
    """Let through managed storage that can keep a Delta table; a process asks each bucket once.

    Raises:
        UnsupportedError: its store would lose one of two commits.
        JobError: the store could not be asked; nothing is remembered.
    """
    if not exclusive_put_holds(storage):
        raise UnsupportedError(
            "Managed storage's object store does not refuse to write over an object "
            "(If-None-Match: *), so that it would lose one of two commits to a Delta table. "
            "Nothing was written.",
            code="unsupported_store",
            hint="Upload without target=delta, or have the operator put managed storage into a "
            "store with conditional writes (docs/stores.md); `stocktake doctor` tells.",
        )


@lru_cache
def exclusive_put_holds(storage: ManagedStorage) -> bool:
    """Return whether of several that make an object at once only one succeeds.

    Asks with some thirty small writes below ``delta/probes/``, and removes what it wrote. A folder
    is not asked: its file system makes a name once.

    Raises:
        JobError: the store could not be asked.
    """
    if storage.root.provider == "file":
        return True
    client = storage.client()
    with _new_key(storage, client) as key:
        # One after the other first: that shows a store without the header. Races show one that
        # looks first and writes later; such a store may win one by chance, so there are several.
        _makes(client, key)
        if _makes(client, key):
            return False
    return all(_one_wins(storage, client) for _ in range(_RACES))


def _one_wins(storage: ManagedStorage, client: "Client") -> bool:
    with _new_key(storage, client) as key, ThreadPoolExecutor(_WRITERS) as writers:
        return sum(writers.map(_makes, [client] * _WRITERS, [key] * _WRITERS)) <= 1


def _makes(client: "Client", key: str) -> bool:
    """Return whether the object was made; a store without the header is one that always
    makes it."""
    try:
        client.put(key, _BODY, mode="create", use_multipart=False)
    except (AlreadyExistsError, PreconditionError):
        return False
    except (BaseError, OSError, ValueError) as exc:
        if answers.is_not_implemented(exc):
            return True
        raise store_errors.from_store(exc, key) from exc
    return True


@contextlib.contextmanager
def _new_key(storage: ManagedStorage, client: "Client") -> Iterator[str]:
    key = storage.location(f"delta/probes/{uuid4().hex}").key
    try:
        yield key
    finally:
        with contextlib.suppress(BaseError, OSError):
            client.delete(key)
