"""The options of tables: of each its name, which values it may have, and what it is for.

Which formats look at an option, `stocktake.schema.formats` says. The services check values against
this, and the API describes it.
"""

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from types import GenericAlias
from typing import Any, Final

_MAX_TEXT_LENGTH: Final = 500
#: Rows of an Excel sheet.
_MAX_HEADER_ROW: Final = 1 << 20
_MAX_NULL_VALUES: Final = 50
_MAX_SAMPLE_BYTES: Final = 1 << 40
_MAX_SKIPPED_LINES: Final = 10_000
_COMPRESSIONS: Final = frozenset(
    {"auto", "none", "gz", "gzip", "zst", "zstd", "xz", "lzma", "lz4", "bz2", "bzip2"}
    | {"br", "brotli", "deflate", "zlib", "snappy"}
)
#: Of `date_order`.
DAY_FIRST: Final = "day_first"
MONTH_FIRST: Final = "month_first"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One key of a table's options. Its value may be null, which is as good as left out.

    Attributes:
        holds: whether a value, which is not null, may be given.
        expected: what must be given, behind "must be".
        type: of its value, for the API's description.
        max_length: of a text, for the description.
        minimum: of a number, for the description.
        description: what it is for.
    """

    name: str
    holds: Callable[[Any], bool]
    expected: str
    type: type | GenericAlias
    max_length: int | None = None
    minimum: int | None = None
    description: str


#: A name that is in its folder and nowhere else.
_FILE_NAME: Final = re.compile(r"[^/\\\x00-\x1f\x7f]+\.json(?:\.gz)?")


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_TEXT_LENGTH and "\x00" not in value


def _is_delimiter(value: Any) -> bool:
    return _is_character(value) and value not in '\r\n"'


def _is_character(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 1 and value not in "\x00\r\n"


def _are_null_values(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= _MAX_NULL_VALUES and all(map(_is_text, value))


def _is_encoding(value: Any) -> bool:
    try:
        # A name may also be of a codec that makes no text (base64, zip): those are refused.
        # Not of no bytes: those are decoded without a look at the codec.
        return _is_text(value) and bool(b"xx".decode(codecs.lookup(value).name, "replace"))
    except (LookupError, UnicodeError):
        return False


def _is_compression(value: Any) -> bool:
    return isinstance(value, str) and value in _COMPRESSIONS


def _is_file_name(value: Any) -> bool:
    return _is_text(value) and _FILE_NAME.fullmatch(value) is not None


def _is_date_order(value: Any) -> bool:
    return value in (DAY_FIRST, MONTH_FIRST)


def _is_sample_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MAX_SAMPLE_BYTES


def _is_row_number(value: Any) -> bool:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return is_whole and 0 <= value <= _MAX_HEADER_ROW


def _is_line_count(value: Any) -> bool:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return is_whole and 0 <= value <= _MAX_SKIPPED_LINES


def _flag(name: str, description: str) -> Option:
    return Option(
        name=name, holds=_is_flag, expected="true or false", type=bool, description=description
    )


#: Of workbooks.
SHEETS: Final = (
    Option(
        name="sheet",
        holds=_is_text,
        expected="a string",
        type=str,
        description="Of a workbook: the name of the sheet that is the table; the first one if "
        "left out.",
    ),
    Option(
        name="header_row",
        holds=_is_row_number,
        expected=f"a whole number from 0 to {_MAX_HEADER_ROW:,}",
        type=int,
        minimum=0,
        description="Of a workbook: the number of the row that names the columns, as the "
        "spreadsheet shows it; 0 where none does. The first row that is not empty if left out.",
    ),
)

#: Of a table of any format.
COMMON: Final = (_flag("public", "Read the source unsigned, so that it needs no credential."),)

#: Of the formats whose types are inferred from text.
TEXT: Final = (
    _flag(
        "validate",
        "False leaves out the read of all the data that follows the refresh of a text "
        "table and sets `schema_valid`.",
    ),
    Option(
        name="encoding",
        holds=_is_encoding,
        expected="the name of a text encoding, for example 'utf-8'",
        type=str,
        description="Of a text table, for example `latin-1`; found out if left out.",
    ),
    Option(
        name="compression",
        holds=_is_compression,
        expected=f"one of {', '.join(sorted(_COMPRESSIONS))}",
        type=str,
        description="Of a text table: `none`, `gzip`, `zstd`, `xz`, `lz4`, `bz2`, `brotli`, "
        "`deflate` or Hadoop's `snappy`; found out if left out.",
    ),
    Option(
        name="date_order",
        holds=_is_date_order,
        expected=f"{DAY_FIRST} or {MONTH_FIRST}",
        type=str,
        description="How a text table writes dates such as 01/02/2024: `day_first` or "
        "`month_first`; found out for each column if left out.",
    ),
    Option(
        name="sample_bytes",
        holds=_is_sample_size,
        expected="a positive whole number of bytes",
        type=int,
        minimum=1,
        description="How many bytes of each file of a text table a refresh samples; of a "
        "compressed file also how much text.",
    ),
)

CSV: Final = (
    Option(
        name="csv_delimiter",
        holds=_is_delimiter,
        expected="one character, neither a quote nor a line break",
        type=str,
        max_length=1,
        description="One character; found out if left out.",
    ),
    Option(
        name="csv_quote",
        holds=_is_character,
        expected="one character",
        type=str,
        max_length=1,
        description="One character.",
    ),
    _flag(
        "csv_header",
        "Whether the first line names the columns; the format decides if not.",
    ),
    Option(
        name="csv_null_values",
        holds=_are_null_values,
        expected=f'a list of up to {_MAX_NULL_VALUES} strings, such as ["NA", "-"]',
        type=list[str],
        description="Fields that stand for null, as they stand in the file: `NA`, `-`; with its "
        'quotes one that has some, as `""`.',
    ),
    _flag("csv_allow_double_quotes", "False: quotes mean nothing."),
    Option(
        name="csv_skip_lines",
        holds=_is_line_count,
        expected=f"a whole number of lines from 0 to {_MAX_SKIPPED_LINES}",
        type=int,
        minimum=0,
        description="How many lines stand before the table, titles for example; found out where "
        "it is sure if left out.",
    ),
    Option(
        name="csv_comment",
        holds=_is_delimiter,
        expected="one character, neither a quote nor a line break",
        type=str,
        max_length=1,
        description="What a line begins with that is no row; found out where it is sure if left "
        "out.",
    ),
)

DELTA: Final = (
    _flag(
        "delta_count",
        "True: each refresh that finds a new version of a Delta table counts its live "
        "files, bytes and rows, which reads the paths and statistics in its checkpoint. Otherwise "
        "they are known only where the log's checksum file tells them.",
    ),
)

ICEBERG: Final = (
    Option(
        name="metadata_file",
        holds=_is_file_name,
        expected="the name of a file in the table's metadata folder, for example "
        "'00003-5f1c….metadata.json'",
        type=str,
        max_length=_MAX_TEXT_LENGTH,
        description="Of an Iceberg table, the name of the file in its `metadata` folder to read; "
        "the one of the highest number if left out.",
    ),
)
