"""What does the work: workers and clock, seen through what they leave in the database."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy import select

from cli.doctor.findings import NO_DATABASE, Area, Finding
from stocktake import __version__
from stocktake.db.clock import now
from stocktake.db.session import Database
from stocktake.monitoring import readiness
from stocktake.monitoring.readiness import Part, Readiness, Status
from stocktake.monitoring.workers import Workers
from stocktake.settings import Settings
from tasks.queue_lengths import BrokerQueueLengths, ask_workers

#: Beyond the first, log lines of several machines do not sort; beyond the second, API keys end
#: at the wrong time.
_SKEW_TO_NOTE: Final = timedelta(seconds=2)
_SKEW_TO_MEND: Final = timedelta(minutes=1)
_REPLY_SECONDS: Final = 2.0

_worker, _clock = Area("worker"), Area("clock")


def look_at_processes(database: Database | None, settings: Settings) -> Iterator[Finding]:
    """Yield the canary, the workers' versions, the clock's last tick, and this machine's time.

    Args:
        database: None where it does not answer.
    """
    if database is None:
        yield _worker.skipped("canary", NO_DATABASE)
        yield _clock.skipped("last tick", NO_DATABASE)
        return
    url = settings.broker_url.get_secret_value()
    lengths = BrokerQueueLengths(url)
    found = readiness.look(database, settings, lengths)
    lengths.close()
    yield judge_worker(found)
    if found.checks[Part.BROKER] is Status.OK:
        yield judge_versions(Workers.of(partial(ask_workers, url, _REPLY_SECONDS)))
    yield judge_clock(found)
    yield judge_skew(_skew(database))


def judge_worker(found: Readiness) -> Finding:
    """Judge whether jobs are done."""
    status = found.checks[Part.WORKER]
    if status is Status.UNKNOWN:
        return _worker.skipped("canary", "no canary goes round while another part is at fault")
    if status is Status.BUSY:
        return _worker.ok("canary", "late, behind jobs that are being worked on")
    if not status.good:
        todo = "Start a worker, or restart the one that runs; its log says what it last did."
        return _worker.failed("canary", found.reasons[Part.WORKER], todo)
    if found.canary_age_seconds is None:
        return _worker.warning("canary", "none has come home yet", "Ask again in half a minute.")
    return _worker.ok("canary", f"came home {found.canary_age_seconds:.0f} s ago")


def judge_versions(workers: Workers) -> Finding:
    """Judge whether the workers run the code that is installed here."""
    if not workers.found:
        todo = "Start a worker, or restart the one that runs."
        return _worker.failed("version", "no worker answers", todo)
    if others := workers.others:
        shown = ", ".join(f"{each.node} runs {each.version}" for each in others)
        todo = f"Restart them with {__version__}, which is installed here, once a deploy is over."
        return _worker.warning("version", shown, todo)
    return _worker.ok("version", f"{__version__} on {', '.join(it.node for it in workers.found)}")


def judge_clock(found: Readiness) -> Finding:
    """Judge whether retries, rescues and schedules happen."""
    status = found.checks[Part.CLOCK]
    if status is Status.UNKNOWN:
        return _clock.skipped("last tick", "cannot be told before the database is migrated")
    if not status.good:
        todo = "Start a clock (`celery -A workers beat --scheduler workers.beat:Clock`)."
        return _clock.failed("last tick", found.reasons[Part.CLOCK], todo)
    return _clock.ok("last tick", f"{found.clock_age_seconds:.0f} s ago")


def _skew(database: Database) -> timedelta:
    """Return how far this machine's time is ahead of the database's."""
    with database.read() as session:
        before = datetime.now(UTC)
        theirs = session.scalars(select(now())).one()
        # The answer is of the middle of its way, as far as can be told.
        return before + (datetime.now(UTC) - before) / 2 - theirs


def judge_skew(ahead: timedelta) -> Finding:
    """Judge whether this machine and the database agree on the time."""
    shown = f"{abs(ahead).total_seconds():.1f} s {'ahead of' if ahead > timedelta() else 'behind'}"
    found = f"this machine is {shown} the database"
    todo = "Have both keep time by NTP. Leases and schedules go by the database's clock alone."
    if abs(ahead) > _SKEW_TO_MEND:
        return _clock.failed("skew", found, todo)
    if abs(ahead) > _SKEW_TO_NOTE:
        return _clock.warning("skew", found, todo)
    return _clock.ok("skew", f"less than {_SKEW_TO_NOTE.total_seconds():g} s to the database")
