"""What is told where no Stocktake answers: another server, or none, or one whose TLS is wrong."""

import ssl
from typing import Any, Final

import httpx

from stocktake.client.errors import UnexpectedAnswerError, UnreachableError

#: How much of a stranger's own words an error repeats.
_SHOWN: Final = 100
_WHERE: Final = "Set STOCKTAKE_URL, or the client's `url`, to where your Stocktake is."


def is_ours(body: Any) -> bool:
    """Return whether a body is a refusal of Stocktake's; other servers have a `detail`, too.

    >>> is_ours({"detail": "Not Found"}), is_ours({"code": "not_found", "detail": "Not found."})
    (False, True)
    """
    said = ("code", "detail")
    return isinstance(body, dict) and (
        all(isinstance(body.get(name), str) for name in said) or "job" in body
    )


def is_page(body: Any) -> bool:
    """Return whether a body is one page of a list."""
    return isinstance(body, dict) and isinstance(body.get("results"), list) and "next" in body


def told(answer: httpx.Response) -> str:
    """Return which server answered what, in a sentence."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    what = "a page of HTML" if kind == "text/html" else kind[:_SHOWN] or "no content"
    server = answer.headers.get("server", "")[:_SHOWN]
    by = f" ({server})" if server else ""
    return f"{_url_of(answer)}{by} answered {answer.status_code} with {what}, as no Stocktake does."


def unexpected(answer: httpx.Response) -> UnexpectedAnswerError:
    """Return the error for an answer of another server."""
    leads = answer.headers.get("location", "")[:_SHOWN] if answer.is_redirect else ""
    return UnexpectedAnswerError(
        told(answer),
        hint=f"It leads to {leads}. {_WHERE}" if leads else _WHERE,
        request_id=answer.headers.get("x-request-id"),
    )


def unreachable(exc: httpx.TransportError) -> UnreachableError:
    """Return the error for a request without an answer."""
    url = _url_of(exc)
    if isinstance(exc, httpx.TimeoutException):
        said = f"No answer came: {url} did not answer in time."
        return UnreachableError(said, timed_out=True)
    reason = str(exc)[:_SHOWN] or type(exc).__name__
    said = f"No answer came from {url}: {reason}."
    if (error := _tls_error(exc)) is None:
        odd = isinstance(exc, httpx.RemoteProtocolError) and url.startswith("http://")
        hint = f"Where it speaks TLS its URL begins with https://. {_WHERE}" if odd else _WHERE
        return UnreachableError(said, hint=hint, timed_out=False)
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message[:_SHOWN]
        return UnreachableError(
            f"The certificate of {url} is not believed: {why}.",
            hint="Set STOCKTAKE_URL to the name that the certificate is for. One of your own "
            "authority counts for `Client(trust_env=True)` with SSL_CERT_FILE.",
            timed_out=False,
        )
    return UnreachableError(
        f"{url} does not speak TLS as a server does: {reason}.",
        hint=f"Where it speaks plain HTTP its URL begins with http://. {_WHERE}",
        timed_out=False,
    )


def _tls_error(exc: BaseException | None) -> ssl.SSLError | None:
    """Return what TLS said, which other errors wrap."""
    while exc is not None:
        if isinstance(exc, ssl.SSLError):
            return exc
        exc = exc.__cause__ or exc.__context__
    return None


def _url_of(of: httpx.Response | httpx.TransportError) -> str:
    """Return what was asked, without a path: the path is ours."""
    try:
        url = of.request.url
    except RuntimeError:  # nobody has said what it answers
        return "The server"
    return str(url.copy_with(raw_path=b"/")).rstrip("/")
