"""The pattern language of keys: ``*``, ``**``, ``?``, ``{a,b}`` and ``{1..9}``; nothing else.

This is the one place that says what a pattern is; a bracket is a character of a key. In a URL a
percent-encoded ``*``, ``?``, brace or comma is that character and no wildcard; in a pattern a
backslash stands before it, and before a backslash of the key itself. Patterns
come from users and are held against up to a million keys, so RE2 matches them, in linear time, in
an expression that is about as long as what the braces spell out, which is bounded.

A name that begins with ``_`` or ``.`` is hidden, as Spark, Hive and Arrow have it; one such as
``_day=1`` is a partition's. No wildcard stands for such a name's beginning: `naming` tells.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from typing import Final
from urllib.parse import unquote

import re2  # type: ignore[import-untyped]  # google-re2 ships no types

from stocktake.errors import LimitExceededError

#: Alternatives that all braces of one pattern may spell out.
MAX_ALTERNATIVES: Final = 10_000

_SPECIAL: Final = re.compile(r"\\.|(?P<wildcard>[*?]|\{(?:\\.|[^{}\\])*\})", re.S)
_RANGE: Final = re.compile(r"([0-9]{1,18})\.\.([0-9]{1,18})")
#: Stars with the slash behind them; a star; a question mark; braces; plain text; and a brace or a
#: backslash that begins nothing.
_TOKEN: Final = re.compile(r"\*\*+/?|\*|\?|\{(?:\\.|[^{}\\])*\}|(?:\\.|[^*?{\\])+|[{\\]", re.S)
_CHOICE: Final = re.compile(r"(?:^|,)((?:\\.|[^,\\])*)", re.S)
_ESCAPABLE: Final = re.compile(r"[*?{},\\]")
_ENCODED: Final = re.compile("%(?:2A|3F|7B|7D|2C|5C)", re.I)
#: Stands before each hidden name when `naming` looks at a key: no wildcard takes it, and a name
#: that a pattern spells may have it.
_MARK: Final = "\0"
_HIDDEN: Final = re.compile(r"(?:^|(?<=/))(?=\.|_[^/=]*(?:/|\Z))")
_SPELT: Final = re.compile(r"/(?=[._])")
#: A name's own characters; any; and those of a folder or more, its slash included.
_NAME: Final = r"[^/\x00]*"
_ANY: Final = r"[^\x00]*"
_FOLDERS: Final = rf"(?:{_ANY}/)?"


def decode(text: str) -> str:
    r"""Return the pattern that a part of a URL spells; its percent-encoding must be whole and
    UTF-8.

    >>> decode("a%20b/%2A/*.csv")
    'a b/\\*/*.csv'
    """
    return unquote(_ENCODED.sub(r"\\\g<0>", text.replace("\\", "\\\\")), errors="strict")


def escape(key: str) -> str:
    """Return the pattern that matches this key and nothing else."""
    return _ESCAPABLE.sub(r"\\\g<0>", key)


def literal(pattern: str) -> str:
    """Return the key that a pattern without wildcards names."""
    return re.sub(r"\\(.)", r"\1", pattern, flags=re.S)


def is_glob(pattern: str) -> bool:
    r"""Return whether the pattern can match more than one key.

    >>> is_glob("a/*.csv"), is_glob("a/b[1].csv"), is_glob("a/{b"), is_glob(r"a/\*")
    (True, False, False, False)
    """
    return _first_wildcard(pattern) is not None


@lru_cache(maxsize=16)  # asked for each file of a source
def literal_prefix(pattern: str) -> str:
    """Return what every match begins with: the text before the first wildcard.

    >>> literal_prefix("data/year=*/part-{1..3}.parquet")
    'data/year='
    """
    return literal(pattern[: _first_wildcard(pattern)])


def split_folder(pattern: str) -> tuple[str, str]:
    """Return the folder before the first wildcard, with its slash, and the pattern in it.

    >>> split_folder("/data/2024-*/x.csv")
    ('/data/', '2024-*/x.csv')
    """
    begin = pattern.rfind("/", 0, _first_wildcard(pattern)) + 1
    return literal(pattern[:begin]), pattern[begin:]


@lru_cache(maxsize=16)
def _first_wildcard(pattern: str) -> int | None:
    found = (match.start() for match in _SPECIAL.finditer(pattern) if match["wildcard"])
    return next(found, None)


def check_size(pattern: str) -> None:
    """Refuse a pattern that stands for too much to be matched; nothing is compiled.

    Raises:
        LimitExceededError: the braces spell out more than `MAX_ALTERNATIVES`.
    """
    count = sum(_count(body) for body in _braces(pattern))
    if count > MAX_ALTERNATIVES:
        raise LimitExceededError(
            f"The braces of the URL pattern stand for {count:,} alternatives; "
            f"at most {MAX_ALTERNATIVES:,} are allowed.",
            hint="No setting raises this: use a * instead.",
        )


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether a key is meant by a pattern.

    Args:
        pattern: the key below the bucket, wildcards and all.

    Raises:
        LimitExceededError: as `check_size` does.

    >>> matcher("a/**/{1..3}.csv")("a/b/c/2.csv")
    True
    """
    check_size(pattern)
    parts = pattern.split("*")
    if len(parts) == 2 and "\\" not in pattern and not is_glob("".join(parts)):
        return _one_star(*parts)
    return _compiled(pattern)


