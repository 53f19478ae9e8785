"""A child process that answers one JSON line for each it is sent, under a time limit each."""

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from typing import Any

from servers.process import PATIENCE_SECONDS


class LostError(Exception):
    """The child gave no answer: it crashed, or it took too long. It is gone."""


class Watched:
    """One child that serves many requests; a new one takes the place of one that was lost.

    Args:
        module: has a `serve` that answers one request, run by `answer_lines`.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._child: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as this

    def ask(self, request: dict[str, Any], *, seconds: float) -> Any:
        """The child's answer.

        Raises:
            LostError: with what the child wrote to its standard error last.
        """
        child = self._running()
        assert child.stdin
        try:
            child.stdin.write(json.dumps(request).encode() + b"\n")
            child.stdin.flush()
            return json.loads(self._line(child, seconds))
        except (OSError, LostError) as exc:
            status = self.end()
            raise LostError(f"{exc}; status {status}\n{self._said()}") from exc

    def end(self) -> int | None:
        """Kill the child, if there is one; its exit status."""
        child, self._child = self._child, None
        if child is None:
            return None
        try:
            status = child.wait(0.2)
        except subprocess.TimeoutExpired:
            child.kill()
            status = child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe:
                # of what the child did not take any more
                with suppress(BrokenPipeError):
                    pipe.close()
        return status

    def close(self) -> None:
        """End for good."""
        self.end()
        self._errors.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-m", self._module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
            )
            # the imports are no part of the first request's time
            self._line(self._child, PATIENCE_SECONDS)
        return self._child

    @staticmethod
    def _line(child: subprocess.Popen[bytes], seconds: float) -> bytes:
        assert child.stdout
        deadline, line = time.monotonic() + seconds, b""
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([child.stdout], [], [], left)[0]:
                raise LostError(f"no answer within {seconds} seconds")
            piece = os.read(child.stdout.fileno(), 1 << 16)
            if not piece:
                raise LostError("the child ended")
            line += piece
        return line

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")[-3000:]


def answer_lines(serve: Any) -> None:
    """The child's side: serve requests until the other side is gone."""
    # what libraries print must not be taken for an answer
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(serve(json.loads(line))), file=answers, flush=True)
    os._exit(0)
