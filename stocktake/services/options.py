"""Check a table's options against those that the formats declare (`stocktake.schema.options`).

An unknown key is refused with the nearest known one: a table that is read without the option that
somebody misspelt is read wrong, in silence. A key that looks like a secret or a connection setting
is told where those belong.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from stocktake.errors import ValidationError, did_you_mean
from stocktake.schema.formats import OPTIONS

NOT_AN_OBJECT: Final = "Options must be a JSON object."
_MAX_KEYS: Final = 50
_MAX_KEY_LENGTH: Final = 64

_REFUSED = re.compile(
    r"secret|passw|token|credential|private|signature|(?:access|account|api|sas)[_-]?key"
    r"|endpoint|proxy|allow_http|role_arn",
    re.IGNORECASE,
)


def check_options(value: Any) -> dict[str, Any]:
    """Return the options, as they are stored.

    Known are those that some format has, whatever the table's; a table may change its format. A
    known key may be null, which is as good as left out.

    Raises:
        ValidationError: no object, too much of it, a key that is not known, or a value of a
            wrong type.

    >>> check_options({"csv_delimiter": ";", "public": True})
    {'csv_delimiter': ';', 'public': True}
    """
    if not isinstance(value, dict):
        raise ValidationError(NOT_AN_OBJECT, attr="options")
    if len(value) > _MAX_KEYS:
        raise ValidationError(
            f"Options have {len(value)} keys; the most is {_MAX_KEYS}.", attr="options"
        )
    for key, each in value.items():
        _check(key, each)
    return dict(value)


def is_public(options: Mapping[str, Any]) -> bool:
    """Return whether the source is to be read unsigned, so that no credential is needed."""
    return options.get("public") is True


def _check(key: Any, value: Any) -> None:
    if not isinstance(key, str) or not 0 < len(key) <= _MAX_KEY_LENGTH or "\x00" in key:
        raise ValidationError(
            f"An option's name has 1 to {_MAX_KEY_LENGTH} characters.", attr="options"
        )
    if key not in OPTIONS:
        _refuse_unknown(key)
    option = OPTIONS[key]
    if value is not None and not option.holds(value):
        raise ValidationError(f"Option '{key}' must be {option.expected}.", attr=f"options__{key}")


def _refuse_unknown(key: str) -> NoReturn:
    if _REFUSED.search(key):
        raise ValidationError(
            "Options hold no secrets and no connection settings. Keys belong in the credential.",
            attr="options",
        )
    raise ValidationError(
        f"Option {key!r} is not known; {did_you_mean(key, OPTIONS)}", attr="options"
    )
