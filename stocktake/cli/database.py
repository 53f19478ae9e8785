"""Commands on the service's own database: migrations, projects and keys. They need no server."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from stocktake.cli.output import say
from stocktake.errors import CommandError

if TYPE_CHECKING:
    from stocktake.db.session import Database

db = typer.Typer(help="The service's own database.", no_args_is_help=True)
projects = typer.Typer(help="Projects, the tenants.", no_args_is_help=True)
keys = typer.Typer(help="API keys.", no_args_is_help=True)


@db.command()
def upgrade() -> None:
    """Bring the database that STOCKTAKE_DATABASE_URL names up to date."""
    from sqlalchemy.exc import SQLAlchemyError

    from stocktake.db import migrate

    try:
        migrate.upgrade(database_url())
    except SQLAlchemyError as exc:
        raise _unreachable(exc) from exc
    say("The database is up to date.")


@projects.command("create")
def create_project(name: Annotated[str, typer.Argument(help="Shown to people.")]) -> None:
    """Add a project and print its id."""
    from stocktake.services import identity

    with _database() as database, database.write() as session:
        project_id = identity.create_project(session, name).id
    say(str(project_id))


@keys.command("create")
def create_key(
    project: Annotated[list[int], typer.Option(help="Id of a project; may be repeated.")],
    scopes: Annotated[
        str, typer.Option(help="warehouse_table:read, warehouse_table:write or *; by commas.")
    ],
    label: Annotated[str, typer.Option(help="What the key is for.")] = "",
    days: Annotated[
        int | None, typer.Option(min=1, help="How long it holds; for ever if not given.")
    ] = None,
) -> None:
    """Make an API key and print it. It is not shown again."""
    from stocktake.services import identity

    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
    with _database() as database, database.write() as session:
        plaintext = identity.create_key(session, project, wanted, label, expires)
    say(plaintext)


@keys.command("revoke")
def revoke_key(
    prefix: Annotated[str, typer.Argument(help="The key's first characters, as logs show them.")],
) -> None:
    """Revoke a key."""
    from stocktake.services import identity

    with _database() as database, database.write() as session:
        revoked = identity.revoke_key(session, prefix)
    if not revoked:
        raise CommandError(f"No live key begins with {prefix!r}.")
    say(f"Revoked {revoked} key{'s' if revoked > 1 else ''}.")


def database_url() -> str:
    """The database that is meant: the one set, or else that of a `stocktake up` right here."""
    from stocktake.settings import Settings

    settings = Settings()
    embedded = settings.data_dir / "stocktake.db"
    if "STOCKTAKE_DATABASE_URL" not in os.environ and embedded.exists():
        return f"sqlite:///{embedded}"
    return settings.database_url


@contextmanager
def _database() -> Iterator["Database"]:
    from sqlalchemy.exc import SQLAlchemyError

    from stocktake.db import migrate
    from stocktake.db.session import Database

    database = Database(database_url())
    try:
        if migrate.pending(database.engine):
            raise CommandError("The database is not up to date: run `stocktake db upgrade` first.")
        yield database
    except SQLAlchemyError as exc:
        raise _unreachable(exc) from exc
    finally:
        database.dispose()


def _unreachable(exc: Exception) -> CommandError:
    return CommandError(
        f"The database does not answer ({type(exc).__name__}). Check STOCKTAKE_DATABASE_URL."
    )
