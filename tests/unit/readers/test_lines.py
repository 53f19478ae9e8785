"""Lines out of a text however it is cut, in blocks, and those that are stepped over unsplit."""

import pytest

from stocktake.errors import LimitExceededError
from stocktake.readers.source import Limits
from stocktake.readers.text.csv.lines import Lines
from stocktake.readers.text.decoding import Text
from stocktake.readers.text.fast_rows import WINDOW, Rows, rows_of

NUMBERS = Rows(b"[0-9]+\n")


def lines_of(*chunks: str, complete: bool = True, limits: Limits | None = None) -> Lines:
    return Lines(Text(path="a", chunks=iter(chunks), complete=complete), limits or Limits())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_are_the_same_however_the_text_is_cut(size: int) -> None:
    whole = "a\r\nb\n\nc\x0bd\u2028e\r\nlast"
    lines = lines_of(*(whole[at : at + size] for at in range(0, len(whole), size)))
    assert [*lines] == ["a", "b", "", "c\x0bd\u2028e", "last"]
    assert lines.number == 5


@pytest.mark.parametrize("piece", ["a\rb\r\nc\n", "a\rb\nc\r\n", "a\rb\r\nc\r\n"])
def test_a_return_within_a_line_stays(piece: str) -> None:
    assert [*lines_of(piece)] == ["a\rb", "c"]


def test_cut_text_loses_its_last_line() -> None:
    assert [*lines_of("a\nb\nc", complete=False)] == ["a", "b"]
    assert [*lines_of("a\nb\n", "c", complete=False)] == ["a", "b"]


def test_blocks_cut_no_line() -> None:
    whole = [f"{number:>9}" for number in range(200_000)]
    lines = lines_of("\n".join(whole))
    taken: list[str] = []
    while (block := lines.block()) is not None:
        assert len(block) < 20_000
        taken += lines.rest_of_block()
    assert taken == whole


def test_peeked_lines_stay() -> None:
    lines = lines_of("a\nb\nc")
    assert lines.peek(2) == ["a", "b"]
    assert lines.peek(9) == ["a", "b", "c"]
    assert lines.number == 0
    assert [*lines] == ["a", "b", "c"]
    assert lines_of().peek(1) == []


def test_lines_too_long_are_refused_with_their_number() -> None:
    lines = lines_of("a\nb\n", "c\n" + "d" * 11 + "\r\n", limits=Limits(max_line_bytes=10))
    with pytest.raises(LimitExceededError, match="line 4,"):
        list(lines)
    fitting = lines_of("d" * 10 + "\r\n", limits=Limits(max_line_bytes=10))
    assert [*fitting] == ["d" * 10]


# --- stepping over ------------------------------------------------------------------------


def test_lines_that_match_are_stepped_over_and_counted() -> None:
    lines = lines_of("1\r\n22\n", "3\nx\n4\n", "5")
    assert lines.skip(NUMBERS) == 3
    assert lines.block() == ["x", "4"]
    assert [*lines.rest_of_block()] == ["x", "4"]
    assert lines.number == 5
    assert lines.skip(NUMBERS) == 1
    assert lines.block() is None
    assert lines.number == 6


@pytest.mark.parametrize("letter", ["x", "é", "漢", "\ud800"])
def test_windows_cut_no_line_and_no_letter(letter: str) -> None:
    row = f"{letter * 9},1\n"
    text = row * (3 * WINDOW // len(row)) + "y\n" + row
    lines = lines_of(text)
    assert lines.skip(Rows(rb"[^,\n]*,[0-9]+" + b"\n")) == text.index("y") // len(row)
    assert lines.peek(9) == lines.block() == ["y", row[:-1]]


@pytest.mark.parametrize("letter", ["x", "é"])
@pytest.mark.parametrize("rows_before", [0, 1, 2 * WINDOW // 9])
def test_a_number_that_a_float_loses_stops_at_its_row(letter: str, rows_before: int) -> None:
    row, lossy = f"{letter}é,0.5\n", f"{letter},0.12345678901234567"
    text = row * rows_before + lossy + "\n" + row
    lines = lines_of(text)
    assert lines.skip(Rows(rb"[^,\n]*,[0-9.]+" + b"\n")) == rows_before
    assert lines.peek(1) == [lossy]
    assert lines_of(text).skip(Rows(rb"[^,\n]*,[0-9.]+" + b"\n", exact=False)) == rows_before + 2


def test_line_beyond_the_window_is_not_stepped_over() -> None:
    lines = lines_of("1\n" + "2" * WINDOW + "\n3\n")
    assert lines.skip(NUMBERS) == 1
    assert lines.block() == ["2" * WINDOW]
    assert [*lines.rest_of_block()] == ["2" * WINDOW]
    assert lines.skip(NUMBERS) == 1


def test_blocks_grow_while_there_is_nothing_to_step_over() -> None:
    lines = lines_of("x\n" * 1_000_000)
    sizes = []
    while (block := lines.block()) is not None:
        sizes.append(len([*lines.rest_of_block()]))
        assert sizes[-1] == len(block)
        lines.skip(NUMBERS)
    assert sizes[0] < 5_000 < 50_000 < max(sizes)
    assert sum(sizes) == 1_000_000


def test_blocks_are_small_after_lines_that_could_be_stepped_over() -> None:
    lines = lines_of(("1\n" * 20_000 + "x\n") * 5)
    seen = []
    while (block := lines.block()) is not None:
        seen.append(len(block))
        assert [*lines.rest_of_block()]
        lines.skip(NUMBERS)
    assert len(seen) == 6
    assert sum(seen[1:]) < 5_000


def test_lines_that_follow_a_known_one_are_counted_and_stay() -> None:
    lines = lines_of("a\n1\n2")
    assert lines.follow("a", NUMBERS) == 2
    assert lines.follow("b", NUMBERS) is None
    assert [*lines] == ["a", "1", "2"]


def test_not_all_lines_follow_a_known_one() -> None:
    assert lines_of("a\n1\nx\n").follow("a", NUMBERS) is None
    assert lines_of("a\n1\n", "2\n").follow("a", NUMBERS) is None, "the next chunk is not at hand"
    assert lines_of().follow("a", NUMBERS) is None
    assert lines_of("a\n").follow("a", NUMBERS) == 0


def test_no_rows_are_stepped_over_where_one_may_be_too_long_or_too_wide() -> None:
    assert rows_of(b"1\n", Limits(max_line_bytes=WINDOW)) is not None
    assert rows_of(b"1\n", Limits(max_line_bytes=WINDOW - 1)) is None
    assert rows_of(b"1," * WINDOW + b"\n", Limits()) is None
    assert rows_of(None, Limits()) is None
