r"""A CSV file's dialect and its records: delimiter, quote, nulls, and the split into fields.

Fields keep their quotes, because a type depends on them: ``1`` is an integer and ``"1"`` a text.
The standard library's reader drops the quotes, which is why it is not used here.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Final, NamedTuple

from stocktake.errors import LimitExceededError, UnsupportedError
from stocktake.readers.source import Limits
from stocktake.readers.text.csv.lines import Lines
from stocktake.readers.text.decoding import Text, line_too_long

DELIMITERS: Final = (",", ";", "|", "\t")
_NULLS: Final = frozenset({"", "\\N"})
_SNIFFED_RECORDS: Final = 200


class Block(NamedTuple):
    """Some records that follow each other.

    Attributes:
        lines: where each begins, counted from 1.
        rows: the fields of each as they stand in the file, quotes and blanks included.
    """

    lines: Sequence[int]
    rows: list[list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How to split.

    Attributes:
        delimiter: one character.
        quote: one character, or empty where quotes mean nothing.
        nulls: the unquoted fields that stand for null.
        blanks: the characters that count for nothing around a field.
    """

    delimiter: str = ","
    quote: str = '"'
    nulls: frozenset[str] = _NULLS
    blanks: str = field(init=False, repr=False, compare=False)
    _fields: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _open: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _close: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        d, q = re.escape(self.delimiter), re.escape(self.quote)
        blanks = "".join(blank for blank in " \t" if blank != self.delimiter)
        # `body` is the inside of quotes, where two of them are one. A field in quotes goes on
        # behind the closing one up to the delimiter, and without a closing one to the line's end.
        # `_open` is a last field that nothing closes; `_close` what a later line has up to the end
        # of that field. Every repetition is possessive: no input makes the engine try twice.
        body = rf"(?:[^{q}]++|{q}{q})*+"
        quoted = rf"[{blanks}]*+{q}(?:{body}{q}[^{d}]*+|.*+)"
        for name, value in (
            ("_fields", re.compile(rf"(?:^|{d})({quoted}|[^{d}]*+)" if q else "", re.DOTALL)),
            ("_open", re.compile(rf"[{blanks}]*+{q}{body}\Z" if q else "", re.DOTALL)),
            ("_close", re.compile(rf"{body}{q}[^{d}]*+" if q else "", re.DOTALL)),
            ("blanks", blanks),
        ):
            object.__setattr__(self, name, value)

    def blocks(self, lines: Lines, *, path: str, limits: Limits, complete: bool) -> Iterator[Block]:
        """Split lines into records; a quoted field may run over several.

        Args:
            complete: whether the lines go to the file's end; else a field that is still open
                there was cut, and its record is left out.

        Raises:
            LimitExceededError: a record is longer than `max_line_bytes`.
        """
        while (block := lines.block()) is not None:
            rows = self._line_by_line(block)
            if rows is None:
                yield self._quoted_block(lines, path, limits, complete=complete)
            else:
                first = lines.number + 1
                lines.number += len(rows)
                yield Block(range(first, first + len(rows)), rows)

    def _line_by_line(self, block: list[str]) -> list[list[str]] | None:
        """Return the records where each is one line; None where a quoted field runs over
        its line."""
        delimiter, quote, split = self.delimiter, self.quote, self._fields.findall
        if not quote or quote not in "\n".join(block):
            return [line.split(delimiter) for line in block]
        rows = [split(line) if quote in line else line.split(delimiter) for line in block]
        # Any other field has found its delimiter, so it is closed.
        lasts = [row[-1] for row in rows if quote in row[-1]]
        return None if any(map(self._open.match, lasts)) else rows

    def _quoted_block(self, lines: Lines, path: str, limits: Limits, *, complete: bool) -> Block:
        delimiter, quote, split = self.delimiter, self.quote, self._fields.findall
        starts: list[int] = []
        rows: list[list[str]] = []
        for line in lines.rest_of_block():
            start, closed = lines.number, True
            fields = line.split(delimiter) if quote not in line else split(line)
            # The line that closes one field may open another at its end.
            while closed and self.is_open(fields[-1]):
                too_long = partial(line_too_long, path, start, limits)
                tail, closed = self._close_field(fields.pop(), lines, too_long, limits)
                fields += tail
            if closed or complete:
                starts.append(start)
                rows.append(fields)
        return Block(starts, rows)

    def is_open(self, last: str) -> bool:
        """Return whether a record's last field begins with a quote that nothing closes."""
        return self.quote in last and self._open.match(last) is not None

    def _close_field(
        self,
        opening: str,
        lines: Lines,
        too_long: Callable[[], LimitExceededError],
        limits: Limits,
    ) -> tuple[list[str], bool]:
        """Return the field that `opening` begins, those after it, and whether it closed."""
        parts, size = [opening], len(opening)
        for line in lines:
            size += len(line) + 1
            if size > limits.max_line_bytes:
                raise too_long()
            if match := self._close.match(line):
                whole = "\n".join([*parts, match.group()])
                # the rest begins with a delimiter, before which findall sees an empty field
                return [whole, *self._fields.findall(line[match.end() :])[1:]], True
            parts.append(line)
        return ["\n".join(parts)], False

    def strip(self, raw: str) -> str:
        """Return a field without the blanks around it."""
        return raw.strip(self.blanks)

    def unquote(self, raw: str) -> tuple[str, bool]:
        """Return the field's text, and whether it was quoted.

        >>> Dialect().unquote(' "a ""b"" "'), Dialect().unquote(" a ")
        (('a "b" ', True), ('a', False))
        """
        text, quote = self.strip(raw), self.quote
        if not quote or not text.startswith(quote):
            return text, False
        inner = text[1:-1] if len(text) > 1 and text.endswith(quote) else text[1:]
        return inner.replace(quote * 2, quote), True


