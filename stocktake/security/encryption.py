"""Credentials at rest: AES-256-GCM, bound to their row by associated data.

Fernet has no associated data: a token copied into another tenant's row would decrypt there.
"""

import base64
import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from stocktake.errors import CredentialUnavailableError

#: What GCM is made for: 96 bits (NIST SP 800-38D, 5.2.1.1). Drawn at random, they do for 2^32
#: encryptions under one key (8.3).
_NONCE_BYTES = 12
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A credential as its row stores it."""

    key_id: str
    ciphertext: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPair:
    """An access key and its secret, in the clear."""

    access_key: str
    access_secret: str

    def __repr__(self) -> str:
        return "AccessPair(…)"


class Keyring:
    """The service's secret keys: the first one encrypts, all of them decrypt.

    Args:
        keys: each ``key_id:base64url of 32 bytes``, as `make_secret_key` prints them.

    Raises:
        ValueError: a key that is not of that form, or a second one of the same id; the message
            says which by its position, and repeats nothing of it.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys: dict[str, AESGCM] = {}
        for position, key in enumerate(keys, start=1):
            where = f"STOCKTAKE_SECRET_KEYS, entry {position} of {len(keys)}"
            key_id, cipher = _parse(key, where)
            if key_id in self._keys:
                raise ValueError(f"{where}: an entry before it has the same key_id")
            self._keys[key_id] = cipher
        self._first = next(iter(self._keys), None)

    @classmethod
    def of(cls, keys: Iterable[SecretStr]) -> Self:
        """Return the ring of the keys as the settings hold them. Raises what the ring raises."""
        return cls([key.get_secret_value() for key in keys])

    @property
    def first(self) -> str:
        """The id of the key that encrypts.

        Raises:
            CredentialUnavailableError: there is none.
        """
        if self._first is None:
            raise CredentialUnavailableError(
                "No secret key is configured, so no credential can be stored.",
                hint="Have the operator set STOCKTAKE_SECRET_KEYS.",
            )
        return self._first

    def seal(self, pair: AccessPair, *, project_id: int, credential_id: UUID) -> Sealed:
        """Encrypt under the first key, bound to the project and the credential's id."""
        clear = json.dumps([pair.access_key, pair.access_secret]).encode()
        return self.seal_bytes(clear, project_id=project_id, row_id=credential_id)

    def open(self, sealed: Sealed, *, project_id: int, credential_id: UUID) -> AccessPair:
        """Decrypt what `seal` has made. Raises what `open_bytes` raises."""
        clear = self.open_bytes(sealed, project_id=project_id, row_id=credential_id)
        access_key, access_secret = json.loads(clear)
        return AccessPair(access_key=access_key, access_secret=access_secret)

    def seal_bytes(self, clear: bytes, *, project_id: int, row_id: UUID) -> Sealed:
        """Encrypt under the first key, bound to the project and to the id of the row that has it.

        Raises:
            CredentialUnavailableError: there is no key.
        """
        key_id = self.first
        nonce = secrets.token_bytes(_NONCE_BYTES)
        bound = _associated(project_id, row_id, key_id)
        sealed = self._keys[key_id].encrypt(nonce, clear, bound)
        return Sealed(key_id=key_id, ciphertext=nonce + sealed)

    def open_bytes(self, sealed: Sealed, *, project_id: int, row_id: UUID) -> bytes:
        """Decrypt what `seal_bytes` has made.

        Raises:
            CredentialUnavailableError: the key is gone, or the row is not the one it was made for.
        """
        cipher = self._keys.get(sealed.key_id)
        if cipher is None:
            raise CredentialUnavailableError(
                f"The credential was encrypted with the key {sealed.key_id!r}, "
                "which is not configured.",
                hint="Have the operator add that key to STOCKTAKE_SECRET_KEYS again.",
            )
        nonce, body = sealed.ciphertext[:_NONCE_BYTES], sealed.ciphertext[_NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, body, _associated(project_id, row_id, sealed.key_id))
        except InvalidTag as exc:
            raise CredentialUnavailableError(
                "The stored credential does not decrypt: it was changed, or moved between rows."
            ) from exc

    def seal_text(self, text: str, *, purpose: str) -> str:
        """Encrypt a text under the first key into one that a client may hold, for one purpose.

        Raises:
            CredentialUnavailableError: there is no key.
        """
        key_id = self.first
        nonce = secrets.token_bytes(_NONCE_BYTES)
        body = self._keys[key_id].encrypt(nonce, text.encode(), _for_purpose(purpose, key_id))
        return base64.urlsafe_b64encode(nonce + body).decode("ascii")

    def open_text(self, sealed: str, *, purpose: str) -> str | None:
        """Return what `seal_text` sealed for this purpose, under any of the keys; None where it is
        of nobody here, or was changed."""
        try:
            raw = base64.b64decode(sealed.encode("ascii"), altchars=b"-_", validate=True)
        except ValueError:
            return None
        nonce, body = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
        for key_id, cipher in self._keys.items():
            try:
                return cipher.decrypt(nonce, body, _for_purpose(purpose, key_id)).decode()
            except (InvalidTag, ValueError):
                continue
        return None


def make_secret_key(key_id: str) -> str:
    """Draw a key in the form that `STOCKTAKE_SECRET_KEYS` takes."""
    raw = base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).decode("ascii")
    return f"{key_id}:{raw}"


def _parse(key: str, where: str) -> tuple[str, AESGCM]:
    key_id, _, encoded = key.partition(":")
    try:
        # Strictly: `urlsafe_b64decode` stops at the padding, and so would drop what a wrong
        # separator has joined to this key.
        raw = base64.b64decode(encoded, altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    if not key_id or len(raw) != _KEY_BYTES:
        raise ValueError(
            f"{where}: expected key_id:base64url of 32 bytes, and commas between the keys"
        )
    return key_id, AESGCM(raw)


def _associated(project_id: int, credential_id: UUID, key_id: str) -> bytes:
    return f"stocktake:{project_id}:{credential_id}:{key_id}".encode()


def _for_purpose(purpose: str, key_id: str) -> bytes:
    # No credential's: theirs begin with "stocktake:".
    return f"stocktake-text:{purpose}:{key_id}".encode()
