"""How values are told to people: times, sizes, counts, states."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

#: Characters of what is searched for that a page shows again.
MAX_SEARCH: Final = 200
_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")


@dataclass(frozen=True, slots=True)
class State:
    """How a state looks: a word, an icon, and the kind of its colour."""

    word: str
    icon: str
    kind: str


#: Of jobs, tables, changes, classes of change, batches and schedules; what is not here is told as
#: it is, as a newer release may know more.
STATES: Final = {
    "queued": State("queued", "clock", "quiet"),
    "running": State("running", "loader", "busy"),
    "succeeded": State("succeeded", "circle-check", "good"),
    "failed": State("failed", "circle-x", "bad"),
    "cancelled": State("cancelled", "ban", "quiet"),
    "pending": State("waits for you", "circle-alert", "warn"),
    "decided": State("decided", "circle-check", "good"),
    "replaced": State("replaced", "history", "quiet"),
    "withdrawn": State("withdrawn", "undo-2", "quiet"),
    "additive": State("additive", "plus", "good"),
    "widening": State("widening", "arrow-up", "warn"),
    "breaking": State("breaking", "triangle-alert", "bad"),
    "none": State("no change", "check", "quiet"),
    "expanding": State("expanding", "loader", "busy"),
    "finished": State("finished", "circle-check", "good"),
    "paused": State("paused", "circle-pause", "quiet"),
    "active": State("active", "circle-check", "good"),
    "reading": State("being read", "loader", "busy"),
    "failing": State("failing", "circle-x", "bad"),
    "waiting": State("waits for you", "circle-alert", "warn"),
    "never_read": State("never read", "circle-dashed", "quiet"),
    "fresh": State("as its files say", "circle-check", "good"),
    "stale": State("stale", "history", "warn"),
    "ok": State("ok", "circle-check", "good"),
    "passed": State("passed", "circle-check", "good"),
    "skipped": State("skipped", "minus", "quiet"),
}


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """Return how long ago something was, or in how long it will be.

    >>> noon = datetime(2026, 11, 2, 12, tzinfo=UTC)
    >>> ago(noon, noon.replace(minute=3)), ago(noon.replace(hour=15), noon), ago(None)
    ('3 min ago', 'in 3 h', 'never')
    """
    if moment is None:
        return "never"
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    if abs(seconds) < 10:
        return "just now"
    told = _span(abs(seconds))
    return f"{told} ago" if seconds > 0 else f"in {told}"


def _span(seconds: float) -> str:
    for length, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{int(seconds // length)} {name}"
    return f"{int(seconds)} s"


def moment(value: datetime) -> str:
    """Return an instant for people.

    >>> moment(datetime(2026, 11, 2, 12, tzinfo=UTC))
    '2026-11-02 12:00:00 UTC'
    """
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def iso(value: datetime) -> str:
    """Return an instant for programs."""
    return value.astimezone(UTC).isoformat()


def number(value: int | None) -> str:
    """Return a count with its thousands apart.

    >>> number(4812), number(None)
    ('4,812', '—')
    """
    return "—" if value is None else f"{value:,}"


def size(value: float | None) -> str:
    """Return a number of bytes.

    >>> size(512), size(1_400_000), size(None)
    ('512 B', '1.4 MB', '—')
    """
    if value is None:
        return "—"
    unit = 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def duration(seconds: float | None) -> str:
    """Return how long something took.

    >>> duration(0.0421), duration(3.21), duration(95), duration(None)
    ('42 ms', '3.2 s', '1 min 35 s', '—')
    """
    if seconds is None:
        return "—"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def cut(text: Any, most: int = 120) -> str:
    """Return a text, its middle left out where it is longer than a line.

    >>> cut("abcdefghij", 5)
    'ab…ij'
    """
    shown = str(text)
    if len(shown) <= most:
        return shown
    half = (most - 1) // 2
    return f"{shown[:half]}…{shown[len(shown) - half :]}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its word.

    >>> plural(1, "table"), plural(4812, "table"), plural(2, "batch", "batches")
    ('1 table', '4,812 tables', '2 batches')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"
