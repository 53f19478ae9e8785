"""The checker of histories: which orders of answers it lets pass, and which it does not."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.faults.client import Sent
from tests.faults.promises.histories import never_back, writes_are_shown

TABLE = UUID(int=1)
JOB = UUID(int=2)
START = datetime(2026, 5, 1, tzinfo=UTC)


def sent(action: str, begin: int, end: int, body: Any = None, **fields: Any) -> Sent:
    """A request between two seconds."""
    return Sent(
        action=action,
        table=TABLE,
        asked=fields.pop("asked", {}),
        key=fields.pop("key", f"{action} {begin}"),
        sent_at=START + timedelta(seconds=begin),
        ended_at=START + timedelta(seconds=end),
        status=fields.pop("status", 200),
        body=body,
        **fields,
    )


def shows(begin: int, end: int, *, version: int = 1, source: Any = "x", name: str = "a") -> Sent:
    body = {
        "id": str(TABLE),
        "name": name,
        "schema_version": version,
        "source_version": source,
        "latest_job": None,
    }
    return sent("read", begin, end, body)


def shows_job(begin: int, end: int, state: str, attempt: int = 1, **fields: Any) -> Sent:
    body = {"id": str(JOB), "state": state, "attempt": attempt}
    return sent("read_job", begin, end, body, **fields)


def renames(begin: int, end: int, name: str, status: int | None = 200, **fields: Any) -> Sent:
    return sent("change", begin, end, None, asked={"name": name}, status=status, **fields)


@pytest.mark.parametrize(
    "log",
    [
        [shows(0, 1, version=1), shows(2, 3, version=2)],
        [shows(0, 5, version=2), shows(1, 2, version=1)],
        [shows(0, 3, version=1), shows(1, 2, version=2)],
        [shows(0, 1, source=3), shows(2, 3, source="a fingerprint")],
        [shows_job(0, 1, "running"), shows_job(2, 3, "succeeded")],
        [shows_job(0, 1, "succeeded"), shows_job(2, 3, "queued", again=True)],
    ],
)
def test_what_counts_up_may_be_seen_in_any_order_that_the_intervals_allow(
    log: Sequence[Sent],
) -> None:
    assert list(never_back(log)) == []


@pytest.mark.parametrize(
    "log",
    [
        [shows(0, 1, version=2), shows(2, 3, version=1)],
        [shows(2, 3, version=1), shows(0, 1, version=2)],
        [shows(0, 1, version=1), shows(0, 2, version=3), shows(3, 4, version=2)],
        [shows(0, 1, source=3), shows(2, 3, source=2)],
        [shows_job(0, 1, "queued", 2), shows_job(2, 3, "queued", 1)],
        [shows_job(0, 1, "succeeded"), shows_job(2, 3, "running")],
        [shows_job(0, 1, "cancelled"), shows_job(2, 3, "succeeded")],
    ],
)
def test_what_was_shown_does_not_go_back(log: Sequence[Sent]) -> None:
    assert len(list(never_back(log))) == 1


@pytest.mark.parametrize(
    "log",
    [
        [renames(0, 1, "b"), shows(2, 3, name="b")],
        [renames(0, 5, "b"), shows(1, 2, name="a")],
        [renames(0, 5, "b"), shows(1, 2, name="b")],
        [renames(0, 1, "b"), renames(2, 5, "c"), shows(3, 4, name="b")],
        [renames(0, 1, "b"), renames(2, 5, "c"), shows(3, 4, name="c")],
        [renames(0, 3, "b"), renames(1, 2, "c"), shows(4, 5, name="b")],
        [renames(0, 3, "b"), renames(1, 2, "c"), shows(4, 5, name="c")],
        # Nobody knows of the first whether it counted, or when.
        [renames(0, 1, "b", None), renames(2, 3, "c"), shows(4, 5, name="b")],
        [renames(0, 1, "b", 503), shows(2, 3, name="a")],
    ],
)
def test_a_name_may_be_any_that_the_intervals_allow(log: Sequence[Sent]) -> None:
    assert list(writes_are_shown(log)) == []


@pytest.mark.parametrize(
    "log",
    [
        [renames(0, 1, "b"), shows(2, 3, name="a")],
        [renames(0, 1, "b"), renames(2, 3, "c"), shows(4, 5, name="b")],
        [renames(0, 1, "b"), renames(2, 5, "c"), shows(3, 4, name="a")],
        [renames(0, 1, "b"), renames(4, 5, "c"), shows(2, 3, name="c")],
        # The repetition of what counted before is no new change.
        [
            renames(0, 1, "b", None, key="k"),
            renames(2, 3, "b", key="k", again=True),
            renames(4, 5, "c"),
            shows(6, 7, name="b"),
        ],
        [sent("delete", 0, 1, status=204), shows(2, 3)],
    ],
)
def test_what_was_answered_is_shown(log: Sequence[Sent]) -> None:
    assert len(list(writes_are_shown(log))) == 1
