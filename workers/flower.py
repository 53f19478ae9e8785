"""``python -m workers.flower``: Celery's monitor, to look at only, and only with the password.

Flower's own command (2.2) serves ``/metrics`` and ``/healthcheck`` to everybody, takes POSTs that
stop workers, listens on every interface, and does not end on SIGTERM. Its options and its
``FLOWER_*`` variables hold here too.
"""

import hmac
import logging
import os
import re
import signal
import sys
from base64 import b64decode
from collections.abc import Sequence
from types import FrameType
from typing import Any, Final

from celery import Celery
from flower import command  # type: ignore[import-untyped]  # ships no types
from flower.app import Flower  # type: ignore[import-untyped]
from flower.options import options  # type: ignore[import-untyped]
from flower.urls import settings as web_settings  # type: ignore[import-untyped]
from kombu import Queue
from tornado.httputil import HTTPServerRequest
from tornado.web import HTTPError, OutputTransform, RequestHandler

from stocktake.logging import configure_logging
from stocktake.settings import read_settings
from stocktake.states import Queue as QueueName
from workers.stack.ports import HOST

_HEADERS: Final = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    # Flower's pages hold scripts and styles of their own; nothing comes from elsewhere.
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}
#: What Flower's table of tasks sends as a POST and only reads.
_READING_POST: Final = ("POST", "/tasks/datatable")
_LOGIN: Final = re.compile(r"[ -9;-~]+:[ -~]+", re.ASCII)


class Monitor(Flower):  # type: ignore[misc]  # of an untyped class
    """Flower, behind its password on every path, and read-only."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.transforms.append(_Headers)

    def get_handler_delegate(
        self,
        request: HTTPServerRequest,
        target_class: type[RequestHandler],
        *more: Any,
        **named: Any,
    ) -> Any:
        """Return the handler of a request; one that refuses, where it may not be served."""
        status = 401 if not self._knows(request) else 405 if _changes(request) else 0
        if status:
            return super().get_handler_delegate(request, _Refusal, {"status": status})
        return super().get_handler_delegate(request, target_class, *more, **named)

    def _knows(self, request: HTTPServerRequest) -> bool:
        scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
        try:
            given = b64decode(encoded.strip(), validate=True)
        except ValueError:
            return False
        logins = self.options.basic_auth
        known = any(hmac.compare_digest(given, login.encode()) for login in logins)
        return known and scheme.lower() == "basic"


def _changes(request: HTTPServerRequest) -> bool:
    reads = request.method in ("GET", "HEAD") or (request.method, request.path) == _READING_POST
    return not reads


class _Refusal(RequestHandler):
    def initialize(self, status: int) -> None:
        self._refused_with = status

    def check_xsrf_cookie(self) -> None:
        """Let all pass: nothing is changed here."""

    def prepare(self) -> None:
        raise HTTPError(self._refused_with)

    def write_error(self, status_code: int, **_: Any) -> None:
        if status_code == 401:
            self.set_header("WWW-Authenticate", 'Basic realm="flower"')
        else:
            self.set_header("Allow", "GET, HEAD")
        self.finish()


class _Headers(OutputTransform):
    def transform_first_chunk(
        self, status_code: int, headers: Any, chunk: bytes, finishing: bool
    ) -> tuple[int, Any, bytes]:
        for name, value in _HEADERS.items():
            headers[name] = value
        return status_code, headers, chunk


def main(arguments: Sequence[str]) -> None:
    """Serve until a signal ends it.

    Args:
        arguments: Flower's own, such as ``--port=5555``.
    """
    options.address, options.read_only = HOST, True
    command.apply_env_options()
    command.apply_options(sys.argv[0], list(arguments))
    # In ASCII: Flower compares logins as texts, and fails on others.
    if not options.basic_auth or not all(map(_LOGIN.fullmatch, options.basic_auth)):
        sys.exit("Flower needs a login: set FLOWER_BASIC_AUTH to user:password, in ASCII.")
    # Again, as a variable or an option may have said otherwise since.
    options.read_only = True
    command.extract_settings()
    settings = read_settings()
    configure_logging(settings)
    if options.debug or options.logging == "debug":
        logging.getLogger().setLevel(logging.DEBUG)
    # The broker alone: it learns of tasks from events, and needs none of our code.
    celery = Celery(broker=settings.broker_url.get_secret_value())
    # Without them its page of the broker shows one queue that there is not.
    celery.conf.task_queues = [Queue(name) for name in QueueName]
    celery.conf.task_default_queue = QueueName.INTERACTIVE.value
    monitor = Monitor(capp=celery, options=options, **web_settings)

    def end(_signal: int, _frame: FrameType | None) -> None:
        monitor.io_loop.add_callback_from_signal(monitor.io_loop.stop)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    monitor.start_http_server()
    monitor.start()
    monitor.stop()
    # Its threads may wait for a broker that is gone, and nothing is left to write.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
