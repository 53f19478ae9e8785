"""The columns of several files, as one table's."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from stocktake.schema.columns import Column
from stocktake.schema.types import make_nullable
from stocktake.schema.widening import widen
from stocktake.storage.stores.opening import ObjectInfo


@dataclass(slots=True)
class _Union:
    column: Column
    seen: int = 1
    nullable: bool = field(init=False)

    def __post_init__(self) -> None:
        self.nullable = self.column.nullable

    def add(self, column: Column) -> None:
        self.seen += 1
        self.nullable = self.nullable or column.nullable
        # Plain types are one object each, so most comparisons end at `is`.
        if column.type is not self.column.type and column.type != self.column.type:
            self.column = Column.of(
                column.name,
                widen(self.column.type, column.type),
                field_id=self.column.field_id,
                partition=self.column.partition,
            )

    def result(self, parts: int) -> Column:
        if self.seen < parts:
            return replace(self.column, type=make_nullable(self.column.type), nullable=True)
        return replace(self.column, nullable=self.nullable)


def combine(
    per_file: Sequence[tuple[ObjectInfo, tuple[Column, ...]]],
    *,
    previous: tuple[Column, ...] = (),
    truncated: bool = False,
) -> tuple[Column, ...]:
    """Unite the columns of several files by name.

    Args:
        per_file: what each file holds, newest first.
        previous: the columns of the last read (`stored_columns`); they decide the order.
        truncated: whether files were left unread; `previous` then also counts as a file, so
            that a sample adds and widens but never removes.

    Returns:
        The stored order first, then the newest file's, then the others'. A column that some
        file lacks is nullable, unless its type cannot be (Array, Map, Tuple).
    """
    parts = [columns for _, columns in per_file]
    if truncated and previous:
        parts.append(previous)
    union: dict[str, _Union] = {}
    for columns in parts:
        for column in columns:
            if column.name in union:
                union[column.name].add(column)
            else:
                union[column.name] = _Union(column)
    order = dict.fromkeys([*(column.name for column in previous), *union])
    return tuple(union[name].result(len(parts)) for name in order if name in union)
