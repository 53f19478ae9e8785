"""Globs in an object's key: ``*``, ``**``, ``?``, ``{a,b}``, ``{1..9}`` and ``[…]``.

Patterns come from users and are held against up to a million keys, so the regular expression is
built to run in at most quadratic time: between two stars the leftmost match is always good
enough, which an atomic group pins down (the way of :func:`fnmatch.translate`).
"""

import re
from collections.abc import Iterator
from functools import partial
from typing import Final

from stocktake.errors import LimitExceededError

#: Alternatives that one pattern may spell out.
MAX_ALTERNATIVES: Final = 10_000

_SPECIAL = re.compile(r"[*?]|\{[^{}]*\}|\[[^\[\]/]+\]")
_RANGE = re.compile(r"^(\d{1,18})\.\.(\d{1,18})$")
#: The braces that alternatives in place cannot express: they hold a wildcard.
_WILD_BRACES = re.compile(r"\{([^{}]*[*?\[][^{}]*)\}")
_TOKEN = re.compile(r"\*|\?|\{[^{}]*\}|\[[^\[\]/]+\]|[^*?{\[]+|[{\[]")
#: A whole component ``**`` stands for any number of folders, none included; elsewhere ``**``
#: stands for any text.
_GLOBSTAR = re.compile(r"(?:(?<=/)|^)(?:\*\*+/)+|\*\*+")


def is_glob(pattern: str) -> bool:
    """Whether the pattern can match more than itself.

    >>> is_glob("a/*.csv"), is_glob("a/b.csv"), is_glob("a/{b")
    (True, False, False)
    """
    return _SPECIAL.search(pattern) is not None


def literal_prefix(pattern: str) -> str:
    """What every match begins with: the text before the first wildcard.

    >>> literal_prefix("data/year=*/part-{1..3}.parquet")
    'data/year='
    """
    match = _SPECIAL.search(pattern)
    return pattern[: match.start()] if match else pattern


def glob_regex(pattern: str) -> re.Pattern[str]:
    """Compile a glob, to be used with ``fullmatch`` on whole keys.

    Args:
        pattern: the key below the bucket, wildcards and all.

    Raises:
        LimitExceededError: the braces spell out more than `MAX_ALTERNATIVES`.

    >>> bool(glob_regex("a/**/{1..3}.csv").fullmatch("a/b/c/2.csv"))
    True
    """
    return re.compile("|".join(_translate(plain) for plain in _expand(pattern)), re.DOTALL)


def _expand(pattern: str) -> list[str]:
    """Multiply out the braces that hold wildcards, one pair at a time."""
    done: list[str] = []
    waiting = [pattern]
    while waiting:
        current = waiting.pop()
        match = _WILD_BRACES.search(current)
        if match is None:
            done.append(current)
        else:
            before, after = current[: match.start()], current[match.end() :]
            waiting += [f"{before}{choice}{after}" for choice in match[1].split(",")]
        _check_alternatives(len(done) + len(waiting))
    return done


def _check_alternatives(count: int) -> None:
    if count > MAX_ALTERNATIVES:
        raise LimitExceededError(
            f"The braces of the URL pattern stand for {count:,} alternatives; "
            f"at most {MAX_ALTERNATIVES:,} are allowed.",
            hint="No setting raises this: use a * instead.",
        )


def _translate(pattern: str) -> str:
    """A glob without wildcards in braces, as a regular expression."""
    regex, start = "", 0
    search = "{}"
    for match in _GLOBSTAR.finditer(pattern):
        regex += search.format(_chunk(pattern[start : match.start()], last=False))
        # earliest match wins: whatever a later one would skip, the next ** takes up
        search = "(?>(?:.*?/)??{})" if match[0].endswith("/") else "(?>.*?{})"
        start = match.end()
    return regex + search.replace("?>", "?:").format(_chunk(pattern[start:], last=True)) + r"\Z"


def _chunk(pattern: str, *, last: bool) -> str:
    """What stands between two ``**``. Only the last star of the last chunk may backtrack."""
    first, *segments = _segments(pattern)
    if not segments:
        return first
    *middle, tail = segments
    regex = first + "".join(f"(?>[^/]*?{segment})" for segment in middle)
    return regex + (f"[^/]*{tail}" if last else f"(?>[^/]*?{tail})")


def _segments(pattern: str) -> Iterator[str]:
    segment = ""
    for token in _TOKEN.findall(pattern):
        if token == "*":
            yield segment
            segment = ""
        else:
            segment += _token(token)
    yield segment


def _token(token: str) -> str:
    if token == "?":
        return "[^/]"
    if len(token) > 1 and token[0] == "{":
        choices = sorted(_choices(token[1:-1]), key=len)
        return f"(?:{'|'.join(map(re.escape, choices))})"
    if len(token) > 1 and token[0] == "[":
        return _character_class(token[1:-1])
    return re.escape(token)


def _choices(body: str) -> list[str]:
    """``a,b`` or ``1..9``; a range keeps the width of a start that is padded with zeros."""
    match = _RANGE.match(body)
    if match is None:
        choices = body.split(",")
        _check_alternatives(len(choices))
        return choices
    low, high = sorted((int(match[1]), int(match[2])))
    _check_alternatives(high - low + 1)
    width = len(match[1]) if match[1].startswith("0") else 0
    return list(map(partial(_padded, width=width), range(low, high + 1)))


def _padded(number: int, *, width: int) -> str:
    return str(number).zfill(width)


def _character_class(body: str) -> str:
    negated = body[0] in "!^" and len(body) > 1
    members = "".join(
        character if character == "-" else re.escape(character) for character in body[negated:]
    )
    regex = f"[^/{members}]" if negated else f"[{members}]"
    try:
        re.compile(regex)
    except re.error:  # a range that runs backwards: the brackets are part of the name
        return re.escape(f"[{body}]")
    return regex
