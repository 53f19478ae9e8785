"""What is remembered of a source, by which an unchanged one is known without being read."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final

from stocktake.readers.files.budget import Budget
from stocktake.readers.files.listing import Listing, list_files, listing_of, warnings_of
from stocktake.readers.source import Coverage, Introspection, Limits, Source
from stocktake.schema.columns import Column
from stocktake.schema.origin import Origins
from stocktake.schema.types import Type, scalar
from stocktake.schema.warnings import ReadWarning, bounded
from stocktake.schema.widening import settled
from stocktake.schema.wire_names import database_field
from stocktake.storage.places.globs import is_glob, literal
from stocktake.storage.stores.opening import Chunk

TEXT: Final = scalar("String", nullable=True)


def list_or_fetch(
    source: Source, limits: Limits, fetch: Callable[[str], Chunk]
) -> tuple[Listing, Chunk | None]:
    """Return the source's files; and of a single one that is read for the first time what `fetch`
    gives for it. Its answer tells of the file what a listing would, so that a round trip is
    saved."""
    if is_glob(source.path) or _usable_state(source):
        return list_files(source, limits), None
    chunk = fetch(literal(source.path))
    return listing_of([chunk.info]), chunk


def unchanged(source: Source, listing: Listing, limits: Limits) -> Introspection | None:
    """Return the answer of the last read, where it still holds; None to read.

    A state counts only if this reader wrote it, for the same format, options and files; one of
    a sample only under the budget it was taken with.
    """
    state = _usable_state(source)
    if state is None or state["fingerprint"] != listing.fingerprint:
        return None
    if state["truncated"] and state["budget"] != _budget_key(limits):
        return None
    return Introspection(
        columns=(),
        source_version=listing.source_version,
        row_count=state["row_count"],
        size_bytes=listing.size_bytes,
        file_count=len(listing.files),
        state=state,
        coverage=Coverage(
            files_matched=len(listing.files),
            truncated=state["truncated"],
            unchanged=True,
        ),
        warnings=_said(source, listing, map(ReadWarning.from_dict, state.get("warnings", ()))),
    )


def probe(source: Source, limits: Limits) -> Introspection | None:
    """Return the answer of the last read where a listing tells that it still holds; no file is
    opened. None where it does not, or nothing is remembered.

    Raises:
        JobError: the listing failed, or is longer than `max_listed`.
    """
    if _usable_state(source) is None:
        return None
    return unchanged(source, list_files(source, limits), limits)


def stored_columns(source: Source) -> tuple[Column, ...]:
    """Return the columns that the last read found; none where its state does not count."""
    state = _usable_state(source)
    return tuple(Column.from_dict(stored) for stored in state["columns"]) if state else ()


def _usable_state(source: Source) -> dict[str, Any] | None:
    state = source.state
    if not state or any(state.get(key) != value for key, value in _identity(source).items()):
        return None
    return state


def _identity(source: Source) -> dict[str, Any]:
    return {
        "reader_version": source.format.facts.reader_version,
        "kind": f"files/{source.format}",
        "options": source.options,
    }


def _budget_key(limits: Limits) -> list[float]:
    return [limits.max_files, limits.max_bytes, limits.max_seconds]


def conclude(
    source: Source,
    listing: Listing,
    columns: tuple[Column, ...],
    *,
    budget: Budget,
    limits: Limits,
    row_count: int | None,
    warnings: Iterable[ReadWarning] = (),
    untyped: Type = TEXT,
    origins: Origins | None = None,
) -> Introspection:
    """Put a read of files into words, with the state that `unchanged` understands next time.

    Args:
        columns: Nothing, nullable, stands for what is null in every file.
        untyped: what that becomes. The state keeps it open, for a file that has a type may come.
        origins: of the columns, where the reader tells them.
    """
    kept = bounded(warnings)
    return Introspection(
        columns=tuple(_settled(column, untyped) for column in columns),
        source_version=listing.source_version,
        row_count=row_count,
        size_bytes=listing.size_bytes,
        file_count=len(listing.files),
        state=_identity(source)
        | {
            "fingerprint": listing.fingerprint,
            "columns": [column.as_dict() for column in columns],
            "row_count": row_count,
            "warnings": [each.as_dict() for each in kept],
            "truncated": budget.truncated,
            "budget": _budget_key(limits),
        },
        coverage=budget.coverage(listing),
        warnings=_said(source, listing, kept),
        origins=origins,
    )


def _said(source: Source, listing: Listing, kept: Iterable[ReadWarning]) -> tuple[ReadWarning, ...]:
    """Put what this listing says before what the read of its files said: files that are passed
    over come and go, and the source is the same."""
    return bounded((*warnings_of(source, listing), *kept))


def _settled(column: Column, untyped: Type) -> Column:
    known = settled(column.type, untyped)
    if known is column.type:
        return column
    return replace(column, type=known, hogql=database_field(known))
