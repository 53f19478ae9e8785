"""The access pair of a source. The secret is no option: everybody on a machine can read those."""

import os
import sys
from typing import Annotated, TypeAlias

import typer

from stocktake.errors import CommandError

AccessKey: TypeAlias = Annotated[
    str | None,
    typer.Option(
        envvar="STOCKTAKE_ACCESS_KEY",
        help="Its secret comes from STOCKTAKE_ACCESS_SECRET, is asked for, or is the first line "
        "of the standard input.",
    ),
]


def access_pair(access_key: str | None) -> tuple[str, str] | None:
    """Return the key with its secret; None without a key.

    Raises:
        CommandError: a key, and no secret anywhere.
    """
    if not access_key:
        return None
    secret = os.environ.get("STOCKTAKE_ACCESS_SECRET") or _typed()
    if not secret:
        raise CommandError(
            "The access key needs its secret: set STOCKTAKE_ACCESS_SECRET, or send it on the "
            "standard input."
        )
    return access_key, secret


def source_pair(url: str, access_key: str | None, *, public: bool) -> tuple[str, str] | None:
    """Return the key of a source with its secret; None without one.

    A person at a terminal is asked for what was not given, unless the source is said to be public
    or lies on the service's own disk.

    Raises:
        CommandError: a key, and no secret anywhere.
    """
    is_asked = not public and not url.startswith("file:") and sys.stdin.isatty()
    if not access_key and is_asked:
        access_key = typer.prompt(
            "Access key (Enter for none)", default="", show_default=False, err=True
        )
    return access_pair(access_key)


def _typed() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Access secret", hide_input=True, err=True))
    return sys.stdin.readline().strip()
