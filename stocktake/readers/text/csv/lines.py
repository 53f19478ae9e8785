"""The lines of a text, a block at a time, counted; some of them can be stepped over unsplit."""

import re
from collections.abc import Iterator
from io import IncrementalNewlineDecoder
from itertools import chain
from typing import Final

from stocktake.readers.source import Limits
from stocktake.readers.text.decoding import Text, line_too_long
from stocktake.readers.text.fast_rows import Rows
from stocktake.schema.warnings import ReadWarning, WarningCode

#: Characters of a block: of the first one, of one after lines that could be stepped over, and
#: of the largest.
_FIRST_BLOCK: Final = 1 << 13
_LEAST_BLOCK: Final = 1 << 10
_LARGEST_BLOCK: Final = 1 << 17
#: Characters in which a line's end is looked for, where the first line feed is late.
_HEAD: Final = 1 << 16
#: What a decoder of newlines has met where each CR has its LF.
_NO_LONE_RETURN: Final = ("\r\n", ("\n", "\r\n"))
#: What stands in quotes, of whatever delimiter.
_QUOTED: Final = re.compile(r'(?:\A|(?<=[,;|\t\r\n]))"(?:[^"]++|"")*+(?:"|\Z)')


class Lines:
    """The lines, without their ends; the last one only where the text is complete or it has its
    end.

    Args:
        text: where from; CRLF is a line's end as LF is, and so are CR CR LF, and CR where no
            line ends in LF.
        limits: `max_line_bytes` applies.

    Attributes:
        number: of the line taken last, counted from 1.
    """

    def __init__(self, text: Text, limits: Limits) -> None:
        self._text = text
        self._limits = limits
        self._chunks = _with_line_feeds(text)
        self._is_told = False
        # One ahead, to know which chunk is the last.
        self._ahead = next(self._chunks, None)
        # the beginning of a line whose end is in none of these, and how long it is
        self._carry: list[str] = []
        self._carried = 0
        # of whole lines, each with a line feed
        self._piece = ""
        self._at = 0
        self._block: Iterator[str] = iter(())
        self._block_size = _FIRST_BLOCK
        self.number = 0

    def peek(self, most: int) -> list[str]:
        """Return the next lines, as far as they are at hand, which stay where they are.

        Raises:
            LimitExceededError: as `block` does.
        """
        return self._piece[self._at :].split("\n", most)[:-1] if self._has_more() else []

    def drop(self, count: int) -> None:
        """Pass over the next lines, between two blocks, however long they are."""
        for _ in range(count):
            if not self._has_more():
                return
            self._at = self._piece.index("\n", self._at) + 1
            self.number += 1

    def block(self) -> list[str] | None:
        """Return the next lines, not yet counted as taken; None at the end.

        Raises:
            LimitExceededError: one is longer than `max_line_bytes`.
        """
        if not self._has_more():
            return None
        # A piece ends in a line feed, so there always is one to find.
        end = self._piece.index("\n", min(self._at + self._block_size, len(self._piece) - 1))
        lines = self._piece[self._at : end].split("\n")
        self._at = end + 1
        self._block_size = min(self._block_size * 2, _LARGEST_BLOCK)
        self._block = iter(lines)
        return lines

    def rest_of_block(self) -> Iterator[str]:
        """Yield the lines of this block that are left, each counted."""
        while (line := next(self._block, None)) is not None:
            self.number += 1
            yield line

    def __iter__(self) -> Iterator[str]:
        """Yield the lines of this block and all after it, each counted."""
        yield from self.rest_of_block()
        while self.block() is not None:
            yield from self.rest_of_block()

    def skip(self, rows: Rows) -> int:
        """Skip the lines that match, between two blocks, and return how many they are.

        As long as that gains little the blocks grow, so that it is tried less and less.
        """
        count, gain = 0, 0
        while self._has_more():
            end, found = rows.skim(self._piece, self._at)
            count, gain = count + found, gain + end - self._at
            self.number, self._at = self.number + found, end
            if end < len(self._piece):
                break
        if gain >= self._block_size:
            self._block_size = _LEAST_BLOCK
        return count

    def follow(self, first: str, rows: Rows) -> int | None:
        """Return how many lines follow the first one, where that is the given one, all that follow
        match, and the text is no longer than one piece; else None. None of them is taken."""
        if not self._has_more() or not self._piece.startswith(first + "\n", self._at):
            return None
        end, count = rows.skim(self._piece, self._at + len(first) + 1)
        return count if end == len(self._piece) and self._ahead is None else None

    def _has_more(self) -> bool:
        return self._at < len(self._piece) or self._refill()

    def _refill(self) -> bool:
        while (chunk := self._ahead) is not None:
            self._ahead = next(self._chunks, None)
            self._carry.append(chunk)
            self._carried += len(chunk)
            # most chunks are shorter than one line may be
            if self._carried > self._limits.max_line_bytes:
                self._refuse_long_lines()
            is_last = self._ahead is None and self._text.complete
            if is_last or "\n" in chunk:
                whole = "".join(self._carry)
                if is_last and not chunk.endswith("\n"):
                    whole = whole.rstrip("\r") + "\n"
                # Cut behind a line feed, so that no CRLF lies in two pieces.
                end = whole.rindex("\n") + 1
                self._hold(whole[:end])
                self._carry, self._carried = [whole[end:]], len(whole) - end
                return True
        return False

    def _hold(self, piece: str) -> None:
        self._at = 0
        self._piece = self._without_returns(piece) if "\r" in piece else piece

    def _without_returns(self, piece: str) -> str:
        # Three times as fast as to replace them, and it tells which line ends it has met.
        newlines = IncrementalNewlineDecoder(None, translate=True)
        translated = newlines.decode(piece, final=True)
        if newlines.newlines in _NO_LONE_RETURN:
            return translated
        piece = piece.replace("\r\n", "\n")
        # what wrote CR LF for each LF of CR LF
        if "\r\n" in piece:
            self._tell_returns()
            while "\r\n" in piece:
                piece = piece.replace("\r\n", "\n")
        return piece

    def _tell_returns(self) -> None:
        if not self._is_told:
            self._is_told = True
            self._text.warnings.append(
                ReadWarning(
                    code=WarningCode.LINE_ENDS,
                    sentence=f"Lines of {self._text.path} end in CR CR LF, which was read as one "
                    "line end; ClickHouse takes the first CR for a part of the last value.",
                    file=self._text.path,
                )
            )

    def _refuse_long_lines(self) -> None:
        lines = "".join(self._carry).replace("\r\n", "\n").split("\n")
        for number, line in enumerate(lines, start=self.number + 1):
            if len(line) > self._limits.max_line_bytes:
                raise line_too_long(self._text.path, number, self._limits)


