"""A whole file on the worker's disk: one request, instead of one for each part of it."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from stocktake.errors import StorageUnavailableError
from stocktake.readers.files.listing import all_of
from stocktake.readers.source import Source
from stocktake.storage.stores.opening import ObjectInfo


@contextmanager
def spooled(source: Source, file: ObjectInfo, tell: Callable[[], None]) -> Iterator[IO[bytes]]:
    """Give the file's bytes as a local file without a name, which is gone with the block.

    Args:
        tell: called after each piece; what it raises ends the read.

    Raises:
        StorageUnavailableError: the worker's disk has no room for it.
        JobError: the store's own.
    """
    with tempfile.TemporaryFile() as local:
        for chunk in all_of(source, file, source.store.stream(file.path)):
            tell()
            try:
                # The write alone: an error of the store goes on as it is.
                local.write(chunk)
            except OSError as exc:
                raise StorageUnavailableError(
                    "The worker's temporary folder has no room for the file. Free some space "
                    "there; the job tries again by itself."
                ) from exc
        local.seek(0)
        yield local
