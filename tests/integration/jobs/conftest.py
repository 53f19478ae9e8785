"""Two processes' worth of connections to one database."""

from collections.abc import Iterator

import pytest

from stocktake.db.models import Project, Table
from stocktake.db.session import Database
from tests.support.rows import RecordedRings, make_project, make_table


@pytest.fixture
def rings() -> RecordedRings:
    return RecordedRings()


@pytest.fixture
def database(migrated_database_url: str, rings: RecordedRings) -> Iterator[Database]:
    opened = Database(migrated_database_url, rings.ring)
    yield opened
    opened.dispose()


@pytest.fixture
def other_process(migrated_database_url: str, rings: RecordedRings) -> Iterator[Database]:
    """The same database with an engine, and on SQLite a write lock, of its own."""
    opened = Database(migrated_database_url, rings.ring)
    yield opened
    opened.dispose()


@pytest.fixture
def project(database: Database) -> Project:
    with database.write() as session:
        return make_project(session)


@pytest.fixture
def table(database: Database, project: Project) -> Table:
    with database.write() as session:
        return make_table(session, project.id, "orders")
