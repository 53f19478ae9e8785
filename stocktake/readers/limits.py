"""What a read that goes beyond a hard limit says: the figure, and the setting that raises it."""

from collections.abc import Iterable, Sequence
from typing import Final

from stocktake.errors import LimitExceededError
from stocktake.readers.column_names import refuse_names
from stocktake.readers.source import Limits
from stocktake.schema.columns import Column, is_stored_within, stored_size
from stocktake.schema.extent import extent

#: Before a limit's name, the setting that holds it (`stocktake.settings.Settings`).
_SETTING: Final = "STOCKTAKE_INFERENCE_"


def setting_of(limit: str) -> str:
    """Return the setting behind a field of `Limits`.

    >>> setting_of("max_columns")
    'STOCKTAKE_INFERENCE_MAX_COLUMNS'
    """
    return _SETTING + limit.upper()


def exceeded(
    limits: Limits, limit: str, said: str, *, advice: str, file: str | None = None
) -> LimitExceededError:
    """Return the error for a source that is beyond one of the limits.

    Args:
        limit: the field of `limits`.
        said: what was found, without a full stop.
        advice: what to do about the source, without a full stop.
        file: the file at fault.

    >>> error = exceeded(Limits(), "max_columns", "12,000 columns", advice="Split the table")
    >>> error.detail
    '12,000 columns; STOCKTAKE_INFERENCE_MAX_COLUMNS allows 10,000.'
    >>> error.hint
    'Split the table, or raise STOCKTAKE_INFERENCE_MAX_COLUMNS.'
    """
    setting = setting_of(limit)
    return LimitExceededError(
        f"{said}; {setting} allows {getattr(limits, limit):,}.",
        hint=f"{advice}, or raise {setting}.",
        file=file,
    )


def check_columns(
    count: int, limits: Limits, *, where: str = "The source", file: str | None = None
) -> None:
    """Refuse more columns than `max_columns`.

    Args:
        where: what has them, for the message.

    Raises:
        LimitExceededError: with both figures.
    """
    if count > limits.max_columns:
        advice = "Narrow the source, or nest columns that belong together"
        said = f"{where} has {count:,} columns"
        raise exceeded(limits, "max_columns", said, advice=advice, file=file)


def check_fields(count: int, limits: Limits, *, where: str, file: str | None = None) -> None:
    """Refuse more fields, nested ones included, than `max_fields`.

    Args:
        where: what has them, for the message.

    Raises:
        LimitExceededError: with both figures.
    """
    if count > limits.max_fields:
        raise exceeded(
            limits,
            "max_fields",
            f"{where} has {count:,} fields, nested ones included",
            advice="Put keys that are data into a list of key and value",
            file=file,
        )


def check_names(
    names: Sequence[str], limits: Limits, *, where: str, file: str | None = None
) -> None:
    """Refuse names that cannot be stored, or that are longer than `max_name_length`.

    Args:
        where: what has the names, for the message.
        file: the file at fault.

    Raises:
        InvalidSourceError: one cannot be stored.
        LimitExceededError: one is too long.
    """
    check_lengths(names, limits, where=where, file=file)
    refuse_names(names, where, file=file)


def check_lengths(
    names: Iterable[str], limits: Limits, *, where: str, file: str | None = None
) -> None:
    """Refuse names longer than `max_name_length`, as `check_names` does."""
    longest = max(names, key=len, default="")
    if len(longest) > limits.max_name_length:
        raise exceeded(
            limits,
            "max_name_length",
            f"{where} has a column or a field whose name, {longest[:40]!a}…, is "
            f"{len(longest):,} characters long",
            advice="Rename it at the source",
            file=file,
        )


def check_size(size_bytes: int, limits: Limits, *, what: str, file: str | None = None) -> None:
    """Refuse more bytes of a schema than `max_schema_bytes`.

    Args:
        what: takes them, for the message.

    Raises:
        LimitExceededError: with both figures.
    """
    if size_bytes > limits.max_schema_bytes:
        raise exceeded(
            limits,
            "max_schema_bytes",
            f"{what} takes {size_bytes:,} bytes",
            advice="Shorten names, flatten nested columns, split the table",
            file=file,
        )


def check_schema(columns: Sequence[Column], limits: Limits) -> None:
    """Refuse a schema beyond any bound, whatever format it came from.

    Readers refuse most of them sooner, with the file and the line; this is where all formats are
    held to the same.

    Raises:
        InvalidSourceError: a name cannot be stored.
        LimitExceededError: `max_columns`, `max_fields`, `max_nesting`, `max_name_length` or
            `max_schema_bytes`.
    """
    check_columns(len(columns), limits)
    check_names([column.name for column in columns], limits, where="The source")
    extents = [extent(column.type) for column in columns]
    for column, found in zip(columns, extents, strict=True):
        if found.depth > limits.max_nesting:
            said = f"Column {ascii(column.name)[:80]} nests {found.depth:,} levels deep"
            raise exceeded(limits, "max_nesting", said, advice="Flatten it at the source")
    check_lengths((each.longest for each in extents), limits, where="The source")
    nested = sum(each.fields for each in extents)
    check_fields(len(columns) + nested, limits, where="The source")
    if not is_stored_within(columns, limits.max_schema_bytes):
        check_size(stored_size(columns), limits, what="The schema")


def too_deep(path: str, line: int, limits: Limits) -> LimitExceededError:
    """Return the error for a value that is nested above the limit."""
    return exceeded(
        limits,
        "max_nesting",
        f"{path}, line {line}, is nested deeper than {limits.max_nesting} levels",
        advice="Store the inner part as a text",
        file=path,
    )
