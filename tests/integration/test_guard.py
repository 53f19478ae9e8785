"""What the guard does about a child that gives no sign of life: by hand, and on a real process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import psutil
import pytest

from stocktake.errors import JobError
from tests.support.stack import wait_until
from workers.board import PLACES, Board, Place, Reading
from workers.guard import LOOK_SECONDS, SUSPECT_SECONDS, Bounds, Guard

#: Looks after which a silent child is suspect: the first one only meets it.
SUSPECT = 1 + round(SUSPECT_SECONDS / LOOK_SECONDS)
#: And some more.
A_FEW = SUSPECT + 2
LEASE_SECONDS = 4.0


@dataclass
class RecordedEnds:
    """Stands for the database: what the guard would have written."""

    wanted: bool = True
    written: bool = True
    beats: int = 0
    ended: list[str] = field(default_factory=list)
    leaving: dict[UUID, int] = field(default_factory=dict)

    def to_leave(self, worker: str) -> dict[UUID, int]:
        assert worker == "node"
        return self.leaving

    def beat(self, reading: Reading) -> bool:
        self.beats += 1
        return self.wanted

    def end(self, reading: Reading, error: JobError | None) -> bool:
        self.ended.append(error.code if error else "cancelled")
        return self.written


@dataclass
class Site:
    """A guard, the board that it looks at, and one child of this very process."""

    board: Board
    place: Place
    child: psutil.Popen
    ends: RecordedEnds
    job: UUID = field(default_factory=uuid4)

    def guard(self, **bounds: float) -> Guard:
        values = {
            "board": self.board.descriptor,
            "worker": os.getpid(),
            "presence": {"worker": "node"},
            "heartbeat_seconds": 0.0,
            "lease_seconds": LEASE_SECONDS,
            "job_time_limit_seconds": 300.0,
            "job_memory_limit_bytes": 1 << 40,
            "children": 1,
            "reserve_seconds": 2.0,
        } | bounds
        return Guard(
            board=self.board,
            bounds=Bounds(**values),  # type: ignore[arg-type]
            ends=self.ends,
            worker=psutil.Process(),
        )

    def begin(self, seconds: float = 300.0, pid: int | None = None) -> None:
        self.place.begin(self.job, 1, time.monotonic() + seconds, pid or self.child.pid)

    def is_gone(self) -> bool:
        return bool(self.child.poll() == -signal.SIGKILL)

    def must_be_gone(self) -> None:
        wait_until(self.is_gone, "the end of the child")


@pytest.fixture
def site() -> Iterator[Site]:
    board = Board.make()
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    child = psutil.Popen(command, stdin=subprocess.DEVNULL)
    yield Site(board, board.place(0), child, RecordedEnds())
    if child.poll() is None:
        child.kill()
        child.wait()


def look(guard: Guard, times: int = A_FEW) -> None:
    for _ in range(times):
        guard.look()


def test_a_child_that_gives_signs_of_life_is_left_to_its_own_watchdog(site: Site) -> None:
    guard = site.guard(job_memory_limit_bytes=1)
    site.begin(seconds=-1)
    for _ in range(50):
        site.place.beat()
        guard.look()
    assert (site.ends.beats, site.ends.ended, site.child.poll()) == (0, [], None)


@pytest.mark.parametrize(
    ("seconds", "bounds", "code"),
    [(-1, {}, "time_limit"), (300, {"job_memory_limit_bytes": 1}, "memory_limit")],
)
def test_a_silent_child_beyond_a_limit_is_ended_with_its_reason(
    site: Site, seconds: float, bounds: dict[str, float], code: str
) -> None:
    site.begin(seconds)
    look(site.guard(**bounds))
    site.must_be_gone()
    assert site.ends.ended == [code]


def test_a_silent_child_keeps_its_lease_for_as_long_as_one_lasts(site: Site) -> None:
    guard = site.guard()
    site.begin()
    look(guard, round(LEASE_SECONDS / LOOK_SECONDS) - 2)
    assert site.ends.beats > A_FEW
    assert site.ends.ended == []
    look(guard)
    site.must_be_gone()
    assert site.ends.ended == ["time_limit"]


def test_one_that_waits_for_the_database_is_not_silent(site: Site) -> None:
    """Its interpreter runs, and its watchdog hangs in a write; its deadline holds all the same."""
    guard = site.guard()
    site.begin(seconds=300)
    with site.place.writing():
        look(guard, round(2 * LEASE_SECONDS / LOOK_SECONDS))
        assert site.ends.ended == []
        site.begin(seconds=-1)
        site.place.beat(writing=True)
        look(guard)
    site.must_be_gone()


def test_a_job_that_is_not_wanted_any_more_ends_cancelled(site: Site) -> None:
    site.ends.wanted = False
    site.begin()
    look(site.guard())
    site.must_be_gone()
    assert site.ends.ended == ["cancelled"]


def test_a_worker_that_stops_hands_the_job_back(site: Site) -> None:
    site.board.stop_at = time.monotonic() - 0.1
    site.begin()
    look(site.guard())
    site.must_be_gone()
    assert site.ends.ended == ["worker_stopped"]


def test_what_could_not_be_written_is_tried_again_when_the_child_is_gone(site: Site) -> None:
    site.ends.written = False
    site.begin(seconds=-1)
    look(site.guard(), SUSPECT)
    site.must_be_gone()
    assert site.ends.ended == ["time_limit"] * 2


@pytest.mark.parametrize("came", ["back", "to_other_work", "to_its_end"])
def test_a_child_that_came_to_itself_meanwhile_is_not_killed(
    site: Site, monkeypatch: pytest.MonkeyPatch, came: str
) -> None:
    def end(reading: Reading, error: JobError | None) -> bool:
        {"back": site.place.beat, "to_other_work": other_work, "to_its_end": site.place.end}[came]()
        return True

    def other_work() -> None:
        site.job = uuid4()
        site.begin()

    monkeypatch.setattr(site.ends, "end", end)
    site.begin(seconds=-1)
    look(site.guard(), SUSPECT)
    # One that was killed is woken up and never sleeps again.
    wait_until(lambda: site.child.status() == psutil.STATUS_SLEEPING, "the child to go on")


def test_the_children_of_a_worker_that_somebody_froze_are_left_alone(site: Site) -> None:
    worker = psutil.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        worker.suspend()
        wait_until(lambda: worker.status() == psutil.STATUS_STOPPED, "the worker to be frozen")
        guard = site.guard()
        guard.look()
        site.begin(seconds=-1)
        look(guard, 1)
        guard.worker = worker
        look(guard, 50)
        assert (site.ends.beats, site.ends.ended, site.child.poll()) == (0, [], None)
    finally:
        worker.kill()
        worker.wait()


def test_a_process_that_is_no_child_of_the_worker_is_never_touched(site: Site) -> None:
    """A number that the kernel gave to somebody else since."""
    site.begin(seconds=-1, pid=os.getppid())
    look(site.guard(), 20)
    assert site.ends.ended == []


@pytest.mark.parametrize("dead", ["zombie", "reaped"])
def test_a_child_that_is_dead_is_for_its_worker_to_report(site: Site, dead: str) -> None:
    guard = site.guard()
    site.begin(seconds=-1)
    guard.look()
    os.kill(site.child.pid, signal.SIGKILL)
    wait_until(lambda: site.child.status() == psutil.STATUS_ZOMBIE, "its end")
    if dead == "reaped":
        site.child.wait()
    look(guard, 20)
    assert site.ends.ended == []


def test_a_board_shows_what_is_worked_on_in_any_place_and_to_another_process() -> None:
    board = Board.make()
    jobs = {number: uuid4() for number in (0, 1, PLACES - 1)}
    for number, job in jobs.items():
        board.place(number).begin(job, number + 1, 2.5)
    other = Board(board.descriptor)
    shown = {each.attempt - 1: each for each in other.readings()}
    assert {number: each.job_id for number, each in shown.items()} == jobs
    assert {each.pid for each in shown.values()} == {os.getpid()}
    board.place(1).end()
    assert len(other.readings()) == 2
    with pytest.raises(ValueError, match="1024 places"):
        board.place(PLACES)


def test_a_silent_childs_lease_is_looked_at_when_its_next_heartbeat_is_due(site: Site) -> None:
    """A child is silent for a moment on a busy machine, just when its job has ended."""
    site.ends.wanted = False
    site.begin()
    look(site.guard(heartbeat_seconds=3600.0), 10)
    assert (site.ends.beats, site.ends.ended, site.child.poll()) == (0, [], None)


def asked(site: Site, attempt: int = 1) -> bool:
    return site.place.asked_to_leave(site.job, attempt)


def test_a_read_that_was_in_the_reserve_for_long_is_asked_to_leave(site: Site) -> None:
    guard = site.guard()
    site.begin(seconds=300.0 - 1)
    site.ends.leaving = {site.job: 1}
    look(guard, 1)
    assert not asked(site)  # it has run for less than its time
    site.begin(seconds=300.0 - 3)
    site.ends.leaving = {site.job: 2}
    look(guard, 1)
    assert not asked(site)  # another attempt was meant
    site.ends.leaving = {site.job: 1}
    look(guard, 1)
    assert asked(site)
    assert not asked(site, attempt=2)
    assert not site.place.asked_to_leave(uuid4(), 1)


@pytest.mark.parametrize("children", [0, 2], ids=["none in reserve", "one is free"])
def test_nobody_is_asked_to_leave_where_that_would_help_nobody(site: Site, children: int) -> None:
    site.begin(seconds=1)
    site.ends.leaving = {site.job: 1}
    look(site.guard(children=children), 2)
    assert not asked(site)


def test_a_silent_child_that_must_leave_is_ended_by_the_guard(site: Site) -> None:
    site.begin(seconds=1)
    site.ends.leaving = {site.job: 1}
    look(site.guard())
    site.must_be_gone()
    assert site.ends.ended == ["reserve_needed"]