def dialect_of(options: dict[str, Any], sample: list[str], limits: Limits) -> Dialect:
    """Return the dialect by the options; the delimiter by the first lines where no option names it.

    Raises:
        UnsupportedError: an option is no single character.
    """
    nulls = options.get("csv_null_values") or ()
    if isinstance(nulls, str):
        nulls = (nulls,)
    make = partial(Dialect, quote=_quote(options), nulls=_NULLS | frozenset(nulls))
    if options.get("csv_delimiter"):
        return make(delimiter=_character(options, "csv_delimiter", ","))
    return _sniff([make(delimiter=delimiter) for delimiter in DELIMITERS], sample, limits)


def _quote(options: dict[str, Any]) -> str:
    if options.get("csv_quote") == "":
        return ""
    if options.get("csv_allow_double_quotes") is False and not options.get("csv_quote"):
        return ""
    return _character(options, "csv_quote", '"')


def _character(options: dict[str, Any], name: str, default: str) -> str:
    value = str(options.get(name) or default)
    value = "\t" if value == "\\t" else value
    if len(value) != 1 or value in "\r\n":
        raise UnsupportedError(
            f"options.{name} is {value!r}, expected one character other than a line end.",
            code="unsupported_option",
        )
    return value


def _sniff(candidates: list[Dialect], sample: list[str], limits: Limits) -> Dialect:
    """Return the one that splits the records into the most fields, all records alike; else the one
    that splits the first record most. The comma wins ties."""
    splitting = [each for each in candidates if next(_widths(each, sample, limits), 1) > 1]
    if len(splitting) > 1:
        return max(splitting, key=lambda dialect: _score(dialect, sample, limits))
    return (splitting or candidates)[0]


def _score(dialect: Dialect, sample: list[str], limits: Limits) -> tuple[bool, int]:
    widths = list(islice(_widths(dialect, sample, limits), _SNIFFED_RECORDS))
    return len(set(widths)) == 1, widths[0]


def _widths(dialect: Dialect, sample: list[str], limits: Limits) -> Iterator[int]:
    """Yield how many fields each record has that is no empty line."""
    if dialect.delimiter in "\n".join(sample):
        text = Text(path="the sample", chunks=iter(["\n".join(sample)]), complete=True)
        blocks = dialect.blocks(Lines(text, limits), path=text.path, limits=limits, complete=False)
        yield from (len(row) for block in blocks for row in block.rows if row != [""])
