r"""A CSV file's dialect and its records: delimiter, quote, nulls, and the split into fields.

Fields keep their quotes, because a type depends on them: ``1`` is an integer and ``"1"`` a text.
The standard library's reader drops the quotes, which is why it is not used here.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Final, NamedTuple

from stocktake.errors import UnsupportedError
from stocktake.introspection import Limits
from stocktake.introspection.text import line_too_long

DELIMITERS: Final = (",", ";", "|", "\t")
_NULLS: Final = frozenset({"", "\\N"})
_SNIFFED_RECORDS: Final = 200


class Record(NamedTuple):
    """One record; a named tuple, as a file has millions of them.

    Attributes:
        line: where it begins, counted from 1.
        fields: as they stand in the file, quotes and blanks included.
        closed: False where the file, or the sample, ends inside a quoted field.
    """

    line: int
    fields: list[str]
    closed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How to split.

    Attributes:
        delimiter: one character.
        quote: one character, or empty where quotes mean nothing.
        nulls: the unquoted fields that stand for null.
    """

    delimiter: str = ","
    quote: str = '"'
    nulls: frozenset[str] = _NULLS
    _fields: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _open: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _close: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _blanks: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        d, q = re.escape(self.delimiter), re.escape(self.quote)
        blanks = "".join(blank for blank in " \t" if blank != self.delimiter)
        # every repetition is possessive: no input makes the engine try twice
        body = rf"(?:[^{q}]++|{q}{q})*+"
        quoted = rf"[{blanks}]*+{q}(?:{body}{q}[^{d}]*+|.*+)"
        for name, value in (
            ("_fields", re.compile(rf"(?:^|{d})({quoted}|[^{d}]*+)" if q else "", re.DOTALL)),
            ("_open", re.compile(rf"[{blanks}]*+{q}{body}\Z" if q else "", re.DOTALL)),
            ("_close", re.compile(rf"{body}{q}[^{d}]*+" if q else "", re.DOTALL)),
            ("_blanks", blanks),
        ):
            object.__setattr__(self, name, value)

    def records(
        self, batches: Iterable[list[str]], *, path: str, limits: Limits
    ) -> Iterator[Record]:
        """Split lines into records; a quoted field may run over several.

        Raises:
            LimitExceededError: a record is longer than `max_line_bytes`.
        """
        lines = (line for batch in batches for line in batch)
        delimiter, quote = self.delimiter, self.quote
        number = 0
        for line in lines:
            number += 1
            if not quote or quote not in line:
                yield Record(line=number, fields=line.split(delimiter))
                continue
            start, fields = number, self._fields.findall(line)
            closed = True
            while closed and self._is_open(fields[-1]):
                tail, taken, closed = self._close_field(
                    fields.pop(), lines, partial(line_too_long, path, start, limits), limits
                )
                fields += tail
                number += taken
            yield Record(line=start, fields=fields, closed=closed)

    def _is_open(self, last: str) -> bool:
        return self.quote in last and self._open.match(last) is not None

    def _close_field(
        self, opening: str, lines: Iterator[str], too_long: Any, limits: Limits
    ) -> tuple[list[str], int, bool]:
        """The field that `opening` begins and those after it; lines taken; whether it closed."""
        parts, size, taken = [opening], len(opening), 0
        for line in lines:
            taken += 1
            size += len(line) + 1
            if size > limits.max_line_bytes:
                raise too_long()
            if match := self._close.match(line):
                whole = "\n".join([*parts, match.group()])
                rest = line[match.end() :]
                # the rest begins with a delimiter, before which findall sees an empty field
                return [whole, *self._fields.findall(rest)[1:]], taken, True
            parts.append(line)
        return ["\n".join(parts)], taken, False

    def strip(self, raw: str) -> str:
        """A field without the blanks around it."""
        return raw.strip(self._blanks)

    def unquote(self, raw: str) -> tuple[str, bool]:
        """The field's text, and whether it was quoted.

        >>> Dialect().unquote(' "a ""b"" "'), Dialect().unquote(" a ")
        (('a "b" ', True), ('a', False))
        """
        text, quote = self.strip(raw), self.quote
        if not quote or not text.startswith(quote):
            return text, False
        inner = text[1:-1] if len(text) > 1 and text.endswith(quote) else text[1:]
        return inner.replace(quote * 2, quote), True


def dialect_of(options: dict[str, Any], sample: list[str], limits: Limits) -> Dialect:
    """The dialect by the options; the delimiter by the first lines where no option names it.

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
    """The one that splits the records into the most fields, all records alike; else the one
    that splits the first record most. The comma wins ties."""
    return max(candidates, key=lambda dialect: _score(dialect, sample, limits))


def _score(dialect: Dialect, sample: list[str], limits: Limits) -> tuple[bool, int]:
    records = dialect.records([sample], path="the sample", limits=limits)
    widths = [
        len(record.fields)
        for record in islice(records, _SNIFFED_RECORDS)
        if record.closed and record.fields != [""]
    ]
    if not widths:
        return False, 1
    return widths[0] > 1 and len(set(widths)) == 1, widths[0]
