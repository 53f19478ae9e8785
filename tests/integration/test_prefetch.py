"""What a worker does about the messages that it took from a broker that is away."""

from typing import Any

import pytest
from celery.signals import worker_init
from kombu import Connection, Consumer, Producer, Queue
from kombu.transport import redis

import workers.lifecycle  # noqa: F401  has the signal's receivers
from servers.process import PATIENCE_SECONDS
from servers.valkey import Valkey

NAME = "credit"


@pytest.fixture(autouse=True)
def _as_in_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis.Channel, "QoS", redis.Channel.QoS)
    worker_init.send(sender=None)


@pytest.mark.parametrize("end", ["ack", "reject"])
def test_a_message_whose_end_the_broker_did_not_hear_costs_no_credit(end: str) -> None:
    taken: list[Any] = []
    options = {"socket_timeout": 0.5}
    with Valkey() as broker, Connection(broker.url, transport_options=options) as connection:
        channel: Any = connection.default_channel
        channel.basic_qos(0, 1, False)
        queue = Queue(NAME, routing_key=NAME, channel=channel)
        Consumer(channel, [queue], on_message=taken.append, accept=["json"]).consume()
        with Connection(broker.url) as other:
            _publish(other, 1)
            connection.drain_events(timeout=PATIENCE_SECONDS)
            broker.pause()
            with pytest.raises(connection.connection_errors):
                getattr(taken[0], end)()
            broker.resume()
            _publish(other, 2)
        for _ in range(2):  # one to see that the connection is gone
            try:
                connection.drain_events(timeout=PATIENCE_SECONDS)
            except connection.connection_errors:
                continue
            break

    assert [message.payload for message in taken] == [1, 2]


def test_a_connection_that_broke_is_closed_without_its_broker() -> None:
    """Celery closes it to make another, and a worker ends of any other error than a broker's."""
    taken: list[Any] = []
    with Valkey() as broker, Connection(broker.url) as connection:
        channel: Any = connection.default_channel
        queue = Queue(NAME, routing_key=NAME, channel=channel)
        Consumer(channel, [queue], on_message=taken.append, accept=["json"]).consume()
        _publish(connection, 1)
        connection.drain_events(timeout=PATIENCE_SECONDS)
        broker.kill()
        channel._disconnect_pools()
        connection.transport.client = None  # as the first try to close leaves it

        channel.close()

    assert len(taken) == 1


@pytest.mark.parametrize("end", ["ack", "reject", "requeue"])
def test_the_end_of_a_message_of_a_closed_channel_fails_as_its_connection_did(end: str) -> None:
    """A read that was under way when the connection broke ends after Celery has made another."""
    taken: list[Any] = []
    with Valkey() as broker, Connection(broker.url) as connection:
        channel: Any = connection.default_channel
        queue = Queue(NAME, routing_key=NAME, channel=channel)
        Consumer(channel, [queue], on_message=taken.append, accept=["json"]).consume()
        _publish(connection, 1)
        connection.drain_events(timeout=PATIENCE_SECONDS)
        broker.kill()
        channel._disconnect_pools()
        connection.transport.client = None
        channel.close()

        with pytest.raises(connection.connection_errors):
            getattr(taken[0], end)()


def _publish(connection: Connection, number: int) -> None:
    Producer(connection.default_channel, serializer="json").publish(
        number, exchange="", routing_key=NAME
    )
