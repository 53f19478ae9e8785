"""An independent witness of how late the machine is: a process that does now and then what a
request cannot do without, and says when that took far too long."""

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self

#: Of a processor, and a write that is on the disk: what one request takes of an idle machine.
_WORK: Final = """
import os, sys, time
from pathlib import Path
file = os.open(Path(sys.argv[1]) / "pulse", os.O_CREAT | os.O_WRONLY)
while True:
    time.sleep(0.1)
    began, busy = time.monotonic(), time.process_time()
    while time.process_time() - busy < 0.02:
        pass
    os.pwrite(file, b"x", 0)
    os.fsync(file)
    print(time.monotonic() - began, flush=True)
"""
#: Twenty times that: twelve customers who take turns of three then wait longer for theirs than a
#: request may.
LATE_SECONDS: Final = 0.4


class Pulse:
    """Runs until its block ends.

    Args:
        folder: on the disk that the service uses.

    Attributes:
        late: from when to when the machine was late.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.late: list[tuple[datetime, datetime]] = []
        self.beats = 0

    def __enter__(self) -> Self:
        command = [sys.executable, "-c", _WORK, str(self._folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self.beats += 1
                if (seconds := float(line)) > LATE_SECONDS:
                    now = datetime.now(UTC)
                    self.late.append((now - timedelta(seconds=seconds), now))

    def was_late(self, since: datetime, until: datetime) -> bool:
        """Return whether the machine was late at some moment between these."""
        return any(begin <= until and since <= end for begin, end in self.late)

    @property
    def late_share(self) -> float:
        """Of all that it did, how much was late."""
        return len(self.late) / max(1, self.beats)
