"""Whom the command line asks for the key of a source: a person at a terminal, and nobody else."""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

import pytest

from cli.access import with_keys
from cli.hints import require_url
from stocktake.errors import CommandError

ASK = """
from cli.access import with_keys
from stocktake.client import RefusedError
from stocktake.errors import CommandError

def send(body):
    print("sent", sorted(body))
    if {refuses!r} == "all" or {refuses!r} == "credential" not in body:
        said = RefusedError("No.", code="x", status=400, attr={refuses!r})
        raise CommandError("No.") from said
    return body.get("credential")

try:
    print("got", with_keys(send, {{"url_pattern": "u"}}, {key!r}))
except CommandError as exc:
    print("got", exc)
"""


def at_terminal(refuses: str, answers: Sequence[str], key: str | None) -> str:
    """What a terminal shows where these lines are typed, each once something was asked."""
    terminal, its_end = os.openpty()
    code = ASK.format(refuses=refuses, key=key)
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
    ("refuses", "key", "answers", "got"),
    [
        ("credential", None, ["AKIA", "hush"], "{'access_key': 'AKIA', 'access_secret': 'hush'}"),
        ("credential", None, [""], "No."),
        ("credential", "AKIA", ["hush"], "{'access_key': 'AKIA', 'access_secret': 'hush'}"),
        ("", None, [], "None"),
        # Refused for what no key mends: nobody is asked for one.
        ("all", None, [], "No."),
        ("all", "AKIA", [], "No."),
    ],
)
def test_a_person_is_asked_for_what_the_server_wants(
    refuses: str, key: str | None, answers: list[str], got: str
) -> None:
    shown = at_terminal(refuses, answers, key)
    assert shown.splitlines()[-1] == f"got {got}"
    assert shown.count(": ") - got.count(": ") == len(answers)


def test_a_program_is_not_asked() -> None:
    assert with_keys(dict, {"url_pattern": "u"}, None) == {"url_pattern": "u"}


def test_a_key_with_its_secret_is_sent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCKTAKE_ACCESS_SECRET", "hush")
    sent = with_keys(dict, {"url_pattern": "u"}, "AKIA")
    assert sent["credential"] == {"access_key": "AKIA", "access_secret": "hush"}


@pytest.mark.parametrize("url", ["s3://shop/orders", "/data/orders", "shop.s3.amazonaws.com/x"])
def test_what_is_no_url_is_refused_before_a_format_is_asked_for(url: str) -> None:
    with pytest.raises(CommandError, match="Write"):
        require_url(url)
