"""The JSON values of a log's files: one a line, as the protocol has them, or indented over many."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NoReturn

from stocktake.errors import InvalidSourceError

#: Of one value that is indented over many lines.
_MOST_BYTES: Final = 16 * 1024 * 1024
#: A text, closed or not, or a bracket.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[{}\[\]]', re.DOTALL)


def objects(lines: Iterable[bytes], file: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects of a file of JSON lines, each with its first line's number.

    The protocol asks for one a line. Other readers take any JSON values one after the other, so
    what is no value by itself is joined with the lines after it until its brackets are closed.

    Args:
        lines: the file's, without their ends.
        file: its name below the table's root, for messages.

    Raises:
        InvalidSourceError: something is no JSON object.
    """
    first, held, depth, size = 0, list[bytes](), 0, 0
    for number, line in enumerate(lines, 1):
        if not held:
            if not line.strip():
                continue
            try:
                value = _DECODER.decode(str(line, "utf-8"))
            except (ValueError, RecursionError):
                first, depth, size = number, 0, 0
            else:
                yield number, _object(value, number, file)
                continue
        held.append(line)
        depth, size = depth + _depth(line), size + len(line)
        if size > _MOST_BYTES:
            break
        if depth <= 0:
            yield from _several(held, first, file)
            held = []
    if held:
        raise _invalid(file, f"line {first} that is not JSON")


def _several(lines: list[bytes], first: int, file: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the values that stand one after the other in some lines."""
    try:
        text = str(b"\n".join(lines), "utf-8").strip()
        at = 0
        while at < len(text):
            value, at = _DECODER.raw_decode(text, at)
            yield first, _object(value, first, file)
            while at < len(text) and text[at].isspace():
                at += 1
    except (ValueError, RecursionError) as exc:
        raise _invalid(file, f"line {first} that is not JSON") from exc


def _depth(line: bytes) -> int:
    """Return how many more brackets a line opens than it closes.

    >>> _depth(b'{"a": ["}", '), _depth(b']}')
    (2, -2)
    """
    tokens = _TOKEN.findall(line)
    opened = sum(each in b"{[" for each in tokens)
    return opened - sum(each in b"}]" for each in tokens)


def _object(value: object, number: int, file: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _invalid(file, f"line {number} that is not a JSON object")
    return value


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


#: Python takes NaN and Infinity for numbers; JSON, and every other reader of a log, does not.
_DECODER: Final = json.JSONDecoder(parse_constant=_no_number)


def _invalid(file: str, found: str) -> InvalidSourceError:
    return InvalidSourceError(f"{file} has {found}; expected Delta actions.", file=file)
