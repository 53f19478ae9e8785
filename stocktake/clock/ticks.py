"""What one tick of the clock does: fire schedules, rescue jobs and ring for them, send a canary.

When a tick comes is decided in `workers.beat`; what is done once a minute is in `upkeep`. Any
number of clocks may run: each write repeats the guard under which its row was selected.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from stocktake.clock.upkeep import Upkeep
from stocktake.db.clock import now
from stocktake.db.models import ClockBeat
from stocktake.db.session import Database, inserting
from stocktake.jobs import canary, counters, rescue, sweep_rings
from stocktake.jobs.doorbell import QueueLengths
from stocktake.jobs.leases import RetryPolicy
from stocktake.services import schedules
from stocktake.settings import Settings
from stocktake.states import Queue
from stocktake.storage.managed import ManagedStorage

#: Schedules fired in one tick, each in a transaction of its own; the others are due at the next.
FIRES_PER_TICK: Final = 50


#: Jobs of one transaction, which on SQLite keeps everybody else from writing.
RESCUES_PER_TICK: Final = 200


#: Well within the ten seconds after which readiness takes a clock for dead.
BEAT_SECONDS: Final = 2.0


#: `/metrics` lags behind by this, and by what `counters` lets attempts settle.
TALLY_SECONDS: Final = 5.0


#: After a round of upkeep that left nothing to do.
UPKEEP_SECONDS: Final = 60.0


#: Between two warnings of a queue that is full.
FULL_SECONDS: Final = 60.0


UNKNOWN_SECONDS: Final = 300.0


#: Schedules that one line of the log names.
SCHEDULES_NAMED: Final = 10


log = structlog.get_logger(__name__)


class ClockWork:
    """What one clock does, tick by tick.

    Args:
        queue_lengths: asked before anything is rung for.
        node: this clock's name in `clock_beats`; host and process id by default.
        monotonic: seconds that only go forward, for what happens once in a while.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        storage: ManagedStorage,
        queue_lengths: QueueLengths,
        *,
        node: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.node = node or f"{socket.gethostname()}/{os.getpid()}"
        self._database = database
        self._settings = settings
        self._upkeep = Upkeep(database, settings, storage, monotonic)
        self._queue_lengths = queue_lengths
        self._monotonic = monotonic
        self._last: dict[str, float] = {}

    def tick(self) -> bool:
        """Do what is due; whether all of it went well. Never raises.

        One step that fails does not keep the others from their work: a broker that is down
        must not stop the rescue of jobs.
        """
        steps: list[Callable[[], object]] = [
            self.fire_schedules,
            self.rescue_jobs,
            self.ring_for_jobs,
            self.send_canary,
        ]
        if self._is_time("tally", TALLY_SECONDS):
            steps.append(self.tally)
        if self._is_time("unknown", UNKNOWN_SECONDS):
            steps += [self.name_unknown_jobs, self.name_unfireable_schedules]
        outcomes = [self._attempt(step) for step in steps]
        # The beat comes last and only after a good tick: a clock that runs and gets nothing done
        # must not look alive.
        return all(outcomes) and (
            not self._is_time("beat", BEAT_SECONDS) or self._attempt(self.record_beat)
        )

    def _attempt(self, step: Callable[[], object]) -> bool:
        try:
            step()
        except Exception:
            # A tick that raises ends beat.
            log.exception("clock_step_failed", step=step.__name__, node=self.node)
            return False
        return True

    def _is_time(self, what: str, every_seconds: float) -> bool:
        moment = self._monotonic()
        if moment - self._last.get(what, float("-inf")) < every_seconds:
            return False
        self._last[what] = moment
        return True

    def fire_schedules(self) -> int:
        """Start the batches of due schedules, each in a transaction of its own; how many."""
        with self._database.read() as session:
            due = schedules.due(session, limit=FIRES_PER_TICK)
        return sum(self._fire(schedule_id) for schedule_id in due)

    def _fire(self, schedule_id: UUID) -> bool:
        with self._database.write() as session:
            batch = schedules.fire(session, self._settings, schedule_id)
        if batch is not None:
            log.info("schedule_fired", schedule_id=str(schedule_id), batch_id=str(batch.id))
        return batch is not None

    def rescue_jobs(self) -> int:
        """End the attempts whose lease ran out; how many."""
        with self._database.read() as session:
            lost = rescue.expired(session, limit=RESCUES_PER_TICK)
        if not lost:
            return 0
        with self._database.write() as session:
            rescued = rescue.rescue_expired(session, lost, RetryPolicy.of(self._settings))
        log.info("jobs_rescued", count=rescued)
        return rescued

    def ring_for_jobs(self) -> int:
        """Ring for jobs that are due and that nobody rang for lately; how many.

        Never more in a queue than fit under the longest allowed, and none while the broker is
        silent: a ring that is marked and lost would only delay the job.
        """
        again = self._settings.ring_again_seconds
        with self._database.read() as session:
            if not rescue.any_due_for_ring(session, ring_again_seconds=again):
                return 0
        # Asked outside a transaction, and before the jobs are counted: a message that is
        # taken in between makes one ring too few, which the next tick makes up for.
        waiting = self._queue_lengths()
        due, batches = ([], {}) if waiting is None else self._unannounced(waiting)
        if not due and not batches:
            return 0
        chunk = self._settings.sweep_chunk
        with self._database.write() as session:
            rung = rescue.ring_again(session, due, ring_again_seconds=again) if due else 0
            return rung + sweep_rings.ring_again(
                session, batches, chunk=chunk, ring_again_seconds=again
            )

    def _unannounced(self, waiting: Mapping[Queue, int]) -> tuple[list[UUID], Mapping[UUID, int]]:
        """Return jobs whose message is missing, as far as can be told, interactive ones first; and
        batches, each with the sweeps of it that are missing.

        In each queue as many as there are more jobs than messages. A job behind a long queue
        was not forgotten: without this, a backlog of 600 got two more messages for each job,
        and the workers spent three quarters of their time on refusing duplicates.
        """
        settings = self._settings
        found: list[UUID] = []
        batches: Mapping[UUID, int] = {}
        with self._database.read() as session:
            for queue in Queue:
                messages = waiting.get(queue, 0)
                room = settings.clock_max_queue_length - messages
                limit = min(room, settings.clock_rings_per_tick - len(found))
                if room <= 0 and self._is_time(f"full {queue}", FULL_SECONDS):
                    log.warning("queue_full", queue=queue.value, messages=messages)
                if messages and limit > 0:
                    # Counted no further than it matters: a hundred thousand that wait are no more
                    # rings in this tick than a few hundred.
                    jobs = rescue.runnable(session, at_most={queue: messages + limit})
                    limit = min(limit, jobs.get(queue, 0) - messages)
                if limit > 0 and queue is Queue.BULK:
                    batches = sweep_rings.due(
                        session, limit=limit, ring_again_seconds=settings.ring_again_seconds
                    )
                if limit > 0:
                    found += rescue.due_for_ring(
                        session,
                        queue=queue,
                        limit=limit,
                        ring_again_seconds=settings.ring_again_seconds,
                    )
        return found, batches

    def send_canary(self) -> None:
        """Send a canary, or ring again for the one whose message is lost."""
        settings = self._settings
        with self._database.read() as session:
            due = canary.due(session, every_seconds=settings.canary_interval_seconds)
            unheard = not due and canary.unheard(session, seconds=settings.ring_again_seconds)
        # Behind other messages it may still be on its way: one more would only lengthen the queue.
        if unheard:
            waiting = self._queue_lengths()
            unheard = waiting is not None and not waiting.get(canary.QUEUE)
        if not (due or unheard):
            return
        with self._database.write() as session:
            if due:
                canary.send(session, every_seconds=settings.canary_interval_seconds)
            else:
                canary.ring_again(session, seconds=settings.ring_again_seconds)

    def tally(self) -> None:
        """Add the attempts that ended lately to the totals."""
        with self._database.read() as session:
            if not counters.any_untallied(session):
                return
        with self._database.write() as session:
            counters.tally_attempts(session)

    def name_unknown_jobs(self) -> None:
        """Log the jobs that are left alone: a newer release made their kind or their queue."""
        with self._database.read() as session:
            found = rescue.unknown(session)
        for kind, queue, count in found:
            log.warning("unknown_jobs_left_alone", kind=kind, queue=queue, count=count)

    def name_unfireable_schedules(self) -> None:
        """Log the due schedules whose zone this machine lacks or whose rule it cannot read."""
        with self._database.read() as session:
            found = schedules.unfireable(session)
        if found:
            first = [(str(each.id), each.cron, each.timezone) for each in found[:SCHEDULES_NAMED]]
            log.error("schedules_not_fired", count=len(found), first=first)

    def tidy(self) -> bool:
        """Remove old bytes and rows, one batch; whether more is left."""
        return self._upkeep.run()

    def keep_tidy(self, stop: threading.Event) -> None:
        """Tidy once a minute, and tick by tick while more is left, until `stop` is set.

        For a thread of its own: storage that does not answer must keep no job waiting.
        """
        pause_seconds = 0.0
        while not stop.wait(pause_seconds):
            try:
                more = self.tidy()
            except Exception:
                log.exception("clock_step_failed", step="tidy", node=self.node)
                more = False
            pause_seconds = self._settings.clock_interval_seconds if more else UPKEEP_SECONDS

    def record_beat(self) -> None:
        """Say that this clock has just finished a good tick: readiness is asked of the database."""
        with self._database.write() as session:
            _upsert_beat(session, self.node)


def _upsert_beat(session: Session, node: str) -> None:
    statement = inserting(session, ClockBeat).values(node=node, ticked_at=now())
    session.execute(
        statement.on_conflict_do_update(index_elements=["node"], set_={"ticked_at": now()})
    )
