"""What a text file's rows are handed on as, to be made into Arrow batches."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

#: Values that one block of records may hold.
BLOCK_CELLS: Final = 1 << 18


class Records(NamedTuple):
    """Some records of one file that follow each other.

    Attributes:
        lines: where each begins, counted from 1.
        values: by column: a CSV field's text or a decoded JSON value; None is null.
    """

    lines: Sequence[int]
    values: Mapping[str, Sequence[Any]]


class Counted(Iterator[str]):
    """Pieces of text, counted as they are taken."""

    def __init__(self, chunks: Iterator[str]) -> None:
        self._chunks = chunks
        self.count = 0

    def __next__(self) -> str:
        chunk = next(self._chunks)
        self.count += 1
        return chunk
