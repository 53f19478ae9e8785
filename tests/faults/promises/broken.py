"""What is said of a promise that does not hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A promise that does not hold, and the jobs whose history tells why."""

    promise: int
    what: str
    jobs: Sequence[UUID] = ()

    def __str__(self) -> str:
        return f"promise {self.promise}: {self.what}"
