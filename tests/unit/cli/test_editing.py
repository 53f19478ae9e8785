"""What `tables edit`, `types` and `add` and `schedules` send, and what they say of it."""

from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import app
from cli.client import Client

TABLE: dict[str, Any] = {
    "id": "7",
    "name": "orders",
    "options": {"csv_delimiter": ";", "encoding": "latin-1"},
    "columns": [{"name": "zip", "type": "string"}, {"name": "n", "type": "integer"}],
    "latest_job": {"id": "9", "done": False},
}
SCHEDULE: dict[str, Any] = {
    "id": "3",
    "name": "nightly",
    "paused": False,
    "next_fire_at": "2026-12-01T03:00:00Z",
}


class Server(Client):
    """Keeps what it was sent, and answers as the API does."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, Any]] = []

    def __exit__(self, *_: object) -> None:
        """Nothing was opened."""

    def table(self, name: str) -> dict[str, Any]:
        return TABLE

    def all(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        return iter([SCHEDULE] if path == "schedules/" else [])

    def get(self, path: str, **query: Any) -> Any:
        assert path == "schedules/3/upcoming/"
        return {"fires": ["2026-12-01T03:00:00Z", "2026-12-02T03:00:00Z"], "tables": 1}

    def post(self, path: str, body: Any, *, wait_seconds: int = 0) -> Any:
        self.sent.append(("POST", path, body))
        return {"id": "5"} if path.endswith("run/") else TABLE

    def patch(self, path: str, body: Any, *, wait_seconds: int = 0) -> Any:
        self.sent.append(("PATCH", path, body))
        return SCHEDULE | body if path.startswith("schedules/") else TABLE | body


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    monkeypatch.setattr(Client, "from_environment", classmethod(lambda _: made))
    return made


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize(
    ("arguments", "change"),
    [
        (("--name", "sales"), {"name": "sales"}),
        (
            ("--format", "csv", "--url", "file:///x/*.csv"),
            {"format": "CSV", "url_pattern": "file:///x/*.csv"},
        ),
        (
            ("--option", "csv_delimiter=,"),
            {"options": {"csv_delimiter": ",", "encoding": "latin-1"}},
        ),
        (("--unset", "encoding"), {"options": {"csv_delimiter": ";"}}),
    ],
)
def test_an_edit_sends_what_was_given_and_keeps_the_other_options(
    server: Server, arguments: tuple[str, ...], change: dict[str, Any]
) -> None:
    done = run("tables", "edit", "orders", *arguments)

    assert done.exit_code == 0, done.output
    assert server.sent == [("PATCH", "warehouse_tables/7/", change)]
    assert "stocktake jobs watch 9" in done.stdout


def test_types_are_set_and_cleared_and_shown_as_they_are_then(server: Server) -> None:
    done = run("tables", "types", "set", "orders", "zip=string", "a=b=float")
    run("tables", "types", "clear", "orders", "n")

    path = "warehouse_tables/7/update_schema/"
    assert server.sent == [
        ("POST", path, {"updates": {"zip": "string", "a=b": "float"}}),
        ("POST", path, {"updates": {"n": None}}),
    ]
    assert done.stdout == "zip: string\n"


@pytest.mark.parametrize(
    ("url", "format_"),
    [("file:///x/*.csv.gz", "CSVWithNames"), ("https://h/b/a.parquet", "Parquet")],
)
def test_the_format_of_a_new_table_is_told_by_its_url(
    server: Server, url: str, format_: str
) -> None:
    done = run("tables", "add", "orders", "--url", url)

    assert done.exit_code == 0, done.output
    assert server.sent[0][2] == {"name": "orders", "format": format_, "url_pattern": url}


def test_a_format_that_nobody_tells_is_asked_for_and_a_script_hears_how_to_say_it(
    server: Server,
) -> None:
    done = run("tables", "add", "orders", "--url", "https://h/b/orders")

    assert done.exit_code == 1
    assert "--format" in str(done.exception)
    assert server.sent == []


@pytest.mark.parametrize(
    ("arguments", "sent", "said"),
    [
        (("pause",), ("PATCH", "schedules/3/", {"paused": True}), "resume nightly"),
        (("resume",), ("PATCH", "schedules/3/", {"paused": False}), "2026-12-01 03:00:00Z"),
        (("run",), ("POST", "schedules/3/run/", {}), "jobs list --batch 5"),
        (
            ("edit", "--cron", "@daily", "--glob", "a*"),
            ("PATCH", "schedules/3/", {"cron": "@daily", "selector": {"name_glob": "a*"}}),
            "Changed nightly",
        ),
    ],
)
def test_a_schedule_is_changed_by_its_name(
    server: Server, arguments: tuple[str, ...], sent: tuple[str, str, Any], said: str
) -> None:
    command, *more = arguments
    done = run("schedules", command, "nightly", *more)

    assert done.exit_code == 0, done.output
    assert server.sent == [sent]
    assert said in done.stdout


def test_the_next_fires_are_one_a_line(server: Server) -> None:
    done = run("schedules", "next", "nightly", "--count", "2")

    assert done.stdout.splitlines() == ["2026-12-01 03:00:00Z", "2026-12-02 03:00:00Z"]
    assert "1 table now." in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("tables", "edit", "orders"),
        ("tables", "types", "set", "orders", "zip"),
        ("schedules", "edit", "nightly"),
        ("schedules", "edit", "nightly", "--all", "--glob", "x"),
        ("schedules", "pause", "unknown"),
    ],
)
def test_what_says_nothing_or_too_much_changes_nothing(
    server: Server, arguments: tuple[str, ...]
) -> None:
    assert run(*arguments).exit_code == 1
    assert server.sent == []
