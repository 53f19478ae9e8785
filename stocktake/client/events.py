"""Server-sent events, as the HTML standard's section 9.2 has them."""

from dataclasses import dataclass

from stocktake.client.requests import Flow, NextLine


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of a stream; `id` is where to go on after it."""

    name: str
    data: str
    id: str | None = None


def next_event() -> Flow[Event | None]:
    """Return the open stream's next event; None at its end, where half an event counts for none."""
    name, data, last = "message", list[str](), None
    while (line := (yield NextLine())) is not None:
        if not line:
            if data:
                return Event(name=name, data="\n".join(data), id=last)
            name = "message"
            continue
        field, _, value = line.partition(":")  # a comment has an empty name
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif field == "id":
            last = value
    return None
