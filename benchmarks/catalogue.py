"""What there is to measure, and how long each may take."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One benchmark.

    Attributes:
        function: ``module:name`` of what measures; takes `Options`, yields an `Outcome` for each
            part as soon as it is known.
        question: what it answers, for people.
        limit_minutes: after which it is stopped; a broken one hangs, and others wait behind it.
            Some ten times what it takes on two idle cores.
        by_database: whether it runs on each database that was asked for.
    """

    function: str
    question: str
    limit_minutes: float = 30.0
    by_database: bool = True


BENCHMARKS: Final[dict[str, Benchmark]] = {
    "ready": Benchmark(
        function="benchmarks.ready:measure",
        question="how long does `stocktake up` take in a new folder?",
        by_database=False,
    ),
    "accept": Benchmark(
        function="benchmarks.accept:measure",
        question="how long does a client wait for the 202 of `refresh_schema`?",
    ),
    "paces": Benchmark(
        function="benchmarks.paces:measure",
        question="what does a POST cost at 50, 200 and 300 a second, and who falls behind?",
    ),
    "tick": Benchmark(
        function="benchmarks.tick:measure",
        question="what does a tick of the clock cost with ten and with 100,000 jobs queued?",
    ),
    "lists": Benchmark(
        function="benchmarks.lists:measure",
        question="what does each list cost at 100,000 tables and as many jobs?",
    ),
    "console": Benchmark(
        function="benchmarks.console:measure",
        question="how long does each page of the console take, and how large is it?",
    ),
    "broker": Benchmark(
        function="benchmarks.broker:measure",
        question="does a client feel that the broker is frozen, killed or out of reach?",
    ),
    "start": Benchmark(
        function="benchmarks.start:measure",
        question="how long does a job wait for a worker on an idle service?",
    ),
    "shares": Benchmark(
        function="benchmarks.shares:measure",
        question="does a project feel the slow reads of others?",
    ),
    "throughput": Benchmark(
        function="benchmarks.throughput:measure",
        question="how many jobs a second, from the POST to the last row?",
    ),
    "bulk": Benchmark(
        function="benchmarks.bulk:measure",
        question="how long do 10,000 tables take with 1, 2 and 4 workers, and who waits beside?",
    ),
    "store_sweeps": Benchmark(
        function="benchmarks.store_sweeps:measure",
        question="how many jobs a second over S3, at 30 ms a request?",
    ),
    "loads": Benchmark(
        function="benchmarks.loads:measure",
        question="how long does a load take, beside write_deltalake and DuckDB, and after 10,000?",
        limit_minutes=90.0,
        by_database=False,
    ),
    "wide": Benchmark(
        function="benchmarks.wide:measure",
        question="do tables of 10,000 columns hold up those who ask for something else?",
    ),
    "readers": Benchmark(
        function="benchmarks.readers:measure",
        question="how long does reading a schema take, beside chdb, deltalake, polars and duckdb?",
        limit_minutes=150.0,
        by_database=False,
    ),
}
