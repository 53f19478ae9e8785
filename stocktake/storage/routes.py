"""Where the HTTP client of a store may go: to the store's own host and port, whatever it answers.

object_store, which works in obstore and in deltalake, follows redirects to anywhere, and has no
option against it. So its proxy decides where a request ends, and that is chosen by host alone:

A trusted endpoint is its own proxy, and no host is excepted. To be asked through a TLS connection
for an absolute URL is what RFC 9112 (section 3.2.2) makes every server understand; so for https
the client is told the http URL and an https proxy, checks the endpoint's certificate, and sends
nothing outside that connection. A redirect to anywhere comes back to the endpoint: as a request,
or to an https URL as a CONNECT, which it refuses.

A known store is asked as everybody asks it. Its own host is excepted from a proxy that does not
exist, so that every other host ends there. Another port of its host is the provider's as well.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from stocktake.storage.providers import match_host

#: Port 0 can be connected to by nobody, so whatever is sent here fails at once.
NOWHERE = "http://127.0.0.1:0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a client is given; each field is the option of object_store with that name.

    Attributes:
        endpoint: the store's URL as the client is told it, which may say http where TLS is spoken.
        allow_http: whether the client may be told an http URL.
        proxy_url: where every request goes, but for those to `proxy_excludes`.
        proxy_excludes: the host that is connected to directly; empty for none.
    """

    endpoint: str
    allow_http: bool
    proxy_url: str
    proxy_excludes: str


def route(endpoint: str, *, allow_http: bool) -> Route:
    """The way to a store that the guard let through, and to nothing else.

    Args:
        endpoint: ``scheme://host[:port]``, without the scheme's own port.
        allow_http: whether the store may be spoken to without TLS.

    >>> route("https://minio.corp:9000", allow_http=False).proxy_url
    'https://minio.corp:9000'
    >>> route("https://s3.eu-west-1.amazonaws.com", allow_http=False).proxy_excludes
    's3.eu-west-1.amazonaws.com'
    """
    url = urlsplit(endpoint)
    host = url.hostname or ""
    if url.scheme == "https" and url.port is None and match_host(host):
        return Route(endpoint=endpoint, allow_http=False, proxy_url=NOWHERE, proxy_excludes=host)
    return Route(
        endpoint=f"http://{url.netloc}",
        allow_http=allow_http or url.scheme == "https",
        proxy_url=endpoint,
        proxy_excludes="",
    )
