"""CSV, with and without a header: the sample's columns, and the check of every value."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

from stocktake.errors import RaggedRowsError
from stocktake.readers.files.state import stored_columns
from stocktake.readers.limits import too_deep
from stocktake.readers.source import Introspection, Limits, Progress, Source, Validation
from stocktake.readers.text.csv.dialect import Block, Dialect
from stocktake.readers.text.csv.lines import Lines
from stocktake.readers.text.csv.patterns import all_match, block_pattern, keeps, row_pattern
from stocktake.readers.text.csv.table import Table, open_table
from stocktake.readers.text.date_order import DateOrders
from stocktake.readers.text.decoding import Text
from stocktake.readers.text.fast_rows import rows_of
from stocktake.readers.text.records import Records, Values
from stocktake.readers.text.sampling import Inferred, Rules, read_samples, read_whole
from stocktake.readers.text.validating import Checked, Finding, validate_files
from stocktake.readers.text.values.checks import Fits, fits_csv
from stocktake.readers.text.values.csv_fields import infer_field, infer_quoted
from stocktake.readers.text.values.dates import DATE, DATE32, DATETIME, DATETIME64, STRING
from stocktake.readers.text.values.kinds import (
    Array,
    Kind,
    KindConflictError,
    Map,
    NestingError,
    describe,
    join_csv,
    type_of,
)
from stocktake.readers.text.values.numbers import BOOL, FLOAT64, INT64, LONG
from stocktake.schema.columns import Column
from stocktake.schema.types import Type
from stocktake.schema.warnings import ReadWarning

_EMPTY: Final = (Array(element=None), Map(value=None))
#: Kinds that hold others, and which of the files that have them are looked at all the same.
_WIDE: Final = frozenset({STRING, FLOAT64})
_LOOKED_AT: Final = frozenset({1, 64, 512})
#: By a type's name, the kinds of numbers of which other ones hold all values.
_KINDS: Final[dict[str, Kind]] = {"Int64": INT64, "Float64": FLOAT64, "Bool": BOOL}

#: Of `records`.
VALUES: Final = Values.FIELDS


def read(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """Infer the columns from samples of the newest files.

    Args:
        source: its options `csv_delimiter`, `csv_quote`, `csv_header`, `csv_null_values`,
            `csv_allow_double_quotes`, `csv_skip_lines`, `csv_comment`, `encoding`, `compression`
            and `sample_bytes` win over what the bytes suggest.

    Raises:
        RaggedRowsError: a row has more or fewer values than the first.
        FormatMismatchError: a file is no CSV.
        JobError: any other, as `stocktake.errors` draws them.
    """
    rules = Rules(infer=_Inference(source, limits), unite=_unite)
    return read_samples(source, limits, progress, rules)


def validate(
    source: Source, columns: tuple[Column, ...], limits: Limits, progress: Progress
) -> Validation:
    """Hold every value of every file to its column's type. Raises what `read` raises."""
    orders = DateOrders(source.options.get("date_order"))
    check = partial(_check, source, limits, orders)
    return validate_files(source, columns, limits, progress, check)


