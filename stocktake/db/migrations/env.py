"""Alembic's entry: online migrations of the models' metadata."""

import sqlite3
from typing import Any

from alembic import context
from sqlalchemy import Connection, create_engine, event, make_url, pool

from stocktake.db.models import Base
from stocktake.db.session import require_utf8

url = context.config.get_main_option("sqlalchemy.url")
assert url, "run migrations through stocktake.db.migrate or set sqlalchemy.url"  # noqa: S101

#: How long a migration waits for SQLite's lock, which others take meanwhile without a queue.
_PATIENCE_SECONDS = 60


def _begin_by_hand(connection: sqlite3.Connection, _record: Any) -> None:
    # By itself sqlite3 begins no transaction before DDL: what a migration has done up to its
    # failure would stay, and the next try fail on it.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")


def _begin(connection: Connection) -> None:
    # With the lock from the start: a read that becomes a write would not wait for it.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


sqlite = make_url(url).get_backend_name() == "sqlite"
patience = {"timeout": _PATIENCE_SECONDS} if sqlite else {}
engine = create_engine(url, poolclass=pool.NullPool, connect_args=patience)
if sqlite:
    event.listen(engine, "connect", _begin_by_hand)
    event.listen(engine, "begin", _begin)
else:
    event.listen(engine, "connect", require_utf8, insert=True)
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=sqlite,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
