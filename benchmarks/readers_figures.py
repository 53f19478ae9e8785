"""What the readers' benchmark found, held against what INTROSPECTION promises."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, Self

from benchmarks.figures import Figure, Target

Where = Literal["local", "S3"]
OURS: Final = "ours"
#: What PostHog runs, and so what is to be beaten.
RIVAL: Final = "chdb"
#: What is held against ours where that reads nothing: workbooks.
SHEETS_RIVAL: Final = "pandas"

_LOCAL_TIMES: Final = 4.0
_S3_TIMES: Final = 2.5
_UNCHANGED_S3_TIMES: Final = 10.0
_MEMORY_MIB: Final = 60.0
_FILES_TIMES: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One reader on one input in one place.

    Attributes:
        input: the input's name.
        what: the input, for people.
        unchanged: whether the source had been read before and the reader may know that.
        fresh_seconds: a new process, from its start to its answer; None where it was not new.
        warm_seconds: median of reads in a process that has read before.
        requests: of one warm read; None on the local disk.
        megabytes: read by one warm read, of 1,000,000 bytes; None on the local disk.
        idle_mib: resident after the imports.
        peak_mib: the most that was resident in any read.
        error: why there are no figures; then all of them are None.
    """

    input: str
    what: str
    where: Where
    peer: str
    unchanged: bool = False
    fresh_seconds: float | None = None
    warm_seconds: float | None = None
    requests: float | None = None
    megabytes: float | None = None
    idle_mib: float | None = None
    peak_mib: float | None = None
    error: str | None = None

    @property
    def label(self) -> str:
        """The input and how it was met, for people."""
        return f"{self.what}, unchanged" if self.unchanged else self.what

    @property
    def is_delta(self) -> bool:
        """Whether the input is a Delta table."""
        return self.what.startswith("Delta")

    @property
    def grown_mib(self) -> float | None:
        """How far the peak rose above what the process held idle."""
        if self.peak_mib is None or self.idle_mib is None:
            return None
        return max(self.peak_mib - self.idle_mib, 0.0)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Self:
        """Read what `as_dict` gave."""
        return cls(**stored)


def rival_of(one: Measured, found: Sequence[Measured]) -> Measured | None:
    """Return the rival's measurement on the same input in the same place. It reads a Delta table as
    if for the first time, always; of files it remembers the schema as long as its process lives.
    No input has two rivals."""
    same = (one.input, one.where, one.unchanged and not one.is_delta)
    return next(
        (
            it
            for it in found
            if it.peer in (RIVAL, SHEETS_RIVAL) and (it.input, it.where, it.unchanged) == same
        ),
        None,
    )


def times_faster(one: Measured, found: Sequence[Measured]) -> float | None:
    """Return how many of its warm reads fit into one of the rival's."""
    rival = rival_of(one, found)
    if rival is None or not rival.warm_seconds or not one.warm_seconds:
        return None
    return rival.warm_seconds / one.warm_seconds


def figures(found: Sequence[Measured]) -> list[Figure]:
    """Return what is promised, each with its target."""
    ours = [each for each in found if each.peer == OURS]
    return [
        *_speed(ours, found),
        *_memory(ours),
        *_flatness(ours),
    ]


def _speed(ours: Sequence[Measured], found: Sequence[Measured]) -> list[Figure]:
    return [
        Figure(
            name=f"{each.label}; {each.where}, warm: times faster than {rival.peer}",
            value=times,
            unit="x",
            target=_speed_target(each) if rival.peer == RIVAL else None,
        )
        for each in ours
        if (rival := rival_of(each, found)) and (times := times_faster(each, found)) is not None
    ]


def _speed_target(one: Measured) -> Target | None:
    """Return the target; None for unchanged files, where both readers make one request."""
    if one.unchanged and not one.is_delta:
        return None
    if one.where == "local":
        return Target(bound=_LOCAL_TIMES, lower_is_better=False)
    bound = _UNCHANGED_S3_TIMES if one.unchanged else _S3_TIMES
    return Target(bound=bound, lower_is_better=False)


def _memory(ours: Sequence[Measured]) -> list[Figure]:
    return [
        Figure(
            name=f"{each.label}; {each.where}: peak above idle",
            value=each.grown_mib,
            unit="MiB",
            target=Target(bound=_MEMORY_MIB),
        )
        for each in ours
        if each.is_delta and each.grown_mib is not None
    ]


def _flatness(ours: Sequence[Measured]) -> list[Figure]:
    """Return a million files against a hundred."""
    seconds = {(each.input, each.where): each.warm_seconds for each in ours if not each.unchanged}
    places: tuple[Where, ...] = ("local", "S3")
    return [
        Figure(
            name=f"Delta, 1,000,000 files : 100 files; {where}, warm",
            value=many / few,
            unit="x",
            target=Target(bound=_FILES_TIMES),
        )
        for where in places
        if (many := seconds.get(("files_1m", where))) and (few := seconds.get(("files_100", where)))
    ]
