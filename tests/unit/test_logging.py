import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from stocktake.logging import configure_logging
from stocktake.settings import Settings

JOB_ID = "01900000-0000-7000-8000-000000000001"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, config = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:], root.level = handlers, level
    structlog.configure(**config)


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_carries_its_context_and_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_level="INFO", log_json=True))
    with structlog.contextvars.bound_contextvars(job_id=JOB_ID, attempt=2):
        structlog.get_logger("x").info("read", url="https://u:canary@host/", access_secret="canary")
    (line,) = _lines(capsys)
    assert line["event"] == "read"
    assert line["level"] == "info"
    assert (line["job_id"], line["attempt"]) == (JOB_ID, 2)
    assert (line["url"], line["access_secret"]) == ("https://***@host/", "***")


def test_a_librarys_record_and_its_traceback_are_redacted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging(Settings(log_level="INFO", log_json=True))
    try:
        raise ValueError("no route to redis://:canary@cache/0")
    except ValueError:
        logging.getLogger("library").exception("lost %s", "redis://:canary@cache/0")
    (line,) = _lines(capsys)
    assert "ValueError" in str(line["exception"])
    assert "canary" not in json.dumps(line)


def test_our_own_exception_text_is_redacted(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_level="INFO", log_json=True))
    try:
        raise ValueError("access_secret=canary")
    except ValueError:
        structlog.get_logger("x").exception("broke")
    text = capsys.readouterr().err
    assert "ValueError" in text
    assert "canary" not in text


def test_lines_below_the_level_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_level="WARNING", log_json=True))
    structlog.get_logger("x").info("quiet")
    logging.getLogger("library").info("quiet")
    assert capsys.readouterr().err == ""


def test_the_console_form_is_no_json_and_redacted_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_level="INFO", log_json=False))
    structlog.get_logger("x").info("read", access_secret="canary")
    text = capsys.readouterr().err
    assert "read" in text
    assert not text.startswith("{")
    assert "canary" not in text


def test_what_a_customer_named_cannot_command_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging(Settings(log_level="INFO", log_json=False))
    hostile = "a\x1b[2J\x9b31m\u202eb"
    try:
        raise ValueError(hostile)
    except ValueError:
        structlog.get_logger("x").exception("read", column=hostile)
    logging.getLogger("library").warning("no column %s", hostile)
    text = capsys.readouterr().err
    assert text.count("[2J") == 3
    for obeyed in ("\x1b[2J", "\x9b", "\u202e"):
        assert obeyed not in text
