"""The doorbell: how a committed job row tells the workers that it is there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from stocktake.db.session import Ring
from stocktake.states import Queue


class QueueLengths(Protocol):
    """How many messages wait at the broker."""

    def __call__(self) -> Mapping[Queue, int] | None:
        """Return the number in each queue; None where the broker does not answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerAnswer:
    """What a worker says of itself when it is asked.

    Attributes:
        node: its name, such as `celery@host`.
        version: the release that it runs.
        processes: its children; None where it does not say.
        running: what they are at, by the kind of job.
    """

    node: str
    version: str
    processes: int | None = None
    running: Mapping[str, int] = field(default_factory=dict)


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

    def workers(self) -> Sequence[WorkerAnswer] | None:
        """Return what the workers say that answer soon; None where the broker does not."""
        ...

    def close(self) -> None:
        """Stop, giving what is still queued a moment to leave."""
        ...
