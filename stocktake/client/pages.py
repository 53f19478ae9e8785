"""What the resources share: an id in a path, one answer, all pages of a list."""

from collections.abc import Callable
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, quote, urlsplit

from stocktake.client.decoding import decode
from stocktake.client.requests import Flow, Request, Shown, Stream, json_of
from stocktake.client.strangers import is_page, unexpected

T = TypeVar("T")

PAGE_SIZE: Final = 100


def part(name: str) -> str:
    """Return a path's part: a slash in an id is none of the path."""
    return quote(name, safe="")


def flag(value: bool | None) -> str | None:
    """Return a boolean as a query has it."""
    return None if value is None else str(value).lower()


def one(kind: type[T], request: Request) -> Flow[T]:
    """Return what a request answers."""
    return decode(kind, json_of((yield request)))


def all_of(kind: type[T], path: str, /, *, page_size: int = PAGE_SIZE, **query: Any) -> Stream[T]:
    """Show the results of all pages, each when it is wanted: none twice, and none left out that was
    there at the first.
    """
    query = query | {"limit": page_size, "cursor": ""}
    while True:
        answer = yield Request(method="GET", path=path, query=query)
        if not is_page(page := json_of(answer)):
            raise unexpected(answer)
        for result in page["results"]:
            yield Shown(decode(kind, result))
        if not page["next"]:
            return
        # Not the URL itself: the server may know itself by another name than we do.
        query = dict(parse_qsl(urlsplit(page["next"]).query))


def first(stream: Stream[T], wanted: Callable[[T], bool]) -> Flow[T | None]:
    """Return the first of a stream that is wanted, and ask for no more; None if there is none."""
    given: Any = None
    while True:
        try:
            step = stream.send(given)
        except StopIteration:
            return None
        if not isinstance(step, Shown):
            given = yield step
        elif wanted(step.item):
            stream.close()
            return step.item
        else:
            given = None
