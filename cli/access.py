"""The access pair of a source. The secret is no option: everybody on a machine can read those."""

import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, TypeAlias, TypeVar

import typer

from stocktake.errors import CommandError

T = TypeVar("T")
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


def with_keys(
    send: Callable[[dict[str, Any]], T], body: dict[str, Any], access_key: str | None
) -> T:
    """Send what names a source, with the key that was given and its secret.

    A person at a terminal is asked for what was not given, and only once the server wants it: a URL
    that it refuses is told before anybody types a secret.

    Raises:
        CommandError: the server refuses, or a key has no secret anywhere.
    """
    given = access_key and os.environ.get("STOCKTAKE_ACCESS_SECRET")
    if given or not sys.stdin.isatty():
        return send(_with_pair(body, access_pair(access_key)))
    try:
        return send(body)
    except CommandError as exc:
        if getattr(exc.__cause__, "attr", None) != "credential":
            raise
        pair = access_pair(access_key or _asked_key())
        if pair is None:
            raise
    return send(_with_pair(body, pair))


def _with_pair(body: dict[str, Any], pair: tuple[str, str] | None) -> dict[str, Any]:
    if pair is None:
        return body
    return body | {"credential": dict(zip(("access_key", "access_secret"), pair, strict=True))}


def _asked_key() -> str:
    told = "Access key (Enter for none)"
    return str(typer.prompt(told, default="", show_default=False, err=True))


def _typed() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Access secret", hide_input=True, err=True))
    return sys.stdin.readline().strip()
