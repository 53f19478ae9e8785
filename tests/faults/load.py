"""What the soak is to do and when, by a seed: the requests of its customers, and the faults."""

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from tests.faults.client import Client, Sent
from tests.faults.sources import CsvSource, DeltaSource

REQUESTS_PER_SECOND: Final = 8.0
#: A customer's patience with one request, over all of its repetitions.
INSISTING_SECONDS: Final = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """Something that is to happen so many seconds after the start."""

    at: float
    name: str
    seed: int

    def numbers(self) -> random.Random:
        """What it decides by."""
        return random.Random(self.seed)


def plan_requests(seed: int, seconds: float, actions: Mapping[str, int]) -> list[Planned]:
    """Requests at random moments, by their weights."""
    numbers = random.Random(f"{seed} requests")
    planned, at = [], 0.0
    while (at := at + numbers.expovariate(REQUESTS_PER_SECOND)) < seconds:
        [name] = numbers.choices(list(actions), list(actions.values()))
        planned.append(Planned(at=at, name=name, seed=numbers.getrandbits(32)))
    return planned


def plan_faults(seed: int, seconds: float, names: Sequence[str]) -> list[Planned]:
    """All of the faults, in a new order each time round, some seconds apart."""
    numbers = random.Random(f"{seed} {sorted(names)}")
    planned: list[Planned] = []
    left: list[str] = []
    at = 0.0
    while (at := at + numbers.uniform(2, 8)) < seconds:
        left = left or numbers.sample(sorted(names), len(names))
        planned.append(Planned(at=at, name=left.pop(), seed=numbers.getrandbits(32)))
    return planned


class Customers:
    """What is asked, by name. Changes of one table come one after the other, as those of a
    customer do who waits for each answer: so it is known which is the last."""

    #: How often each of them comes, of a hundred.
    weights: Final = {
        "refresh": 33,
        "grow": 18,
        "refresh_and_wait": 5,
        "rename": 6,
        "override": 6,
        "upload": 8,
        "refresh_all": 6,
        "retry_with_the_same_key": 3,
        "read": 8,
        "cancel": 3,
        "retry": 2,
        "make_and_delete": 1,
        "schedule": 1,
    }

    def __init__(self, client: Client) -> None:
        self._client = client
        self._tables = list(client.sources)
        self._turns = {table: threading.Lock() for table in self._tables}

    def ask(self, name: str, numbers: random.Random) -> None:
        """Ask, and repeat it until it is taken."""
        table = numbers.choice(self._tables)
        method: Callable[[UUID, random.Random], Sent] = getattr(self, f"_{name}")
        with self._turns[table] if name in {"grow", "rename", "override"} else nullcontext():
            # A job that has ended is cancelled no more, and one of a deleted table not retried.
            refusals = {"cancel": (409,), "retry": (404, 409)}.get(name, ())
            self._insist(method(table, numbers), *refusals)

    def _insist(self, sent: Sent, *also: int) -> Sent:
        """Repeat it until it is taken, or refused with one of these."""
        return self._client.insist(sent, *also, within_seconds=INSISTING_SECONDS)

    def _refresh(self, table: UUID, _: random.Random) -> Sent:
        return self._client.refresh(table)

    def _refresh_and_wait(self, table: UUID, numbers: random.Random) -> Sent:
        return self._client.refresh(table, prefer=f"wait={numbers.randint(1, 5)}")

    def _grow(self, table: UUID, _: random.Random) -> Sent:
        source = self._client.sources[table]
        assert isinstance(source, DeltaSource | CsvSource)
        source.grow()
        return self._client.refresh(table)

    def _rename(self, table: UUID, numbers: random.Random) -> Sent:
        return self._client.change(table, name=f"t_{numbers.getrandbits(64):x}")

    def _override(self, table: UUID, numbers: random.Random) -> Sent:
        return self._client.override(table, column_0=numbers.choice(["string", "float", None]))

    def _upload(self, _: UUID, numbers: random.Random) -> Sent:
        return self._client.upload(f"ledger_{numbers.randint(0, 2)}", rows=numbers.randint(1, 50))

    def _refresh_all(self, _: UUID, __: random.Random) -> Sent:
        return self._client.refresh_all()

    def _retry_with_the_same_key(self, table: UUID, _: random.Random) -> Sent:
        return self._client.again(self._client.refresh(table))

    def _read(self, table: UUID, numbers: random.Random) -> Sent:
        if numbers.random() < 0.5:
            return self._client.read(table)
        return self._client.read_job(numbers.choice(self._client.jobs()))

    def _cancel(self, table: UUID, _: random.Random) -> Sent:
        asked = self._insist(self._client.refresh(table))
        assert asked.job is not None
        return self._client.cancel(asked.job)

    def _retry(self, _: UUID, numbers: random.Random) -> Sent:
        return self._client.retry(numbers.choice(self._client.jobs()))

    def _make_and_delete(self, table: UUID, numbers: random.Random) -> Sent:
        """A table of the same source, which is read once or not at all before it goes."""
        made = self._client.register(self._client.sources[table], f"d_{numbers.getrandbits(64):x}")
        made = self._insist(made)
        self._insist(self._client.read(made.table_id))
        return self._client.delete(made.table_id)

    def _schedule(self, _: UUID, numbers: random.Random) -> Sent:
        """A schedule that is run by hand."""
        made = self._client.schedule(f"s_{numbers.getrandbits(64):x}", "0 0 1 1 *")
        made = self._insist(made)
        return self._client.run_schedule(made.body["id"])
