"""The migrations build exactly what the models say, on both databases, from every revision."""

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

from stocktake.db import migrate
from stocktake.db.models import Base

SCRIPTS = Path(migrate.__file__).parent / "migrations"
REVISIONS = [
    script.revision for script in ScriptDirectory(str(SCRIPTS)).walk_revisions("base", "head")
]


def test_the_newest_revision_is_what_the_models_say(database_url: str) -> None:
    migrate.upgrade(database_url)
    engine = create_engine(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        differences = compare_metadata(context, Base.metadata)
    engine.dispose()
    assert differences == []


@pytest.mark.parametrize("revision", REVISIONS)
def test_an_upgrade_from_every_revision_ends_at_the_newest(
    database_url: str, revision: str
) -> None:
    migrate.upgrade(database_url, revision)
    migrate.upgrade(database_url)
    engine = create_engine(database_url)
    assert not migrate.pending(engine)
    engine.dispose()


def test_a_database_that_was_never_migrated_is_pending(database_url: str) -> None:
    engine = create_engine(database_url)
    assert migrate.pending(engine)
    engine.dispose()


def test_the_way_down_removes_every_table(database_url: str) -> None:
    migrate.upgrade(database_url)
    command.downgrade(migrate.config(database_url), "base")
    engine = create_engine(database_url)
    assert inspect(engine).get_table_names() == ["alembic_version"]
    engine.dispose()
