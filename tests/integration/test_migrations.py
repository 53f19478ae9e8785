"""The migrations build exactly what the models say, on both databases, from every revision."""

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Column, MetaData, Table, Uuid, create_engine, insert, inspect, select

from stocktake.db import migrate, models
from stocktake.db.models import Base, Project, new_id

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


def test_item_10_names_from_before_they_were_folded_are_folded(database_url: str) -> None:
    migrate.upgrade(database_url, "0004")
    engine = create_engine(database_url)
    typed = (Column("id", Uuid, primary_key=True), Column("options", JSON), Column("columns", JSON))
    tables = Table("tables", MetaData(), *typed, autoload_with=engine, resolve_fks=False)
    row = {
        "project_id": 1,
        "format": "CSV",
        "url_pattern": "https://x/*.csv",
        "options": {},
        "columns": [],
        "managed": False,
        "created_via": "api",
        "deleted": False,
        "generation": 1,
        "schema_version": 0,
    }
    with engine.begin() as connection:
        connection.execute(insert(Project).values(id=1, name="Bakery"))
        for name in ("ORDERS", "E\u0301COLE", "Straße"):
            connection.execute(tables.insert().values(row | {"id": new_id(), "name": name}))
    migrate.upgrade(database_url)
    with engine.connect() as connection:
        folded = set(connection.scalars(select(models.Table.folded_name)))
    engine.dispose()
    assert folded == {"orders", "\u00e9cole", "strasse"}
