"""A backtracking matcher that counts its steps, and texts made to keep it busy.

It does what the standard library's engine does, but for its shortcuts: a step is one character
looked at, or one look at where it stands. So how the steps grow with a text is what the pattern
is, whatever the machine.
"""

import random
import re
from collections.abc import Callable, Iterator
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

Then = Callable[[int], Iterator[int]]
#: Never part of a pattern here.
STRANGE = "\u2603"
_CATEGORIES = {
    op.CATEGORY_DIGIT: (str.isdigit, "5"),
    op.CATEGORY_SPACE: (str.isspace, " "),
    op.CATEGORY_WORD: (lambda c: c.isalnum() or c == "_", "w"),
    op.CATEGORY_NOT_DIGIT: (lambda c: not c.isdigit(), "x"),
    op.CATEGORY_NOT_SPACE: (lambda c: not c.isspace(), "x"),
    op.CATEGORY_NOT_WORD: (lambda c: not (c.isalnum() or c == "_"), "-"),
}


class TooManyStepsError(Exception):
    """The count went past what was allowed."""


class Stepper:
    """One pattern, matched step by step.

    Args:
        most: steps after which it gives up.
    """

    def __init__(self, pattern: re.Pattern[Any], most: int = 250_000) -> None:
        source = pattern.pattern
        text = source.decode("latin-1") if isinstance(source, bytes) else source
        self.flags = pattern.flags
        self.tree = list(_parser.parse(text, pattern.flags & ~re.DEBUG & ~re.UNICODE))
        self.most = most
        self.steps = 0

    def scan(self, text: str) -> int:
        """The steps of finding all matches, as `sub` does."""
        self.steps, at = 0, 0
        while at <= len(text):
            self._step()
            end = next(self._match(self.tree, 0, text, at), None)
            at = at + 1 if end is None or end == at else end
        return self.steps

    def whole(self, text: str) -> int:
        """The steps of `fullmatch`, which those of `match` do not exceed."""
        self.steps = 0
        for end in self._match(self.tree, 0, text, 0):
            if end == len(text):
                break
        return self.steps

    def _step(self) -> None:
        self.steps += 1
        if self.steps > self.most:
            raise TooManyStepsError

    def _match(self, tree: Any, at: int, text: str, pos: int) -> Iterator[int]:
        """The ends of all matches of the items of `tree` from `at` on, in the engine's order."""
        if at == len(tree):
            yield pos
            return
        for end in self._item(tree[at], text, pos):
            yield from self._match(tree, at + 1, text, end)

    def _item(self, item: Any, text: str, pos: int) -> Iterator[int]:
        kind, value = item
        if kind in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
            ends = self._repeat(value, text, pos, lazy=kind is op.MIN_REPEAT)
            yield from _first(ends) if kind is op.POSSESSIVE_REPEAT else ends
        elif kind is op.ATOMIC_GROUP:
            yield from _first(self._match(list(value), 0, text, pos))
        elif kind in (op.SUBPATTERN, op.BRANCH):
            for branch in value[1] if kind is op.BRANCH else (value[3],):
                yield from self._match(list(branch), 0, text, pos)
        elif kind in (op.ASSERT, op.ASSERT_NOT, op.AT):
            self._step()
            if self._holds(kind, value, text, pos):
                yield pos
        elif self._one(item, text, pos):
            yield pos + 1

    def _holds(self, kind: Any, value: Any, text: str, pos: int) -> bool:
        if kind is op.AT:
            return _stands(value, text, pos)
        return self._looks(value, text, pos) is (kind is op.ASSERT)

    def _repeat(self, value: Any, text: str, pos: int, *, lazy: bool) -> Iterator[int]:
        least, most, inner = value
        body = list(inner)
        if len(body) == 1 and body[0][0] in _SINGLE:
            ends = [pos]
            if lazy:
                yield from self._lazily(body[0], least, most, text, pos)
                return
            while len(ends) <= most and self._one(body[0], text, ends[-1]):
                ends.append(ends[-1] + 1)
            for end in reversed(ends[least:]):
                self._step()
                yield end
            return
        yield from self._grouped(body, least, most, text, pos)

    def _lazily(self, one: Any, least: int, most: int, text: str, pos: int) -> Iterator[int]:
        for count in range(most + 1 if most < len(text) else len(text) + 2):
            if count >= least:
                self._step()
                yield pos
            if not self._one(one, text, pos):
                return
            pos += 1

    def _grouped(self, body: Any, least: int, most: int, text: str, pos: int) -> Iterator[int]:
        if most > 0:
            for end in self._match(body, 0, text, pos):
                if end > pos:
                    yield from self._grouped(body, max(least - 1, 0), most - 1, text, end)
        if least == 0:
            self._step()
            yield pos

    def _looks(self, value: Any, text: str, pos: int) -> bool:
        direction, inner = value
        if direction < 0:
            width = inner.getwidth()[0]
            start = pos - width
            return start >= 0 and next(self._match(list(inner), 0, text, start), None) == pos
        return next(self._match(list(inner), 0, text, pos), None) is not None

    def _one(self, item: Any, text: str, pos: int) -> bool:
        self._step()
        return pos < len(text) and _fits(item, text[pos], self.flags)


