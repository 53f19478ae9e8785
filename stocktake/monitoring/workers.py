"""Which workers there are, as they say themselves: for `stocktake doctor` and for people."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from stocktake import __version__
from stocktake.jobs.doorbell import WorkerAnswer


@dataclass(frozen=True, slots=True)
class Workers:
    """Those that answered.

    Attributes:
        found: by their nodes' names.
        reached: whether the broker took the question on to them.
    """

    found: Sequence[WorkerAnswer] = ()
    reached: bool = True

    @classmethod
    def of(cls, ask: Callable[[], Sequence[WorkerAnswer] | None]) -> Self:
        """Ask them, by way of the broker."""
        answers = ask()
        if answers is None:
            return cls(reached=False)
        return cls(sorted(answers, key=lambda each: each.node))

    @property
    def others(self) -> list[WorkerAnswer]:
        """Those that run another release than this process."""
        return [each for each in self.found if each.version != __version__]