def _with_line_feeds(text: Text) -> Iterator[str]:
    """Return the text's pieces, in which each line ends in LF, if only behind a CR."""
    chunks = iter(text.chunks)
    head = next(chunks, "")
    while "\n" not in head and len(head) < _HEAD and (more := next(chunks, None)) is not None:
        head += more
    if not head:
        return iter(())
    if _ends_in_lf_cr(head):
        text.warnings.append(
            ReadWarning(
                code=WarningCode.LINE_ENDS,
                sentence=f"The lines of {text.path} end in LF CR, which was read as one line end; "
                "ClickHouse takes the CR for a part of the next value.",
                file=text.path,
            )
        )
        return _without_cr(chain([head], chunks))
    if not _ends_in_returns(head):
        return chain([head], chunks)
    text.warnings.append(
        ReadWarning(
            code=WarningCode.LINE_ENDS,
            sentence=f"The lines of {text.path} end in CR alone; ClickHouse reads them where "
            "input_format_csv_allow_cr_end_of_line is set.",
            file=text.path,
        )
    )
    return _translated(chain([head], chunks))


def _ends_in_returns(head: str) -> bool:
    r"""Return whether lines end in CR, and none in LF; neither counts in quotes.

    >>> _ends_in_returns('id,"a\nb"\r1,x'), _ends_in_returns('id,"a\rb"\r\n1,x')
    (True, False)
    """
    # of nearly every text its first line tells
    first = head.partition("\n")[0].rstrip("\r")
    if "\r" not in head or ("\r" not in first and '"' not in first):
        return False
    bare = _QUOTED.sub("", head[:_HEAD])
    return "\r" in bare.rstrip("\r") and "\n" not in bare


def _ends_in_lf_cr(head: str) -> bool:
    r"""Return whether a CR follows each line feed, and is before none; neither counts in quotes.

    >>> _ends_in_lf_cr("a,b\n\r1,2\n\r"), _ends_in_lf_cr("a,b\r\n\r\n1,2")
    (True, False)
    """
    # one character is looked for ten times as fast as two
    if "\r" not in head or "\n\r" not in head:
        return False
    bare = _QUOTED.sub("", head[:_HEAD])
    # the last may be cut from its CR
    return "\r\n" not in bare and bare[:-1].count("\n") == bare.count("\n\r") > 0


def _without_cr(chunks: Iterator[str]) -> Iterator[str]:
    held = ""
    for chunk in chunks:
        # a line feed at a chunk's end waits for what follows
        whole = held + chunk
        held = "\n" if whole.endswith("\n") else ""
        if piece := whole.removesuffix("\n").replace("\n\r", "\n"):
            yield piece
    if held:
        yield held


def _translated(chunks: Iterator[str]) -> Iterator[str]:
    # keeps a CR at a chunk's end until it is known whether an LF follows
    newlines = IncrementalNewlineDecoder(None, translate=True)
    for chunk in chunks:
        if translated := newlines.decode(chunk):
            yield translated
    if rest := newlines.decode("", final=True):
        yield rest
