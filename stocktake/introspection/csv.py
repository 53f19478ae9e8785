"""CSV, with and without a header: the sample's columns, and the check of every value."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain
from typing import Final

from stocktake.errors import DuplicateColumnError, InvalidSourceError, RaggedRowsError
from stocktake.introspection import Introspection, Limits, Progress, Source, Validation
from stocktake.introspection.dialect import Block, Dialect, dialect_of
from stocktake.introspection.excess import exceeded
from stocktake.introspection.fits import fits_csv
from stocktake.introspection.inference import (
    BOOL,
    FLOAT64,
    INT64,
    UINT64,
    Array,
    Kind,
    KindConflictError,
    Map,
    describe,
    infer_field,
    infer_quoted,
    join,
)
from stocktake.introspection.moments import (
    DATE,
    DATETIME,
    DATETIME64,
    STRING,
    SURE_DATE,
    SURE_DATETIME,
    SURE_DATETIME64,
)
from stocktake.introspection.records import Records
from stocktake.introspection.sampling import Inferred, Rules, read_samples, read_whole
from stocktake.introspection.text import Text, lines, mismatch, refuse_names
from stocktake.introspection.validating import Checked, Finding, validate_files
from stocktake.schema.columns import Column, unwrap
from stocktake.states import TableFormat

_SNIFFED_LINES: Final = 1_000
#: Joins a column's fields so that one match tests them all; a field that holds it is tested alone.
_SEPARATOR: Final = "\x1f"
_EMPTY: Final = (Array(element=None), Map(value=None))
_JSON_OBJECT: Final = re.compile(r'\s*+\[?\s*+\{\s*+(?:"(?:[^"\\]++|\\.)*+"\s*+:|\}|$)')


def read(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """Infer the columns from samples of the newest files.

    Args:
        source: its options `csv_delimiter`, `csv_quote`, `csv_header`, `csv_null_values`,
            `csv_allow_double_quotes`, `encoding`, `compression` and `sample_bytes` win over
            what the bytes suggest.

    Raises:
        RaggedRowsError: a row has more or fewer values than the first.
        DuplicateColumnError: the header names a column twice.
        FormatMismatchError: a file is no CSV.
        JobError: any other, as `stocktake.errors` draws them.
    """
    rules = Rules(infer=partial(_infer, source, limits), unite=_join)
    return read_samples(source, limits, progress, rules)


def validate(
    source: Source, columns: tuple[Column, ...], limits: Limits, progress: Progress
) -> Validation:
    """Hold every value of every file to its column's type. Raises what `read` raises."""
    return validate_files(source, columns, limits, progress, partial(_check, source, limits))


