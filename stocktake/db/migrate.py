"""Run the Alembic migrations that travel inside the package.

Alembic is imported where it runs: each web process asks whether one is pending, and its import
takes as long as the web framework's.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import DBAPIError, OperationalError

if TYPE_CHECKING:
    from alembic.config import Config

_SCRIPTS = Path(__file__).parent / "migrations"
_ATTEMPTS = 10
#: https://www.postgresql.org/docs/current/errcodes-appendix.html
_DEADLOCK = "40P01"


def config(url: str) -> "Config":
    """Return Alembic's configuration for this database, without an ini file."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(_SCRIPTS))
    # ConfigParser reads a percent sign as an interpolation.
    made.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return made


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database up to `revision`, while processes of the release before use it.

    On PostgreSQL a migration of several tables and a transaction of theirs may wait for each other:
    which of them the server ends is tried again, whole.
    """
    from alembic import command

    for left in reversed(range(_ATTEMPTS)):
        try:
            command.upgrade(config(url), revision)
        except OperationalError as exc:
            if not left or getattr(exc.orig, "sqlstate", None) != _DEADLOCK:
                raise
        else:
            return


def newest() -> str:
    """Return the package's newest revision: files are named ``<revision>_<what>.py``, in order.

    >>> newest() >= "0001"
    True
    """
    return max(file.name.partition("_")[0] for file in (_SCRIPTS / "versions").glob("[0-9]*.py"))


def pending(engine: Engine) -> bool:
    """Return whether the database is not yet at the package's newest revision."""
    found = revision(engine)
    # A newer one than ours is that of a deploy in progress, which the code before it bears.
    return found is None or found < newest()


def revision(engine: Engine) -> str | None:
    """Return the revision that the database is at; None where it was never migrated."""
    with engine.connect() as connection:
        try:
            found: str | None = connection.scalar(
                text("SELECT max(version_num) FROM alembic_version")
            )
        except DBAPIError:
            # Asked only now: looking the table up first takes longer than reading it.
            connection.rollback()
            if inspect(connection).has_table("alembic_version"):
                raise
            return None
    return found
