"""`stocktake changes` and `stocktake policy`, against a server."""

import json
import sys
from collections.abc import Iterator
from uuid import UUID

import pytest
import structlog
from typer.testing import CliRunner, Result

from cli import app
from stocktake.db.session import Database
from tests.integration.api.conftest import MakeKey, Served
from tests.integration.api.test_changes import change, settle, table

__all__ = ["change", "table"]


@pytest.fixture(autouse=True)
def silent() -> Iterator[None]:
    """The server is in this process: what it logs is no output of a command."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def server(served: Served, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands ask the test's server."""
    monkeypatch.setenv("STOCKTAKE_URL", served.url)
    monkeypatch.setenv("STOCKTAKE_API_KEY", make_key(["*"]))
    monkeypatch.delenv("STOCKTAKE_PROJECT_ID", raising=False)


def run(*arguments: str, status: int = 0) -> Result:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == status, (done.output, done.exception)
    return done


def lines(*arguments: str) -> list[list[str]]:
    return [line.split("\t") for line in run(*arguments).stdout.splitlines()]


def test_a_change_is_found_by_its_table_and_decided(change: str, database: Database) -> None:
    headings, row = lines("changes", "list", "--state", "pending", "--table", "orders")
    assert dict(zip(headings, row, strict=True))["ID"] == change
    shown = lines("changes", "show", "orders")
    assert ["n", "breaking", "Int32", "String", "-", "-"] in shown

    rejected = run("changes", "reject", "orders", "note").stdout
    assert rejected.startswith("orders: decided; its columns are version 1.\nStill waiting:\n")
    none = run("changes", "accept", "orders", "--additive").stdout
    assert none.startswith("orders: nothing new was decided.\n")
    pinned = run("changes", "pin", change, "n").stdout
    assert pinned == "orders: decided; its columns are version 1.\n"
    assert run("changes", "list", "--state", "pending").stdout == ""
    assert ["Decided"] in [line[:1] for line in lines("changes", "show", "orders")]
    assert "1 wait again" in run("changes", "undo", "orders").stdout
    decided = json.loads(run("changes", "accept", "orders", "--all", "--json").stdout)
    assert (decided["state"], decided["applied_as_version"]) == ("decided", 2)


@pytest.mark.parametrize("arguments", [(), ("n", "--all"), ("--all", "--additive")])
def test_what_to_accept_is_said_in_one_way(change: str, arguments: tuple[str, ...]) -> None:
    assert "--additive" in run("changes", "accept", "orders", *arguments, status=2).output


def test_a_person_at_a_terminal_is_asked(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # `CliRunner` gives commands another stdin.
    monkeypatch.setattr(sys.modules["cli.changes"], "stdin_is_a_terminal", lambda: True)
    no = CliRunner().invoke(app, ["changes", "accept", "orders"], input="n\n")
    assert no.exit_code == 1
    assert "Accept all 2 of orders?" in no.output
    yes = CliRunner().invoke(app, ["changes", "accept", "orders"], input="y\n")
    assert "applied as version 2" in yes.output


def test_a_refusal_is_told(change: str, table: UUID, database: Database) -> None:
    done = run("changes", "accept", "orders", "nope", status=1)
    assert "did you mean" in str(done.exception)
    settle(database, table, ())
    run("changes", "accept", "orders", "id", status=0)
    done = run("changes", "accept", change, "n", status=1)
    assert "was replaced" in str(done.exception)


def test_policies_are_shown_and_set(change: str) -> None:
    assert run("policy", "orders").stdout == "manual\n"
    assert run("policy").stdout == "auto\n"
    assert run("policy", "--set", "additive_only").stdout == "additive_only\n"
    done = run("policy", "orders", "--clear")
    assert done.stdout == "additive_only (the project's)\n"
    assert change in done.stderr
    assert json.loads(run("policy", "orders", "--json").stdout) == {
        "change_policy": None,
        "project_default": "additive_only",
    }
    run("policy", "--clear", status=1)
    run("policy", "orders", "--set", "often", status=2)
