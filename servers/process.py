"""A server process: started, awaited, killed, and never left behind."""

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import psutil

LAUNCH = Path(__file__).with_name("launch.py")
HOST = "127.0.0.1"
LOG_TAIL_BYTES = 2000
#: How long to wait for what should come at once: only a failure takes so long, so it is for
#: a machine that is slow, busy or niced.
PATIENCE_SECONDS = 180


#: By port, what keeps it for this process: a socket that is bound and never listens.
_kept: dict[int, socket.socket] = {}


def free_ports(count: int) -> list[int]:
    """Return distinct TCP ports that are this process's own until `release_ports`.

    Other processes that ask find them taken; the server that gets one may listen on it, die and
    come back. They lie below the range that the kernel hands to outgoing connections.
    """
    ports: list[int] = []
    while len(ports) < count:
        candidate = socket.socket()
        try:
            # Refused if anyone has it, listening or not.
            candidate.bind((HOST, 12_000 + secrets.randbelow(20_000)))
        except OSError:
            candidate.close()
            continue
        # From now on Linux lets a server that sets it too, as all do, bind and listen beside this.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port = int(candidate.getsockname()[1])
        _kept[port] = candidate
        ports.append(port)
    return ports


def release_ports(ports: list[int]) -> None:
    """Let others have ports that `free_ports` gave. Twice is fine."""
    for port in ports:
        if port in _kept:
            _kept.pop(port).close()


def inside(package: str, pattern: str) -> Path:
    """Return the one path in an installed package, which is not imported: that may start things."""
    spec = importlib.util.find_spec(package)
    folders = (spec and spec.submodule_search_locations) or []
    found = [path for folder in folders for path in Path(folder).glob(pattern)]
    if len(found) != 1:
        raise ServerDiedError(f"{package} has no {pattern}; is the extra installed that names it?")
    return found[0]


class ServerDiedError(RuntimeError):
    """The server's process ended, or never answered; the message ends with its log."""


class Server(ABC):
    """A server process in a folder of its own, which stays the same over restarts.

    Args:
        folder: where it keeps data and log; a fresh one, removed by ``stop``, if not given.
    """

    name: ClassVar[str]
    ready_seconds: float = PATIENCE_SECONDS
    poll_seconds: ClassVar[float] = 0.02
    death_signal: ClassVar[signal.Signals] = signal.SIGKILL
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, folder: Path | None = None) -> None:
        self._owns_folder = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix=f"stocktake-{self.name}-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._ports_taken: list[int] = []

    @abstractmethod
    def command(self) -> list[str]:
        """Return the program and its arguments; the program as an absolute path."""

    @abstractmethod
    def answers(self) -> bool:
        """Return whether it can serve its first request."""

    def prepare(self) -> None:  # noqa: B027  most need nothing
        """Make what must be there before each start."""

    def environment(self) -> dict[str, str] | None:
        """Return its environment variables; None for this process's own."""
        return None

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def pid(self) -> int:
        """Process id; the same object over its life is one process at a time."""
        return self._running().pid

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    @property
    def user(self) -> str:
        """Which user the process runs as, in the words of ``launch.py``."""
        return "same"

    def start(self) -> Self:
        """Start it and wait until it answers.

        Raises:
            ServerDiedError: it ended, or did not answer within ``ready_seconds``.
        """
        self.begin()
        try:
            self.wait_until_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def begin(self) -> None:
        """Start it and do not wait: `wait_until_ready` does."""
        self.prepare()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.launched(self.command()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self.environment(),
                start_new_session=True,  # Ctrl-C in the terminal is for pytest, which stops us
            )

    def stop(self) -> None:
        """End it in good order, and remove its folder if it made it. Twice is fine."""
        self._end(self.stop_signal)
        self._give_back()

    def discard(self) -> None:
        """End it at once where nobody looks at how it ends, and remove its folder as `stop` does.

        Where coverage is measured it ends in good order: it writes then what it has run.
        """
        measured = "COVERAGE_PROCESS_CONFIG" in os.environ
        self._end(self.stop_signal if measured else signal.SIGKILL)
        self._give_back()

    def kill(self) -> None:
        """End it as a power cut would; its folder stays for ``start`` or ``restart``."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill it if it runs and start it again on the same port and data."""
        self.kill()
        self.start()

    def ask_to_end(self) -> None:
        """Send its stop signal; `wait_for_exit` tells how it took it."""
        os.kill(self.pid, self.stop_signal)

    def wait_for_exit(self, within_seconds: float) -> int:
        """Return its exit status, once it has ended by itself.

        Raises:
            ServerDiedError: it had not by then.
        """
        try:
            status = self._running().wait(within_seconds)
        except subprocess.TimeoutExpired as exc:
            raise ServerDiedError(
                f"{self.name} did not end within {within_seconds:g} s; its log ends:\n"
                f"{self.log_tail()}"
            ) from exc
        self._process = None
        return status

    def pause(self) -> None:
        """Freeze it: connections stand, nothing answers, until ``resume``."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        os.kill(self.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def launched(self, command: list[str]) -> list[str]:
        """Return the command, run by ``launch.py``: it ends with this process."""
        launcher = [sys.executable, "-I", "-S", str(LAUNCH)]
        return [*launcher, str(os.getpid()), str(int(self.death_signal)), self.user, *command]

    def wait_until_ready(self) -> None:
        """Wait until it answers.

        Raises:
            ServerDiedError: it ended, or did not answer within ``ready_seconds``.
        """
        process = self._running()
        give_up_at = time.monotonic() + self.ready_seconds
        while not self.answers():
            try:
                process.wait(self.poll_seconds)
            except subprocess.TimeoutExpired:
                if time.monotonic() < give_up_at:
                    continue
            raise ServerDiedError(
                f"{self.name} ended or did not answer within {self.ready_seconds:g} s "
                f"(exit code {process.poll()}); its log ends:\n{self.log_tail()}"
            )

    def take_ports(self, count: int) -> list[int]:
        """Return ports that nobody else is given until `stop` or `discard`."""
        taken = free_ports(count)
        self._ports_taken += taken
        return taken

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServerDiedError(f"{self.name} is not running; call start() first")
        return self._process

    def _give_back(self) -> None:
        release_ports(self._ports_taken)
        if self._owns_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def log_tail(self) -> str:
        """Return the end of its log."""
        return self.log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        # Looked for now: once it is gone, nothing tells whose they were.
        children = _children(process.pid)
        process.send_signal(how)
        if how != signal.SIGKILL:  # which reaches a paused process too, and leaves it no moment
            process.send_signal(signal.SIGCONT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # PostgreSQL refuses to start while a backend of the last postmaster is still there.
        psutil.wait_procs(children, timeout=PATIENCE_SECONDS)


def status_of(url: str | urllib.request.Request, trust: ssl.SSLContext | None = None) -> int | None:
    """Ask once, past any proxy, and return the status; None where nothing answers."""
    handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)]
    opener = urllib.request.build_opener(*handlers)
    try:
        with opener.open(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
