"""The fault suite: a real service (`tests.support.harness`), an outside client and an oracle.

A row starts what it breaks from ``stack``, asks through ``client``, breaks it, proves that it
broke, and ends with ``oracle.check()``.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from servers.scripted_store import ScriptedStore
from servers.service import Web
from tests.faults.client import Client
from tests.faults.oracle import Oracle
from tests.faults.sources import DeltaSource
from tests.support.harness import Stack

HERE = Path(__file__).parent
#: Stay in `make test`: what the rows stand on, and the death of each process on one database.
IN_EVERY_RUN = {"test_calls.py", "test_core_dumps.py", "test_killed.py", "test_proxy.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.faults)
            if item.path.name not in IN_EVERY_RUN or _dialect(item) == "postgresql":
                item.add_marker(pytest.mark.thorough)


def _dialect(item: pytest.Item) -> str | None:
    """The database of a test, if it has one."""
    call = getattr(item, "callspec", None)
    return call and call.params.get("dialect")


@pytest.fixture
def extra_settings(store: ScriptedStore) -> dict[str, str]:
    """Short leases and distances, so that a fault is over in seconds."""
    return {
        "TRUSTED_ENDPOINTS": store.endpoint,
        "LEASE_SECONDS": "4",
        "HEARTBEAT_SECONDS": "0.5",
        "RING_AGAIN_SECONDS": "1",
        "CLOCK_INTERVAL_SECONDS": "0.2",
    }


@pytest.fixture
def web(stack: Stack) -> Web:
    """The API's process."""
    return stack.start_web()


@pytest.fixture
def client(stack: Stack, web: Web) -> Iterator[Client]:
    """The customer, outside of everything."""
    client = Client(web.url, stack.make_key(), stack.project_id)
    yield client
    client.close()


@pytest.fixture
def oracle(stack: Stack, client: Client) -> Oracle:
    """Who checks the five promises at the end."""
    return Oracle(stack, client)


@pytest.fixture
def new_source(stack: Stack) -> Callable[[], DeltaSource]:
    """Makes Delta tables in folders that the service may read."""
    made: list[DeltaSource] = []

    def new() -> DeltaSource:
        made.append(DeltaSource(stack.sources / f"source_{len(made)}"))
        return made[-1]

    return new


@pytest.fixture
def tables(
    stack: Stack, client: Client, oracle: Oracle, new_source: Callable[[], DeltaSource]
) -> dict[UUID, DeltaSource]:
    """Tables with their sources, in a service with one worker and one clock that is whole: each
    was read once, and has a newer version to read."""
    stack.start_worker()
    stack.start_clock()
    made = {}
    for _ in range(3):
        source = new_source()
        made[client.create(source)] = source
    assert set(oracle.check().ended) == {"succeeded"}
    for source in made.values():
        source.grow()
    return made
