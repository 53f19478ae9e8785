r"""A CSV file's dialect and its records: delimiter, quote, nulls, and the split into fields.

Fields keep their quotes, because a type depends on them: ``1`` is an integer and ``"1"`` a text.
The standard library's reader drops the quotes, which is why it is not used here.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple

from stocktake.errors import LimitExceededError, UnsupportedError
from stocktake.readers.source import Limits
from stocktake.readers.text.csv.lines import Lines
from stocktake.readers.text.decoding import line_too_long

DELIMITERS: Final = (",", ";", "|", "\t")
_NULLS: Final = frozenset({"", "\\N"})


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
        comment: what a line begins with that is no row; empty where every line is one.
        blanks: the characters that count for nothing around a field.
    """

    delimiter: str = ","
    quote: str = '"'
    nulls: frozenset[str] = _NULLS
    comment: str = ""
    blanks: str = field(init=False, repr=False, compare=False)
    _fields: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _open: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _close: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _quoted: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        d, q = re.escape(self.delimiter), re.escape(self.quote)
        blanks = "".join(blank for blank in " \t" if blank != self.delimiter)
        # `body` is the inside of quotes, where two of them are one. A field in quotes goes on
        # behind the closing one up to the delimiter, and without a closing one to the line's end.
        # `_open` is a last field that nothing closes; `_close` what a later line has up to the end
        # of that field; `_quoted` a field up to its closing one. Every repetition is possessive: no
        # input makes the engine try twice.
        body = rf"(?:[^{q}]++|{q}{q})*+"
        quoted = rf"[{blanks}]*+{q}(?:{body}{q}[^{d}]*+|.*+)"
        for name, value in (
            ("_fields", re.compile(rf"(?:^|{d})({quoted}|[^{d}]*+)" if q else "", re.DOTALL)),
            ("_open", re.compile(rf"[{blanks}]*+{q}{body}\Z" if q else "", re.DOTALL)),
            ("_close", re.compile(rf"{body}{q}[^{d}]*+" if q else "", re.DOTALL)),
            ("_quoted", re.compile(rf"[{blanks}]*+{q}{body}{q}" if q else "", re.DOTALL)),
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
        its line, or where a line may be a comment."""
        delimiter, quote, split = self.delimiter, self.quote, self._fields.findall
        if self.comment and any(line.startswith(self.comment) for line in block):
            return None
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
            if self.comment and line.startswith(self.comment):
                continue
            start, closed = lines.number, True
            fields = split(line) if quote and quote in line else line.split(delimiter)
            # The line that closes one field may open another at its end.
            while closed and quote and self.is_open(fields[-1]):
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

    def is_closed(self, raw: str) -> bool:
        """Return whether a field that begins with a quote ends with the one that closes it.

        >>> Dialect().is_closed('"a"" b" '), Dialect().is_closed('"a";"b')
        (True, False)
        """
        return self._quoted.match(raw) is not None and is_blank(self.tail(raw))

    def tail(self, raw: str) -> str:
        """Return what of a field stands behind the closing quote."""
        match = self._quoted.match(raw)
        return raw[match.end() :] if match else ""

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


def is_blank(line: str) -> bool:
    """Return whether a line has nothing but blanks."""
    return not line or line.isspace()


def dialects_of(options: dict[str, Any], delimiter: str | None) -> list[Dialect]:
    """Return what the dialect may be by the options: as many as there are delimiters left.

    Args:
        delimiter: what it is unless an option names it; None where it is to be found.

    Raises:
        UnsupportedError: an option is no single character, or two mean one.
    """
    nulls = options.get("csv_null_values") or ()
    if isinstance(nulls, str):
        nulls = (nulls,)
    comment = _character(options, "csv_comment", "") if options.get("csv_comment") else ""
    make = partial(Dialect, quote=_quote(options), nulls=_NULLS | frozenset(nulls), comment=comment)
    if options.get("csv_delimiter"):
        delimiter = _character(options, "csv_delimiter", ",")
    dialects = [make(delimiter=each) for each in ([delimiter] if delimiter else DELIMITERS)]
    if comment and comment in (dialects[0].quote, delimiter):
        raise UnsupportedError(
            f"options.csv_comment is {comment!r}, as are quote or delimiter.",
            code="unsupported_option",
        )
    return [each for each in dialects if each.delimiter != comment]


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
