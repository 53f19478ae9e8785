"""A worker sees within half a second that a child of its pool is gone, and makes another.

Celery 5.7 watches each child's end in its event loop, and makes the new child in the midst of a
round of events. The new one's descriptors get the numbers that the dead one's had a moment before,
and an event of the dead one, later in the same round, is taken for the end of the new one, which is
watched no longer. Whatever is missed so, it finds by a look at all children every five seconds; of
children that ended in a row every second one was seen that late.
"""

from typing import Any, Final

from celery.concurrency.asynpool import AsynPool

#: A look at a few children costs microseconds.
_LOOK_SECONDS: Final = 0.5


def see_exits_soon() -> None:
    """Have this process's pool make new children between two rounds of events, and look often."""
    pool: Any = AsynPool
    pool._event_process_exit = _event_process_exit
    pool.timers = property(_timers)


def _event_process_exit(pool: Any, hub: Any, process: Any) -> None:
    pool._untrack_child_process(process, hub)
    hub.call_soon(pool.maintain_pool)


def _timers(pool: Any) -> dict[Any, float]:
    return {pool.maintain_pool: _LOOK_SECONDS}
