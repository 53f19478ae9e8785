"""The doorbell on a broker that is away: it drops, counts what it dropped, and says so once."""

from typing import Any
from uuid import uuid4

from celery import Celery

from servers.process import free_ports
from servers.valkey import Valkey
from stocktake.db.session import Ring
from stocktake.settings import Settings
from stocktake.states import JobKind, Queue
from tasks.app import app
from tasks.doorbell import CeleryDoorbell
from tests.support.stack import wait_until


def _ring() -> Ring:
    return Ring(job_id=uuid4(), kind=JobKind.REFRESH_SCHEMA, queue=Queue.BULK)


def _doorbell(url: str, told: list[int], celery: Celery = app) -> CeleryDoorbell:
    doorbell = CeleryDoorbell(Settings(broker_url=url), celery)  # type: ignore[arg-type]
    doorbell.on_drop = told.append
    return doorbell


def test_rings_that_no_broker_takes_are_reported_by_number() -> None:
    told: list[int] = []
    doorbell = _doorbell(f"redis://127.0.0.1:{free_ports(1)[0]}/0", told)
    for _ in range(5):
        doorbell.ring(_ring())
    wait_until(lambda: sum(told) == 5, "the report of five dropped rings")
    assert doorbell.dropped == 5
    doorbell.close()
    assert sum(told) == 5


class FailsOnce(Celery):
    """Raises what no broker's client should, at the first message."""

    failed = False

    def send_task(self, *args: Any, **kwargs: Any) -> Any:
        if not self.failed:
            self.failed = True
            raise AttributeError("'NoneType' object has no attribute 'send'")
        return app.send_task(*args, **kwargs)


def test_an_error_that_nobody_foresaw_costs_one_ring_and_not_the_doorbell(valkey: Valkey) -> None:
    """Nobody would notice that its thread is gone: from then on every job waits for the clock."""
    told: list[int] = []
    doorbell = _doorbell(f"{valkey.url.removesuffix('/0')}/7", told, FailsOnce())
    doorbell.ring(_ring())
    wait_until(lambda: sum(told) == 1, "the report of the lost ring")
    doorbell.ring(_ring())
    wait_until(lambda: doorbell.published == 1, "the message")
    doorbell.close()


def test_rings_that_the_broker_takes_are_not(valkey: Valkey) -> None:
    told: list[int] = []
    doorbell = _doorbell(f"{valkey.url.removesuffix('/0')}/7", told)
    doorbell.ring(_ring())
    wait_until(lambda: doorbell.published == 1, "the message")
    lengths = doorbell.queue_lengths()
    assert lengths is not None
    assert lengths[Queue.BULK] >= 1
    doorbell.close()
    assert told == []
