"""Masks secrets in text and in data before either is logged, and in text what a terminal obeys.

The last line of defence, not the first: nothing should put a secret there at all.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final
from unicodedata import category

MASK: Final = "***"
#: Control characters, and those of format, which turn the direction of what follows.
_OBEYED: Final = frozenset({"Cc", "Cf"})

#: Names of fields whose value is a secret, whatever it looks like.
_SECRET_NAME: Final = re.compile(
    r"(?:^|[_\-.])(?:secret|secrets|secret_keys?|access_key|account_key|password|passwd|token"
    r"|api_key|authorization|cookie|ciphertext|plaintext|private_key)$"
    r"|access_?secret|secret_?access|basic_auth",
    re.IGNORECASE,
)
_SECRET_WORDS: Final = (
    r"(?:aws_)?secret_access_key|access_secret|account_?key|access_key(?:_id)?|password|passwd"
    r"|api_key|session_token|client_secret|shared_?access_?signature"
)
_SIGNED: Final = (
    r"x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)"
    r"|signature|sig|awsaccesskeyid|googleaccessid|access_token|api_key|token|key"
)
_RULES: Final = (
    # Our own keys.
    (re.compile(r"stk_[A-Za-z0-9]+"), f"stk_{MASK}"),
    # User info in a URL; a password may hold an at sign, so up to the last one.
    # It begins with what is fixed: a scheme in front would be looked for again at each letter.
    (re.compile(r"://[^\s/?#\"'<>]+@"), f"://{MASK}@"),
    # What signs a URL's query.
    (re.compile(rf"([?&](?:{_SIGNED})=)[^&\s\"'#]+", re.IGNORECASE), rf"\1{MASK}"),
    # A SAS token, which may begin with it.
    (re.compile(r"(\bsig=)[A-Za-z0-9%+/=_\-]{20,}", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=\-]{6,}", re.IGNORECASE), rf"\1 {MASK}"),
    # `access_secret: …`, `"password": "…"`, `SECRET_ACCESS_KEY=…` inside other text.
    (
        re.compile(
            rf"(\b(?:{_SECRET_WORDS})[\"']?\s*[:=]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&}}\])]+)",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
)

#: Each rule needs one of these, and most of what is logged has none: an id, a route, a word, or a
#: time, for no rule needs a colon between two digits: before it stands a word or a scheme.
_SUSPECT: Final = re.compile(r"stk_|[\s=?&]|(?<![0-9]):|:(?![0-9])")


def redact_text(text: str) -> str:
    """Return the text with what looks like a secret masked.

    >>> redact_text("redis://:hunter2@cache:6379/0 refused stk_abcdef234567")
    'redis://***@cache:6379/0 refused stk_***'
    >>> redact_text("https://b.s3.amazonaws.com/o?X-Amz-Signature=ab12&x=1")
    'https://b.s3.amazonaws.com/o?X-Amz-Signature=***&x=1'
    >>> redact_text("AccountName=lake;AccountKey=aGVsbG8=;EndpointSuffix=x")
    'AccountName=lake;AccountKey=***;EndpointSuffix=x'
    """
    if _SUSPECT.search(text) is None:
        return text
    for pattern, masked in _RULES:
        text = pattern.sub(masked, text)
    return text


def redact(value: Any) -> Any:
    """Return a copy of the value, masked all through; numbers and the like as they are.

    >>> redact({"access_secret": "s", "url": "https://u:p@h/", "n": [1, {"Authorization": "x"}]})
    {'access_secret': '***', 'url': 'https://***@h/', 'n': [1, {'Authorization': '***'}]}
    """
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes):
        return redact_text(value.decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return {key: _redact_item(key, inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [redact(inner) for inner in value]
    return value


def _redact_item(key: Any, value: Any) -> Any:
    secret = isinstance(key, str) and _names_a_secret(key) and value not in (None, "")
    return MASK if secret else redact(value)


@lru_cache(maxsize=1024)
def _names_a_secret(key: str) -> bool:
    return _SECRET_NAME.search(key) is not None


def harmless(text: str) -> str:
    r"""Return the text without what a terminal would obey: names come from customers and their
    files.

    >>> harmless("a\x1b[2Jb\nc") == "a\ufffd[2Jb\nc"
    True
    """
    return "".join(c if c in "\n\t" or category(c) not in _OBEYED else "\ufffd" for c in text)
