"""Commands on the service's own database: migrations, projects, keys.

They need no server.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.output import confirm, note, say, show_json, show_rows
from stocktake.errors import CommandError

if TYPE_CHECKING:
    from stocktake.db.models import ApiKey
    from stocktake.db.session import Database

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]

db = typer.Typer(help="The service's own database.", no_args_is_help=True)
projects = typer.Typer(help="Projects, the tenants.", no_args_is_help=True)
keys = typer.Typer(help="API keys, and the secret keys.", no_args_is_help=True)

_RESEALED_AT_ONCE: Final = 100

_NO_DATABASE = (
    "There is no database {embedded} and no stocktake.db in {here}. Go to the folder where "
    "`stocktake up` was started, or set STOCKTAKE_DATA_DIR to its data directory, or "
    "STOCKTAKE_DATABASE_URL to the database that the service uses, for example "
    "sqlite:///stocktake.db."
)


@db.command()
def upgrade() -> None:
    """Bring the database that STOCKTAKE_DATABASE_URL names up to date."""
    from stocktake.db import migrate
    from stocktake.services.starting import settings_to_start

    settings_to_start()  # it is the first to run, and what the others would fail by is told now
    url = database_url(may_be_new=True)
    note(f"Database: {_shown(url)}")
    with database_answers():
        migrate.upgrade(url)
    say("The database is up to date.")


@projects.command("create")
def create_project(name: Annotated[str, typer.Argument(help="Shown to people.")]) -> None:
    """Add a project and print its id."""
    from stocktake.services import identity

    with opened_database() as database, database.write() as session:
        project_id = identity.create_project(session, name).id
    say(str(project_id))


@projects.command("list")
def list_projects(as_json: AsJson = False) -> None:
    """List all projects, by id."""
    from stocktake.services import identity

    with opened_database() as database, database.read() as session:
        found = [(project.id, project.name) for project in identity.all_projects(session)]
    if as_json:
        show_json([{"id": project_id, "name": name} for project_id, name in found])
        return
    show_rows(("ID", "NAME"), found, empty="No projects yet: `stocktake projects create NAME`.")


@keys.command("create")
def create_key(
    project: Annotated[list[int], typer.Option(help="Id of a project; may be repeated.")],
    scopes: Annotated[
        str,
        typer.Option(
            help="warehouse_table:read, warehouse_table:write, warehouse_table:read_rows, "
            "audit_log:read or *; by commas."
        ),
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
    with opened_database() as database, database.write() as session:
        plaintext = identity.create_key(session, project, wanted, label, expires)
    say(plaintext)


@keys.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys that hold, oldest first, by the characters they begin with."""
    from stocktake.services import identity

    with opened_database() as database, database.read() as session:
        found = [_key(key) for key in identity.live_keys(session)]
    if as_json:
        show_json(found)
        return
    show_rows(
        ("PREFIX", "LABEL", "PROJECTS", "SCOPES", "EXPIRES", "LAST USED"),
        [
            (
                each["prefix"],
                each["label"],
                ", ".join(map(str, each["project_ids"])),
                ", ".join(each["scopes"]),
                each["expires_at"] and each["expires_at"][:10],
                each["last_used_at"] and each["last_used_at"][:10],
            )
            for each in found
        ],
        empty="No keys yet: `stocktake keys create` makes one.",
        least=("LAST USED", "EXPIRES"),
        names=("LABEL",),
    )


def _key(key: "ApiKey") -> dict[str, Any]:
    return {
        "prefix": key.prefix,
        "label": key.label,
        "project_ids": key.project_ids,
        "scopes": key.scopes,
        "expires_at": key.expires_at and key.expires_at.isoformat(),
        "last_used_at": key.last_used_at and key.last_used_at.isoformat(),
    }


