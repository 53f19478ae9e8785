"""The doorbell on a broker that is away: it drops, counts what it dropped, and says so once."""

import base64
import json
from typing import Any
from uuid import uuid4

import redis
from celery import Celery
from kombu import Connection

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

    @property
    def amqp(self) -> Any:
        if not self.failed:
            self.failed = True
            raise AttributeError("'NoneType' object has no attribute 'send'")
        return app.amqp


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


def test_a_message_is_what_celery_would_have_sent(valkey: Valkey) -> None:
    """Workers, Flower and the next release of Celery read it: nothing but the ids is our own."""
    url, ring = f"{valkey.url.removesuffix('/0')}/8", _ring()
    doorbell = _doorbell(url, [])
    doorbell.ring(ring)
    wait_until(lambda: doorbell.published == 1, "the message")
    doorbell.close()
    with Connection(url) as connection, connection.Producer() as producer:
        app.send_task(
            str(ring.kind),
            args=(str(ring.job_id),),
            task_id=str(ring.job_id),
            queue=ring.queue.value,
            producer=producer,
            ignore_result=True,
        )
        with redis.Redis.from_url(url) as client:
            theirs, ours = (json.loads(each) for each in client.lrange(ring.queue.value, 0, -1))
    for each in (ours, theirs):
        for drawn in ("delivery_tag", "reply_to"):  # the address of an answer that nobody sends
            each["properties"].pop(drawn, None)
        each["body"] = json.loads(base64.b64decode(each["body"]))
    assert ours == theirs


def test_rings_that_wait_go_together(valkey: Valkey) -> None:
    """One by one a thousand of them took a tenth of a second of the process that accepts jobs."""
    url = f"{valkey.url.removesuffix('/0')}/9"
    doorbell = _doorbell(url, [])
    rings = [_ring() for _ in range(1_000)]
    with redis.Redis.from_url(url) as client:
        before = client.info("stats")["total_reads_processed"]
        for ring in rings:
            doorbell.ring(ring)
        wait_until(lambda: doorbell.published == len(rings), "the messages")
        reads = client.info("stats")["total_reads_processed"] - before
        sent = client.lrange(rings[0].queue.value, 0, -1)
    doorbell.close()
    # As they were rung; the broker hands out the last of the list first.
    ids = [json.loads(each)["headers"]["id"] for each in reversed(sent)]
    assert ids == [str(ring.job_id) for ring in rings]
    assert reads < 500