def _first(ends: Iterator[int]) -> Iterator[int]:
    end = next(ends, None)
    if end is not None:
        yield end


_SINGLE = (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN)


def _fits(item: Any, char: str, flags: int) -> bool:
    kind, value = item
    if flags & re.IGNORECASE and kind in (op.LITERAL, op.IN):
        folded = {char.lower(), char.upper()}
        return any(_fits(item, each, flags & ~re.IGNORECASE) for each in folded)
    if kind is op.LITERAL:
        return ord(char) == value
    if kind is op.NOT_LITERAL:
        return ord(char) != value
    if kind is op.ANY:
        return bool(flags & re.DOTALL) or char != "\n"
    negated = value[0][0] is op.NEGATE
    return any(_is_in(each, char) for each in value[negated:]) is not negated


def _is_in(item: Any, char: str) -> bool:
    kind, value = item
    if kind is op.LITERAL:
        return ord(char) == value
    if kind is op.RANGE:
        return bool(value[0] <= ord(char) <= value[1])
    return bool(_CATEGORIES[value][0](char))


def _stands(where: Any, text: str, pos: int) -> bool:
    if where in (op.AT_BEGINNING, op.AT_BEGINNING_STRING):
        return pos == 0
    if where in (op.AT_END, op.AT_END_STRING):
        return pos == len(text)
    word = _CATEGORIES[op.CATEGORY_WORD][0]
    before = pos > 0 and word(text[pos - 1])
    after = pos < len(text) and word(text[pos])
    return (before != after) is (where is op.AT_BOUNDARY)


# --- texts --------------------------------------------------------------------------------


def sample(tree: Any, draw: random.Random) -> str:
    """A text that nearly matches: what the items of a pattern say, drawn at random."""
    return "".join(_sampled(item, draw) for item in tree)


def _sampled(item: Any, draw: random.Random) -> str:
    kind, value = item
    if kind in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
        least, most, inner = value
        times = draw.randint(least, max(least, min(most, least + 2)))
        return "".join(sample(inner, draw) for _ in range(times))
    if kind is op.ATOMIC_GROUP:
        return sample(value, draw)
    if kind is op.SUBPATTERN:
        return sample(value[3], draw)
    if kind is op.BRANCH:
        return sample(draw.choice(value[1]), draw)
    if kind is op.LITERAL:
        return chr(value)
    if kind in (op.NOT_LITERAL, op.ANY):
        return draw.choice("x 5-'\"\\/,")
    if kind is op.IN:
        return _member(value, draw)
    return ""


def _member(value: Any, draw: random.Random) -> str:
    if value[0][0] is op.NEGATE:
        fitting = [c for c in "x5 -'\"\\/,.=`" if _fits((op.IN, value), c, 0)]
        return draw.choice(fitting or [STRANGE])
    kind, found = draw.choice(value)
    if kind is op.RANGE:
        return chr(draw.randint(found[0], min(found[1], found[0] + 9)))
    return chr(found) if kind is op.LITERAL else str(_CATEGORIES[found][1])


def letters(tree: Any) -> str:
    """The characters that a pattern names."""
    found: list[str] = []
    for kind, value in tree:
        if kind in (op.LITERAL, op.NOT_LITERAL):
            found.append(chr(value))
        elif kind is op.IN:
            found += letters(each for each in value if each[0] in (op.LITERAL, op.RANGE))
        elif kind is op.RANGE:
            found.append(chr(value[0]))
        elif kind is op.BRANCH:
            found += "".join(map(letters, value[1]))
        elif isinstance(value, tuple | _parser.SubPattern):
            parts = value if isinstance(value, tuple) else (value,)
            found += "".join(
                letters(part) for part in parts if isinstance(part, _parser.SubPattern)
            )
    return "".join(dict.fromkeys(found))


def pumped(tree: Any, own: str, draw: random.Random) -> Callable[[int], str]:
    """A text with a part that is said again and again, and what makes the match fail behind it.

    Args:
        own: the `letters` of the pattern.
    """
    said = "".join(sample(tree, draw) for _ in range(draw.randint(1, 2)))
    start = draw.randint(0, len(said))
    end = draw.randint(start, min(len(said), start + 6))
    part = said[start:end] or draw.choice("a0 ")
    if own and draw.random() < 0.5:
        part = "".join(draw.choice(own) for _ in range(draw.randint(1, 3)))
    tail = draw.choice(["", "", STRANGE, said[end:], said[end:-1], said[end:] + STRANGE])
    return lambda times: said[:start] + part * times + tail
