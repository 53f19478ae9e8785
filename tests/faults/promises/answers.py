"""5. Every request is answered, and none with a 5xx that the fault does not explain."""

from collections.abc import Callable, Collection, Iterator, Sequence

from tests.faults.client import Sent
from tests.faults.promises.broken import Broken


def _always(_: Sent) -> bool:
    return True


def answered(
    log: Sequence[Sent],
    allowed: Collection[int | None],
    explained: Callable[[Sent], bool] = _always,
) -> Iterator[Broken]:
    """5. Every request was answered, and none with a 5xx.

    Args:
        allowed: statuses that this fault excuses; None excuses a missing answer.
        explained: whether a fault stood while the request was under way.
    """
    for sent in log:
        failed = sent.status is None or sent.status >= 500
        if failed and not (sent.status in allowed and explained(sent)):
            yield Broken(promise=5, what=f"{sent} {sent.body or ''}")
