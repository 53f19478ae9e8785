"""One JSON object after the other out of a text, in constant memory."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from stocktake.errors import InvalidSourceError
from stocktake.readers.files.foreign import mismatch
from stocktake.readers.limits import too_deep
from stocktake.readers.source import Limits
from stocktake.readers.text.decoding import Text, line_too_long
from stocktake.readers.text.fast_rows import rows_of
from stocktake.readers.text.json.patterns import Shape
from stocktake.readers.text.json.spelling import mark_escaped, spelled_float
from stocktake.readers.text.values.json_values import SpelledNumber, decode_float
from stocktake.readers.text.values.kinds import Kind
from stocktake.schema.warnings import ReadWarning, WarningCode

_BLANK: Final = re.compile(r"[\s\ufeff]*+")
_CSV_LINE: Final = re.compile(r"[^\n{\[]*[,;|\t]")
#: A literal or an escape that the buffer cuts is reported this far before its end, at most.
_CUT: Final = 16
#: No integer is it; it may stand in a text, which is decoded the other way, too.
_MINUS_ZERO: Final = "-0"
_MINUS_ZEROS: Final = re.compile(r"[\s:,\[]-0[\s,\]}]")
#: Half of a surrogate pair: the first without the second, or the second without the first.
_ESCAPED_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_LITERALS: Final = ("true", "false", "null", "NaN", "Infinity", "-Infinity")


class Record(NamedTuple):
    """An object and the line where it begins, counted from 1."""

    line: int
    value: dict[str, Any]


class _DuplicateKeyError(ValueError):
    """An object has a key twice."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise _DuplicateKeyError(ascii(counts.most_common(1)[0][0])[:80])
    return unique


def _any_integer(digits: str) -> int | SpelledNumber:
    # Python refuses to convert thousands of digits, and nothing that long is a number here
    return int(digits) if len(digits) <= 40 else SpelledNumber(digits)


def _decoders(parse_float: Callable[[str], Any]) -> tuple[json.JSONDecoder, json.JSONDecoder]:
    """Return a fast one, and one that takes integers of any length, and the sign of a zero."""
    hooks: dict[str, Any] = {"object_pairs_hook": _unique, "parse_float": parse_float}

    def parse_int(digits: str) -> Any:
        return parse_float(digits) if digits == _MINUS_ZERO else _any_integer(digits)

    return json.JSONDecoder(**hooks), json.JSONDecoder(**hooks, parse_int=parse_int)


_VALUES: Final = _decoders(decode_float)
_SPELLED: Final = _decoders(spelled_float)


