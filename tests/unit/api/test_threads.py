"""What a cancelled task leaves to its thread."""

import asyncio
import threading

import pytest

from api.edge.threads import finish_in_thread


def test_a_cancelled_task_waits_for_its_thread() -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait()
        ended.set()

    async def cancelled() -> None:
        task = asyncio.create_task(finish_in_thread(work))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        asyncio.get_running_loop().call_soon(go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    asyncio.run(cancelled())


def test_what_the_work_returns_or_raises_is_passed_on() -> None:
    def broken() -> None:
        raise KeyError("lost")

    assert asyncio.run(finish_in_thread(lambda: 7)) == 7
    with pytest.raises(KeyError, match="lost"):
        asyncio.run(finish_in_thread(broken))
