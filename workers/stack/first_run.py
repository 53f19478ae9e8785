"""What `stocktake up` makes at its first start and finds again at the next: secrets, and a
project with a key to begin with. All of it is in the data directory, readable by its owner only.
"""

import os
import secrets
import shlex
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
_SECRET_KEY_FILE: Final = "secret_key"
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
    """Return the secrets of this data directory, drawn at the first call."""
    return Secrets(
        # A name of its own: credentials say by it which key they need.
        secret_key=_kept(
            folder / _SECRET_KEY_FILE, lambda: make_secret_key(f"k{secrets.token_hex(4)}")
        ),
        broker_password=_kept(folder / "broker_password", lambda: secrets.token_urlsafe(24)),
        flower_password=_kept(folder / "flower_password", lambda: secrets.token_urlsafe(12)),
    )


def require_no_lost_key(folder: Path, url: str) -> None:
    """See that no secret key is drawn for a database whose credentials need another one.

    Args:
        url: of the database, which need not exist yet.

    Raises:
        CommandError: the data directory has no secret key, and the database has credentials.
    """
    file = folder / _SECRET_KEY_FILE
    sqlite = "sqlite:///"
    if file.exists() or (url.startswith(sqlite) and not Path(url.removeprefix(sqlite)).exists()):
        return
    # Late: a first start on SQLite has ended above, and need not wait for these.
    from stocktake.db import migrate
    from stocktake.db.session import Database
    from stocktake.services import credentials

    database = Database(url)
    try:
        if migrate.revision(database.engine) is None:
            return
        with database.read() as session:
            in_use = credentials.keys_in_use(session)
    finally:
        database.dispose()
    if in_use:
        names = ", ".join(map(repr, sorted(in_use)))
        raise CommandError(
            f"There is no {file}, and the database has credentials ({sum(in_use.values())}) that "
            f"were encrypted with the keys {names}. Put the file back from its backup, or set "
            "STOCKTAKE_SECRET_KEYS. Where the key is lost for good, go on without: "
            f"(umask 077; stocktake keys make-secret NAME > {shlex.quote(str(file))}), with "
            "a NAME that is none of these; the tables then need their access keys anew."
        )


def _kept(file: Path, make: Callable[[], str]) -> str:
    if not file.exists():
        write_private(file, make() + "\n")
    return file.read_text(encoding="utf-8").strip()


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read, at once or not at all."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    # Private from its first moment: a mode that is set afterwards comes too late for who looks now.
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
    # Renamed when it is complete: a start that is broken off leaves no half of a secret.
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
