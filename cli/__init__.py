"""The `stocktake` command: the top layer, which may import all others, and does so late.

`stack` starts the service, `database` works on its database, `tables`, `changes`, `jobs` and
`schedules` talk to the API, `inspecting` runs the readers with no server; `demo` and `doctor` are
commands of many modules.
"""

import sys
from typing import Annotated

import typer

from cli.auditing import show_audit_log
from cli.batches import app as batches
from cli.changes import app as changes
from cli.changes import policy
from cli.checking import check_source
from cli.database import db, keys, projects
from cli.doctor import doctor
from cli.editing import edit_table, types
from cli.history import show_diff, show_history
from cli.inspecting import inspect
from cli.jobs import app as jobs
from cli.looking import preview, previews
from cli.managed import maintain_table, restore_table
from cli.output import complain
from cli.planning import check, plan
from cli.schedules import app as schedules
from cli.settings import settings, whoami
from cli.stack import demo, up
from cli.tables import app as tables
from cli.tables import refresh
from cli.uploads import upload
from cli.watching import watch
from stocktake import __version__
from stocktake.errors import JobError, StocktakeError

app = typer.Typer(
    help="Keep the schemas of warehouse tables true to their files in object storage.",
    epilog=(
        "tables, refresh, upload, policy, preview, previews, settings, whoami, watch, plan, check, "
        "changes, jobs, batches, schedules and audit-log --server ask the server that "
        "STOCKTAKE_URL names (http://127.0.0.1:8000 if not set), with STOCKTAKE_API_KEY, in the "
        "project STOCKTAKE_PROJECT_ID (the key's own if not set).\n\n"
        "Exit status: 0 done; 1 it could not be done, and a sentence says why; 2 the command was "
        "written wrong; 3 and 4 what `plan` and `check` found; 130 ended by Ctrl-C, and what "
        "was asked for goes on. --install-completion has the shell complete commands and options."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"stocktake {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None: ...


app.command()(up)
app.command()(demo)
app.add_typer(db, name="db")
app.add_typer(projects, name="projects")
app.add_typer(keys, name="keys")
app.command("audit-log")(show_audit_log)
tables.command("check")(check_source)
tables.command("edit")(edit_table)
tables.command("maintain")(maintain_table)
tables.command("restore")(restore_table)
tables.add_typer(types, name="types")
tables.command("history")(show_history)
tables.command("diff")(show_diff)
app.add_typer(tables, name="tables")
app.command()(refresh)
app.command()(upload)
app.add_typer(changes, name="changes")
app.command()(policy)
app.command()(preview)
app.command()(previews)
app.command()(settings)
app.command()(whoami)
app.command()(watch)
app.command()(plan)
app.command()(check)
app.add_typer(jobs, name="jobs")
app.add_typer(batches, name="batches")
app.add_typer(schedules, name="schedules")
app.command()(inspect)
app.command()(doctor)


def main() -> None:
    """Run the command line. An error that we know is a sentence on stderr and status 1."""
    try:
        app(prog_name="stocktake")
    # From `inspect`, which reads here and in no job.
    except JobError as exc:
        complain(exc.detail, f"({exc.code}) {exc.hint}")
        sys.exit(1)
    except StocktakeError as exc:
        complain(str(exc))
        sys.exit(1)
    except Exception as exc:
        if not (sentence := _about_settings(exc)):
            raise
        complain(sentence)
        sys.exit(1)


def _about_settings(exc: Exception) -> str:
    """Return what is wrong with the settings, where it is they that were refused."""
    # Late: half of what `stocktake --help` would load.
    from pydantic import ValidationError

    from stocktake.settings import Settings, explain

    if isinstance(exc, ValidationError) and exc.title == Settings.__name__:
        return explain(exc)
    return ""
