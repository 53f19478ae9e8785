"""What `refresh --wait` shows while it waits."""

from typing import Any

import pytest

from cli.client import Client
from cli.progress import await_batch, progress

COUNTS = {"queued": 0, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0}
JOB = {
    "kind": "refresh_schema",
    "table_id": "7",
    "attempt": 2,
    "max_attempts": 5,
    "progress": {"phase": "reading", "files_done": 3, "files_total": 20},
    "next_run_at": "2026-11-02T10:00:00Z",
    "error": {"code": "storage_timeout"},
}


class _Server(Client):
    """Answers as the API does, for a batch of two whose last job is in each of these states."""

    def __init__(self, *states: str) -> None:
        self.states = list(states)

    def get(self, path: str, **query: Any) -> Any:
        if path.startswith("batches/"):
            self.states.pop(0)
            return self.batch()
        if path.startswith("warehouse_tables/"):
            return {"name": "orders"}
        found = [JOB | {"state": self.states[0]}] if query["state"] == self.states[0] else []
        return {"results": found}

    def batch(self) -> dict[str, Any]:
        done = not self.states
        counts = COUNTS | {"succeeded": 2 if done else 1}
        return {"id": "1", "done": done, "total": 2, "counts": counts}


def test_a_wait_tells_whom_it_waits_for_and_how_far_that_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    server = _Server("queued", "running", "running")
    with progress() as look:
        batch = await_batch(server, server.batch(), look)
    assert batch["done"]
    assert capsys.readouterr().out.splitlines() == [
        "1/2 done; orders: queued, attempt 2 of 5, next at 2026-11-02 10:00:00Z after "
        "storage_timeout",
        "1/2 done; orders: running, attempt 2 of 5, reading: 3 of 20 files",
        "2/2 done",
    ]
