"""What flags say that the API does not know, and options as a command takes them."""

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from stocktake.errors import CommandError

_KEYS: Final = (
    "Give --access-key (or set STOCKTAKE_ACCESS_KEY) and set STOCKTAKE_ACCESS_SECRET, or give "
    "--public for a bucket that needs none."
)


def for_refusal(sentence: str) -> str:
    """Return which flags a refused registration needs; empty where it is not for them.

    >>> for_refusal("credential: Credentials are required").partition(" (")[0]
    'Give --access-key'
    """
    wants_keys = "Credentials are required" in sentence or "key and secret" in sentence
    return _KEYS if wants_keys else ""


def require_url(url: str) -> None:
    """Refuse what no server takes for a URL, before more is asked about it.

    Raises:
        CommandError: in the server's words.
    """
    from stocktake.storage.places.guard import MUST_USE_HTTPS
    from stocktake.storage.places.spellings import instead_of

    if not url.lower().startswith(("https://", "http://", "file://")):
        raise CommandError(f"--url: {MUST_USE_HTTPS}\n{instead_of(url)}")


#: The options of a table, as a command takes them.
Given = Annotated[
    list[str] | None,
    typer.Option(
        "--option", help="key=value, such as encoding=latin-1; may be repeated (see /docs)."
    ),
]


def options_of(given: Sequence[str]) -> dict[str, Any]:
    """Read `--option key=value` as the API's options; a value that is JSON is what it says.

    Raises:
        CommandError: one has no ``=``, or no key before it.

    >>> options_of(["csv_delimiter=;", "csv_header=false", "sample_bytes=1000"])
    {'csv_delimiter': ';', 'csv_header': False, 'sample_bytes': 1000}
    """
    options = {}
    for each in given:
        key, equals, value = each.partition("=")
        if not equals or not re.fullmatch(r"\w+", key):
            raise CommandError(
                f"--option {each!r} is not key=value, for example --option 'csv_delimiter=;'"
            )
        options[key] = _value(value)
    return options


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
