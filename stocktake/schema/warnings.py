"""What a read that succeeded still has to say of its source."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

#: Of one read; what is beyond them is counted in one more.
MAX_WARNINGS: Final = 20
_MAX_SENTENCE_LENGTH: Final = 500


class WarningCode(StrEnum):
    """Which kind of thing it is; a client may rely on these."""

    #: There are more warnings than are kept.
    MORE_WARNINGS = "more_warnings"
    #: Files that match were passed over: their names, or a folder's, begin with `_` or `.`.
    HIDDEN_FILES = "hidden_files"
    #: Files that match were passed over: they have no bytes.
    EMPTY_FILES = "empty_files"
    #: Of an Iceberg table, another metadata file than the one that was read may be the newest.
    METADATA_UNSURE = "metadata_unsure"
    #: Of an Iceberg table, earlier schemas did not become versions.
    HISTORY_LEFT_OUT = "history_left_out"
    #: A column has no type in one file, where it holds only nulls, and takes the others'.
    NULL_TYPED_PART = "null_typed_part"
    #: A Delta table's checkpoint is damaged; an older one, or the commits, were read.
    CHECKPOINT_PASSED_OVER = "checkpoint_passed_over"
    #: A Delta version's checksum file says something else than its log.
    CHECKSUM_DISBELIEVED = "checksum_disbelieved"
    #: Files of a Delta table have absolute paths; a count has only the log's word for them.
    FILES_ELSEWHERE = "files_elsewhere"
    #: A text is not in UTF-8, or not all of it.
    ENCODING = "encoding"
    #: Lines of a CSV end in CR, or in CR CR LF.
    LINE_ENDS = "line_ends"
    #: Lines of a CSV before its header, or comments in it, were passed over.
    SKIPPED_LINES = "skipped_lines"
    #: Blank lines of a CSV were passed over.
    BLANK_LINES = "blank_lines"
    #: A CSV may have another delimiter or other quotes than it was read with.
    DIALECT_UNSURE = "dialect_unsure"
    #: Cells of a sheet hold an error, as a formula leaves it, and count as null.
    ERROR_CELLS = "error_cells"
    #: Columns of a CSV or of a sheet have other names than its header says.
    RENAMED_COLUMNS = "renamed_columns"
    #: A column that has no name was left out.
    NAMELESS_COLUMN = "nameless_column"
    #: A JSON key, or a column in several files, holds values that only a text gives back.
    MIXED_KINDS = "mixed_kinds"
    #: A column's type goes there and back from read to read; it is stored as one that reads all.
    UNSTABLE_COLUMN = "unstable_column"
    #: A JSON object has a key without a name; its values are left out.
    EMPTY_KEY = "empty_key"
    #: Dates such as 01/02/2024 do not tell their order, or are month first.
    DATE_ORDER = "date_order"
    #: An upload's rows were in the table already, by a request that the database has forgotten.
    LOADED_BEFORE = "loaded_before"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadWarning:
    """One thing that a reader of the schema should know, though it ended no read.

    Attributes:
        sentence: what was found and what was done about it; cut where it is too long.
        file: the file that it was seen in, as messages name files.
        line: where in it, counted from 1.
    """

    code: WarningCode
    sentence: str
    file: str | None = None
    line: int | None = None

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Self:
        """Read what `as_dict` wrote."""
        return cls(**stored | {"code": WarningCode(stored["code"])})

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON, as jobs and tables show it."""
        sentence = self.sentence
        if len(sentence) > _MAX_SENTENCE_LENGTH:
            sentence = sentence[: _MAX_SENTENCE_LENGTH - 1] + "…"
        return {
            "code": self.code.value,
            "sentence": sentence,
            "file": self.file,
            "line": self.line,
        }


def bounded(found: Iterable[ReadWarning]) -> tuple[ReadWarning, ...]:
    """Return the distinct ones, no more than `MAX_WARNINGS`; a last one counts those left out."""
    distinct = tuple(dict.fromkeys(found))
    if len(distinct) <= MAX_WARNINGS:
        return distinct
    left_out = len(distinct) - (MAX_WARNINGS - 1)
    last = ReadWarning(
        code=WarningCode.MORE_WARNINGS, sentence=f"There are {left_out:,} more warnings."
    )
    return (*distinct[: MAX_WARNINGS - 1], last)
