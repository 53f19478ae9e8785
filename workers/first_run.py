"""What `stocktake up` makes at its first start and finds again at the next: secrets, and a
project with a key to begin with. All of it is in the data directory, readable by its owner only.
"""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stocktake.errors import CommandError, NotAuthenticatedError
from stocktake.security.encryption import make_secret_key

if TYPE_CHECKING:
    from stocktake.db.session import Database

FLOWER_USER: Final = "stocktake"
_KEY_FILE: Final = "api_key"
_PROJECT_NAME: Final = "Default project"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """The secrets of one data directory."""

    secret_key: str
    broker_password: str
    flower_password: str

    def __repr__(self) -> str:
        return "Secrets(…)"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstProject:
    """The project that the key file opens.

    Attributes:
        key_file: holds the API key, with all scopes, and nothing else.
    """

    id: int
    key_file: Path


def open_data_dir(folder: Path) -> Path:
    """Make the data directory if need be; its absolute path.

    Raises:
        CommandError: it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "logs").mkdir(exist_ok=True)
    except OSError as exc:
        raise CommandError(
            f"The data directory {str(folder)!r} cannot be used: {exc.strerror}. "
            "Name another one with --data-dir."
        ) from exc
    return folder.resolve()


def load_secrets(folder: Path) -> Secrets:
    """The secrets of this data directory, drawn at the first call."""
    return Secrets(
        secret_key=_kept(folder / "secret_key", lambda: make_secret_key("k1")),
        broker_password=_kept(folder / "broker_password", lambda: secrets.token_urlsafe(24)),
        flower_password=_kept(folder / "flower_password", lambda: secrets.token_urlsafe(12)),
    )


def _kept(file: Path, make: Callable[[], str]) -> str:
    if not file.exists():
        write_private(file, make() + "\n")
    return file.read_text(encoding="utf-8").strip()


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read, at once or not at all."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
    beside.replace(file)


def prepare_database(url: str, folder: Path) -> FirstProject:
    """Migrate the database, and see that the key file of the data directory opens a project:
    with a new key for the only one there is, or for one that is made.
    """
    # Late: the other processes start while these are imported.
    from stocktake.db import migrate
    from stocktake.db.session import Database

    database = Database(url)
    try:
        if migrate.pending(database.engine):
            migrate.upgrade(url)
        return _first_project(database, folder / _KEY_FILE)
    finally:
        database.dispose()


def _first_project(database: "Database", file: Path) -> FirstProject:
    from stocktake.services import identity

    if file.exists():
        try:
            with database.read() as session:
                caller = identity.authenticate(session, file.read_text().strip())
            return FirstProject(id=caller.project_ids[0], key_file=file)
        except NotAuthenticatedError:
            pass  # of another database, or revoked: a new one takes its place
    with database.write() as session:
        # A restored database comes without its key file, and its one project is the one meant.
        known = identity.all_projects(session)
        project = known[0] if len(known) == 1 else identity.create_project(session, _PROJECT_NAME)
        key = identity.create_key(session, [project.id], ["*"], label="stocktake up")
    write_private(file, key + "\n")
    return FirstProject(id=project.id, key_file=file)
