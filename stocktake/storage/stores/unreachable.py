"""Telling why a store was not reached, from what its client or the relay met in connecting."""

import re
from typing import Final

from stocktake.errors import StorageUnavailableError
from stocktake.storage.stores.certificates import HOST, URL

#: glibc, musl and macOS tell of a name that nobody knows in words of their own.
_WHY: Final = (
    (
        r"dns error|lookup address|[Nn]ame or service not known|Temporary failure in name|"
        r"does not resolve|nodename nor servname|No address associated",
        "its name is not known (DNS)",
        "Check the host's name in the URL pattern, and the DNS of the machine that reads.",
    ),
    (
        r"ConnectionRefused|[Cc]onnection refused|Connect call failed",
        "it refused the connection",
        "Nothing to do if the store is only down; otherwise check host and port.",
    ),
    (
        r"Unreachable|unreachable|No route to host",
        "no route leads there",
        "Check the network of the machine that reads, and its firewall.",
    ),
    (
        r"TimeoutError|TimedOut|timed out",
        "it took no connection in time",
        "Nothing to do if the store is only down; otherwise check host, port and firewall.",
    ),
)


def unreachable_error(text: str, *, file: str | None = None) -> StorageUnavailableError:
    """Return the error for a store that was not reached.

    Args:
        text: of the error that a client raised, with its causes and the URL that was asked for.
        file: what was read.

    >>> str(unreachable_error("http://minio.corp:9000/b/k: tcp connect error: Connection refused"))
    'The store at minio.corp could not be reached: it refused the connection.'
    """
    asked = HOST.search(text)
    of = f" at {asked['host']}" if asked else ""
    said = URL.sub("", text)  # a key may be called anything
    for form, why, hint in _WHY:
        if re.search(form, said):
            detail = f"The store{of} could not be reached: {why}."
            return StorageUnavailableError(detail, hint=hint, file=file, reached=False)
    return StorageUnavailableError(
        f"The store{of} could not be reached.",
        hint="Nothing to do if the store is only down; otherwise check the host's name.",
        file=file,
        reached=False,
    )
