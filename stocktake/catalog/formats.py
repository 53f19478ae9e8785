"""The format of a stored table, which may be one that this process does not have."""

from stocktake.errors import UnsupportedError
from stocktake.schema.formats import TableFormat


def format_of(name: str) -> TableFormat:
    """Return the format of that name.

    Raises:
        UnsupportedError: there is none: a package that adds it is not installed here, or a newer
            release stored it.
    """
    try:
        return TableFormat(name)
    except ValueError as exc:
        raise UnsupportedError(
            f"The table's format is {name!a}, which this worker does not know.",
            code="unknown_format",
            hint="The operator of the service must install the package that adds the format on "
            "every worker, or upgrade Stocktake.",
        ) from exc
