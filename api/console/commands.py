"""What a page shows, as the API and the command line are asked for it."""

import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode


def path(base: str, asked: Mapping[str, Any]) -> str:
    """Return a path of the API with its query.

    >>> path("jobs/", {"state": "failed", "table": None}), path("jobs/", {})
    ('jobs/?state=failed', 'jobs/')
    """
    query = {name: _word(value) for name, value in asked.items() if value is not None}
    return f"{base}?{urlencode(query)}" if query else base


def command(base: str, asked: Mapping[str, Any]) -> str:
    """Return a line for a shell, with options of the query's names.

    >>> command("stocktake tables list", {"search": "a b", "has_overrides": False})
    "stocktake tables list --search 'a b' --no-overrides"
    """
    options = (_option(name, value) for name, value in asked.items() if value is not None)
    return " ".join([base, *options])


def _option(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{'' if value else 'no-'}{name.removeprefix('has_')}"
    # A value may begin with a dash, as orders do.
    between = "=" if str(value).startswith("-") else " "
    return f"--{name.replace('_', '-')}{between}{shlex.quote(str(value))}"


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
