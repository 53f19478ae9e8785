"""The doorbell: how a committed job row tells the workers that it is there."""

from collections.abc import Callable, Mapping
from typing import Protocol

from stocktake.db.session import Ring
from stocktake.states import Queue


class QueueLengths(Protocol):
    """How many messages wait at the broker."""

    def __call__(self) -> Mapping[Queue, int] | None:
        """Return the number in each queue; None where the broker does not answer."""
        ...


class Doorbell(Protocol):
    """Publishes messages that carry a job's id and nothing else.

    A lost, doubled or late message is harmless: the row is the truth and the clock rings again.

    Attributes:
        on_drop: told how many rings were dropped, in a thread that may take its time.
    """

    on_drop: Callable[[int], None]

    def ring(self, ring: Ring) -> None:
        """Take the ring and return at once; drop it where it cannot be delivered soon."""
        ...

    def queue_lengths(self) -> Mapping[Queue, int] | None:
        """Return how many messages wait in each queue; None where the broker does not answer."""
        ...

    def close(self) -> None:
        """Stop, giving what is still queued a moment to leave."""
        ...
