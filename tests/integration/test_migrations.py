"""The migrations build exactly what the models say, on both databases, from every revision."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    JSON,
    Column,
    Engine,
    MetaData,
    Table,
    Uuid,
    create_engine,
    func,
    insert,
    inspect,
    select,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from stocktake.db import migrate, models
from stocktake.db.models import Base, Project, new_id
from tests.releases.release import Left, recorded

SCRIPTS = Path(migrate.__file__).parent / "migrations"
REVISIONS = [
    script.revision for script in ScriptDirectory(str(SCRIPTS)).walk_revisions("base", "head")
]

#: A table as a release before wrote it.
ROW = {
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
VERSIONS = ("schema_versions", ("columns", "diff"))


def test_the_newest_revision_is_what_the_models_say(database_url: str) -> None:
    migrate.upgrade(database_url)
    assert differences_from_the_models(database_url) == []


@pytest.mark.parametrize("release", recorded(), ids=lambda folder: folder.name)
def test_a_release_with_rows_becomes_what_the_models_say(
    database_url: str, dialect: str, tmp_path: Path, release: Path
) -> None:
    Left.of(release, dialect, tmp_path / "place").into_database(database_url)
    rows = counted(database_url)
    migrate.upgrade(database_url)
    assert differences_from_the_models(database_url) == []
    assert rows["jobs"] > 0
    assert rows.items() <= counted(database_url).items()


def test_a_migration_that_fails_half_way_leaves_nothing_of_itself(database_url: str) -> None:
    migrate.upgrade(database_url, "0008")
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE INDEX ix_tables_managed ON tables (id)")
    before = inspect(engine).get_columns("tables")
    with pytest.raises(DBAPIError, match="ix_tables_managed"):  # which it makes last
        migrate.upgrade(database_url)
    assert len(inspect(engine).get_columns("tables")) == len(before)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX ix_tables_managed")
    engine.dispose()
    migrate.upgrade(database_url)
    assert differences_from_the_models(database_url) == []


def differences_from_the_models(url: str) -> list[Any]:
    """What a migrated database has otherwise than the models."""
    engine = create_engine(url)
    with engine.connect() as connection, warnings.catch_warnings():
        # Nobody compares them; that lists walk them is a test of theirs (`test_table_lists`).
        warnings.filterwarnings("ignore", message=".*expression-based index")
        options = {"compare_type": False, "include_object": _can_be_compared}
        context = MigrationContext.configure(connection, opts=options)
        found: list[Any] = compare_metadata(context, Base.metadata)
    engine.dispose()
    return found


def _can_be_compared(_item: Any, name: str | None, kind: str, *_: Any) -> bool:
    of_expressions = {f"ix_tables_by_{name}" for name in models.INDEXED_ORDERS}
    return kind != "index" or name not in of_expressions


def counted(url: str) -> dict[str, int]:
    """How many rows each table has."""
    engine = create_engine(url)
    with engine.connect() as connection:
        names = inspect(connection).get_table_names()
        asked = {name: select(func.count()).select_from(sqlalchemy.table(name)) for name in names}
        found = {name: connection.scalar(each) or 0 for name, each in asked.items()}
    engine.dispose()
    return found


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
    with engine.begin() as connection:
        connection.execute(insert(Project).values(id=1, name="Bakery"))
        for name in ("ORDERS", "E\u0301COLE", "Straße"):
            connection.execute(tables.insert().values(ROW | {"id": new_id(), "name": name}))
    migrate.upgrade(database_url)
    with engine.connect() as connection:
        folded = set(connection.scalars(select(models.Table.folded_name)))
    engine.dispose()
    assert folded == {"orders", "\u00e9cole", "strasse"}


def test_names_in_types_from_before_they_were_quoted_are_quoted(database_url: str) -> None:
    old = "Nullable(Tuple(other Nullable(Int64), top Array(Nullable(Tuple(true Nullable(Int64))))))"
    new = old.replace("top ", "`top` ").replace("true ", "`true` ")
    long = "Tuple(top Int8)"

    def columns(text: str) -> list[dict[str, object]]:
        # a name that looks like a type is a name
        names = {"c": text, "Tuple(top Int8)": "Nullable(Int64)"}
        return [models_column(name, clickhouse) for name, clickhouse in names.items()]

    def changes(text: str) -> dict[str, object]:
        renamed = [{"from": long, "to": "true"}]
        changed = [{"name": "c", "from": "Int8", "to": text}]
        one = {"name": "c", "type": text}
        return {"added": [one], "removed": [one], "changed": changed, "renamed": renamed}

    migrate.upgrade(database_url, "0006")
    engine = create_engine(database_url)
    of_tables, of_versions = at_0006(engine)
    table_id = new_id()
    with engine.begin() as connection:
        connection.execute(insert(Project).values(id=1, name="Bakery"))
        row = ROW | {"id": table_id, "name": "orders", "columns": columns(old)}
        state = {"columns": columns(old), "fingerprint": "f"}
        connection.execute(of_tables.insert().values(row | {"source_state": state}))
        version = {"id": new_id(), "table_id": table_id, "number": 1, "change": "none"}
        large = {"columns": columns(old), "diff": changes(old)}
        connection.execute(of_versions.insert().values(version | large))
    migrate.upgrade(database_url)
    with Session(engine) as session:
        table = session.scalars(select(models.Table)).one()
        version = session.scalars(select(models.SchemaVersion)).one()
        assert table.columns == version.columns == columns(new)
        assert table.source_state == {"columns": columns(new), "fingerprint": "f"}
        assert table.validated_state is None
        assert version.diff == changes(new)
    engine.dispose()


def test_types_of_a_former_source_are_moved_into_a_column_of_their_own(database_url: str) -> None:
    former = {"url_pattern": "https://x/*.csv", "format": "CSV", "options": {}, "schema_version": 1}
    set_types = [models_column("é", "Nullable(Int64)") | {"override": True}]
    before = former | {"overrides": set_types}
    migrate.upgrade(database_url, "0022")
    engine = create_engine(database_url)
    as_json = ("options", "columns", "former_source")
    typed = [Column("id", Uuid), *(Column(name, JSON(none_as_null=True)) for name in as_json)]
    rest = [Column(name) for name in ("name", *ROW) if name not in as_json]
    tables = Table("tables", MetaData(), *typed, *rest)
    with engine.begin() as connection:
        connection.execute(insert(Project).values(id=1, name="Bakery"))
        for name, kept in (("a", before), ("b", None)):
            row = ROW | {"id": new_id(), "name": name, "former_source": kept}
            connection.execute(tables.insert().values(row))
    migrate.upgrade(database_url)
    with Session(engine) as session:
        a, b = session.scalars(select(models.Table).order_by(models.Table.name))
        assert (a.former_source, a.former_overrides) == (former, set_types)
        assert (b.former_source, b.former_overrides) == (None, None)
    command.downgrade(migrate.config(database_url), "0022")
    with engine.connect() as connection:
        kept = connection.scalars(select(tables.c.former_source).order_by(tables.c.name)).all()
    engine.dispose()
    assert kept == [before, None]


def at_0006(engine: Engine) -> tuple[Table, Table]:
    """The tables as that revision had them: newer models may know more columns."""
    ids = {"tables": ("id",), "schema_versions": ("id", "table_id")}
    found = []
    for name, as_json in (("tables", ("options", "columns", "source_state")), VERSIONS):
        typed = [Column(each, JSON) for each in as_json]
        typed += [Column(each, Uuid, primary_key=each == "id") for each in ids[name]]
        found.append(Table(name, MetaData(), *typed, autoload_with=engine, resolve_fks=False))
    return found[0], found[1]


def models_column(name: str, clickhouse: str) -> dict[str, object]:
    return {"name": name, "clickhouse": clickhouse, "hogql": "x", "valid": True, "nullable": True}
