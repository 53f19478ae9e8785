"""One benchmark in a process of its own: ``python -m benchmarks.child FUNCTION OPTIONS``.

It writes a line of JSON for each part as soon as it is measured. Whatever ends this process, the
lines that were written are the run's, and its servers end with it.
"""

import importlib
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, TextIO

import structlog

from benchmarks.figures import Outcome, as_dict
from benchmarks.options import Options

Measure = Callable[[Options], Iterator[Outcome]]


def main(function: str, options: str) -> int:
    """Measure, and tell; the exit status is 1 where that failed."""
    # A shell that starts a run in the background has it ignore Ctrl-C, which is how we are stopped.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # What the service's own modules tell at INFO is for its processes, not for whoever measures.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not stand among the lines
    try:
        for outcome in _found(function)(Options.parse(options)):
            _tell(lines, asdict(outcome) | {"figures": [as_dict(one) for one in outcome.figures]})
    except KeyboardInterrupt:  # whoever stops us knows why
        return 128 + signal.SIGINT
    except Exception as exc:  # noqa: BLE001  whatever it is, the other benchmarks must run
        _tell(lines, {"failure": _reason(exc), "traceback": traceback.format_exc()})
        return 1
    _tell(lines, {"done": True})
    return 0


def _found(function: str) -> Measure:
    module, _, name = function.partition(":")
    measure: Measure = getattr(importlib.import_module(module), name)
    return measure


def _tell(lines: TextIO, content: dict[str, Any]) -> None:
    print(json.dumps(content), file=lines, flush=True)


def _reason(exc: Exception) -> str:
    return f"{type(exc).__name__}: {exc}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