def read_all(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """Infer the columns from all of every file. Raises what `read` raises."""
    rules = Rules(infer=_Inference(source, limits), unite=_unite)
    return read_whole(source, limits, progress, rules)


def records(source: Source, limits: Limits, text: Text, names: Sequence[str]) -> Iterator[Records]:
    """Yield the rows of one file: texts without their quotes. Raises what `read` raises."""
    table = open_table(source, Lines(text, limits), text, limits)
    if table is None:
        return
    at = {name: index for index, name in enumerate(table.names)}
    for block in table.blocks():
        if block.rows:
            _refuse_open_end(block, table.dialect, text.path)
            fields = list(zip(*block.rows, strict=True))
            known = [name for name in names if name in at]
            texts = {name: _texts(fields[at[name]], table.dialect) for name in known}
            yield Records(block.lines, texts)


def _refuse_open_end(block: Block, dialect: Dialect, path: str) -> None:
    """Refuse rows that an unclosed quote has swallowed: they are to be loaded.

    Columns are read from such a file all the same, as ClickHouse does.
    """
    # The last one alone can be open: it takes in all that follows.
    if dialect.is_open(block.rows[-1][-1]):
        line = block.lines[-1]
        raise RaggedRowsError(
            f"{path}, line {line}: a quoted value is never closed, so all that follows it would "
            "be one value.",
            file=path,
        )


def _texts(raws: Sequence[str], dialect: Dialect) -> list[str | None]:
    blanks, nulls, quote = dialect.blanks, dialect.nulls, dialect.quote
    if _is_bare("\0".join(["", *raws, ""]), blanks, quote):
        missing = nulls.intersection(raws)
        return [None if raw in missing else raw for raw in raws] if missing else list(raws)
    known: dict[str, str | None] = {}
    for raw in set(raws):
        text = raw.strip(blanks)
        if text in nulls:
            known[raw] = None
        else:
            # Most have no quote: a call for each of them takes longer than all else here.
            known[raw] = dialect.unquote(raw)[0] if text[:1] == quote else text
    return [known[raw] for raw in raws]


def _is_bare(joined: str, blanks: str, quote: str) -> bool:
    """Return whether no field has a quote, or a blank at an end.

    Args:
        joined: the fields, each between two null characters; more of these only make it unsure.
    """
    return quote not in joined and not any(
        f"\0{blank}" in joined or f"{blank}\0" in joined for blank in blanks
    )


# --- types --------------------------------------------------------------------------------


class _Known(NamedTuple):
    """What files of the same header are likely to hold, too."""

    header: str
    dialect: Dialect
    kinds: dict[str, Kind]


class _Inference:
    """The kinds of one file after the other, most of which are like those before.

    A file with the same header, whose rows surely keep the kinds that are known, adds nothing to
    them; that takes one match, and is most of the work where there are many small files. Kinds
    that hold others say little of such a file, though: so narrower ones are tried first, where
    some are known, and now and then a file is looked at all the same.
    """

    def __init__(self, source: Source, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._known: _Known | None = None
        self._narrow: dict[str, Kind] = {}
        self._wide_files = 0

    def __call__(self, text: Text) -> Inferred | None:
        lines = Lines(text, self._limits)
        if known := self._known:
            for kinds in self._candidates(known):
                pattern = row_pattern(tuple(kinds.values()), known.dialect)
                rows = rows_of(pattern, self._limits, exact=FLOAT64 in kinds.values())
                count = lines.follow(known.header, rows) if rows else None
                if count is not None:
                    return Inferred(kinds=kinds, rows=count)
        table = open_table(self._source, lines, text, self._limits)
        if table is None:
            return None
        inferred = _infer(table)
        self._learn(table, inferred.kinds)
        return inferred

    def _candidates(self, known: _Known) -> Iterator[dict[str, Kind]]:
        """Yield the kinds that a file may be said to have, the narrower ones first."""
        if self._narrow and self._narrow != known.kinds:
            yield self._narrow
        if _WIDE.isdisjoint(known.kinds.values()):
            yield known.kinds
            return
        self._wide_files += 1
        if self._wide_files not in _LOOKED_AT:
            yield known.kinds

    def _learn(self, table: Table, kinds: dict[str, Kind]) -> None:
        if table.header is None:
            return
        known = self._known
        if known and known.header == table.header:
            joined = {name: _join(known.kinds[name], kind) for name, kind in kinds.items()}
        else:
            joined, self._narrow, self._wide_files = kinds, self._stored_kinds(kinds), 0
        # Nothing narrower than what the union holds anyway, so that it stays as it is.
        self._narrow = {
            name: _narrower(kinds[name], self._narrow.get(name, kinds[name]), joined[name])
            for name in kinds
        }
        self._known = _Known(table.header, table.dialect, joined)

    def _stored_kinds(self, kinds: dict[str, Kind]) -> dict[str, Kind]:
        """Return the kinds of numbers that the last read found: most files have them still."""
        stored = {column.name: column.type.name for column in stored_columns(self._source)}
        return {name: _KINDS.get(stored.get(name, ""), kind) for name, kind in kinds.items()}


def _narrower(a: Kind, b: Kind, holding: Kind) -> Kind:
    """Return one of the two that the third holds, the narrower one where one holds the other; the
    third itself where that is of one type with it."""
    found = b if _join(b, holding) == holding and _join(a, b) == a else a
    return holding if type_of(found) == type_of(holding) else found


def _infer(table: Table) -> Inferred:
    kinds: list[Kind] = [None] * len(table.names)
    count = 0
    for block in table.blocks():
        count += len(block.rows)
        columns = zip(kinds, zip(*block.rows, strict=True), strict=True)
        kinds = [_observe(kind, values, table, block) for kind, values in columns]
        count += table.skip(kinds)
    # to ClickHouse a column of empty lists and maps alone is a text, as one of nulls is
    settled = [None if kind in _EMPTY else kind for kind in kinds]
    return Inferred(kinds=dict(zip(table.names, settled, strict=True)), rows=count)


def _observe(kind: Kind, values: Sequence[str], table: Table, block: Block) -> Kind:
    """Return the kind of a column after one more block of its values."""
    dialect = table.dialect
    if kind == STRING or keeps(kind, values, dialect):
        return kind
    # One or two values tell most columns. So once one has changed the kind, the rest is matched
    # anew before any other is looked at; and values repeat.
    for value in dict.fromkeys(values):
        if dialect.strip(value) in dialect.nulls:
            continue
        try:
            joined = _join(kind, _kind_of(value, dialect, table.limits))
        except NestingError as exc:
            raise too_deep(table.path, block.lines[values.index(value)], table.limits) from exc
        if joined != kind:
            kind = joined
            if kind == STRING or keeps(kind, values, dialect):
                break
    return kind


def _kind_of(raw: str, dialect: Dialect, limits: Limits) -> Kind:
    text, quoted = dialect.unquote(raw)
    return infer_quoted(text, levels=limits.max_nesting) if quoted else infer_field(text)


def _unite(_name: str, a: Kind, b: Kind, _file: str, _warnings: list[ReadWarning]) -> Kind:
    return _join(a, b)


def _join(a: Kind, b: Kind) -> Kind:
    try:
        return join_csv(a, b)
    except KindConflictError:
        return STRING


# --- validation ---------------------------------------------------------------------------

#: By a type's name: what surely fits it, and need not be looked at singly.
#: Neither UInt64 nor Int32: the pattern of integers takes a sign, and 18 digits.
_SURE: Final = {
    "Int64": LONG,
    "Int128": LONG,
    "Int256": LONG,
    "Float32": FLOAT64,
    "Float64": FLOAT64,
    "Bool": BOOL,
    "Date32": DATE32,
    "DateTime64": DATETIME64,
    "DateTime": DATETIME,
    "DateTime32": DATETIME,
    "Date": DATE,
}


class _Check:
    """One column of one file against its type."""

    def __init__(self, type_: Type, fits: Fits, index: int, dialect: Dialect) -> None:
        self.index = index
        self._dialect = dialect
        self._fits = fits
        self.kind = _SURE.get(type_.name)
        self._sure = block_pattern(self.kind, dialect, quotes=True)

    def misfit(self, values: Sequence[str]) -> int | None:
        """Return the position of the first value that does not fit."""
        if all_match(self._sure, values):
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


def _found(raw: str, table: Table) -> str:
    try:
        return describe(_kind_of(raw, table.dialect, table.limits))
    except NestingError:
        return "Array"


def _check(
    source: Source, limits: Limits, orders: DateOrders, text: Text, types: dict[str, Type]
) -> Checked | None:
    table = open_table(source, Lines(text, limits), text, limits)
    if table is None:
        return None
    checks = {
        name: _Check(
            types[name],
            orders.held(name, types[name], fits_csv(types[name])),
            index,
            table.dialect,
        )
        for index, name in enumerate(table.names)
        if name in types and types[name].name != STRING
    }
    count, findings = 0, dict[str, Finding]()
    for block in table.blocks():
        count += len(block.rows)
        fields = list(zip(*block.rows, strict=True)) if checks else []
        for name, check in list(checks.items()):
            values = fields[check.index]
            position = check.misfit(values)
            if position is not None:
                del checks[name]
                found = _found(values[position], table)
                findings[name] = Finding(line=block.lines[position], found=found)
        sure = [checks[name].kind if name in checks else STRING for name in table.names]
        count += table.skip(sure, quotes=True)
    return Checked(rows=count, findings=findings)
