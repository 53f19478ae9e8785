"""Requests as values, and how often one is tried.

An operation is a generator, as httpx's own authentication is: it yields what is to be done (a
request, a pause) and is sent what came of it. So each operation is written once; how it is carried
out, blocking or not, is all that the two clients have of their own (`clients.py`).
"""

import random
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import IO, Any, Final, Generic, TypeAlias, TypeVar
from uuid import uuid4

import httpx

from stocktake.client.errors import (
    RefusedError,
    StocktakeError,
)
from stocktake.client.refusals import refusal_of
from stocktake.client.strangers import unexpected, unreachable

T = TypeVar("T")

#: No request waits longer for a job's end: the service grants no more.
LONGEST_WAIT_SECONDS: Final = 60
#: For how long the service may refuse a key whose first request it still works at.
_IN_USE_SECONDS: Final = 100.0
_IN_USE_PAUSE_SECONDS: Final = 1.0
_WORTH_REPEATING: Final = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A file, or none, and the fields beside it."""

    file: IO[bytes] | None
    filename: str
    fields: Mapping[str, str]

    @property
    def repeatable(self) -> bool:
        """Whether the file can be sent once more, from its beginning."""
        return self.file is None or self.file.seekable()

    @property
    def parts(self) -> dict[str, Any]:
        """The form's parts, as httpx takes them."""
        # Without a file the fields are parts of their own, so that it is a multipart form still.
        parts: dict[str, Any] = {name: (None, value) for name, value in self.fields.items()}
        return parts if self.file is None else parts | {"file": (self.filename, self.file)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request below the project, or where its path begins with a slash, of the server.

    Attributes:
        wait_seconds: for how long the answer may wait for a job's end.
        once: whether to do it twice would be more than to do it once: it carries an
            Idempotency-Key then, the same in each attempt.
        key: that key.
    """

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    form: Form | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    wait_seconds: float = 0
    once: bool = False
    key: str | None = None

    @property
    def all_headers(self) -> dict[str, str]:
        """The headers with those that say what the other fields do."""
        headers = dict(self.headers)
        if self.wait_seconds and self.method != "GET":
            headers["Prefer"] = f"wait={int(self.wait_seconds)}"
        if self.key:
            headers["Idempotency-Key"] = self.key
        return headers

    @property
    def given(self) -> dict[str, Any]:
        """The query without what was left out."""
        return {name: value for name, value in self.query.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request to send once; what comes of it is the response, or httpx's error."""

    request: Request


@dataclass(frozen=True, slots=True)
class Pause:
    """Some seconds to let go by."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Listen:
    """A stream to open, in place of the one before; what comes of it is the response's head."""

    request: Request


@dataclass(frozen=True, slots=True)
class NextLine:
    """The open stream's next line; None at its end."""


@dataclass(frozen=True, slots=True)
class Shown(Generic[T]):
    """A thing for whoever iterates."""

    item: T


Step: TypeAlias = Request | Attempt | Pause | Listen | NextLine
#: What ends with a value, and what shows many.
Flow: TypeAlias = Generator[Step, Any, T]
Stream: TypeAlias = Generator[Step | Shown[T], Any, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often a request is sent, and how long it rests in between.

    Attributes:
        attempts: of one request; 1 is no retry.
        first_seconds: the longest rest before the second attempt; each later one is twice that. The
            rest is drawn at random below it, so that clients that failed together do not come back
            together.
        longest_seconds: no rest is longer. Where the service names a later time, it is an error at
            once.
    """

    attempts: int = 5
    first_seconds: float = 0.5
    longest_seconds: float = 30.0

    def rests(self) -> Iterator[float]:
        """Yield how long to rest before each further attempt."""
        for number in range(self.attempts - 1):
            most = min(self.first_seconds * 2**number, self.longest_seconds)
            yield random.uniform(0, most)  # noqa: S311 - nobody gains by foreseeing it


def attempts(request: Request, retries: Retries) -> Flow[httpx.Response]:
    """Send a request until it is answered for good.

    Raises:
        StocktakeError: the answer says no, or none came.
    """
    repeats = retries.attempts > 1 and (request.form is None or request.form.repeatable)
    if repeats and request.once:
        request = replace(request, key=str(uuid4()))
    rests = retries.rests() if repeats else iter(())
    in_use_until = time.monotonic() + _IN_USE_SECONDS
    lost = False  # whether it may have been done without our hearing of it
    while True:
        try:
            answer: httpx.Response = yield Attempt(request)
        except httpx.TransportError as exc:
            rest = next(rests, None)
            if rest is None:
                raise unreachable(exc) from exc
            lost = True
        else:
            if answer.is_success or answer.status_code == 304:
                return answer
            if lost and request.method == "DELETE" and answer.status_code == 404:
                return answer
            refusal = refusal_of(answer, retry_after(answer))
            if _in_use(refusal) and request.key and time.monotonic() < in_use_until:
                # An attempt that we lost is still at work; its answer will be ours.
                rest = _IN_USE_PAUSE_SECONDS
            else:
                rest = _rest_after(refusal, answer, rests, retries)
            lost = lost or answer.status_code in (502, 504)
        yield Pause(rest)


def _in_use(refusal: StocktakeError) -> bool:
    return refusal.code == "idempotency_key_in_use"


def _rest_after(
    refusal: StocktakeError, answer: httpx.Response, rests: Iterator[float], retries: Retries
) -> float:
    """Return how long to rest; raise the refusal where another attempt is not worth while."""
    named = refusal.retry_after_seconds if isinstance(refusal, RefusedError) else None
    if answer.status_code not in _WORTH_REPEATING or (named or 0) > retries.longest_seconds:
        raise refusal
    rest = next(rests, None)
    if rest is None:
        raise refusal
    return rest if named is None else named + rest


def retry_after(answer: httpx.Response) -> float | None:
    """Return in how many seconds to ask again, where the answer says so: a number or a date."""
    text = answer.headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):  # no date, or one without a zone
        return None


def json_of(answer: httpx.Response) -> Any:
    """Return what an answer says.

    Raises:
        UnexpectedAnswerError: it is no JSON.
    """
    try:
        return answer.json() if answer.content else None
    except ValueError as exc:
        raise unexpected(answer) from exc


def json_request(request: Request) -> Flow[Any]:
    """Return what a request answers, as it is."""
    return json_of((yield request))