def read_all(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """Infer the columns from all of every file. Raises what `read` raises."""
    rules = Rules(infer=partial(_infer, source, limits), unite=_join)
    return read_whole(source, limits, progress, rules)


def records(source: Source, limits: Limits, text: Text, names: Sequence[str]) -> Iterator[Records]:
    """The rows of one file: texts without their quotes. Raises what `read` raises."""
    table = _open(source, text, limits)
    if table is None:
        return
    at = {name: index for index, name in enumerate(table.names)}
    for block in table.blocks:
        if block.rows:
            _refuse_open_end(block, table.dialect, text.path)
            fields = list(zip(*block.rows, strict=True))
            known = [name for name in names if name in at]
            texts = {name: _texts(fields[at[name]], table.dialect) for name in known}
            yield Records(block.lines, texts)


def _refuse_open_end(block: Block, dialect: Dialect, path: str) -> None:
    """Rows that are to be loaded must not be what an unclosed quote has swallowed.

    Columns are read from such a file all the same, as ClickHouse does.
    """
    if dialect.is_open(block.rows[-1][-1]):
        line = block.lines[-1]
        raise RaggedRowsError(
            f"{path}, line {line}: a quoted value is never closed, so all that follows it would "
            "be one value.",
            file=path,
        )


def _texts(raws: Sequence[str], dialect: Dialect) -> list[str | None]:
    known = {
        raw: None if dialect.strip(raw) in dialect.nulls else dialect.unquote(raw)[0]
        for raw in set(raws)
    }
    return [known[raw] for raw in raws]


# --- phases: dialect, header, rows --------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    names: list[str]
    dialect: Dialect
    blocks: Iterator[Block]


def _open(source: Source, text: Text, limits: Limits) -> _Table | None:
    """Find dialect and header; None where there is not one record."""
    batches = lines(text, limits)
    first = next(batches, [])
    _refuse_json(first, text.path, source)
    dialect = dialect_of(source.options, first[:_SNIFFED_LINES], limits)
    blocks = dialect.blocks(
        chain([first], batches), path=text.path, limits=limits, complete=text.complete
    )
    head, blocks = _head(blocks)
    if head is None:
        return None
    _refuse_lone_returns(head, dialect, text.path)
    has_header = _has_header(source)
    names = _names(head, dialect, has_header=has_header, path=text.path, limits=limits)
    if has_header:
        next(blocks)
    return _Table(names=names, dialect=dialect, blocks=_even(blocks, len(names), text.path))


def _head(blocks: Iterator[Block]) -> tuple[list[str] | None, Iterator[Block]]:
    """The first record that is no empty line, and all records from it on, it alone in the
    first block."""
    for block in blocks:
        for at, row in enumerate(block.rows):
            if row != [""]:
                head = Block(block.lines[at : at + 1], [row])
                rest = Block(block.lines[at + 1 :], block.rows[at + 1 :])
                return row, chain([head, rest], blocks)
    return None, blocks


def _has_header(source: Source) -> bool:
    option = source.options.get("csv_header")
    return source.format is TableFormat.CSV_WITH_NAMES if option is None else bool(option)


def _refuse_json(first: list[str], path: str, source: Source) -> None:
    if first and _JSON_OBJECT.match(first[0]):
        raise mismatch(path, source.format.value, "JSON")


def _refuse_lone_returns(head: list[str], dialect: Dialect, path: str) -> None:
    """Lines that end in CR alone would all be taken for one, the header."""
    if any("\r" in raw for raw in head if not dialect.unquote(raw)[1]):
        raise InvalidSourceError(
            f"{path}, line 1: a carriage return without a line feed. Write the file with LF or "
            "CRLF at the end of its lines.",
            file=path,
        )


def _names(
    head: list[str], dialect: Dialect, *, has_header: bool, path: str, limits: Limits
) -> list[str]:
    if len(head) > limits.max_columns:
        raise exceeded(
            limits,
            "max_columns",
            f"{path} has {len(head):,} columns",
            advice="Check the delimiter, split the table",
            file=path,
        )
    if not has_header:
        return [f"c{number}" for number in range(1, len(head) + 1)]
    names = [dialect.unquote(raw)[0] or f"c{number}" for number, raw in enumerate(head, start=1)]
    _refuse_duplicates(names, path)
    refuse_names(names, path)
    return names


def _refuse_duplicates(names: list[str], path: str) -> None:
    doubled = sorted(name for name, count in Counter(names).items() if count > 1)
    if doubled:
        listed = ", ".join(map(repr, doubled[:10]))
        raise DuplicateColumnError(f"The header of {path} names twice: {listed}.", file=path)


def _even(blocks: Iterable[Block], width: int, path: str) -> Iterator[Block]:
    """The blocks, all records of the same width; empty lines at the end are left out, though
    in a file of one column each is a null."""
    blank: int | None = None
    for block in blocks:
        if blank is None and set(map(len, block.rows)) <= {width}:
            if block.rows:
                yield block
            continue
        kept = 0
        for line, row in zip(block.lines, block.rows, strict=True):
            if row == [""] and width > 1:
                blank = blank or line
            elif blank or len(row) != width:
                raise _ragged(blank or line, 1 if blank else len(row), width, path)
            else:
                kept += 1
        if kept:
            yield Block(block.lines[:kept], block.rows[:kept])


def _ragged(line: int, found: int, width: int, path: str) -> RaggedRowsError:
    return RaggedRowsError(
        "The provided file has rows with different amount of values: "
        f"{path}, line {line}, has {found}, expected {width}.",
        file=path,
    )


# --- types --------------------------------------------------------------------------------

#: What surely keeps a column at its kind. What does not match is inferred, and joined.
_TOKENS: Final = {
    INT64: r"[+-]?[0-9]{1,18}",
    UINT64: r"[+-]?[0-9]{1,18}",
    FLOAT64: r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)",
    BOOL: r"true|false",
    DATE: SURE_DATE,
    DATETIME: SURE_DATETIME,
    DATETIME64: SURE_DATETIME64,
}
_NEVER_QUOTED: Final = frozenset({INT64, UINT64, FLOAT64, BOOL})


@lru_cache(maxsize=256)
def _block_pattern(kind: str | None, dialect: Dialect, *, quotes: bool) -> re.Pattern[str]:
    """Matches fields joined by the separator where each is a null or surely of the kind.

    Args:
        quotes: whether numbers may stand in quotes.
    """
    token = f"(?:{_TOKENS[kind]})" if kind else r"(?!)"
    if dialect.quote and (quotes or kind not in _NEVER_QUOTED):
        quote = re.escape(dialect.quote)
        token = f"{token}|{quote}{token}{quote}"
    nulls = "|".join(re.escape(null) for null in sorted(dialect.nulls, key=len, reverse=True))
    cell = rf"\ *+(?:{token}|{nulls})\ *+(?={_SEPARATOR}|\Z)"
    return re.compile(f"{cell}(?:{_SEPARATOR}{cell})*+")


