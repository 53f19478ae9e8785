"""What the soak is to do and when, by a seed: the requests of its customers, and the faults."""

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from tests.faults.client import Client, Sent
from tests.faults.sources import DeltaSource

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
        "refresh": 50,
        "grow": 20,
        "refresh_and_wait": 5,
        "rename": 6,
        "override": 6,
        "upload": 8,
        "refresh_all": 1,
        "retry_with_the_same_key": 4,
    }

    def __init__(self, client: Client) -> None:
        self._client = client
        self._tables = list(client.sources)
        self._turns = {table: threading.Lock() for table in self._tables}

    def ask(self, name: str, numbers: random.Random) -> None:
        """Ask, and repeat it until it is taken."""
        table = numbers.choice(self._tables)
        method: Callable[[UUID, random.Random], Sent] = getattr(self, f"_{name}")
        if name in {"grow", "rename", "override"}:
            with self._turns[table]:
                self._insist(method(table, numbers))
        else:
            self._insist(method(table, numbers))

    def _insist(self, sent: Sent) -> None:
        self._client.insist(sent, within_seconds=INSISTING_SECONDS)

    def _refresh(self, table: UUID, _: random.Random) -> Sent:
        return self._client.refresh(table)

    def _refresh_and_wait(self, table: UUID, numbers: random.Random) -> Sent:
        return self._client.refresh(table, prefer=f"wait={numbers.randint(1, 5)}")

    def _grow(self, table: UUID, _: random.Random) -> Sent:
        source = self._client.sources[table]
        assert isinstance(source, DeltaSource)
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
