"""`stocktake up` and `stocktake demo`."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.database import database_answers
from cli.output import note, say

if TYPE_CHECKING:
    from workers.stack.first_run import FirstProject
    from workers.stack.stack import Stack

_WATCH_SECONDS: Final = 0.2
_AGAIN_SECONDS: Final = 0.05


def up(
    port: Annotated[
        int, typer.Option(envvar="STOCKTAKE_PORT", min=0, max=65535, help="0 for any free one.")
    ] = 8000,
    flower: Annotated[
        bool, typer.Option("--flower/--no-flower", help="Celery's monitor beside it.")
    ] = True,
    flower_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            show_default="5555, with --port 0 any free one",
            help="Where it is taken, Flower gets a free one.",
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(help="Address to listen on; 0.0.0.0 for all, as in a container of its own."),
    ] = "127.0.0.1",
    data_dir: Annotated[
        Path, typer.Option(envvar="STOCKTAKE_DATA_DIR", help="Database, logs, keys, uploads.")
    ] = Path(".stocktake"),
    workers: Annotated[
        int, typer.Option(envvar="STOCKTAKE_WORKER_CONCURRENCY", min=1, help="Reading processes.")
    ] = 2,
    local_root: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="A folder that file:// tables may be in; may be repeated.",
        ),
    ] = None,
) -> None:
    """Run the whole service on this machine until Ctrl-C.

    It makes its own secrets, database and broker in the data directory. Other STOCKTAKE_*
    variables of the environment hold as well, such as STOCKTAKE_TRUSTED_ENDPOINTS,
    STOCKTAKE_RATE_LIMIT_PER_MINUTE and STOCKTAKE_LOG_LEVEL: .env.example explains each.
    """
    from stocktake.services.starting import require_usable
    from stocktake.settings import from_files, read_settings
    from workers.stack.stack import FLOWER_PORT, Options, Stack

    # Its processes read the same ones, and would each fail in a log.
    require_usable(read_settings())
    options = Options(
        data_dir=data_dir,
        port=port,
        flower=flower,
        flower_port=(FLOWER_PORT if port else 0) if flower_port is None else flower_port,
        host=host,
        workers=workers,
        local_roots=tuple(local_root or ()),
        environment=from_files(os.environ),
    )
    # The folder may be one that others can look into; the database and the logs are not for them.
    os.umask(0o077)
    with _ended_by_signals():
        try:
            with database_answers():
                stack = Stack(options, note)
            with stack:
                with database_answers():
                    project = stack.start()
                _announce(stack, project)
                while True:
                    time.sleep(_WATCH_SECONDS)
                    stack.watch()
        except KeyboardInterrupt:
            say("Stopped.")


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Make SIGTERM Ctrl-C's equal; a second one while the stack stops changes nothing.

    An exception that is raised while a finalizer runs is swallowed by the interpreter, and the
    signal with it (seen within an import). Then the alarm raises it again, a moment later.

    One that is raised inside of `exec`, as dataclasses use it, makes the interpreter end by SIGINT
    even when it was caught: it remembers that the code of an `exec` ended so, until the next one.
    """

    def end(*_: object) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    def swallowed(unraisable: "sys.UnraisableHookArgs") -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)
        else:
            hook_before(unraisable)

    hook_before, sys.unraisablehook = sys.unraisablehook, swallowed
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        exec("")  # noqa: S102 - a constant
        sys.unraisablehook = hook_before
        for number, handler in before.items():
            signal.signal(number, handler)


def _announce(stack: "Stack", project: "FirstProject") -> None:
    from workers.stack.first_run import FLOWER_USER

    password = stack.folder / "flower_password"
    lines = [f"ready {stack.addresses.api}", f"  docs     {stack.addresses.api}/docs"]
    if stack.addresses.flower is not None:
        flower = f"{stack.addresses.flower}  as {FLOWER_USER}, password in {password}"
        lines.append(f"  Flower   {flower}")
    lines += [
        f"  project  {project.id}",
        f"  API key  export STOCKTAKE_API_KEY=$(cat {project.key_file})",
        f"  files    {stack.folder}  (logs in logs/)",
    ]
    say("\n".join(lines))  # at once: who waits for the first line finds the others


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the stack running until Ctrl-C.")
    ] = False,
) -> None:
    """Show the service at work on real data, with nothing else running."""
    from cli.demo import run

    with _ended_by_signals():
        try:
            run(keep=keep)
        except KeyboardInterrupt:
            say("Stopped.")
            raise typer.Exit(0 if keep else 130) from None
