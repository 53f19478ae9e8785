"""Whom the command line asks for the key of a source: a person at a terminal, and nobody else."""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

import pytest

from cli.access import source_pair

S3 = "https://shop.s3.eu-west-1.amazonaws.com/orders/*.parquet"
ASK = """
from cli.access import source_pair
print("got", source_pair({url!r}, {key!r}, public={public}))
"""


def at_terminal(url: str, answers: Sequence[str], *, key: str | None, public: bool) -> str:
    """What a terminal shows where these lines are typed, each once something was asked."""
    terminal, its_end = os.openpty()
    code = ASK.format(url=url, key=key, public=public)
    environment = {k: v for k, v in os.environ.items() if k != "STOCKTAKE_ACCESS_SECRET"}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stdin=its_end,
        stdout=its_end,
        stderr=its_end,
        start_new_session=True,  # or the secret is asked for at the tests' own terminal
    ) as process:
        os.close(its_end)
        shown, left = b"", list(answers)
        with suppress(OSError):  # which tells that the process has let go of the terminal
            while read := os.read(terminal, 4096):
                shown += read
                if left and shown.endswith(b": "):
                    os.write(terminal, f"{left.pop(0)}\n".encode())
        os.close(terminal)
    assert process.returncode == 0, shown
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
