"""The columns of several files, as one table's."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from stocktake.schema.columns import Column
from stocktake.schema.types import make_nullable, scalar
from stocktake.schema.warnings import ReadWarning, WarningCode
from stocktake.schema.widening import is_widening, settled, widen
from stocktake.storage.stores.opening import ObjectInfo

_ANY: Final = scalar("String")


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
        if self.nullable == self.column.nullable:
            return self.column
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
        file lacks is nullable, unless its type cannot be (Array, Map, Tuple); one that is null in
        all of them is Nothing, which `conclude` settles.
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


def null_parts(
    per_file: Iterable[tuple[str, tuple[Column, ...]]], united: Iterable[Column]
) -> Iterator[ReadWarning]:
    """Yield which columns have no type in a file, and took another's; each once.

    Args:
        per_file: the name of each file, and what it holds.
        united: what `combine` made of it.
    """
    open_ = {column.name for column in united if not _is_typed(column)}
    told: set[str] = set()
    for file, columns in per_file:
        for column in columns:
            if column.name not in open_ | told and not _is_typed(column):
                told.add(column.name)
                yield ReadWarning(
                    code=WarningCode.NULL_TYPED_PART,
                    sentence=f'The column "{column.name[:100]}" holds only nulls in this file, '
                    "which gives it no type: it has the type that other files give it.",
                    file=file,
                )


def mixed_parts(
    per_file: Iterable[tuple[str, tuple[Column, ...]]], united: Iterable[Column]
) -> Iterator[ReadWarning]:
    """Yield which columns are a String only because nothing else holds what the files have; each
    once.

    Args:
        per_file: the name of each file, and what it holds.
        united: what `combine` made of it.
    """
    texts = {column.name: column.type for column in united if column.type.name == _ANY.name}
    for file, columns in per_file:
        for column in columns:
            found, text = column.type, texts.get(column.name)
            # most are the very type that they are united to
            if text is not None and found is not text and not is_widening(found, text):
                del texts[column.name]
                nested = " ClickHouse reads none of this file's into it." if found.fields else ""
                yield ReadWarning(
                    code=WarningCode.MIXED_KINDS,
                    sentence=f'The column "{column.name[:100]}" is {str(found)[:100]} in this file '
                    f"and of another kind in others: it is a String.{nested}",
                    file=file,
                )


def _is_typed(column: Column) -> bool:
    return settled(column.type, _ANY) is column.type
