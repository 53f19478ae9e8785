"""What a run is handed: the claim it works under and the process's own parts."""

from dataclasses import dataclass, fields

from stocktake.db.session import Database
from stocktake.jobs.leases import Claim
from stocktake.readers.source import Limits, Progress
from stocktake.security.encryption import Keyring
from stocktake.settings import Settings
from stocktake.storage.managed import ManagedStorage
from stocktake.storage.places.guard import GuardPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at a job by this process.

    Attributes:
        progress: remembers how far the read has come; the watchdog writes it with the heartbeat.
    """

    claim: Claim
    database: Database
    settings: Settings
    keyring: Keyring
    guard: GuardPolicy
    storage: ManagedStorage
    progress: Progress

    @property
    def limits(self) -> Limits:
        """The budget of a read, as configured."""
        return limits_of(self.settings)


def limits_of(settings: Settings) -> Limits:
    """Each limit's setting has its name behind ``inference_`` (`readers.limits`)."""
    names = [field.name for field in fields(Limits)]
    return Limits(**{name: getattr(settings, f"inference_{name}") for name in names})
