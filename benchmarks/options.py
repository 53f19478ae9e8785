"""How a run was asked for: what every benchmark is handed."""

from dataclasses import dataclass
from typing import Literal

DatabaseKind = Literal["sqlite", "postgresql"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command line, checked.

    Attributes:
        quick: a tenth of the requests and jobs: to see that it runs, not to quote.
    """

    database: DatabaseKind = "sqlite"
    quick: bool = False

    def sized(self, full: int) -> int:
        """How many of something to measure."""
        return max(10, full // 10) if self.quick else full
