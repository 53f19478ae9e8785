"""What a page is told while somebody looks at it: what has changed, for it to ask anew."""

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.console.routing import Router
from api.console.session import ReadEdge
from api.routes.events import Stream, open_stream, tell

router = Router()


async def _granted(
    edge: ReadEdge,
    topics: str,
    last_event_id: Annotated[str | None, Header()] = None,
) -> AsyncIterator[Stream]:
    with open_stream(edge, topics, last_event_id) as stream:
        yield stream


@router.get("/p/{project_id}/events", response_class=EventSourceResponse)
async def stream_events(
    stream: Annotated[Stream, Depends(_granted)], of: UUID | None = None
) -> AsyncIterator[ServerSentEvent]:
    """Send the events of the API's stream to who has signed in; `of` is the one thing of a page."""
    async for event in tell(stream, of):
        yield event
