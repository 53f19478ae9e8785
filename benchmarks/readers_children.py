"""Driving one reader's process: start it, ask it, and end it when it takes too long."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from benchmarks.peers import Place

_ROOT: Final = Path(__file__).parent.parent


class TooSlowError(Exception):
    """The reader did not answer in time; its process was ended."""


class PeerFailedError(Exception):
    """The reader could not read the input; the message is its own."""


class Child:
    """One reader in a process of its own.

    Args:
        peer: its name in `benchmarks.peers.PEERS`.
        timeout_seconds: for each answer.
    """

    def __init__(self, peer: str, timeout_seconds: float) -> None:
        self._peer = peer
        self._timeout = timeout_seconds
        self.idle_mib = 0.0

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peers", self._peer],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_ROOT,
            env=_environment(),
            text=True,
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._collect, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def age_seconds(self) -> float:
        """Since the process was started."""
        return time.perf_counter() - self._started

    def ask(self, place: Place) -> dict[str, float]:
        """Have the place read.

        Returns:
            `seconds`, `columns` and `peak_mib` of this read.

        Raises:
            TooSlowError: there was no answer in time.
            PeerFailedError: the reader failed.
        """
        self._question(place)
        if not self.idle_mib:
            self.idle_mib = float(self._answer()["idle_mib"])
        return self._answer()

    def _question(self, place: Place) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(place.line() + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as exc:
            raise PeerFailedError("its process ended") from exc

    def _answer(self) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=self._timeout)
        except queue.Empty:
            self._process.kill()
            raise TooSlowError from None
        answer = _parsed(line)
        if "error" in answer:
            raise PeerFailedError(answer["error"])
        return answer

    def _collect(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")


def _parsed(line: str) -> dict[str, Any]:
    if not line:
        return {"error": "its process ended"}
    try:
        answer: dict[str, Any] = json.loads(line)
    except ValueError:
        return {"error": f"its answer is not JSON: {line[:200].strip()}"}
    return answer


def _environment() -> dict[str, str]:
    """Return an environment with nothing that would lead a library to another store, or around the
    proxy.
    """
    outside = ("AWS_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy")
    return {name: value for name, value in os.environ.items() if not name.startswith(outside)}
