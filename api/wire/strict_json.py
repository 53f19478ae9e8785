"""Strict JSON: what Python's parser or a database would choke on later is refused at the door.

A body is read once its request is admitted, counted before anything is made of it, and parsed
and checked off the event loop: 1 MiB of ``[[],[],...]`` held everybody up for four seconds.
"""

import json
import re
from collections.abc import Callable, Coroutine
from itertools import accumulate
from typing import Any, Final, NoReturn, TypeAlias

from anyio import CapacityLimiter, to_thread
from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from api.errors import validation_error
from stocktake.errors import ValidationError

MAX_DEPTH: Final = 64
#: Of one body: three times as many as the columns or ids that a request may name.
MAX_VALUES: Final = 30_000
#: The body of a request that is no upload.
MAX_JSON_BYTES: Final = 1024 * 1024
#: A body up to this size is parsed where it came in: that takes less than to change threads.
INLINE_BYTES: Final = 2048
#: Bodies that one process parses at once; the other threads are for the database.
PARSED_AT_ONCE: Final = 4
_LONGEST_ATTR: Final = 256

#: Never looks at a byte twice; a text that does not end goes up to the end of the body.
_TEXT: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
#: Opening brackets as 2 and closing ones as 0: one less than each is by how much the depth changes.
_STEPS: Final = bytes.maketrans(b"[{]}", b"\2\2\0\0")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[{]}"))

#: The object that a value is in, and its name there. Not the joined names: one long name over
#: many values would be copied for each of them, 1 MiB of body into gigabytes.
_Place: TypeAlias = "tuple[_Place, str] | None"


def parse_json(body: bytes) -> Any:
    """Parse a body.

    Raises:
        ValidationError: no JSON, too many values, too deep, NaN or infinities, an integer of
            thousands of digits, half a surrogate pair, or a null character (PostgreSQL stores
            neither of the two).
    """
    _measure(body)
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except json.JSONDecodeError as exc:
        raise _unreadable(f"{exc.msg} at line {exc.lineno}, column {exc.colno}") from exc
    except UnicodeDecodeError as exc:
        raise _unreadable(f"byte {exc.start} is not UTF-8") from exc
    except ValueError as exc:
        # What json leaves to int(): more digits than Python converts.
        raise _unreadable("a number has too many digits") from exc
    _check(value)
    return value


def _unreadable(why: str) -> ValidationError:
    return ValidationError(f"JSON parse error: {why}.", code="parse_error")


def _measure(body: bytes) -> None:
    """Count what the body would become, before any of it is made."""
    bare = _without_texts(body)
    # One before each comma, one in each pair of brackets; an empty pair counts twice.
    values = 1 + sum(map(bare.count, (b",", b"[", b"{")))
    if max(values, bare.count(b"]") + bare.count(b"}")) > MAX_VALUES:
        raise _too_many()
    steps = bare.translate(_STEPS, _NO_BRACKETS)
    if max(accumulate(step - 1 for step in steps), default=0) > MAX_DEPTH:
        raise _unreadable(f"it is nested deeper than {MAX_DEPTH}")


def _without_texts(body: bytes) -> bytes:
    # A loop, as `re.sub` would hold the interpreter's lock for all of a body of quotation marks.
    pieces, begin = [], 0
    for number, text in enumerate(_TEXT.finditer(body)):
        if number == 2 * MAX_VALUES:  # a name and a value each
            raise _too_many()
        pieces.append(body[begin : text.start()])
        begin = text.end()
    return b"".join([*pieces, body[begin:]])


def _too_many() -> ValidationError:
    return _unreadable(f"it has more than {MAX_VALUES} values")


def _refuse_constant(name: str) -> NoReturn:
    raise _unreadable(f"{name} is not JSON")


def _check(value: Any) -> None:
    level: list[tuple[Any, _Place]] = [(value, None)]
    while level:
        level = [inner for item, place in level for inner in _inside(item, place)]


def _inside(value: Any, place: _Place) -> list[tuple[Any, _Place]]:
    if isinstance(value, str):
        _check_text(value, place)
        return []
    if isinstance(value, dict):
        for key in value:
            _check_text(key, place)
        return [(inner, (place, key)) for key, inner in value.items()]
    if isinstance(value, list):
        return [(inner, place) for inner in value]
    # As of `1e999`: json makes an infinity of it and asks no `parse_constant`.
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise _unreadable("a number is too large")
    return []


def _check_text(text: str, place: _Place) -> None:
    if "\0" in text:
        raise ValidationError("Null characters are not allowed.", attr=_attr(place))
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise ValidationError("Half of a surrogate pair is not a character.", attr=_attr(place))


def _attr(place: _Place) -> str | None:
    """Return the place as an error names it; a body whose names are long gets the begin of them."""
    names: list[str] = []
    while place is not None:
        place, name = place
        names.append(name[:_LONGEST_ATTR])
    return "__".join(reversed(names))[:_LONGEST_ATTR] or None


class StrictRequest(Request):
    """A request whose `json` is `parse_json`, made the route's model of.

    Args:
        request: the request as it came in.
        field: the route's body, as FastAPI keeps it.
        parsing: bounds how many bodies are parsed at once.
    """

    def __init__(self, request: Request, field: Any, parsing: CapacityLimiter) -> None:
        super().__init__(request.scope, request.receive)
        self._field = field
        self._parsing = parsing

    async def json(self) -> Any:
        """Return the model, which FastAPI takes as it is; None where the body is null.

        Raises:
            ValidationError: the body is no JSON that we take, or does not fit the model.
        """
        body = await self.body()
        if len(body) <= INLINE_BYTES:
            return self._read(body)
        return await to_thread.run_sync(self._read, body, limiter=self._parsing)

    def _read(self, body: bytes) -> Any:
        value = parse_json(body)
        if value is None:
            return None  # whether it may be, FastAPI knows
        model, problems = self._field.validate(value, {}, loc=("body",))
        if problems:
            raise validation_error(problems)
        return model


class StrictRoute(APIRoute):
    """A route whose JSON body is read strictly, and of admitted requests only."""

    async def admit(self, request: Request) -> CapacityLimiter:
        """Raise the refusal of a request that may send no body; what bounds the parsing of others.

        FastAPI reads a body before it asks any dependency, and so would hold and parse what
        strangers send.
        """
        raise NotImplementedError

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler behind the two."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if self.body_field is None:
                return await handler(request)
            parsing = await self.admit(request)
            return await handler(StrictRequest(request, self.body_field, parsing))

        return handle
