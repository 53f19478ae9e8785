"""What to type instead, where the API refuses what was typed: it knows URLs, but no flags."""

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
_FORMS: Final = (
    (
        "s3://",
        "Write it as https://BUCKET.s3.REGION.amazonaws.com/PATH, or as the https URL of "
        "your S3-compatible store.",
    ),
    ("gs://", "Write it as https://storage.googleapis.com/BUCKET/PATH."),
    ("az://", "Write it as https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH."),
    ("abfs", "Write it as https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH."),
    ("http://", "Write it as https://…, or have the operator name it in TRUSTED_ENDPOINTS."),
    ("file://", "Local files need a server that allows them: stocktake up --local-root FOLDER"),
)


def for_refusal(sentence: str, url: str) -> str:
    """Return what to do about a refused registration; empty where nothing is known.

    >>> for_refusal("url_pattern: URL pattern must use https.", "/data/orders").splitlines()[0]
    'Write it as file:///data/orders, on a server that allows local files:'
    """
    if "Credentials are required" in sentence or "key and secret" in sentence:
        return _KEYS
    return _for_url(url) if "URL pattern must" in sentence else ""


def _for_url(url: str) -> str:
    if url.startswith("/"):
        return (
            f"Write it as file://{url}, on a server that allows local files:\n"
            "  stocktake up --local-root FOLDER"
        )
    if "://" not in url:
        return "Write a whole URL: https://…, or file:///… for local files."
    return next((form for prefix, form in _FORMS if url.lower().startswith(prefix)), "")


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
