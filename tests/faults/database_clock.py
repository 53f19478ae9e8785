"""The database's clock in a test's hand: it stands where the test put it, and goes on from there.

On PostgreSQL a function before `pg_catalog` in the search path, on SQLite one that each of the
service's processes puts in the place of `strftime` (`tests.faults.inside`).
"""

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from stocktake.db.session import Database
from tests.faults import inside

_POSTGRESQL = (
    "CREATE SCHEMA faults",
    "CREATE TABLE faults.moved (seconds double precision)",
    "INSERT INTO faults.moved VALUES (0)",
    """CREATE FUNCTION faults.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
    'SELECT pg_catalog.clock_timestamp() + make_interval(secs => seconds) FROM faults.moved'""",
    """DO $$ BEGIN EXECUTE format(
    'ALTER DATABASE %I SET search_path = faults, pg_catalog, public', current_database()
    ); END $$""",
)


class DatabaseClock:
    """Moves the clock that decides about leases, due times and schedules.

    Args:
        database: the test's own view; it must have no connection open when this is made.
        folder: for SQLite's file.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._file = folder / "moved_seconds"
        self._file.write_text("0")
        if not database.sqlite:
            with database.write() as session:
                for statement in _POSTGRESQL:
                    session.execute(text(statement))
            database.dispose()  # a new connection has the new search path

    @property
    def variables(self) -> dict[str, str]:
        """What the service's processes must be started with."""
        return inside.variables(database_clock=str(self._file))

    def set(self, moment: datetime) -> None:
        """Let it be this moment now."""
        seconds = (moment - datetime.now(UTC)).total_seconds()
        if self._database.sqlite:
            fresh = self._file.with_suffix(".new")
            fresh.write_text(str(seconds))
            fresh.replace(self._file)
            return
        with self._database.write() as session:
            session.execute(text("UPDATE faults.moved SET seconds = :s"), {"s": seconds})
