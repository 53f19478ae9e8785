"""``introspect(source) -> Introspection``: read a source just far enough to know its columns.

One folder a format, as `schema.formats` declares them; one visitor a type system (`arrow_types`
for Arrow's; Delta's own names in `delta`). The readers take bytes from a
:class:`stocktake.storage.stores.opening.ObjectStore` and know nothing of URLs, credentials or jobs.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Final, TypeVar

from stocktake.errors import InvalidSourceError, SourceChangedError, SourceNotFoundError
from stocktake.readers.registry import offered
from stocktake.readers.source import (
    Introspection,
    Limits,
    Progress,
    Reader,
    Source,
    Validation,
    Validator,
    no_progress,
)
from stocktake.schema.columns import Column
from stocktake.storage.places.globs import is_glob

#: Objects of one request's listing.
_PAGE: Final = 1000
#: Rows or bytes that a database's integer can count.
_MOST: Final = 2**63 - 1


Found = TypeVar("Found")


def introspect(
    source: Source, limits: Limits | None = None, progress: Progress = no_progress
) -> Introspection:
    """Read the source just far enough to know its columns, version and size.

    Args:
        source: what to read.
        limits: the budget; the defaults when None.
        progress: told now and then how far the read has come.

    Raises:
        JobError: a terminal or a transient one, as `stocktake.errors` draws them.
    """
    read: Reader = offered(source.format, "read")
    return _checked(_settled(source, lambda: read(source, limits or Limits(), progress)), limits)


def probe(source: Source, limits: Limits) -> Introspection | None:
    """Look whether the source is the one of the last read, with a page of a listing at most, and
    return that one's answer; None where it is not, or this look does not tell.

    Args:
        source: with the state of the last read.
        limits: of that read; `max_listed` is a page at most.

    Raises:
        JobError: as `introspect` does; what the look meets says nothing of what a read would.
    """
    from stocktake.readers.files import state

    # Files are known by their listing, whatever the format; a table of a folder has its own way.
    look = offered(source.format, "probe") if source.format.is_folder else state.probe
    found: Introspection | None = look(source, _with_at_most(_PAGE, limits))
    return found


@lru_cache(maxsize=4)  # a sweep's looks have the same
def _with_at_most(listed: int, limits: Limits) -> Limits:
    return replace(limits, max_listed=min(limits.max_listed, listed))


def _checked(found: Introspection, limits: Limits | None) -> Introspection:
    """Return what was found, or refuse it where it is beyond the bounds of all formats."""
    from stocktake.readers.limits import check_schema

    check_schema(found.columns, limits or Limits())
    if max(found.row_count or 0, found.size_bytes or 0) > _MOST:
        raise InvalidSourceError(
            "The source's metadata claims more than 2^63 - 1 rows or bytes.",
            hint="Write the files, or the table's checkpoint, again.",
        )
    return found


def read_all(
    source: Source, limits: Limits | None = None, progress: Progress = no_progress
) -> Introspection:
    """Read every byte of the source's files, so that its columns and its row count are exact.

    Args:
        source: files of a format that may be uploaded; its `state` is not used.
        limits: only the hard ones apply to text; the sample's budgets do not.
        progress: told now and then how far the read has come.

    Raises:
        JobError: a terminal or a transient one.
        ValueError: the format's reader does not read in full, as of a Delta table only the log is.
    """
    read: Reader = offered(source.format, "read_all")
    return _checked(_settled(source, lambda: read(source, limits or Limits(), progress)), limits)


def validate(
    source: Source,
    columns: tuple[Column, ...],
    limits: Limits | None = None,
    progress: Progress = no_progress,
) -> Validation:
    """Read all of a text source in constant memory and hold each column to its type.

    Args:
        source: what to read; its `state` is not used.
        columns: the columns to check, by name.
        limits: only the hard ones apply here; the sample's budgets do not.
        progress: told now and then how far the read has come.

    Raises:
        JobError: a terminal or a transient one.
        ValueError: the format is not one that is inferred from values.
    """
    check: Validator = offered(source.format, "validate")
    return _settled(source, lambda: check(source, columns, limits or Limits(), progress))


def _settled(source: Source, read: Callable[[], Found]) -> Found:
    """Return what a read finds; where a listed file was gone or was another one when it was read,
    as after a compaction or an overwrite, what a second one finds that lists anew.

    Raises:
        SourceChangedError: the second met the like.
    """
    try:
        return read()
    except SourceChangedError:
        pass
    except SourceNotFoundError as exc:
        # A listing without a match names no file, and a missing bucket has a code of its own:
        # neither is mended by another listing.
        if exc.file is None or exc.code != SourceNotFoundError.default_code:
            raise
    try:
        return read()
    except SourceNotFoundError as exc:
        # Of one file that is the answer: it is gone.
        single = not (source.format.is_folder or is_glob(source.path))
        if single or exc.code != SourceNotFoundError.default_code:
            raise
        raise SourceChangedError(
            "Files of the source were removed while it was being read, twice in a row.",
            file=exc.file,
        ) from exc
