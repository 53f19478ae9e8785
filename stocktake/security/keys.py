"""API keys: 160 random bits behind a visible prefix, of which only the SHA-256 is stored."""

import base64
import hashlib
import secrets
from dataclasses import dataclass

#: What a key begins with, so that secret scanners and people recognise one.
KEY_PREFIX = "stk_"
#: 160 bits: 32 letters of base32, without padding.
_RANDOM_BYTES = 20
#: Characters that may be shown: the mark and the first characters of the random part.
_SHOWN = len(KEY_PREFIX) + 6


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key at its one moment of being known; `plaintext` is never stored."""

    plaintext: str
    prefix: str
    sha256: bytes

    def __repr__(self) -> str:
        return f"NewKey(prefix={self.prefix!r})"


def make_key() -> NewKey:
    """Draw a new key.

    >>> key = make_key()
    >>> digest(key.plaintext) == key.sha256 and key.plaintext.startswith(key.prefix)
    True
    """
    random = base64.b32encode(secrets.token_bytes(_RANDOM_BYTES)).decode("ascii").lower()
    plaintext = f"{KEY_PREFIX}{random}"
    return NewKey(plaintext=plaintext, prefix=plaintext[:_SHOWN], sha256=digest(plaintext))


def digest(plaintext: str) -> bytes:
    """Return the SHA-256 of a key. A key has 160 random bits, so a slow hash would add nothing; it
    is looked up by this digest, so no comparison's time depends on a stored secret."""
    return hashlib.sha256(plaintext.encode("utf-8", "surrogatepass")).digest()
