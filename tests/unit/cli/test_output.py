import io

import pytest
import typer

from stocktake.cli import output
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
