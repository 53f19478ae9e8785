"""The queue of writers. Two queues on one file stand for two processes: the kernel's lock belongs
to the open file, whichever process opened it."""

import threading
from pathlib import Path

from stocktake.db.turns import WriteQueue

LONG_SECONDS = 60.0


def _take(queue: WriteQueue, order: list[str], name: str) -> threading.Thread:
    def run() -> None:
        with queue.turn() as held:
            order.append(f"{name} {held}")

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_second_process_waits_until_the_first_has_ended_its_turn(tmp_path: Path) -> None:
    first, second = (WriteQueue(tmp_path / "turn", LONG_SECONDS) for _ in range(2))
    order: list[str] = []

    with first.turn() as held:
        waiting = _take(second, order, "second")
        waiting.join(0.05)
        order.append(f"first {held}")
    waiting.join(LONG_SECONDS)

    assert order == ["first True", "second True"]


def test_a_second_thread_of_the_same_process_waits_too(tmp_path: Path) -> None:
    queue = WriteQueue(tmp_path / "turn", LONG_SECONDS)
    order: list[str] = []

    with queue.turn():
        waiting = _take(queue, order, "second")
        waiting.join(0.05)
        order.append("first")
    waiting.join(LONG_SECONDS)

    assert order == ["first", "second True"]


def test_who_waits_too_long_goes_on_without_its_turn(tmp_path: Path) -> None:
    frozen, other = WriteQueue(tmp_path / "turn"), WriteQueue(tmp_path / "turn", 0.01)

    with frozen.turn(), other.turn() as held:
        assert held is False


def test_a_turn_that_comes_after_its_waiter_has_left_is_given_back(tmp_path: Path) -> None:
    frozen, impatient = WriteQueue(tmp_path / "turn"), WriteQueue(tmp_path / "turn", 0.01)
    with frozen.turn(), impatient.turn():
        pass

    with WriteQueue(tmp_path / "turn", LONG_SECONDS).turn() as held:
        assert held is True


def test_a_turn_ends_with_an_error_in_its_block(tmp_path: Path) -> None:
    queue = WriteQueue(tmp_path / "turn", LONG_SECONDS)

    try:
        with queue.turn():
            raise LookupError
    except LookupError:
        pass

    with WriteQueue(tmp_path / "turn", 0.0).turn() as held:
        assert held is True


def test_a_folder_that_takes_no_file_costs_only_the_order(tmp_path: Path) -> None:
    with WriteQueue(tmp_path / "missing" / "turn").turn() as held:
        assert held is False
