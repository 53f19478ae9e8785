"""How a run was asked for: what every benchmark is handed."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Self

DatabaseKind = Literal["sqlite", "postgresql"]


def default_cache() -> Path:
    """Return a folder outside the source tree: generated inputs take some two gigabytes."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "stocktake-benchmarks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command line, checked.

    Attributes:
        quick: a tenth of the requests and jobs: to see that it runs, not to quote.
        inputs: of the readers, by name; all where there are none.
        peers: the readers, by name; all where there are none.
        cache: a folder for the readers' generated inputs.
    """

    database: DatabaseKind = "sqlite"
    quick: bool = False
    inputs: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    cache: str = field(default_factory=lambda: str(default_cache()))

    def sized(self, full: int) -> int:
        """Return how many of something to measure."""
        return max(10, full // 10) if self.quick else full

    def line(self) -> str:
        """Write it for the command line of a benchmark's process."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read what `line` wrote."""
        stored = json.loads(line)
        return cls(**stored | {"inputs": tuple(stored["inputs"]), "peers": tuple(stored["peers"])})
