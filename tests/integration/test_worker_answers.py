"""What workers say of themselves when they are asked, and brokers that cannot be asked."""

import pytest

from servers.process import free_ports
from servers.service import Worker
from servers.valkey import Valkey
from stocktake import __version__
from tasks.queue_lengths import ask_workers
from tests.support.harness import Stack

_SECONDS = 0.4


def test_a_broker_without_workers_is_told_apart_from_one_that_is_away() -> None:
    with Valkey() as broker:
        assert ask_workers(broker.url, _SECONDS) == []
        broker.pause()
        try:
            assert ask_workers(broker.url, _SECONDS) is None
        finally:
            broker.resume()
    assert ask_workers(f"redis://127.0.0.1:{free_ports(1)[0]}/0", _SECONDS) is None


@pytest.mark.faults
@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_worker_is_asked_again_and_again(stack: Stack, worker: Worker) -> None:
    """The broker gives no answer to a question of before."""
    url = stack.settings["BROKER_URL"]
    patient = [ask_workers(url, 10 * _SECONDS) for _ in range(2)]
    assert [[each.node for each in found or ()] for found in patient] == [[worker.node]] * 2
    found = (patient[0] or ())[0]
    assert found.version == __version__
    assert (found.processes or 0) > 0
    assert dict(found.running) == {}
