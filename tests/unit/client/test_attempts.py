"""How often a request is sent, told without a network: an operation says what it wants done."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from stocktake.client import (
    ConflictError,
    JobFailedError,
    NotFoundError,
    PermissionDeniedError,
    RefusedError,
    Retries,
    ServerError,
    StocktakeError,
    ThrottledError,
    UnexpectedAnswerError,
    UnreachableError,
)
from stocktake.client.events import next_event
from stocktake.client.requests import (
    Attempt,
    Form,
    NextLine,
    Pause,
    Request,
    attempts,
    json_of,
    retry_after,
)

GET = Request(method="GET", path="jobs/")
POST = Request(method="POST", path="schedules/", body={}, once=True)
IN_USE = {"code": "idempotency_key_in_use", "detail": "Still running.", "type": "x", "attr": None}
NO = {"code": "x", "detail": "No.", "type": "x", "attr": None}
JOB = {"id": "7", "kind": "refresh_schema", "state": "failed", "done": True}


def answer(status: int, body: Any = None, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = httpx.Request("GET", "http://stocktake.example/")
    body = NO if body is None and status >= 400 else body
    return httpx.Response(status, json=body, headers=named, request=sent)


def lost() -> httpx.ReadError:
    return httpx.ReadError("connection reset")


def play(
    request: Request, outcomes: Sequence[httpx.Response | Exception], retries: Retries | None = None
) -> tuple[httpx.Response | Exception, list[Request], list[float]]:
    """What comes of it, what was sent, and the rests in between."""
    flow = attempts(request, retries or Retries(attempts=3))
    left, sent, rests = list(outcomes), list[Request](), list[float]()
    step = next(flow)
    try:
        while True:
            match step:
                case Attempt(each):
                    sent.append(each)
                    given = left.pop(0)
                    step = flow.throw(given) if isinstance(given, Exception) else flow.send(given)
                case Pause(seconds):
                    rests.append(seconds)
                    step = flow.send(None)
                case _:
                    raise AssertionError(step)
    except StopIteration as end:
        value: httpx.Response = end.value
        return value, sent, rests
    except StocktakeError as refusal:
        return refusal, sent, rests


@pytest.mark.parametrize("request_", [GET, POST], ids=["GET", "POST"])
@pytest.mark.parametrize("trouble", [lost(), answer(429), answer(502), answer(503), answer(504)])
def test_what_may_pass_is_tried_again(request_: Request, trouble: Any) -> None:
    ended, sent, rests = play(request_, [trouble, answer(200)])
    assert isinstance(ended, httpx.Response)
    assert (len(sent), len(rests)) == (2, 1)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RefusedError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (409, ConflictError),
        (500, ServerError),
    ],
)
def test_what_does_not_pass_is_an_error_at_once(status: int, kind: type) -> None:
    ended, sent, _ = play(GET, [answer(status)])
    assert isinstance(ended, kind)
    assert len(sent) == 1


def test_a_post_has_one_key_in_all_attempts_and_another_post_another() -> None:
    _, sent, _ = play(POST, [lost(), answer(503), answer(201)])
    [key] = {each.key for each in sent}
    assert sent[0].all_headers["Idempotency-Key"] == key
    _, others, _ = play(POST, [answer(201)])
    assert others[0].key not in {None, key}


def test_what_is_sent_once_only_needs_no_key() -> None:
    """The service keeps an answer for a day under each."""
    _, sent, _ = play(POST, [answer(201)], Retries(attempts=1))
    assert sent[0].key is None


def test_a_key_that_is_in_use_is_waited_for_and_costs_no_attempt() -> None:
    outcomes = [lost(), *[answer(409, IN_USE)] * 6, answer(201)]
    ended, _, _ = play(POST, outcomes, Retries(attempts=2))
    assert isinstance(ended, httpx.Response)


def test_attempts_come_to_an_end() -> None:
    ended, sent, rests = play(GET, [lost(), lost(), lost()])
    assert isinstance(ended, UnreachableError)
    assert not ended.timed_out
    assert (len(sent), len(rests)) == (3, 2)
    ended, sent, _ = play(
        GET, [answer(503, {"code": "service_unavailable", "detail": "Busy."})] * 3
    )
    assert isinstance(ended, ServerError)
    assert (ended.code, ended.detail, len(sent)) == ("service_unavailable", "Busy.", 3)


def test_silence_is_told_from_a_refused_connection() -> None:
    ended, _, _ = play(GET, [httpx.ReadTimeout("")], Retries(attempts=1))
    assert isinstance(ended, UnreachableError)
    assert ended.timed_out


def test_the_time_that_the_service_names_is_kept() -> None:
    _, _, rests = play(GET, [answer(429, retry_after="7"), answer(200)])
    assert 7 <= rests[0] <= 7.5


def test_a_time_too_far_away_is_an_error_at_once() -> None:
    ended, sent, _ = play(GET, [answer(429, {"detail": "Later."}, retry_after="3000")])
    assert isinstance(ended, ThrottledError)
    assert (ended.retry_after_seconds, len(sent)) == (3000, 1)


def test_retry_after_is_a_number_or_a_date_or_nothing() -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert retry_after(answer(503, retry_after="12")) == 12
    named = retry_after(answer(503, retry_after=at))
    assert named is not None
    assert 0 < named <= 100
    assert [retry_after(answer(503, retry_after=text)) for text in ("soon", "-1", "")] == [None] * 3
    assert retry_after(answer(503)) is None


def test_rests_grow_and_are_drawn_at_random() -> None:
    retries = Retries(attempts=12, first_seconds=1, longest_seconds=30)
    drawn = [list(retries.rests()) for _ in range(50)]
    most = [max(rests) for rests in zip(*drawn, strict=True)]
    bounds = [1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30]
    assert all(found <= bound for found, bound in zip(most, bounds, strict=True))
    assert most[4] > 4  # 16 · random, fifty times
    assert len({rests[0] for rests in drawn}) == 50


def test_a_delete_whose_answer_was_lost_is_done_when_nothing_is_there() -> None:
    delete = Request(method="DELETE", path="warehouse_tables/1/")
    ended, _, _ = play(delete, [lost(), answer(404)])
    assert isinstance(ended, httpx.Response)
    ended, _, _ = play(delete, [answer(404)])
    assert isinstance(ended, NotFoundError)


class _Pipe(io.BytesIO):
    def seekable(self) -> bool:
        return False


@pytest.mark.parametrize(("file", "times"), [(io.BytesIO(b"a"), 2), (_Pipe(b"a"), 1)])
def test_a_file_that_cannot_be_read_again_is_sent_once(file: io.BytesIO, times: int) -> None:
    form = Form(file=file, filename="a.csv", fields={})
    ended, sent, _ = play(
        Request(method="POST", path="warehouse_tables/file/", form=form, once=True),
        [lost(), answer(201)],
    )
    assert len(sent) == times
    assert isinstance(ended, UnreachableError) == (times == 1)


def test_a_refusal_carries_all_that_was_said() -> None:
    body = {
        "code": "required",
        "detail": "This field is required.",
        "attr": "credential__access_key",
    }
    ended, _, _ = play(GET, [answer(400, body, x_request_id="r1")])
    assert isinstance(ended, RefusedError)
    assert (ended.status, ended.code, ended.attr) == (400, "required", "credential.access_key")
    assert (str(ended), ended.request_id) == ("This field is required.", "r1")


def test_a_refusal_with_a_job_is_the_jobs_failure() -> None:
    error = {"code": "source_not_found", "detail": "Nothing there.", "hint": "Look at the URL."}
    body = {"detail": "Nothing there.", "error": error, "job": JOB | {"error": error}}
    ended, _, _ = play(GET, [answer(400, body, x_request_id="r1")])
    assert isinstance(ended, JobFailedError)
    assert (ended.code, ended.hint, ended.request_id) == (
        "source_not_found",
        "Look at the URL.",
        "r1",
    )
    assert ended.job.id == "7"


def test_a_hint_in_an_error_that_is_a_text_is_passed_over() -> None:
    ended, _, _ = play(GET, [answer(400, NO | {"error": "bad_request"})])
    assert isinstance(ended, RefusedError)
    assert (str(ended), ended.hint) == ("No.", None)


@pytest.mark.parametrize("content", [b"<html>Bad gateway</html>", b"[1]", b"\xff"])
def test_a_refusal_by_something_else_is_a_sentence_too(content: bytes) -> None:
    for status in (400, 401, 404):
        ended, _, _ = play(GET, [httpx.Response(status, content=content)])
        assert isinstance(ended, UnexpectedAnswerError)
        assert "as no Stocktake does" in str(ended)
        assert "STOCKTAKE_URL" in str(ended)


def test_an_answer_that_is_no_json_is_told() -> None:
    page = httpx.Response(200, html="<p>", request=httpx.Request("GET", "http://x.example/"))
    with pytest.raises(UnexpectedAnswerError, match="answered 200 with a page of HTML"):
        json_of(page)


def _events(*lines: str) -> list[tuple[str, str, str | None]]:
    left, found = list(lines), []
    while True:
        flow = next_event()
        step = next(flow)
        try:
            while True:
                assert isinstance(step, NextLine)
                step = flow.send(left.pop(0) if left else None)
        except StopIteration as end:
            if end.value is None:
                return found
            found.append((end.value.name, end.value.data, end.value.id))


def test_events_are_read_as_the_standard_has_them() -> None:
    assert _events(
        ": keep-alive", "", "event: tables", "id: 5", 'data: {"a":', "data: 1}", "",
        "data:x", "", "retry: 1000", "", "event: half", "data: lost",
    ) == [("tables", '{"a":\n1}', "5"), ("message", "x", None)]  # fmt: skip
