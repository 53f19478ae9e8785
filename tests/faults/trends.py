"""What the service's processes hold, looked at between jobs, and how that grows with the jobs."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import combinations
from statistics import median
from typing import Final

import psutil

MIB: Final = 1 << 20
#: Samples of a process below which nothing is said of its trend, and jobs that they must span.
FEWEST: Final = 8
SPAN: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one process held after so many jobs.

    Attributes:
        jobs: of a reading child its own, of another process everybody's.
        memory_mib: resident and its own; the files that it has mapped do not count.
    """

    jobs: int
    memory_mib: float
    threads: int
    descriptors: int
    connections: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """How much a process may grow in a thousand jobs, and what it may hold at most."""

    slope: float
    most: float


Bounds = Mapping[str, Bound]


def sample(process: psutil.Process, jobs: int) -> Sample:
    """Look at a process now.

    Raises:
        psutil.NoSuchProcess: it has ended.
    """
    with process.oneshot():
        memory = process.memory_info()
        return Sample(
            jobs=jobs,
            memory_mib=(memory.rss - memory.shared) / MIB,
            threads=process.num_threads(),
            descriptors=process.num_fds(),
            connections=len(process.net_connections("tcp")),
        )


def slope(samples: Sequence[Sample], what: str) -> float:
    """Return how much it grows in a thousand jobs: the median of the slopes between any two samples
    (Theil and Sen), which a step or a few outliers do not move.

    >>> slope([Sample(jobs=n, memory_mib=n / 100, threads=1, descriptors=1, connections=1)
    ...        for n in range(0, 1000, 100)], "memory_mib")
    10.0
    """
    pairs = [(a, b) for a, b in combinations(samples, 2) if b.jobs > a.jobs]
    if not pairs:
        return 0.0
    return median(
        1000 * (getattr(b, what) - getattr(a, what)) / (b.jobs - a.jobs) for a, b in pairs
    )


@dataclass(slots=True)
class Trends:
    """The samples of all processes.

    Args:
        warm_up: jobs after which a process has loaded and cached what it needs.
    """

    warm_up: int
    samples: dict[str, list[Sample]] = field(default_factory=lambda: defaultdict(list))

    def look(self, processes: Iterable[tuple[str, int, int]]) -> None:
        """Add a sample of each process, named and with its jobs; one that has just ended is left
        out."""
        for name, pid, jobs in processes:
            with suppress(psutil.NoSuchProcess):
                self.samples[name].append(sample(psutil.Process(pid), jobs))

    def settled(self) -> Iterator[tuple[str, Sequence[Sample]]]:
        """Yield the samples of each process behind its warm-up, where they are enough."""
        for name, found in sorted(self.samples.items()):
            later = [each for each in found if each.jobs >= self.warm_up]
            if len(later) >= FEWEST and later[-1].jobs - later[0].jobs >= SPAN:
                yield name, later

    def broken(self, bounds: Mapping[str, Bounds]) -> Iterator[str]:
        """Yield what grows faster than it may, or is more than it may be, of each kind of process.

        Of several of a kind the median of their slopes counts. A child lives for a thousand jobs,
        and connections that live for seconds make a slope of hundreds, up or down, of its own.

        Args:
            bounds: by the first word of a process's name, and by the field of its samples.
        """
        kinds = defaultdict[str, list[Sequence[Sample]]](list)
        for name, found in self.settled():
            kinds[name.split()[0]].append(found)
        for kind, processes in kinds.items():
            for what, bound in bounds[kind].items():
                grows = median(slope(found, what) for found in processes)
                most = max(getattr(each, what) for found in processes for each in found)
                if grows > bound.slope:
                    yield f"{kind}: {what} grows by {grows:.1f} in 1,000 jobs, not {bound.slope}"
                if most > bound.most:
                    yield f"{kind}: {what} is {most:.0f}, at most {bound.most} expected"

    def told(self) -> Iterator[str]:
        """Yield a line of each process: from what to what each figure went, and its trend."""
        for name, found in self.settled():
            parts = [
                f"{what} {getattr(found[0], what):.0f}..{getattr(found[-1], what):.0f}"
                f" ({slope(found, what):+.1f}, most {max(getattr(s, what) for s in found):.0f})"
                for what in ("memory_mib", "threads", "descriptors", "connections")
            ]
            yield f"{name:<18} jobs {found[0].jobs}..{found[-1].jobs}: {', '.join(parts)}"
