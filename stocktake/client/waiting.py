"""Waiting for jobs and batches: the service holds the request, and is asked again when it says."""

import time
from typing import TypeAlias

from stocktake.client.answers import Batch, Job
from stocktake.client.decoding import decode
from stocktake.client.errors import NotEndedError
from stocktake.client.pages import part
from stocktake.client.refusals import failure_of
from stocktake.client.requests import (
    LONGEST_WAIT_SECONDS,
    Flow,
    Pause,
    Request,
    Shown,
    Stream,
    json_of,
    retry_after,
)

#: False: not at all. True: until the end, however long that takes. A number: so many seconds.
Wait: TypeAlias = bool | float


class Deadline:
    """What is left of a wait."""

    def __init__(self, wait: Wait | None) -> None:
        self._until: float | None = None
        if wait is not None and not isinstance(wait, bool):
            self._until = time.monotonic() + wait

    @property
    def left(self) -> float | None:
        """Seconds; None is for ever."""
        return None if self._until is None else max(0.0, self._until - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether nothing is left."""
        return self.left is not None and self.left <= 0

    @property
    def held(self) -> float:
        """For how many whole seconds the service may hold a request."""
        return LONGEST_WAIT_SECONDS if self.left is None else min(self.left, LONGEST_WAIT_SECONDS)

    def cut(self, seconds: float) -> float:
        """Return the seconds, or what is left if that is less."""
        return seconds if self.left is None else min(seconds, self.left)


def first_wait(wait: Wait) -> float:
    """Return for how long the request that makes a job may be held."""
    if isinstance(wait, bool):
        return LONGEST_WAIT_SECONDS if wait else 0
    return min(wait, LONGEST_WAIT_SECONDS)


def ended(job: Job, deadline: Deadline) -> Flow[Job]:
    """Return the job once it has succeeded.

    Raises:
        JobFailedError: it failed or was cancelled.
        NotEndedError: the time is over.
    """
    while not job.done:
        if deadline.over:
            raise NotEndedError(f"Job {job.id} is still {job.state}.", job=job)
        held = deadline.held
        answer = yield Request(
            method="GET",
            path=f"jobs/{part(job.id)}/",
            query={"wait": int(held)},
            wait_seconds=held,
        )
        job = decode(Job, json_of(answer))
        if not job.done:
            yield Pause(deadline.cut(retry_after(answer) or 1))
    if job.state != "succeeded":
        raise failure_of(job)
    return job


def batch_steps(batch: Batch, deadline: Deadline) -> Stream[Batch]:
    """Show the batch as it is, whenever it has changed, and at its end.

    Raises:
        NotEndedError: the time is over.
    """
    yield Shown(batch)
    shown = batch
    while not batch.done:
        if deadline.over:
            raise NotEndedError(f"Batch {batch.id} is still {batch.state}.", batch=batch)
        yield Pause(deadline.cut(1))
        answer = yield Request(method="GET", path=f"batches/{part(batch.id)}/")
        batch = decode(Batch, json_of(answer))
        if batch != shown:
            yield Shown(batch)
            shown = batch
