"""Child processes of one supervisor: started, restarted when they die, stopped, never left behind.

One thread only: the parent-death signal belongs to the thread that forks, and a fork beside
other threads may deadlock.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workers.process.parent_death import die_with_parent

#: A child that lived this long before it died is restarted without a pause.
_STABLE_SECONDS: Final = 60.0
_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05
_TAIL_BYTES: Final = 4000
_TAIL_LINES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What a child runs.

    Attributes:
        name: for its log file, and for people.
        environment: all of it; nothing is inherited.
        stop_signal: what asks it to end.
        death_signal: what the kernel sends it when the supervisor is gone.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL


class Child:
    """A program that is kept running.

    Args:
        folder: its working directory.
        log: takes its output, after what is there already.
    """

    def __init__(self, program: Program, folder: Path, log: Path) -> None:
        self.name = program.name
        self.log = log
        self._program = program
        self._folder = folder
        self._deaths = 0
        self._restart_at: float | None = None
        self._start()

    def _start(self) -> None:
        supervisor, death_signal = os.getpid(), self._program.death_signal
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._program.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._folder,
                env=dict(self._program.environment),
                # Ctrl-C at the terminal is for the supervisor, which ends its children in order.
                start_new_session=True,
                preexec_fn=lambda: die_with_parent(supervisor, death_signal),  # noqa: PLW1509 - one thread
            )
        self.started_at = time.monotonic()

    @property
    def pid(self) -> int:
        """The process id; another one after a restart."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; minus the signal's number where one ended it."""
        return self._process.poll()

    def restart_if_dead(self) -> str | None:
        """Start it again when its pause is over; a sentence when it is first seen dead."""
        if self.exit_status is None:
            return None
        if self._restart_at is None:
            return self._plan_restart()
        if time.monotonic() >= self._restart_at:
            self._restart_at = None
            self._start()
        return None

    def _plan_restart(self) -> str:
        self.kill_group()
        if time.monotonic() - self.started_at > _STABLE_SECONDS:
            self._deaths = 0
        pause = min(_FIRST_PAUSE_SECONDS * 2**self._deaths, _LONGEST_PAUSE_SECONDS)
        self._deaths += 1
        self._restart_at = time.monotonic() + pause
        return f"{self.name} ended ({self.exit_status}); starting it again in {pause:g} s"

    def ask_to_end(self) -> None:
        """Send its stop signal, if it runs."""
        if self.exit_status is None:
            self._process.send_signal(self._program.stop_signal)

    def kill_group(self) -> None:
        """End it, and what it forked, at once."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._process.wait()

    def log_tail(self) -> str:
        """Return the end of its log."""
        end = self.log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
        return "\n".join(end.rstrip().splitlines()[-_TAIL_LINES:])


def stop(children: Iterable[Child], patience_seconds: float) -> None:
    """Ask all of them to end, wait, and kill those that are left with whatever they forked."""
    asked = list(children)
    for child in asked:
        child.ask_to_end()
    give_up_at = time.monotonic() + patience_seconds
    while any(child.exit_status is None for child in asked) and time.monotonic() < give_up_at:
        time.sleep(_POLL_SECONDS)
    for child in asked:
        child.kill_group()
