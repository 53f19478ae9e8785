"""Alembic's entry: online migrations of the models' metadata."""

from alembic import context
from sqlalchemy import create_engine, event, pool

from stocktake.db.models import Base
from stocktake.db.session import require_utf8

url = context.config.get_main_option("sqlalchemy.url")
assert url, "run migrations through stocktake.db.migrate or set sqlalchemy.url"  # noqa: S101

engine = create_engine(url, poolclass=pool.NullPool)
if engine.dialect.name == "postgresql":
    event.listen(engine, "connect", require_utf8, insert=True)
with engine.connect() as connection:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        # It began a transaction, which Alembic would take for ours to commit.
        connection.commit()
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
