"""Finding a secret in what a service left behind, in each form in which it may be there."""

import base64
import secrets
from collections.abc import Iterator, Mapping
from functools import cache


def canary() -> str:
    """A secret that no quoting hides: of letters and digits alone, it is the same text in a URL,
    in JSON, HTML, XML, SQL, a shell's line or Python's `repr`.
    """
    return "CANARY" + secrets.token_hex(16)


def found(hidden: Mapping[str, bytes], held: bytes) -> list[str]:
    """Which of the secrets are there, by their names.

    Half of a secret is a find. The forms are: as it is, hexadecimal (as PostgreSQL prints bytes),
    base64 in both alphabets wherever in the encoded text it begins (as in a message's body or an
    `Authorization` header), and UTF-16. What is compressed or encrypted has to be opened first.
    """
    return [name for name, secret in hidden.items() if any(form in held for form in _forms(secret))]


@cache
def _forms(secret: bytes) -> tuple[bytes, ...]:
    middle = len(secret) // 2
    return tuple(form for half in (secret[:middle], secret[middle:]) for form in _of_half(half))


def _of_half(half: bytes) -> Iterator[bytes]:
    yield half
    yield half.hex().encode()
    yield half.hex().upper().encode()
    # Without its last byte, the same in both byte orders.
    yield half.decode("latin-1").encode("utf-16-le")[:-1]
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + half)
        # Without the characters that depend on what is before and behind it.
        begin, end = (0, 2, 3)[offset], (offset + len(half)) * 8 // 6
        yield encoded[begin:end]
        yield encoded[begin:end].translate(bytes.maketrans(b"+/", b"-_"))
