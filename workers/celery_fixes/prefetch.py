"""A worker stays, and keeps its credit, when the broker does not hear what it says of a message.

It takes a new message for each that it acknowledges, one for each child. kombu 5.7 counts a
message as done only after the broker has answered, and Celery goes on when it does not: each answer
that a frozen broker owed cost a credit, and a worker without any waited idle beside a full queue,
for ever.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from kombu.transport import redis, virtual

log = structlog.get_logger(__name__)


class KeptCredit(redis.QoS):
    """Counts a message as done in any case. The broker keeps what it was not told of, and gives it
    out again after the visibility timeout: to a claim that is refused, since the job has ended."""

    def ack(self, delivery_tag: str) -> None:
        """Tell the broker that the message is done."""
        try:
            with _failing_as_its_connection(self.channel):
                super().ack(delivery_tag)
        finally:
            virtual.QoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> Any:
        """Tell the broker that the message is not wanted, or wanted by another."""
        try:
            with _failing_as_its_connection(self.channel):
                super().reject(delivery_tag, requeue)
        finally:
            virtual.QoS.ack(self, delivery_tag)

    def restore_unacked(self, client: Any = None) -> None:
        """Put back what was taken and not acknowledged, as far as the broker can be told.

        Celery asks for it when a connection broke. That the broker is away, it expects; but kombu
        then fails in ways of its own too (`AttributeError`), which ended the worker.
        """
        taken: Any = self._delivered
        channel: Any = self.channel
        try:
            super().restore_unacked(client)
        except (AttributeError, *channel.connection_errors) as exc:
            log.warning("messages_not_put_back", count=len(taken), reason=repr(exc))
            taken.clear()


@contextmanager
def _failing_as_its_connection(channel: Any) -> Iterator[None]:
    """Raise a connection's error for kombu's `AttributeError`: Celery ends a job whose connection
    broke meanwhile on a channel that is closed, and logs no other errors than a connection's; that
    one ended the worker."""
    try:
        yield
    except AttributeError as exc:
        if not channel.closed:
            raise
        raise ConnectionResetError("the message's channel was closed with its connection") from exc


def keep_credit() -> None:
    """Have this process's connections count so; before it makes the first."""
    redis.Channel.QoS = KeptCredit
