"""What a check of `stocktake doctor` found, and what to do about it."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final

#: Why a check that asks it is skipped.
NO_DATABASE: Final = "the database does not answer"


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    #: Works, but not as it should in production.
    WARNING = "warning"
    #: Jobs are lost, late or not done until it is mended.
    FAILED = "failed"
    #: Could not be asked, because of another one that failed.
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check's outcome.

    Attributes:
        area: what was looked at, such as ``broker``.
        check: what of it.
        found: what is the case; no secret.
        todo: what to do; empty where nothing needs doing.
    """

    area: str
    check: str
    verdict: Verdict
    found: str
    todo: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return it as `--json` shows it."""
        return {name: str(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Area:
    """Makes the findings of one area."""

    name: str

    def ok(self, check: str, found: str) -> Finding:
        """Find that it is as it should be."""
        return Finding(area=self.name, check=check, verdict=Verdict.OK, found=found)

    def warning(self, check: str, found: str, todo: str) -> Finding:
        """Find that it should be looked at."""
        verdict = Verdict.WARNING
        return Finding(area=self.name, check=check, verdict=verdict, found=found, todo=todo)

    def failed(self, check: str, found: str, todo: str) -> Finding:
        """Find that it must be mended."""
        verdict = Verdict.FAILED
        return Finding(area=self.name, check=check, verdict=verdict, found=found, todo=todo)

    def skipped(self, check: str, why: str) -> Finding:
        """Say why it was not asked."""
        return Finding(area=self.name, check=check, verdict=Verdict.SKIPPED, found=why)