def _all_match(pattern: re.Pattern[str], values: Sequence[str]) -> bool:
    joined = _SEPARATOR.join(values)
    # a field that holds the separator would be taken for two
    return pattern.fullmatch(joined) is not None and joined.count(_SEPARATOR) == len(values) - 1


def _infer(source: Source, limits: Limits, text: Text) -> Inferred | None:
    table = _open(source, text, limits)
    if table is None:
        return None
    kinds: list[Kind] = [None] * len(table.names)
    rows = 0
    for block in table.blocks:
        rows += len(block.rows)
        kinds = [
            _observe(kind, values, table.dialect)
            for kind, values in zip(kinds, zip(*block.rows, strict=True), strict=True)
        ]
    # to ClickHouse a column of empty lists and maps alone is a text, as one of nulls is
    settled = [None if kind in _EMPTY else kind for kind in kinds]
    return Inferred(kinds=dict(zip(table.names, settled, strict=True)), rows=rows)


def _observe(kind: Kind, values: Sequence[str], dialect: Dialect) -> Kind:
    """The kind of a column after one more block of its values."""
    if kind == STRING or _keeps(kind, values, dialect):
        return kind
    for value in dict.fromkeys(values):
        if dialect.strip(value) in dialect.nulls:
            continue
        joined = _join(kind, _kind_of(value, dialect))
        if joined != kind:
            kind = joined
            if kind == STRING or _keeps(kind, values, dialect):
                break
    return kind


def _keeps(kind: Kind, values: Sequence[str], dialect: Dialect) -> bool:
    if kind is not None and not (isinstance(kind, str) and kind in _TOKENS):
        return False
    return _all_match(_block_pattern(kind, dialect, quotes=False), values)


def _kind_of(raw: str, dialect: Dialect) -> Kind:
    text, quoted = dialect.unquote(raw)
    return infer_quoted(text) if quoted else infer_field(text)


def _join(a: Kind, b: Kind) -> Kind:
    try:
        return join(a, b, json_rules=False)
    except KindConflictError:
        return STRING


# --- validation ---------------------------------------------------------------------------

#: By the beginning of a type: what surely fits it, and need not be looked at singly.
_SURE: Final = (
    ("Int64", INT64),
    ("Int128", INT64),
    ("Int256", INT64),
    ("Float", FLOAT64),
    ("Bool", BOOL),
    ("Date32", DATE),
    ("DateTime64", DATETIME64),
    ("DateTime", DATETIME),
    ("Date", DATE),
)


class _Check:
    """One column of one file against its type."""

    def __init__(self, clickhouse: str, index: int, dialect: Dialect) -> None:
        bare = unwrap(clickhouse)
        self.index = index
        self._dialect = dialect
        self._fits = fits_csv(clickhouse)
        kind = next((kind for name, kind in _SURE if bare.startswith(name)), None)
        self._sure = _block_pattern(kind, dialect, quotes=True)

    def misfit(self, values: Sequence[str]) -> int | None:
        """The position of the first value that does not fit."""
        if _all_match(self._sure, values):
            return None
        seen = set[str]()
        for position, value in enumerate(values):
            if value not in seen and not self._holds(value):
                return position
            seen.add(value)
        return None

    def _holds(self, raw: str) -> bool:
        if self._dialect.strip(raw) in self._dialect.nulls:
            return True
        return self._fits(self._dialect.unquote(raw)[0].strip())


def _check(source: Source, limits: Limits, text: Text, types: dict[str, str]) -> Checked | None:
    table = _open(source, text, limits)
    if table is None:
        return None
    checks = {
        name: _Check(types[name], index, table.dialect)
        for index, name in enumerate(table.names)
        if name in types and unwrap(types[name]) != STRING
    }
    rows, findings = 0, dict[str, Finding]()
    for block in table.blocks:
        rows += len(block.rows)
        fields = list(zip(*block.rows, strict=True)) if checks else []
        for name, check in list(checks.items()):
            values = fields[check.index]
            position = check.misfit(values)
            if position is not None:
                del checks[name]
                found = describe(_kind_of(values[position], table.dialect))
                findings[name] = Finding(line=block.lines[position], found=found)
    return Checked(rows=rows, findings=findings)
