"""When a worker's pool makes a new child for one that is gone."""

from types import SimpleNamespace
from typing import Any

from celery.concurrency.asynpool import AsynPool
from kombu.asynchronous import Hub

from workers.celery_fixes.exits import see_exits_soon


def test_a_child_is_made_between_two_rounds_of_events(monkeypatch: Any) -> None:
    """In the midst of one its descriptors may get events that were a dead child's."""
    monkeypatch.setattr(AsynPool, "_event_process_exit", AsynPool._event_process_exit)
    monkeypatch.setattr(AsynPool, "timers", AsynPool.timers)
    see_exits_soon()
    done: list[str] = []
    pool = SimpleNamespace(
        _untrack_child_process=lambda _process, _hub: done.append("untracked"),
        maintain_pool=lambda: done.append("made"),
    )
    hub = Hub(timer=None)
    try:
        AsynPool._event_process_exit(pool, hub, object())
        assert done == ["untracked"]
        next(hub.create_loop())
        assert done == ["untracked", "made"]
    finally:
        hub.close()


def test_all_children_are_looked_at_often(monkeypatch: Any) -> None:
    monkeypatch.setattr(AsynPool, "_event_process_exit", AsynPool._event_process_exit)
    monkeypatch.setattr(AsynPool, "timers", AsynPool.timers)
    see_exits_soon()
    pool = SimpleNamespace(maintain_pool=lambda: None)
    assert max(AsynPool.timers.fget(pool).values()) < 1  # Celery's own: 5