def naming(pattern: str) -> Callable[[str], bool]:
    """Return what tells of a key that matches a pattern whether the pattern names it: whether each
    hidden name in it, below the pattern's literal folders, begins with what the pattern spells.

    >>> [naming(pattern)("a/_b/c") for pattern in ("a/*/c", "a/_*/c", "a/_b/*")]
    [False, True, True]
    """
    folder, rest = split_folder(pattern)
    compiled = cache(lambda: _compiled(rest))

    def names(key: str) -> bool:
        marked = _HIDDEN.sub(_MARK, key[len(folder) :])
        return _MARK not in marked or compiled()(marked)

    return names


def _compiled(pattern: str) -> Callable[[str], bool]:
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    fullmatch = re2.compile(_translate(pattern, at_folder=True).encode(), options).fullmatch
    # what UTF-8 cannot spell, no pattern holds
    return lambda key: fullmatch(key.encode("utf-8", "replace")) is not None


def _one_star(before: str, after: str) -> Callable[[str], bool]:
    """Return the most common pattern, without an expression: it is asked of every key of a
    listing."""
    start, least = len(before), len(before) + len(after)

    def matches(key: str) -> bool:
        if len(key) < least or not (key.startswith(before) and key.endswith(after)):
            return False
        return key.find("/", start, len(key) - len(after)) < 0

    return matches


def _translate(pattern: str, *, at_folder: bool) -> str:
    """Return the pattern in RE2's syntax.

    Args:
        at_folder: whether a folder's name may begin here: a ``**/`` then stands for any number
            of folders, none included; elsewhere ``**`` stands for any text.
    """
    regex, at = "", 0
    while match := _TOKEN.match(pattern, at):
        token, at = match[0], match.end()
        if token[0] == "{" and len(token) > 1:
            choices = list(_choices(token[1:-1]))
            # The slash belongs to the `**` in the braces, which then may stand for no folder at
            # all.
            if pattern.startswith("/", at) and any(each.endswith("**") for each in choices):
                choices, at = [f"{each}/" for each in choices], at + 1
            regex += f"(?:{'|'.join(_translate(each, at_folder=at_folder) for each in choices)})"
            at_folder = all(each.endswith("/") for each in choices)
        else:
            regex += _plain(token, at_folder=at_folder)
            at_folder = token.endswith("/")
    return regex


def _plain(token: str, *, at_folder: bool) -> str:
    if token.startswith("**"):
        slash = token.endswith("/")
        return _FOLDERS if slash and at_folder else f"{_ANY}/" if slash else _ANY
    if token in ("*", "?"):
        return _NAME if token == "*" else r"[^/\x00]"
    spelt = literal(token)
    may_be_marked = r"\x00?" if at_folder and spelt[:1] in ("_", ".") else ""
    escaped: str = re2.escape(_SPELT.sub(f"/{_MARK}", spelt))
    return may_be_marked + escaped.replace(r"\x00", r"\x00?")


def _braces(pattern: str) -> Iterator[str]:
    tokens = (match[0] for match in _TOKEN.finditer(pattern))
    return (token[1:-1] for token in tokens if token[0] == "{" and len(token) > 1)


def _count(body: str) -> int:
    match = _RANGE.fullmatch(body)
    return abs(int(match[1]) - int(match[2])) + 1 if match else len(_CHOICE.findall(body))


def _choices(body: str) -> Iterator[str]:
    """Yield the choices of ``a,b`` or ``1..9``; a range keeps the width of a start that is padded
    with zeros.
    """
    match = _RANGE.fullmatch(body)
    if match is None:
        yield from (choice[1] for choice in _CHOICE.finditer(body))
        return
    low, high = sorted((int(match[1]), int(match[2])))
    width = len(match[1]) if match[1].startswith("0") else 0
    yield from (str(number).zfill(width) for number in range(low, high + 1))
