"""The changes of projects for event streams: one look a process for all clients, twice a second.

Nothing is looked for while nobody listens. A client holds no thread: it has what changed since its
last event, each thing once, and waits for more on the event loop.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from uuid import UUID

import structlog
from anyio import CapacityLimiter
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from api.edge.threads import finish_in_thread
from api.edge.waiting import KEYS_EVERY_SECONDS, Holder
from stocktake.db.session import Database
from stocktake.errors import RequestError, ThrottledError
from stocktake.services import feed, identity
from stocktake.services.context import Caller
from stocktake.services.feed import Change, Mark, Topic

#: Between two looks, and between two events of a client.
INTERVAL_SECONDS: Final = 0.5
#: Streams of one process, and of one project in it; those of a key count as requests that wait.
MAX_STREAMS: Final = 5000
MAX_PROJECT_STREAMS: Final = 500
#: Things of a topic that one event names; of more it says that there are more.
MOST_SHOWN: Final = 100
#: Pages of a topic that one look reads again, while it is not sure yet that nothing comes behind.
_MOST_PAGES: Final = 20
#: After this long no transaction of the service is under way any more: PostgreSQL ends those that
#: stand still after half of it. Another's on the same server may keep its snapshots back for hours.
_SURELY_ENDED_SECONDS: Final = 60.0
#: When a stream that was one too many may be asked for again.
_RETRY_SECONDS: Final = 5

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Listener:
    """One stream: what its client has not been told of yet."""

    project_id: int
    topics: frozenset[Topic]
    holder: Holder | None
    #: Where it would go on: all up to there was told or is pending. None: not known yet.
    cursor: int | None
    _pending: dict[tuple[Topic, UUID], Change] = field(default_factory=dict)
    _more: set[Topic] = field(default_factory=set)
    _refusal: RequestError | None = None
    _closed: bool = False
    _rung: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, changes: Iterable[Change], more: Collection[Topic] = ()) -> None:
        """Take what changed, beside what is pending: each thing as it is now."""
        self._more |= self.topics & set(more)
        for change in changes:
            key = change.topic, change.id
            newest = self._pending.get(key, change)
            if change.topic in self.topics and change.number >= newest.number:
                self._pending[key] = change
        for topic, count in Counter(topic for topic, _ in self._pending).items():
            if count > MOST_SHOWN:
                self._more.add(topic)
                self._leave_out(topic)
        self._rung.set()

    def _leave_out(self, topic: Topic) -> None:
        of_topic = [key for key in self._pending if key[0] is topic]
        for key in of_topic[:-MOST_SHOWN]:
            del self._pending[key]

    def end(self, refusal: RequestError | None = None) -> None:
        """Let it end, by a refusal or without."""
        self._refusal, self._closed = refusal, True
        self._rung.set()

    async def settled(self) -> bool:
        """Wait until it is known where the client would go on; False where it ends before."""
        while self.cursor is None and not self._closed:
            self._rung.clear()
            await self._rung.wait()
        return not self._closed

    async def next(self) -> dict[str, Any] | None:
        """Wait for a change, and return all that are pending; None at the end.

        Raises:
            RequestError: what the request would be refused with by now.
        """
        while not self._closed and not self._pending and not self._more:
            self._rung.clear()
            await self._rung.wait()
        if self._refusal:
            raise self._refusal
        if self._closed:
            return None
        event: dict[str, Any] = {topic.value: [] for topic in Topic if topic in self.topics}
        for change in self._pending.values():
            event[change.topic.value].append(change.shown)
        event["more"] = sorted(self._more)
        self._pending, self._more = {}, set()
        return event


class Feed:
    """Looks for the changes of projects that somebody listens to."""

    def __init__(self, database: Database, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._database, self._interval_seconds = database, interval_seconds
        self._listeners: set[Listener] = set()
        self._joined = asyncio.Event()
        self._thread = CapacityLimiter(1)
        self._closed = False
        self._looking = False
        self._keys_at = 0.0
        self._forget()
        #: Looks made so far; none is made while nobody listens.
        self.looks = 0

    def _forget(self) -> None:
        #: All changes up to this number were told; None: not known yet.
        self._low: int | None = None
        self._before: Mark | None = None
        self._marks: deque[tuple[int, int, float]] = deque()
        self._told: dict[tuple[Topic, UUID], int] = {}

    @property
    def listening(self) -> int:
        """How many streams are open."""
        return len(self._listeners)

    @contextmanager
    def listener(
        self,
        project_id: int,
        topics: Collection[Topic],
        holder: Holder | None = None,
    ) -> Iterator[Listener]:
        """Listen to a project for the block, from when the listener has settled on.

        Raises:
            ThrottledError: there are too many streams already.
        """
        mine = sum(each.project_id == project_id for each in self._listeners)
        if self.listening >= MAX_STREAMS or mine >= MAX_PROJECT_STREAMS or self._closed:
            raise ThrottledError(_RETRY_SECONDS)
        # A look that is under way neither asks for it nor tells it: it waits for the next.
        cursor = None if self._looking else self._low
        listener = Listener(project_id, frozenset(topics), holder, cursor)
        self._listeners.add(listener)
        self._joined.set()
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def close(self) -> None:
        """End all streams: the process ends."""
        self._closed = True
        for listener in self._listeners:
            listener.end()

    async def run(self) -> None:
        """Look until cancelled; the app's lifespan runs it."""
        while True:
            await self._joined.wait()
            self._joined.clear()
            while self._listeners:
                self._looking = True
                try:
                    await self._tick()
                finally:
                    self._looking = False
                await asyncio.sleep(self._interval_seconds)
            self._forget()

    async def _tick(self) -> None:
        listeners = list(self._listeners)
        begun = time.monotonic()
        key_ids = {each.holder.key_id for each in listeners if each.holder}
        if begun < self._keys_at:
            key_ids = set()
        try:
            work = partial(self._look, {each.project_id for each in listeners}, key_ids)
            changes, more, callers = await finish_in_thread(work, self._thread)
        except SQLAlchemyError as exc:
            # They listen on: what was missed is found by the next look.
            log.warning("feed_look_failed", reason=type(exc).__name__)
            return
        except Exception:
            log.exception("feed_look_broken")
            return
        if key_ids:
            self._keys_at = begun + KEYS_EVERY_SECONDS
            _check(listeners, key_ids, callers)
        self._tell(listeners, changes, more)

    def _look(
        self, project_ids: set[int], key_ids: set[UUID]
    ) -> tuple[list[Change], set[tuple[int, Topic]], Mapping[UUID, Caller]]:
        self.looks += 1
        with self._database.read() as session:
            callers = identity.live_callers(session, key_ids) if key_ids else {}
            now = feed.mark(session)
            number = now.number
            found: list[Change] = []
            more: set[tuple[int, Topic]] = set()
            # Nobody has settled yet where it is not known: what came meanwhile is read again then.
            after = number if self._low is None else self._low
            for topic in Topic:
                part = self._newest(session, topic, project_ids, after)
                if len(part) == feed.MOST_ROWS:
                    number = min(number, part[-1].number)  # beyond it nothing was seen
                    more |= feed.cut_off(session, topic, project_ids, part)
                found += part
            new = [each for each in found if self._is_new(each)]
            jobs = [each for each in new if each.topic is Topic.JOBS]
            batches = feed.batches_of(session, jobs) if jobs else []
        self._settle(Mark(
            number=number, ended_below=now.ended_below, begun_below=now.begun_below
        ))  # fmt: skip
        self._told |= {(each.topic, each.id): each.number for each in new}
        return new + batches, more, callers

    def _newest(
        self, session: Session, topic: Topic, project_ids: set[int], after: int
    ) -> Sequence[Change]:
        """Return the first page of a topic that has something new, or the last.

        Those before it were told, and are read again for what came behind.
        """
        part: Sequence[Change] = ()
        for _ in range(_MOST_PAGES):
            part = feed.changed(session, topic, project_ids, after)
            if len(part) < feed.MOST_ROWS or any(map(self._is_new, part)):
                break
            after = part[-1].number
        return part

    def _is_new(self, change: Change) -> bool:
        return self._told.get((change.topic, change.id)) != change.number

    def _settle(self, now: Mark) -> None:
        """Move on to the newest number that no transaction can come behind any more."""
        at = time.monotonic()
        if not now.begun_below:  # one writer at a time: what has a number is there
            self._low = now.number
        elif self._before is not None:
            self._marks.append((self._before.number, now.begun_below, at))
        self._before = now
        while self._marks:
            number, begun_below, seen_at = self._marks[0]
            if now.ended_below < begun_below and at - seen_at < _SURELY_ENDED_SECONDS:
                break
            self._low = max(number, self._low or 0)
            self._marks.popleft()
        low = self._low or 0
        self._told = {key: number for key, number in self._told.items() if number > low}

    def _tell(
        self,
        listeners: Iterable[Listener],
        changes: Collection[Change],
        more: Collection[tuple[int, Topic]],
    ) -> None:
        by_project: dict[int, list[Change]] = {}
        for change in changes:
            by_project.setdefault(change.project_id, []).append(change)
        for listener in listeners:
            first = listener.cursor is None
            if self._low is not None:
                listener.cursor = self._low
            left_out = [topic for project_id, topic in more if project_id == listener.project_id]
            if first or left_out or listener.project_id in by_project:
                listener.add(by_project.get(listener.project_id, ()), left_out)


def _check(
    listeners: Iterable[Listener], key_ids: Collection[UUID], callers: Mapping[UUID, Caller]
) -> None:
    for listener in listeners:
        if listener.holder and listener.holder.key_id in key_ids:
            try:
                listener.holder.admit(callers.get(listener.holder.key_id))
            except RequestError as refusal:
                listener.end(refusal)
