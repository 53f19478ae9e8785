"""What a text file's rows are handed on as, to be made into Arrow batches."""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, auto
from typing import Any, Final, NamedTuple, Protocol

from stocktake.readers.source import Limits, Source
from stocktake.readers.text.decoding import Text

#: Values that one block of records may hold.
BLOCK_CELLS: Final = 1 << 18


class Values(Enum):
    """What the values of a format's records are."""

    #: Texts, of which `values.csv_fields` says what they count as.
    FIELDS = auto()
    #: What JSON is decoded to.
    DECODED = auto()


class Records(NamedTuple):
    """Some records of one file that follow each other.

    Attributes:
        lines: where each begins, counted from 1.
        values: by column, as the format's `Values` say; None is null.
    """

    lines: Sequence[int]
    values: Mapping[str, Sequence[Any]]


class RecordReader(Protocol):
    """What the reader of a format offers as `records` whose files are uploaded texts."""

    def __call__(
        self, source: Source, limits: Limits, text: Text, names: Sequence[str]
    ) -> Iterator[Records]: ...


class Counted(Iterator[str]):
    """Pieces of text, counted as they are taken."""

    def __init__(self, chunks: Iterator[str]) -> None:
        self._chunks = chunks
        self.count = 0

    def __next__(self) -> str:
        chunk = next(self._chunks)
        self.count += 1
        return chunk
