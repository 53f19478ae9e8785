"""A connection that PostgreSQL has closed is noticed before a request uses it."""

import psycopg
import pytest
from sqlalchemy import text

from servers.postgres import Postgres
from stocktake.db import session
from stocktake.db.session import Database
from tests.support.emptied import OTHERS


def _asked(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    execute = psycopg.Cursor.execute

    def note(self, query, *arguments, **options):
        seen.append(str(query))
        return execute(self, query, *arguments, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", note)
    return seen


def _read(database: Database) -> int:
    with database.read() as reading:
        return reading.execute(text("SELECT 42")).scalar_one()


def test_a_connection_that_was_closed_a_moment_ago_is_not_used(postgres: Postgres) -> None:
    url = postgres.create_database()
    database = Database(url, answer_seconds=10)
    for _ in range(3):
        assert _read(database) == 42
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as other:
            assert other.execute(OTHERS).fetchone() == (1,)
    assert _read(database) == 42
    database.dispose()


def test_only_one_that_rested_is_asked_whether_it_lives(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_FRESH_SECONDS", 3600.0)
    database = Database(postgres.create_database(), answer_seconds=10)
    assert _read(database) == 42
    asked = _asked(database, monkeypatch)
    assert _read(database) == 42
    assert len(asked) == 1
    monkeypatch.setattr(session, "_FRESH_SECONDS", 0.0)
    assert _read(database) == 42
    assert len(asked) == 3
    database.dispose()
