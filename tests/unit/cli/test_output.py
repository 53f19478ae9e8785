import pytest

from stocktake.cli import output


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
