"""What a run is handed: the claim it works under and the process's parts."""

from dataclasses import dataclass

from stocktake.jobs.leases import Claim
from stocktake.limits import Limits
from stocktake.parts import ProcessParts
from stocktake.readers.source import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at a job by this process.

    Attributes:
        progress: remembers how far the read has come; the watchdog writes it with the heartbeat.
    """

    claim: Claim
    process: ProcessParts
    progress: Progress

    @property
    def limits(self) -> Limits:
        """The budget of a read, as configured."""
        return self.process.settings.limits
