"""Pages of lists: limit, offset and cursor, and the links to the next and the previous one."""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Final, TypedDict
from urllib.parse import quote

from fastapi import Depends, Query, Request
from pydantic import BaseModel
from pydantic_core import to_json
from starlette.datastructures import URL

from api.edge.edge import T, parts_of
from stocktake.db.pages import WRONG_CURSOR, Place
from stocktake.errors import (
    ValidationError,
)

#: A name of 128 characters may be in it.
MAX_CURSOR: Final = 2_000


#: Of one page, after its first result: what is larger goes on behind `next`.
MAX_PAGE_BYTES: Final = 4 * 1024 * 1024


#: Longest page; a larger `limit` is cut to it.
MAX_PAGE: Final = 1000


#: A name or an address, and a port, and nothing that would begin another part of a URL.
_HOST: Final = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.ASCII | re.I)


class Part(TypedDict):
    """What services take of a page."""

    limit: int
    offset: int
    after: Place | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which part of a list is wanted.

    Attributes:
        by_place: whether the client goes from place to place, by `cursor`.
        after: where the page before ended; None at the begin.
    """

    request: Request
    limit: int
    offset: int
    by_place: bool = False
    after: Place | None = None

    @property
    def part(self) -> Part:
        """What a service is asked for: one row more than is shown, to know whether there is one."""
        return {"limit": self.limit + 1, "offset": self.offset, "after": self.after}

    def body(
        self,
        count: int,
        rows: Iterable[T],
        show: Callable[[T], BaseModel],
        place: Callable[[T], Place],
        *,
        cut: bool = False,
    ) -> bytes:
        """Return the page on the wire: `PageBody` of whatever the results are. For a thread's use.

        It ends before `limit` where its results are large, and `next` goes on there.

        Args:
            rows: from a service that was asked for `part`, or fewer; no more are taken than fit.
            place: where a row stands in the list.
            cut: whether the service gave fewer, as they are large.
        """
        results: list[bytes] = []
        size, more, last = 0, cut, None
        for row in rows:
            result = to_json(show(row))
            size += len(result)
            if results and (len(results) == self.limit or size > MAX_PAGE_BYTES):
                more = True
                break
            results.append(result)
            last = place(row)
        following = self._next(len(results), last) if more and last else None
        before = self.offset - self.limit
        previous = self._url(offset=max(before, 0)) if self.offset > 0 else None
        links = {"count": count, "next": following, "previous": previous}
        # The results are JSON already, to be measured; as bytes they are not written a second time.
        return to_json(links)[:-1] + b',"results":[' + b",".join(results) + b"]}"

    def _next(self, shown: int, place: Place) -> str:
        if self.by_place:
            return self._url(cursor=_cursor(place))
        return self._url(offset=self.offset + shown)

    def _url(self, **where: str | int) -> str:
        scope = self.request.scope
        url = URL(f"{quote(scope['path'])}?{scope['query_string'].decode('latin-1')}")
        url = url.include_query_params(limit=self.limit, **where)
        if not where.get("offset"):
            url = url.remove_query_params("offset")
        return origin_of(self.request) + str(url)


def _cursor(place: Place) -> str:
    return urlsafe_b64encode(to_json(place)).decode("ascii").rstrip("=")


def _place(cursor: str) -> Place | None:
    """Return what a cursor says; None of an empty one, with which a client begins."""
    if not cursor:
        return None
    try:
        # With the padding again that `_cursor` has taken off.
        place = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError) as exc:
        raise ValidationError(WRONG_CURSOR, attr="cursor") from exc
    if not isinstance(place, list):
        raise ValidationError(WRONG_CURSOR, attr="cursor")
    return place


def origin_of(request: Request) -> str:
    """Return where a client that was told a path would ask; empty where it named a host that is
    none of ours (`allowed_hosts`): who follows the link then asks again where it asked before."""
    host = request.headers.get("host", "")
    named, allowed = _HOST.fullmatch(host), parts_of(request).process.settings.allowed_hosts
    if named is None or not any(_is_host(named[1].lower(), each) for each in allowed):
        return ""
    return f"{request.url.scheme}://{host}"


def _is_host(name: str, allowed: str) -> bool:
    name, allowed = name.strip("[]"), allowed.lower().strip("[]")
    if allowed.startswith("*."):
        return name.endswith(allowed[1:])
    return allowed in ("*", name)


def _page(
    request: Request,
    limit: Annotated[int, Query(ge=1, description="Results per page, up to 1000.")] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9, description="Results to leave out.")] = 0,
    cursor: Annotated[
        str | None,
        Query(
            max_length=MAX_CURSOR,
            description="Empty at first, then as `next` has it. While others come and go, each "
            "result that was there at the first page and stays is shown once. One that is "
            "committed after that page is shown only where it stands further on: a list that is "
            "begun anew has it. `previous` is null.",
        ),
    ] = None,
) -> Page:
    if cursor is not None and offset:
        raise ValidationError("Send a cursor or an offset, not both.", attr="cursor")
    return Page(
        request=request,
        limit=min(limit, MAX_PAGE),
        offset=offset,
        by_place=cursor is not None,
        after=_place(cursor or ""),
    )


PageDep = Annotated[Page, Depends(_page)]
