"""The refresh of a text source: which files to sample, within which budget, and their union."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import Final

from stocktake.errors import (
    EmptySourceError,
    OnlyHiddenFilesError,
    SourceNotFoundError,
)
from stocktake.readers.files.blame import Alike, alike_types, origins_of
from stocktake.readers.files.budget import Budget
from stocktake.readers.files.folders import table_among, table_at
from stocktake.readers.files.foreign import mismatch
from stocktake.readers.files.listing import Listing, list_files, refuse_rewritten
from stocktake.readers.files.partitions import hive_partitions, with_partitions
from stocktake.readers.files.state import conclude, list_or_fetch, stored_columns, unchanged
from stocktake.readers.files.union import combine
from stocktake.readers.limits import check_columns
from stocktake.readers.source import Introspection, Limits, Progress, Source
from stocktake.readers.text.date_order import Decided, decide_order
from stocktake.readers.text.decoding import Text, line_too_long, sample_text, stream_text
from stocktake.readers.text.values.kinds import Kind, count_fields, type_of
from stocktake.schema.columns import Column
from stocktake.schema.origin import Origins
from stocktake.schema.types import Type, scalar
from stocktake.schema.warnings import ReadWarning
from stocktake.storage.stores.opening import Chunk, ObjectInfo

#: What one file gives to a sample unless `options.sample_bytes` says otherwise: bytes as stored,
#: and bytes of text where it is compressed.
SAMPLE_BYTES: Final = 4 * 1024 * 1024
#: Of many files each gives its share of `Limits.max_bytes`, but no less than this.
_LEAST_SHARE_BYTES: Final = 64 * 1024
#: Files fetched at once, and the bytes of them that are in memory together.
_FETCHED_AT_ONCE: Final = 128
_HELD_BYTES: Final = 32 * 1024 * 1024
#: A sample without a row is taken anew, so many times as long, up to as many rows of the greatest
#: length: the header and the first row.
_GROWTH: Final = 8
_MOST_ROWS: Final = 2
#: Of an object whose types in two files are compared, and what stands for a larger one.
_MOST_FIELDS: Final = 200
_LARGE: Final = scalar("Tuple", nullable=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inferred:
    """What one file's text says.

    Attributes:
        kinds: the columns in their order.
        rows: how many were seen.
        warnings: what else there is to say of the file.
    """

    kinds: dict[str, Kind]
    rows: int
    warnings: tuple[ReadWarning, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a text format decides.

    Attributes:
        infer: the columns of one file; None where it holds no data at all.
        unite: the kind of a column, by its name, that another file has, too; what it has to say
            of that it adds to the list.
    """

    infer: Callable[[Text], Inferred | None]
    unite: Callable[[str, Kind, Kind, str, list[ReadWarning]], Kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    file: ObjectInfo
    inferred: Inferred
    complete: bool


def read_samples(source: Source, limits: Limits, progress: Progress, rules: Rules) -> Introspection:
    """Sample the source's files, newest first, and unite what they say.

    Raises:
        JobError: a terminal one for a file that breaks the format, or the store's own.
    """
    budget = Budget(limits)
    listing, sample = _look(
        source, lambda: list_or_fetch(source, limits, partial(_sample, source, budget, limits))
    )
    if known := unchanged(source, listing, limits):
        return known
    read = _parts(source, listing, budget, limits, progress, rules, sample)
    parts = [part for part in read if part]
    if not parts:
        raise EmptySourceError(file=listing.files[0].path)
    if not all(part.complete for part in parts):
        budget.cut()
    groups = _groups(parts)
    columns, decided = _columns(source, listing, parts, rules, limits, truncated=budget.truncated)
    found = conclude(
        source,
        listing,
        columns,
        budget=budget,
        limits=limits,
        row_count=None if budget.truncated else sum(part.inferred.rows for part in parts),
        warnings=decided.warnings,
        origins=_origins(source, groups, columns, sampled=budget.truncated),
    )
    return replace(found, month_first=decided.month_first)


def read_whole(source: Source, limits: Limits, progress: Progress, rules: Rules) -> Introspection:
    """Read as `read_samples` does, but every byte of every file, in constant memory.

    Only the hard limits apply, and what the last read remembered is not used.

    Raises:
        JobError: as `read_samples` does.
    """
    listing = list_text_files(source, limits)
    budget = Budget(limits)
    parts = []
    for done, file in enumerate(listing.files):
        text = stream_text(source, file, limits)
        tell = partial(progress, "read", done, len(listing.files))
        inferred = rules.infer(replace(text, chunks=telling(text.chunks, tell)))
        budget.spend(file.size, files=1)
        if inferred is not None:
            parts.append(_Part(file=file, inferred=_told(inferred, text), complete=True))
    if not parts:
        raise EmptySourceError(file=listing.files[0].path)
    afresh = replace(source, state=None)
    groups = _groups(parts)
    columns, decided = _columns(afresh, listing, parts, rules, limits, truncated=False)
    rows = sum(part.inferred.rows for part in parts)
    found = conclude(
        source,
        listing,
        columns,
        budget=budget,
        limits=limits,
        row_count=rows,
        warnings=decided.warnings,
        origins=_origins(source, groups, columns, sampled=False),
    )
    return replace(found, month_first=decided.month_first)


def telling(chunks: Iterator[str], tell: Callable[[], None]) -> Iterator[str]:
    """Yield the chunks; a large file tells with each that the read is alive."""
    for chunk in chunks:
        tell()
        yield chunk


def list_text_files(source: Source, limits: Limits) -> Listing:
    """Return the source's files.

    Raises:
        FormatMismatchError: they are those of a table that its root folder names.
        SourceNotFoundError: there are none.
    """
    return _look(source, lambda: (list_files(source, limits), None))[0]


def _look(
    source: Source, look: Callable[[], tuple[Listing, Chunk | None]]
) -> tuple[Listing, Chunk | None]:
    """Return the listing and what was fetched with it, once it is sure that no table is there which
    its root folder names."""
    try:
        listing, sample = look()
    except OnlyHiddenFilesError as error:
        _refuse_table(source, error.paths)
        raise
    except SourceNotFoundError:
        # A table's root is a folder and no key: asked for as a file it is not there.
        if title := table_at(source):
            raise mismatch(source.path, source.format.value, f"a table of {title}") from None
        raise
    _refuse_table(source, (*(file.path for file in listing.files), *listing.hidden))
    return listing, sample


def _refuse_table(source: Source, paths: Iterable[str]) -> None:
    if title := table_among(source, paths):
        raise mismatch(source.path, source.format.value, f"a table of {title}")


def _sample(source: Source, budget: Budget, limits: Limits, path: str) -> Chunk:
    """Return the beginning of a file that is the only one."""
    return source.store.get(path, length=_share(source, 1, budget, limits))


def _parts(
    source: Source,
    listing: Listing,
    budget: Budget,
    limits: Limits,
    progress: Progress,
    rules: Rules,
    sample: Chunk | None,
) -> Iterator[_Part | None]:
    total, done, found = len(listing.files), 0, False
    while done < total and not budget.truncated:
        # Anew for each batch: what small files have left of their share goes to the others.
        length = _share(source, total - done, budget, limits)
        batch = _batch(listing.files[done : done + _FETCHED_AT_ONCE], length)
        fetch = partial(_fetch, source, budget=budget, length=length, sample=sample)
        for file, data in zip(batch, source.store.map(fetch, batch), strict=True):
            if data is not None:
                part = _part(source, file, data, length, budget, limits, rules, must=not found)
                found = found or part is not None
                yield part
        done += len(batch)
        progress("sample", done, total)


def _batch(files: Sequence[ObjectInfo], length: int) -> Sequence[ObjectInfo]:
    """Return as many of the files as may be in memory together; one at least."""
    held = list(accumulate(min(file.size, length) for file in files))
    return files[: max(1, bisect_right(held, _HELD_BYTES))]


def _share(source: Source, files_left: int, budget: Budget, limits: Limits) -> int:
    """Return how many bytes the next files may give each."""
    # Among those that may still be read. The least share goes beyond what is left, never beyond the
    # whole budget.
    share = budget.bytes_left // min(files_left, limits.max_files)
    wanted = int(source.options.get("sample_bytes") or SAMPLE_BYTES)
    return min(wanted, max(share, min(_LEAST_SHARE_BYTES, limits.max_bytes)))


def _fetch(
    source: Source, file: ObjectInfo, *, budget: Budget, length: int, sample: Chunk | None
) -> bytes | None:
    if not budget.admit():
        return None
    if sample is not None:
        data = sample.data
    else:
        data = _beginning(source, file, length) if file.size else b""
    budget.spend(len(data), files=1)
    return data


def _beginning(source: Source, file: ObjectInfo, length: int) -> bytes:
    chunk = source.store.get(file.path, length=length)
    refuse_rewritten(source, file, chunk.info)
    return chunk.data


def _part(
    source: Source,
    file: ObjectInfo,
    data: bytes,
    length: int,
    budget: Budget,
    limits: Limits,
    rules: Rules,
    *,
    must: bool,
) -> _Part | None:
    text = sample_text(source, file, data, limits, max_bytes=length)
    inferred = rules.infer(text)
    # Not one whole row: take more, as much as a row may have. As long as no file has told a column,
    # beyond the budget as well.
    while (inferred is None or not inferred.rows) and not text.complete:
        if not (must or budget.bytes_left):
            budget.cut()
            break
        if length > _MOST_ROWS * limits.max_line_bytes:
            raise line_too_long(file.path, 1, limits)
        length = min(length * _GROWTH, _MOST_ROWS * limits.max_line_bytes + 1)
        data = _beginning(source, file, length)
        budget.spend(len(data))
        text = sample_text(source, file, data, limits, max_bytes=length)
        inferred = rules.infer(text)
    if inferred is None:
        return None
    return _Part(file=file, inferred=_told(inferred, text), complete=text.complete)


def _told(inferred: Inferred, text: Text) -> Inferred:
    """Return it with what its text has to say, too."""
    if not text.warnings:
        return inferred
    return replace(inferred, warnings=(*inferred.warnings, *text.warnings))


def _columns(
    source: Source,
    listing: Listing,
    parts: list[_Part],
    rules: Rules,
    limits: Limits,
    *,
    truncated: bool,
) -> tuple[tuple[Column, ...], Decided]:
    warnings = [warning for part in parts for warning in part.inferred.warnings]
    decided = decide_order(_united(parts, rules, warnings), source.options.get("date_order"))
    # The rules of values unite first, so that all files have one type for a name: `combine` then
    # adds who lacks it, and what was stored. Once each: of many files every one may have a column
    # that is large.
    columns = {name: Column.of(name, type_of(kind)) for name, kind in decided.kinds.items()}
    if not columns:
        raise EmptySourceError(
            "The provided file has no columns, or none that has a name.",
            hint="Give the keys of its objects names, then refresh again.",
            file=parts[0].file.path,
        )
    united = combine(
        [(part.file, tuple(map(columns.__getitem__, part.inferred.kinds))) for part in parts],
        previous=stored_columns(source),
        truncated=truncated,
    )
    all_columns = with_partitions(
        united, hive_partitions((file.path for file in listing.files), limits)
    )
    check_columns(len(all_columns), limits)
    return all_columns, decided._replace(warnings=[*warnings, *decided.warnings])


def _groups(parts: list[_Part]) -> list[Alike]:
    """Put files of the same columns together, before their kinds take in one another's."""
    made: dict[int, dict[str, Type]] = {}
    for part in parts:
        # Most files of a source share one object.
        kinds = part.inferred.kinds
        if id(kinds) not in made:
            made[id(kinds)] = {name: _own_type(kind) for name, kind in kinds.items()}
    return alike_types((part.file, made[id(part.inferred.kinds)]) for part in parts)


def _own_type(kind: Kind) -> Type:
    """Return what a column is in one file. Of many files every one may have an object that is
    large: such objects are not told apart."""
    return type_of(kind) if count_fields(kind) <= _MOST_FIELDS else _LARGE


def _origins(
    source: Source, groups: list[Alike], columns: tuple[Column, ...], *, sampled: bool
) -> Origins:
    partitions = [column for column in columns if column.partition]
    return origins_of(source, groups, partitions, sampled=sampled)


def _united(parts: list[_Part], rules: Rules, warnings: list[ReadWarning]) -> dict[str, Kind]:
    kinds: dict[str, Kind] = {}
    for part in parts:
        for name, kind in part.inferred.kinds.items():
            known = kinds.get(name)
            kinds[name] = rules.unite(name, known, kind, part.file.path, warnings)
    return kinds
