"""A schedule fires once for a moment that its rule names, and goes on firing."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from tests.faults.promises.broken import Broken
from tests.faults.records import Records

EVERY_MINUTE: Final = "* * * * *"
#: Faults of the database keep a clock from firing for some seconds; then it fires for the latest
#: moment that it missed.
_LONGEST_GAP: Final = timedelta(minutes=3)


def fires(records: Records, until: datetime) -> Iterator[Broken]:
    """Hold each schedule of every minute to its rule.

    Args:
        until: a moment at which the clocks still ran.
    """
    for schedule in records.schedules.values():
        if schedule.cron != EVERY_MINUTE:
            continue
        fired = sorted(records.fires.get(schedule.id, ()), key=lambda fire: fire.fire_at)
        said = f"schedule {schedule.name}, {schedule.id},"
        # It does not fire while its last batch is still being expanded.
        ready = [schedule.created_at]
        for fire in fired:
            batch = records.batches.get(fire.batch_id)
            if batch is None:
                yield Broken(promise=2, what=f"{said} lost its batch of {fire.fire_at}")
            if fire.fire_at.second or not schedule.created_at < fire.fire_at <= fire.fired_at:
                what = f"{said} fired at {fire.fired_at} for {fire.fire_at}"
                yield Broken(promise=2, what=what)
            ready.append(max(fire.fired_at, (batch and batch.expanded_at) or fire.fired_at))
        moments = [*(fire.fired_at for fire in fired), until]
        for begin, end in zip(ready, moments, strict=True):
            if not schedule.paused and end - begin > _LONGEST_GAP:
                yield Broken(promise=2, what=f"{said} did not fire from {begin} to {end}")
