"""The sentences and checks that every field of text shares, as PostHog's serializers word them."""

import re
import unicodedata
from typing import Any, Final

from stocktake.errors import ValidationError
from stocktake.limits import MAX_STALE_SECONDS
from stocktake.schema.folding import unseen
from stocktake.schema.numbers import DELTA_DIGITS

REQUIRED: Final = "This field is required."
NOT_NULL: Final = "This field may not be null."
BLANK: Final = "This field may not be blank."
NAME_TAKEN: Final = "A table with this name already exists."
NULL_CHARACTER: Final = "Null characters are not allowed."
NOT_LINKED: Final = "The table must be a manually linked table"
NO_DELETE: Final = "Can't delete a sourced table"
BAD_IDENTIFIER: Final = (
    "Table names must start with a letter or underscore and contain only alphanumeric "
    "characters or underscores."
)
#: PostHog has two rules: its `file/` and `create_from_upload/` take identifiers alone, and a table
#: that is registered may be called anything.
WHY_IDENTIFIER: Final = (
    "This is the rule for tables of uploads, as PostHog has it; a table that is registered by its "
    "URL may have any name."
)
ANY_NAME: Final = (
    "Any name of up to 128 characters. One of letters, digits and underscores that begins with no "
    "digit needs no quotes in a query, and tables of uploads have no other."
)
LONG_DECIMAL: Final = (
    f"Delta's decimals have {DELTA_DIGITS} digits at most. A string keeps all of them."
)
MAX_NAME_LENGTH: Final = 128
MAX_URL_LENGTH: Final = 500

_IDENTIFIER = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def check_text(value: str, attr: str, *, max_length: int) -> str:
    """Return text that the database can hold.

    Raises:
        ValidationError: too long, or with a character that PostgreSQL does not store.
    """
    if len(value) > max_length:
        raise ValidationError(
            f"Ensure this field has no more than {max_length} characters.",
            code="max_length",
            attr=attr,
        )
    if "\x00" in value:
        raise ValidationError(NULL_CHARACTER, attr=attr)
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValidationError("Not a valid string.", attr=attr)
    return value


def require_text(value: str | None, attr: str, *, max_length: int) -> str:
    """Return a field that must say something, without the white space around it.

    Raises:
        ValidationError: null, blank, or not storable.
    """
    if value is None:
        raise ValidationError(NOT_NULL, code="null", attr=attr)
    if not value.strip():
        raise ValidationError(BLANK, code="blank", attr=attr)
    return check_text(value.strip(), attr, max_length=max_length)


def check_stale_after(value: Any) -> int | None:
    """Return after how many seconds a table is stale; None where none is said.

    Raises:
        ValidationError: no whole number, or out of bounds.
    """
    whole = isinstance(value, int) and not isinstance(value, bool)
    if value is None or (whole and 1 <= value <= MAX_STALE_SECONDS):
        return value  # type: ignore[no-any-return]
    raise ValidationError(
        f'"stale_after_seconds" must be a whole number from 1 to {MAX_STALE_SECONDS}, or null.',
        attr="stale_after_seconds",
    )


def require_name(value: str | None, attr: str, *, max_length: int) -> str:
    """Return a name that people tell from others by sight, composed (NFC).

    Raises:
        ValidationError: as `require_text`; or a character that nobody sees is in it.
    """
    name = value and unicodedata.normalize("NFC", value)
    name = require_text(name, attr, max_length=max_length)
    if (hidden := unseen(name)) is not None:
        raise ValidationError(
            "A name can't contain invisible characters, or ones that change the direction of text; "
            f"found U+{ord(hidden):04X}.",
            attr=attr,
        )
    return name


def require_table_name(value: str | None) -> str:
    """Return the name of a table that is registered: any that people tell from others.

    Raises:
        ValidationError: as `require_name`.
    """
    return require_name(value, "name", max_length=MAX_NAME_LENGTH)


def require_identifier(name: str, attr: str = "name") -> str:
    """Return a table name under PostHog's rule for uploads, `^[a-zA-Z_][a-zA-Z0-9_]*$`.

    Raises:
        ValidationError: it is no identifier, or too long.
    """
    if not _IDENTIFIER.fullmatch(name):
        raise ValidationError(BAD_IDENTIFIER, attr=attr, legacy_message=True, hint=WHY_IDENTIFIER)
    return check_text(name, attr, max_length=MAX_NAME_LENGTH)
