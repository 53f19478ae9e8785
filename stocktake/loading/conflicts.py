"""How a load refuses a value: where it stands, what it is, and which column would take it."""

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from stocktake.errors import SchemaConflictError
from stocktake.readers.arrow_types import clickhouse_type

_LONGEST_VALUE: Final = 60


class MisfitError(ValueError):
    """A value does not fit its column.

    Args:
        why: what is the matter, where the types do not say it.
        path: the names of the fields below the column that lead to the value.
        value: the one that does not fit.
        found: the type of it.
    """

    def __init__(
        self, why: str = "", *, path: tuple[str, ...] = (), value: Any = None, found: str = ""
    ) -> None:
        super().__init__(why)
        self.why = why
        self.path = path
        self.value = value
        self.found = found

    def within(self, name: str) -> "MisfitError":
        """Return the same, told by whom the field belongs to."""
        path = (name, *self.path)
        return MisfitError(self.why, path=path, value=self.value, found=self.found)


class ColumnConflictError(SchemaConflictError):
    """A value of an upload does not fit its column of the managed table.

    Attributes:
        column: its name.
    """

    def __init__(self, detail: str, *, column: str, file: str) -> None:
        super().__init__(detail, file=file)
        self.column = column


def conflict(field: pa.Field, misfit: MisfitError, *, file: str, place: str) -> ColumnConflictError:
    """Return the error for a value that does not fit.

    Args:
        field: the column, with the type that it has.
        misfit: with what was found.
        file: as messages name files.
        place: where in it, such as ``line 3``.
    """
    path = ".".join((field.name, *misfit.path))
    found = f" ({misfit.found})" if misfit.found else ""
    expected = clickhouse_type(_leaf(field, misfit.path)).bare
    why = f": {misfit.why}" if misfit.why else ""
    return ColumnConflictError(
        f"{file}, {place}: column {path!r} holds {shortened(misfit.value)}{found}, expected "
        f"{shortened(expected)}{why}.",
        column=field.name,
        file=file,
    )


def _leaf(field: pa.Field, path: Sequence[str]) -> pa.Field:
    """Return the field that a path leads to; what a list or a map holds has no step of its own."""
    for name in path:
        field = _inside(field)
        if not pa.types.is_struct(field.type) or field.type.get_field_index(name) < 0:
            break
        field = field.type.field(name)
    return field


def _inside(field: pa.Field) -> pa.Field:
    arrow: Any = field.type
    while pa.types.is_list(arrow) or pa.types.is_map(arrow):
        field = arrow.item_field if pa.types.is_map(arrow) else arrow.value_field
        arrow = field.type
    return field


def shortened(value: Any) -> str:
    r"""Return a value as a message shows it.

    >>> shortened("x" * 100), shortened(b"\xff"), shortened(1.5)
    ('xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…', "b'\\xff'", '1.5')
    """
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"
