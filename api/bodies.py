"""Strict JSON: what Python's parser or a database would choke on later is refused at the door."""

import json
from collections.abc import Callable, Coroutine
from typing import Any, Final, NoReturn, TypeAlias

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from stocktake.errors import ValidationError

MAX_DEPTH: Final = 64
#: The body of a request that is no upload.
MAX_JSON_BYTES: Final = 1024 * 1024
_LONGEST_ATTR: Final = 256

#: The object that a value is in, and its name there. Not the joined names: one long name over
#: many values would be copied for each of them, 1 MiB of body into gigabytes.
_Place: TypeAlias = "tuple[_Place, str] | None"


def parse_json(body: bytes) -> Any:
    """Parse a body.

    Raises:
        ValidationError: no JSON, too deep, NaN or infinities, an integer of thousands of digits,
            half a surrogate pair, or a null character (PostgreSQL stores neither of the two).
    """
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except json.JSONDecodeError as exc:
        raise _unreadable(f"{exc.msg} at line {exc.lineno}, column {exc.colno}") from exc
    except UnicodeDecodeError as exc:
        raise _unreadable(f"byte {exc.start} is not UTF-8") from exc
    except RecursionError as exc:
        raise _unreadable(f"it is nested deeper than {MAX_DEPTH}") from exc
    except ValueError as exc:
        # What json leaves to int(): more digits than Python converts.
        raise _unreadable("a number has too many digits") from exc
    _check(value)
    return value


def _unreadable(why: str) -> ValidationError:
    return ValidationError(f"JSON parse error: {why}.", code="parse_error")


def _refuse_constant(name: str) -> NoReturn:
    raise _unreadable(f"{name} is not JSON")


def _check(value: Any) -> None:
    level: list[tuple[Any, _Place]] = [(value, None)]
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return
        level = [inner for item, place in level for inner in _inside(item, place)]
    raise _unreadable(f"it is nested deeper than {MAX_DEPTH}")


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
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise _unreadable("a number is too large")
    return []


def _check_text(text: str, place: _Place) -> None:
    if "\0" in text:
        raise ValidationError("Null characters are not allowed.", attr=_attr(place))
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise ValidationError("Half of a surrogate pair is not a character.", attr=_attr(place))


def _attr(place: _Place) -> str | None:
    """The place as an error names it; a body whose names are long gets the begin of them."""
    names: list[str] = []
    while place is not None:
        place, name = place
        names.append(name[:_LONGEST_ATTR])
    return "__".join(reversed(names))[:_LONGEST_ATTR] or None


class StrictRequest(Request):
    """A request whose `json` is `parse_json`."""

    async def json(self) -> Any:
        return parse_json(await self.body())


class StrictRoute(APIRoute):
    """A route whose JSON body is read strictly, and of admitted requests only."""

    async def admit(self, request: Request) -> None:
        """Raise the refusal of a request that may send no body.

        FastAPI reads a body before it asks any dependency, and so would hold and parse what
        strangers send.
        """
        raise NotImplementedError

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler behind the two."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            if self.body_field is not None:
                await self.admit(strict)
            return await handler(strict)

        return handle