@keys.command("revoke")
def revoke_key(
    prefix: Annotated[str, typer.Argument(help="The key's first characters, as lists show them.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Revoke a key."""
    from stocktake.services import identity

    confirm(f"Revoke the key that begins with {prefix}?", yes=yes)
    with opened_database() as database, database.write() as session:
        revoked = identity.revoke_key(session, prefix)
    if not revoked:
        raise CommandError(f"No live key begins with {prefix!r}.")
    if as_json:
        show_json({"prefix": prefix, "revoked": revoked})
    else:
        say(f"Revoked {revoked} key{'s' if revoked > 1 else ''}.")


@keys.command("make-secret")
def make_secret(
    key_id: Annotated[str, typer.Argument(help="A name of your own, such as k2.")],
) -> None:
    """Draw a secret key, as STOCKTAKE_SECRET_KEYS takes it, and print it."""
    from stocktake.security.encryption import make_secret_key

    if not key_id.isalnum():
        raise CommandError(f"The name of a key has letters and digits only: {key_id!r}.")
    say(make_secret_key(key_id))


@keys.command("rotate-secrets")
def rotate_secrets(as_json: AsJson = False) -> None:
    """Encrypt every stored credential with the first of STOCKTAKE_SECRET_KEYS.

    Add the new key after the old ones and restart all processes; put it first, restart them again
    and run this; then take out the keys that it says are not in use.
    """
    from stocktake.security.encryption import Keyring
    from stocktake.services import credentials
    from stocktake.settings import read_settings

    listed = read_settings().secret_keys
    if not listed:
        raise CommandError(
            "STOCKTAKE_SECRET_KEYS is not set. Set it as the service's processes have it; a stack "
            "of `stocktake up` keeps its own in the file secret_key of its data directory."
        )
    try:
        keyring = Keyring.of(listed)
    except ValueError as exc:
        raise CommandError(f"{exc}.") from exc
    done, after, unreadable = 0, None, list[str]()
    with opened_database() as database:
        # In parts, each a transaction, so that no row is locked for long. A run that was broken off
        # is begun again: it looks for what is not under the first key.
        while True:
            with database.write() as session:
                part = credentials.reseal(session, keyring, after=after, limit=_RESEALED_AT_ONCE)
            done, after = done + part.done, part.last
            unreadable += part.unreadable
            if after is None:
                break
        with database.read() as session:
            in_use = credentials.keys_in_use(session)
    if as_json:
        told = {"key": keyring.first, "encrypted": done, "in_use": dict(sorted(in_use.items()))}
        show_json(told | {"unreadable": unreadable})
    else:
        say(f"Encrypted {done} credential{'' if done == 1 else 's'} with the key {keyring.first}.")
        held = ", ".join(f"{key} ({count})" for key, count in sorted(in_use.items()))
        say(f"Keys in use: {held or 'none'}.")
    if unreadable:
        raise CommandError(
            "These could not be read and stay as they are; send both keys of their tables again, "
            "or add the key that is missing:\n  " + "\n  ".join(unreadable)
        )


def database_url(*, may_be_new: bool = False) -> str:
    """Return the database that is meant: the one set, or else that of a `stocktake up` right here.

    Args:
        may_be_new: whether a SQLite file that is named but not there will be made.

    Raises:
        CommandError: there is none, and to make an empty one elsewhere is not what was meant.
    """
    from stocktake.settings import Settings, read_settings

    settings = read_settings()
    if settings.database_url == Settings.model_fields["database_url"].default:
        embedded = settings.data_dir / "stocktake.db"
        for file in (embedded, Path("stocktake.db")):
            if file.exists():
                return f"sqlite:///{file}"
        if not {"STOCKTAKE_DATABASE_URL", "STOCKTAKE_DATABASE_URL_FILE"} & os.environ.keys():
            raise CommandError(_NO_DATABASE.format(embedded=embedded, here=Path.cwd()))
    if not may_be_new:
        _require_file(settings.database_url)
    return settings.database_url


def _require_file(url: str) -> None:
    from sqlalchemy import make_url

    parts = make_url(url)
    if parts.get_backend_name() == "sqlite" and not Path(parts.database or "").exists():
        raise CommandError(
            f"There is no database {parts.database}. `stocktake db upgrade` makes it; or set "
            "STOCKTAKE_DATABASE_URL to the one that the service uses."
        )


def _shown(url: str) -> str:
    from sqlalchemy import make_url

    return make_url(url).render_as_string(hide_password=True)


@contextmanager
def opened_database() -> Iterator["Database"]:
    """Open the service's database, and close it behind.

    Raises:
        CommandError: there is none, it does not answer, or it is not up to date.
    """
    from stocktake.db import migrate
    from stocktake.db.session import Database

    url = database_url()
    note(f"Database: {_shown(url)}")
    database = Database(url)
    try:
        with database_answers():
            if migrate.pending(database.engine):
                raise CommandError(
                    "The database is not up to date: run `stocktake db upgrade` first."
                )
            yield database
    finally:
        database.dispose()


@contextmanager
def database_answers() -> Iterator[None]:
    """Make a sentence of what goes wrong with the database within.

    Raises:
        CommandError: it does not answer.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from stocktake.db.failures import explain_failure

    try:
        yield
    except SQLAlchemyError as exc:
        raise CommandError(explain_failure(exc)) from exc
