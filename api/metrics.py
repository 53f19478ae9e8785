"""What Prometheus reads: requests as they end, jobs as the table has them."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from stocktake.db.clock import now
from stocktake.db.models import Job
from stocktake.db.session import Database
from stocktake.jobs.doorbell import Doorbell
from stocktake.states import JobState

_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0, 60.0)


class Metrics:
    """One app's registry: several apps in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
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

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that has ended."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def watch(self, database: Database, doorbell: Doorbell) -> None:
        """Read the jobs' figures from this database at each scrape."""
        self.registry.register(_Jobs(database))
        self.registry.register(_Rings(doorbell))


class _Jobs(Collector):
    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> list[Metric]:
        """Names only: registering must not query."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Jobs by state and kind, and how long the oldest one has waited past its due time."""
        with self._database.read() as session:
            counts = session.execute(
                select(Job.state, Job.kind, func.count()).group_by(Job.state, Job.kind)
            ).all()
            due = Job.state == JobState.QUEUED.value, Job.next_run_at <= now()
            oldest = session.scalar(select(func.min(Job.next_run_at)).where(*due))
            moment = session.scalars(select(now())).one()
        jobs = GaugeMetricFamily("stocktake_jobs", "Jobs by state.", labels=("state", "kind"))
        for state, kind, count in counts:
            jobs.add_metric((state, kind), count)
        yield jobs
        age = 0.0 if oldest is None else (moment - oldest).total_seconds()
        yield GaugeMetricFamily(
            "stocktake_oldest_queued_seconds", "Age of the oldest due job.", value=max(age, 0.0)
        )


class _Rings(Collector):
    def __init__(self, doorbell: Doorbell) -> None:
        self._doorbell = doorbell

    def describe(self) -> list[Metric]:
        """Names only."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Messages published and dropped, where the doorbell counts them."""
        rings = CounterMetricFamily(
            "stocktake_rings", "Rings by what became of them.", labels=("outcome",)
        )
        for outcome in ("published", "dropped"):
            count = getattr(self._doorbell, outcome, None)
            if isinstance(count, int):
                rings.add_metric((outcome,), count)
        yield rings
