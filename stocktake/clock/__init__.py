"""What the clock does at each tick: schedules, rescue, rings, and the removal of what is old.

When a tick comes is `workers.beat`'s; nothing here knows Celery.
"""