class Objects:
    """Takes one object after the other out of a text, in constant memory.

    Args:
        text: where from; a cut one ends at its last whole object.
        declared: the table's format, for messages.
        spelled: whether numbers keep their spelling.
    """

    def __init__(self, text: Text, limits: Limits, declared: str, *, spelled: bool = False) -> None:
        self._fast, self._lenient = _SPELLED if spelled else _VALUES
        self._text = text
        self._limits = limits
        self._declared = declared
        self._buffer = ""
        self._at = 0
        self._line = 1
        self._in_array = False
        self._is_told = False

    def __iter__(self) -> Iterator[Record]:
        if not self._peek():
            return
        self._begin()
        if self._in_array and self._peek() == "]":
            self._end_array()
            return
        while (record := self._next()) is not None:
            yield record
            if not self._go_on():
                return

    def skip(self, shape: Shape, kinds: dict[str, Kind]) -> int:
        """Skip, after an object, those that follow on a line each and match; return how many."""
        between = rb" *, *\r?\n *" if self._in_array else rb" *\r?\n *"
        rows = rows_of(between + shape.object_pattern(kinds), self._limits)
        if rows is None:
            return 0
        self._at, count = rows.skim(self._buffer, self._at)
        self._line += count
        return count

    def _begin(self) -> None:
        if self._peek() == "[":
            self._in_array = True
            self._move(self._at + 1)
        elif self._peek() != "{" and _CSV_LINE.match(self._buffer, self._at):
            raise mismatch(self._text.path, self._declared, "CSV")

    def _go_on(self) -> bool:
        """Step over what stands between two objects; False at the end."""
        if not self._in_array and self._buffer.startswith("\n{", self._at):
            # the common case, without a search
            self._line += 1
            self._at += 1
            return True
        found = self._peek()
        if found == "]" and self._in_array:
            self._end_array()
            return False
        if found == ";" and not self._in_array:
            self._end_insert()
            return False
        # ClickHouse allows a comma between objects.
        if found == ",":
            self._move(self._at + 1)
            return self._in_array or bool(self._peek())
        if self._in_array and found:
            raise self._invalid("expected a comma or the array's end between two objects")
        return bool(found) or self._in_array

    def _end_insert(self) -> None:
        """Step over the semicolon that ends an INSERT, behind which ClickHouse reads nothing."""
        self._move(self._at + 1)
        if self._peek():
            raise self._invalid(
                "a semicolon stands between two objects, where ClickHouse ends its read"
            )

    def _end_array(self) -> None:
        self._move(self._at + 1)
        if self._peek():
            raise self._invalid("something follows the end of the array")

    def _next(self) -> Record | None:
        found = "{" if self._buffer.startswith("{", self._at) else self._peek()
        if not found and not self._text.complete:
            return None
        if found != "{":
            raise self._invalid(_instead_of_object(found, in_array=self._in_array))
        while (decoded := self._decode(self._fast)) is None:
            if not self._refill():
                if self._text.complete:
                    self._decode(self._fast, last=True)
                return None
        return self._taken(*decoded)

    def _decode(
        self, decoder: json.JSONDecoder, *, last: bool = False
    ) -> tuple[dict[str, Any], int] | None:
        """Return the object at hand and where it ends; None where more text might complete it, of
        which there is none behind the `last`."""
        try:
            return decoder.raw_decode(self._buffer, self._at)
        except json.JSONDecodeError as exc:
            if last and self._breaks_off(exc):
                raise self._invalid("no valid JSON: the file ends inside this object") from exc
            if not last and self._is_cut(exc):
                return None
            raise self._invalid(f"no valid JSON: {exc.msg}", at=exc.pos) from exc
        except _DuplicateKeyError as exc:
            raise self._invalid(f"key {exc} stands twice in one object") from exc
        except RecursionError as exc:
            raise too_deep(self._text.path, self._line, self._limits) from exc
        except ValueError:
            # an integer of more digits than Python converts
            return self._decode(self._lenient, last=last)

    def _is_cut(self, exc: json.JSONDecodeError) -> bool:
        """Return whether more text might mend it."""
        self._refuse_longer_than_allowed(len(self._buffer))
        # That error is placed where the string begins, which may be far before the end.
        return exc.msg.startswith("Unterminated") or exc.pos >= len(self._buffer) - _CUT

    def _breaks_off(self, exc: json.JSONDecodeError) -> bool:
        """Return whether the text is right as far as it goes."""
        rest = self._buffer[exc.pos :].rstrip()
        return (
            not rest
            or exc.msg.startswith("Unterminated")
            or (exc.msg.startswith("Invalid \\uXXXX") and len(rest) <= len("uXXXX"))
            or (exc.msg == "Expecting value" and any(w.startswith(rest) for w in _LITERALS))
        )

    def _taken(self, value: dict[str, Any], end: int) -> Record:
        self._refuse_longer_than_allowed(end)
        if (at := self._buffer.find(_MINUS_ZERO, self._at, end)) >= 0 and (
            _MINUS_ZEROS.search(self._buffer, max(at - 1, 0), end)
        ):
            value, _ = self._lenient.raw_decode(self._buffer, self._at)
        if self._buffer.find("\\", self._at, end) >= 0:
            if _ESCAPED_SURROGATE.search(self._buffer, self._at, end):
                self._tell_surrogates(value)
            value = mark_escaped(value, self._buffer[self._at : end])
        record = Record(self._line, value)
        self._move(end)
        return record

    def _tell_surrogates(self, value: dict[str, Any]) -> None:
        if self._is_told or not _SURROGATE.search(json.dumps(value, ensure_ascii=False)):
            return
        self._is_told = True
        self._text.warnings.append(
            ReadWarning(
                code=WarningCode.ENCODING,
                sentence=f"A text of {self._text.path} has an escape such as \\ud800, half of a "
                "pair that stands for one character: no encoding has it.",
                file=self._text.path,
                line=self._line,
            )
        )

    def _refuse_longer_than_allowed(self, end: int) -> None:
        if end - self._at > self._limits.max_line_bytes:
            raise line_too_long(self._text.path, self._line, self._limits)

    def _peek(self) -> str:
        """Return the next character that is not blank; empty at the end of the text."""
        while True:
            match = _BLANK.match(self._buffer, self._at)
            self._move(match.end() if match else self._at)
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._refill():
                return ""

    def _move(self, to: int) -> None:
        self._line += self._buffer.count("\n", self._at, to)
        self._at = to

    def _refill(self) -> bool:
        """Read on, at least as much as is held, so that a long object is not decoded again and
        again; False at the end of the text."""
        held = self._buffer[self._at :]
        pieces, size = [held], 0
        for chunk in self._text.chunks:
            pieces.append(chunk)
            size += len(chunk)
            if size >= len(held):
                break
        self._buffer, self._at = "".join(pieces), 0
        return size > 0

    def _invalid(self, what: str, *, at: int | None = None) -> InvalidSourceError:
        line = self._line + self._buffer.count("\n", self._at, at or self._at)
        return InvalidSourceError(f"{self._text.path}, line {line}: {what}.", file=self._text.path)


def _instead_of_object(found: str, *, in_array: bool) -> str:
    if not found:
        return "the array has no end: the file breaks off" if in_array else "an object is missing"
    names = {"[": "an array", '"': "a text", "n": "null", "t": "true", "f": "false"}
    name = names.get(found, "a number" if found in "-0123456789" else f"the character {found!a}")
    return f"{name} stands where an object is expected"
