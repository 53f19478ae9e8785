"""What a read that goes beyond a hard limit says: the figure, and the setting that raises it."""

from typing import Final

from stocktake.errors import LimitExceededError
from stocktake.introspection import Limits

#: Before a limit's name, the setting that holds it (`stocktake.settings.Settings`).
_SETTING: Final = "STOCKTAKE_INFERENCE_"


def setting_of(limit: str) -> str:
    """The setting behind a field of `Limits`.

    >>> setting_of("max_columns")
    'STOCKTAKE_INFERENCE_MAX_COLUMNS'
    """
    return _SETTING + limit.upper()


def exceeded(
    limits: Limits, limit: str, said: str, *, advice: str, file: str | None = None
) -> LimitExceededError:
    """The error for a source that is beyond one of the limits.

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


def check_columns(count: int, limits: Limits) -> None:
    """Refuse more columns than `max_columns`.

    Raises:
        LimitExceededError: with both figures.
    """
    if count > limits.max_columns:
        advice = "Narrow the source, or nest columns that belong together"
        raise exceeded(limits, "max_columns", f"The source has {count:,} columns", advice=advice)
