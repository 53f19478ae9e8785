import io

import pytest
import typer
from rich.cells import cell_len
from rich.console import Console

from cli import output
from stocktake.errors import CommandError


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("answer", ["n\n", "\n"])
def test_a_person_is_asked_before_something_is_removed(
    answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", _Terminal(answer))
    with pytest.raises(typer.Abort):
        output.confirm("Remove table orders?", yes=False)


def test_nobody_is_asked_who_said_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", _Terminal(""))
    output.confirm("Remove table orders?", yes=True)


def test_a_script_must_say_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(CommandError, match=r"Remove table orders\?.*say --yes"):
        output.confirm("Remove table orders?", yes=False)


def test_a_name_from_a_file_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "a\x1b[2J\x9b31m\u202eb"
    output.show_fields([("Name", hostile)])
    output.show_rows(["COLUMN"], [[hostile]], "none")
    output.say(hostile)
    output.complain(hostile, hostile)
    printed = capsys.readouterr()
    for obeyed in "\x1b\x9b\u202e":
        assert obeyed not in printed.out + printed.err
    assert printed.out.count("[2J") == 3


def test_who_ends_a_wait_is_told_that_the_jobs_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, output.going_on("stocktake jobs list --batch 7"):
        raise KeyboardInterrupt
    assert ended.value.exit_code == 130
    assert "goes on. To see it: stocktake jobs list --batch 7" in capsys.readouterr().err


HEADINGS = ("NAME", "FORMAT", "SIZE", "ID")
ID = "01a2270b-ee1e-7599-aee7-b4406f95d582"


def _shown_at(
    columns: int, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """What a terminal of so many columns shows of a table with one row, without styles."""
    monkeypatch.setattr(
        output, "console", lambda: Console(width=columns, force_terminal=True, color_system=None)
    )
    rows = [(name, "Parquet", "4.8 MiB", ID)]
    output.show_rows(HEADINGS, rows, "none", least=("SIZE", "FORMAT"), names=("NAME",))
    return capsys.readouterr().out.splitlines()


def test_what_was_left_out_is_said_below(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def at(width: int) -> str:
        monkeypatch.setattr(
            output, "console", lambda: Console(width=width, force_terminal=True, color_system=None)
        )
        output.show_rows(HEADINGS, [("a", "b", "c", ID)], "none", least=("SIZE", "FORMAT"))
        return capsys.readouterr().err

    assert at(80) == ""
    assert at(50) == "Left out at this width: SIZE. A wider terminal shows them, or --json.\n"
    assert "SIZE, FORMAT" in at(40)


@pytest.mark.parametrize(
    ("columns", "left_out"), [(200, set()), (80, {"SIZE"}), (70, {"SIZE", "FORMAT"})]
)
def test_the_least_important_columns_are_left_out_first(
    columns: int,
    left_out: set[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "orders_of_the_northern_region"
    headings, row = _shown_at(columns, name, capsys, monkeypatch)
    assert set(HEADINGS) - set(headings.split()) == left_out
    assert name in row
    assert ID in row


def test_a_long_name_is_shortened_in_the_middle_and_an_id_never(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "orders_" + "of_many_" * 20 + "regions"
    headings, row = _shown_at(80, name, capsys, monkeypatch)
    assert headings.split() == ["NAME", "ID"]
    shortened, shown_id = row.split()
    begin, end = shortened.split("…")
    assert name.startswith(begin)
    assert name.endswith(end)
    assert min(len(begin), len(end)) > 15
    assert shown_id == ID
    assert len(row.rstrip()) <= 80


def test_wide_characters_count_as_two(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, row = _shown_at(80, "注文" * 40, capsys, monkeypatch)
    assert cell_len(row.rstrip()) <= 80
    assert ID in row


def test_what_is_piped_has_tabs_and_every_value_whole(capsys: pytest.CaptureFixture[str]) -> None:
    name = "n" * 300
    output.show_rows(HEADINGS, [(name, None, "a [b] c", ID), ("x", "CSV", 1, ID)], "none")
    output.show_fields([("Name", name), ("Rows", None)])
    assert capsys.readouterr().out.splitlines() == [
        "\t".join(HEADINGS),
        f"{name}\t-\ta [b] c\t{ID}",
        f"x\tCSV\t1\t{ID}",
        f"Name\t{name}",
        "Rows\t-",
    ]
