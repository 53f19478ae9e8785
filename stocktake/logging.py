"""Logging: structlog in front, JSON lines or colours behind, and every line redacted.

Libraries log through the standard library; their records take the same way out, so that a
client's URL in somebody else's warning is masked like one in ours.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog
from structlog.typing import Processor

from stocktake.redaction import harmless, redact, redact_text
from stocktake.settings import Settings

#: They say at INFO what our own request log says better.
_QUIET: Final = ("uvicorn.access", "httpx", "httpcore", "alembic", "kombu", "amqp")
_FIRST: Final = ("timestamp", "level", "event", "logger")


def configure_logging(settings: Settings) -> None:
    """Set up logging for this process: JSON lines, or coloured text for people.

    Calling it again replaces what was there.
    """
    level = _number(settings.log_level)
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(settings.log_json))
    handler.addFilter(_WithoutCanaries())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    # No line tells them, and to find them out for each takes a tenth of its time.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, level))


def request_id() -> str | None:
    """Return the id of the request that the present work goes back to; jobs made now inherit it."""
    bound: str | None = structlog.contextvars.get_contextvars().get("request_id")
    return bound


def redaction(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Return the structlog processor that masks secrets; it runs last, over the exception's text
    too.
    """
    masked: dict[str, Any] = redact(event)
    return masked


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _for_a_terminal(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask what a terminal would obey, which JSON escapes, before the colours come in."""
    return {
        name: harmless(value) if isinstance(value, str) else value for name, value in event.items()
    }


def _formatter(json: bool) -> logging.Formatter:
    render: list[Processor] = (
        [_in_order, structlog.processors.JSONRenderer(default=_as_text)]
        if json
        else [
            _for_a_terminal,
            # A file gets no colours.
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            redaction,
            *render,
        ],
    )


def _in_order(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put when and what first, as a person reads a line."""
    first = {name: event[name] for name in _FIRST if name in event}
    return first | {name: value for name, value in event.items() if name not in first}


class _WithoutCanaries(logging.Filter):
    """Drops what Celery says of each canary at INFO: ten lines a minute, of nobody's job."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is one to keep."""
        about = record.args if isinstance(record.args, dict) else {}
        return record.levelno > logging.INFO or about.get("name") != "canary"


def _as_text(value: Any) -> str:
    return redact_text(str(value))


def _number(level: str) -> int:
    return logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
