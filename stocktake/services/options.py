"""A table's options: which keys are known, and what their values may be.

An unknown key is refused with the nearest known one: a table that is read without the option that
somebody misspelt is read wrong, in silence. A key that looks like a secret or a connection setting
is told where those belong.
"""

import codecs
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from stocktake.errors import ValidationError, did_you_mean

NOT_AN_OBJECT: Final = "Options must be a JSON object."
_MAX_KEYS: Final = 50
_MAX_KEY_LENGTH: Final = 64
_MAX_TEXT_LENGTH: Final = 500
_MAX_NULL_VALUES: Final = 50
_MAX_SAMPLE_BYTES: Final = 1 << 40
_COMPRESSIONS: Final = frozenset(
    {"auto", "none", "gz", "gzip", "zst", "zstd", "xz", "lzma", "lz4", "bz2", "bzip2"}
)

_REFUSED = re.compile(
    r"secret|passw|token|credential|private|signature|(?:access|account|api|sas)[_-]?key"
    r"|endpoint|proxy|allow_http|role_arn",
    re.IGNORECASE,
)


def check_options(value: Any) -> dict[str, Any]:
    """The options, as they are stored.

    Known: ``csv_delimiter``, ``csv_quote``, ``csv_header``, ``csv_null_values``,
    ``csv_allow_double_quotes``, ``encoding``, ``compression``, ``sample_bytes``, ``public``,
    ``validate`` and ``delta_count``. A known key may be null, which is as good as left out.

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
    """Whether the source is to be read unsigned, so that no credential is needed."""
    return options.get("public") is True


def _check(key: Any, value: Any) -> None:
    if not isinstance(key, str) or not 0 < len(key) <= _MAX_KEY_LENGTH or "\x00" in key:
        raise ValidationError(
            f"An option's name has 1 to {_MAX_KEY_LENGTH} characters.", attr="options"
        )
    if key not in _KNOWN:
        _refuse_unknown(key)
    holds, expected = _KNOWN[key]
    if value is not None and not holds(value):
        raise ValidationError(f"Option '{key}' must be {expected}.", attr=f"options__{key}")


def _refuse_unknown(key: str) -> NoReturn:
    if _REFUSED.search(key):
        raise ValidationError(
            "Options hold no secrets and no connection settings. Keys belong in the credential.",
            attr="options",
        )
    raise ValidationError(
        f"Option {key!r} is not known; {did_you_mean(key, _KNOWN)}", attr="options"
    )


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_TEXT_LENGTH and "\x00" not in value


def _is_delimiter(value: Any) -> bool:
    return _is_character(value) and value not in '\r\n"'


def _is_character(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 1 and value not in "\x00\r\n"


def _are_null_values(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= _MAX_NULL_VALUES and all(map(_is_text, value))


def _is_encoding(value: Any) -> bool:
    try:
        # A name may also be of a codec that makes no text (base64, zip): those are refused.
        # Not of no bytes: those are decoded without a look at the codec.
        return _is_text(value) and bool(b"xx".decode(codecs.lookup(value).name, "replace"))
    except (LookupError, UnicodeError):
        return False


def _is_compression(value: Any) -> bool:
    return isinstance(value, str) and value in _COMPRESSIONS


def _is_sample_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MAX_SAMPLE_BYTES


_KNOWN: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "csv_delimiter": (_is_delimiter, "one character, neither a quote nor a line break"),
    "csv_quote": (_is_character, "one character"),
    "csv_header": (_is_flag, "true or false"),
    "csv_null_values": (_are_null_values, f"a list of up to {_MAX_NULL_VALUES} strings"),
    "csv_allow_double_quotes": (_is_flag, "true or false"),
    "encoding": (_is_encoding, "the name of a text encoding, for example 'utf-8'"),
    "compression": (_is_compression, f"one of {', '.join(sorted(_COMPRESSIONS))}"),
    "sample_bytes": (_is_sample_size, "a positive whole number of bytes"),
    "public": (_is_flag, "true or false"),
    "validate": (_is_flag, "true or false"),
    "delta_count": (_is_flag, "true or false"),
}
#: The options that are looked at; any other is kept and given back.
KNOWN_OPTIONS: Final = frozenset(_KNOWN)
