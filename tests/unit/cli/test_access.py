"""Whom the command line asks for the key of a source: a person at a terminal, and nobody else."""

import os
import pty
import sys
from collections.abc import Sequence

import pytest

from cli.access import source_pair

S3 = "https://shop.s3.eu-west-1.amazonaws.com/orders/*.parquet"
ASK = """
from cli.access import source_pair
print("got", source_pair({url!r}, {key!r}, public={public}))
"""


def at_terminal(url: str, answers: Sequence[str], *, key: str | None, public: bool) -> str:
    """What a terminal shows where these lines are typed, each once something was asked."""
    child, terminal = pty.fork()
    if not child:
        os.environ.pop("STOCKTAKE_ACCESS_SECRET", None)
        code = ASK.format(url=url, key=key, public=public)
        os.execv(sys.executable, [sys.executable, "-c", code])
    shown, left = b"", list(answers)
    try:
        while read := os.read(terminal, 4096):
            shown += read
            if left and shown.endswith(b": "):
                os.write(terminal, f"{left.pop(0)}\n".encode())
    except OSError:  # the child has closed the terminal
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, shown
    return shown.decode()


@pytest.mark.parametrize(
    ("url", "key", "public", "answers", "got"),
    [
        (S3, None, False, ["AKIA", "hush"], "('AKIA', 'hush')"),
        (S3, None, False, [""], "None"),
        (S3, "AKIA", False, ["hush"], "('AKIA', 'hush')"),
        (S3, None, True, [], "None"),
        ("file:///data/orders.csv", None, False, [], "None"),
    ],
)
def test_a_person_is_asked_for_what_was_not_given(
    url: str, key: str | None, public: bool, answers: list[str], got: str
) -> None:
    shown = at_terminal(url, answers, key=key, public=public)
    assert shown.splitlines()[-1] == f"got {got}"
    assert shown.count(": ") == len(answers)


def test_a_program_is_not_asked() -> None:
    assert source_pair(S3, None, public=False) is None
