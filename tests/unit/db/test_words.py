"""Members of enumerations in the columns that hold words."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, text

from stocktake.db.models import Base, Project, Upload
from stocktake.db.session import Database
from stocktake.states import UploadState


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'words.db'}")
    Base.metadata.create_all(opened.engine)
    yield opened
    opened.dispose()


def _upload(database: Database, state: str) -> None:
    with database.write() as session:
        session.add(project := Project(name="Acme"))
        session.flush()
        upload = Upload(project_id=project.id, filename="a", object_key="k", state=state)
        session.add(upload)


def test_a_member_is_stored_as_its_text_and_found_by_either(database: Database) -> None:
    _upload(database, UploadState.ACTIVE)
    with database.read() as session:
        assert session.execute(text("SELECT state, typeof(state) FROM uploads")).one() == (
            "active",
            "text",
        )
        for wanted in (UploadState.ACTIVE, "active"):
            assert session.scalars(select(Upload.state).where(Upload.state == wanted)).all()
        among = Upload.state.in_([UploadState.ACTIVE, UploadState.STORED])
        assert session.scalars(select(Upload.state).where(among)).all() == ["active"]
        none = Upload.state.in_([each for each in UploadState if each is not UploadState.ACTIVE])
        assert session.scalars(select(Upload.state).where(none)).all() == []


def test_the_word_of_a_newer_release_is_read_as_it_stands(database: Database) -> None:
    _upload(database, "archived")
    with database.read() as session:
        [state] = session.scalars(select(Upload.state))
    assert (state, type(state)) == ("archived", str)
