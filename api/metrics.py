"""What Prometheus reads: this process's requests as they end; all else as the database, which
knows of every process, and the broker have it. docs/metrics.md explains each.
"""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from stocktake import __version__
from stocktake.db.session import Database
from stocktake.jobs import counters
from stocktake.jobs.doorbell import Doorbell
from stocktake.monitoring import figures
from stocktake.states import Queue

_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0, 60.0)


class Metrics:
    """One app's registry: several apps in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        build = Info("stocktake_build", "The running version.", registry=self.registry)
        build.info({"version": __version__})
        self._requests = Counter(
            "stocktake_http_requests",
            "Requests by route and status.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "stocktake_http_request_seconds",
            "Time to the end of the answer, by route.",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._observed: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that has ended."""
        # Kept, as to find them by their labels takes longer than to count: there are few.
        key = (method, route, status)
        if (found := self._observed.get(key)) is None:
            counted = self._requests.labels(method, route, str(status))
            found = self._observed[key] = counted, self._seconds.labels(method, route)
        found[0].inc()
        found[1].observe(seconds)

    def watch_streams(self, count: Callable[[], int]) -> None:
        """Show how many event streams of projects are open."""
        streams = Gauge(
            "stocktake_event_streams",
            "Open event streams of projects.",
            registry=self.registry,
        )
        streams.set_function(count)

    def watch(self, database: Database, doorbell: Doorbell) -> None:
        """Read database and broker at each scrape: their figures are those of all processes."""
        self.registry.register(_FromDatabase(database))
        self.registry.register(_FromBroker(doorbell))


class _FromDatabase(Collector):
    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> list[Metric]:
        """Return names only: registering must not query."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the figures of the database; `database_up` alone, and 0, where it is away."""
        try:
            found = figures.read(self._database)
        except SQLAlchemyError:
            yield _gauge("database_up", "Whether the database answers.", 0)
            return
        yield _gauge("database_up", "Whether the database answers.", 1)
        yield from _counters(found.totals)
        yield from _gauges(found)


def _counters(totals: Mapping[str, Mapping[str, int]]) -> Iterator[Metric]:
    for name, text, counter, label in (
        ("attempts", "Attempts that ended, by how.", counters.ATTEMPTS, "code"),
        ("rescues", "Attempts taken from a lost worker.", counters.RESCUES, "reason"),
        ("rings_dropped", "Rings that the broker did not take.", counters.DROPPED_RINGS, "process"),
    ):
        family = CounterMetricFamily(f"stocktake_{name}", text, labels=(label,))
        for value, total in totals[counter].items():
            family.add_metric((value,), total)
        yield family
    yield CounterMetricFamily(
        "stocktake_stale_writes_refused",
        "Writes of attempts that had lost their lease.",
        value=sum(totals[counters.STALE_WRITES].values()),
    )


def _gauges(found: figures.Figures) -> Iterator[Metric]:
    yield _gauge_by("state", "jobs", "Jobs by state.", found.jobs)
    yield _gauge_by("queue", "due_jobs", "Queued jobs whose time has come.", found.due)
    yield _gauge_by(
        "queue", "oldest_queued_seconds", "Since when the oldest is due.", found.oldest_seconds
    )
    yield _gauge_by("queue", "places", "Workers' children, without the reserve.", found.places)
    yield _gauge_by("queue", "places_taken", "Jobs that run on these workers.", found.taken)
    yield _gauge_by("state", "upload_bytes", "Uploads in managed storage.", found.upload_bytes)
    yield _gauge("canary_away_seconds", "Since it left; 0: home.", found.canary_away_seconds)
    if found.canary_age_seconds is not None:
        text = "Since a canary came home."
        yield _gauge("canary_age_seconds", text, found.canary_age_seconds)
    if found.clock_age_seconds is not None:
        yield _gauge("clock_age_seconds", "Since a clock ticked.", found.clock_age_seconds)


class _FromBroker(Collector):
    def __init__(self, doorbell: Doorbell) -> None:
        self._doorbell = doorbell

    def describe(self) -> list[Metric]:
        """Return names only: registering must not query."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield how many messages wait at the broker, and how many this process gave it."""
        waiting = self._doorbell.queue_lengths()
        yield _gauge("broker_up", "Whether the broker answers.", waiting is not None)
        if waiting is not None:
            counts = {queue.value: waiting.get(queue, 0) for queue in Queue}
            yield _gauge_by("queue", "queue_messages", "Messages at the broker.", counts)
        published = getattr(self._doorbell, "published", None)
        if isinstance(published, int):
            yield CounterMetricFamily(
                "stocktake_rings_published", "Rings that the broker took.", value=published
            )


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"stocktake_{name}", text, value=value)


def _gauge_by(label: str, name: str, text: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"stocktake_{name}", text, labels=(label,))
    for labelled, value in values.items():
        family.add_metric((labelled,), value)
    return family
