"""Where the HTTP client of a store may go: to the store's own host and port, whatever it answers.

object_store, which works in obstore and in deltalake, follows redirects to anywhere, and has no
option against it. So its proxy decides where a request ends:

A trusted endpoint is reached through `relay`, which leads to that host and port alone. The store
sees requests as everybody sends them.

A known store is reached directly. Its own host is excepted from a proxy that does not exist, so
that every other host ends there. Another port of its host is the provider's as well.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from stocktake.storage.places.providers import match_host
from stocktake.storage.stores import relay

#: Port 0 can be connected to by nobody, so whatever is sent here fails at once.
NOWHERE = "http://127.0.0.1:0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a client is given; each field is the option of object_store with that name.

    Attributes:
        endpoint: the store's URL.
        allow_http: whether that may be plain http.
        proxy_url: where every request goes, but for those to `proxy_excludes`.
        proxy_excludes: the host that is connected to directly; empty for none.
    """

    endpoint: str
    allow_http: bool
    proxy_url: str
    proxy_excludes: str


def route(endpoint: str, *, allow_http: bool) -> Route:
    """Return the way to a store that the guard let through, and to nothing else.

    Args:
        endpoint: ``scheme://host[:port][/path]``, without the scheme's own port.
        allow_http: whether the store may be spoken to without TLS.

    >>> route("https://minio.corp:9000", allow_http=False).proxy_excludes
    ''
    >>> route("https://s3.eu-west-1.amazonaws.com", allow_http=False).proxy_excludes
    's3.eu-west-1.amazonaws.com'
    """
    url = urlsplit(endpoint)
    host = url.hostname or ""
    known = url.scheme == "https" and url.port is None and match_host(host) is not None
    return Route(
        endpoint=endpoint,
        allow_http=allow_http and url.scheme == "http",
        proxy_url=NOWHERE if known else relay.proxy_url(endpoint),
        proxy_excludes=host if known else "",
    )
