"""Telling a certificate that is not believed from a store that is away, whoever failed: obstore,
deltalake or Python. Each says it in words of its own, and nothing else tells them apart.
"""

import re
from collections.abc import Mapping
from typing import Final

from stocktake.errors import StorageUnavailableError

#: rustls (its names, and its sentences) and OpenSSL.
_REFUSED: Final = re.compile(
    r"\bInvalidCertificate\b|invalid peer certificate|CERTIFICATE_VERIFY_FAILED"
)
_NO_TLS: Final = re.compile(r"\bInvalidContentType\b|WRONG_VERSION_NUMBER")
#: Whom a failed request asked; and all of a URL, in which anything may stand.
HOST: Final = re.compile(r"\bhttps?://(?P<host>\[[0-9a-f:.]+\]|[^\s/:?#\"'<>,]+)", re.IGNORECASE)
URL: Final = re.compile(r"\bhttps?://\S+", re.IGNORECASE)

_AUTHORITY_HINT: Final = (
    "Have the operator put the store's authority into the file that SSL_CERT_FILE names "
    "(docs/operations.md)."
)
_WHY: Final[Mapping[str, tuple[str, str]]] = {
    r"\bExpired|certificate (?:has )?expired": (
        "has expired",
        "Have the store's certificate renewed; or set the worker's clock, if it is wrong.",
    ),
    r"\bNotValidYet|not (?:yet valid|valid yet)": (
        "is not valid yet",
        "Set the worker's clock, if it is wrong.",
    ),
    r"\bNotValidForName|not valid for (?:name )?[\"']|[Hh]ostname mismatch|IP address mismatch": (
        "is for another name",
        "Write the host as the certificate has it, or have the store's certificate name it.",
    ),
    r"\bRevoked\b|certificate revoked": ("is revoked", "Have the store's certificate renewed."),
    r"\bUnknownIssuer\b|\bBadSignature\b|issuer certificate|self[- ]signed": (
        "is not signed by anyone this machine trusts",
        _AUTHORITY_HINT,
    ),
}
_OTHER: Final = ("was not believed", "Look at it with `openssl s_client -connect HOST:PORT`.")


def certificate_error(
    text: str, *, host: str | None = None, file: str | None = None
) -> StorageUnavailableError | None:
    """Return the error for a certificate that was not believed; None where the text tells of none.

    Tried again like a store that is away: certificates are renewed, and clocks set.

    Args:
        text: of the error that a client raised, with its causes.
        host: whose certificate it is, where the text has no URL.
        file: what was read.

    >>> str(certificate_error("https://minio.corp:9000/b: invalid peer certificate: UnknownIssuer"))
    'The certificate of minio.corp is not signed by anyone this machine trusts.'
    """
    named = HOST.search(text)
    of = host or (named["host"] if named else "the store")
    said = URL.sub("", text)  # a key may be called anything
    if _REFUSED.search(said):
        why, hint = next((told for form, told in _WHY.items() if re.search(form, said)), _OTHER)
        return StorageUnavailableError(
            f"The certificate of {of} {why}.", code="certificate_refused", hint=hint, file=file
        )
    if _NO_TLS.search(said):
        return StorageUnavailableError(
            f"{of} does not speak TLS at this port.",
            code="certificate_refused",
            hint="Write the URL with http://, where the operator trusts that, or name the port "
            "that speaks TLS.",
            file=file,
        )
    return None
