"""What the fuzz tests share: how they ask our readers and the other engines, and compare."""

import os
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, settings

from stocktake.schema.formats import TableFormat
from tests.fuzz.watched import LostError, Watched

#: Of one answer of ours: more is a hang, on a busy machine too.
SECONDS = 60.0
#: Of another engine: what hangs there only costs time.
ENGINE_SECONDS = 10.0
MOST_KILOBYTES = 1024 * 1024
#: Set: a long run of so many examples a test, new ones each time. Else a short one, always alike.
ASKED = os.environ.get("STOCKTAKE_FUZZ_EXAMPLES")
SECONDS_FOR_ALL = 0 if ASKED else 1200

fuzzed = settings(
    max_examples=int(ASKED or "60"),
    derandomize=ASKED is None,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
Answer = dict[str, Any]


def child(module: str) -> Iterator[Watched]:
    """A child that ends with the block."""
    watched = Watched(f"tests.fuzz.{module}")
    yield watched
    watched.close()


def request_of(files: dict[str, bytes], table_format: TableFormat, path: str = "x") -> Answer:
    """What each child understands."""
    return {
        "files": {name: b64encode(data).decode() for name, data in files.items()},
        "format": table_format.value,
        "path": path,
        # what is sniffed is ours alone, and tested where it is
        "options": {"csv_delimiter": ","} if table_format.facts.inferred else {},
    }


def read(ours: Watched, request: Answer) -> Answer:
    """Our answer; a lost child, an endless memory or an error without words is a failure."""
    answer: Answer = ours.ask(request, seconds=SECONDS)
    assert answer["peak_kilobytes"] < MOST_KILOBYTES
    if error := answer.get("error"):
        assert error["code"] != "internal"
        assert error["detail"]
        assert error["hint"]
    return answer


def asked(engine: Watched, request: Answer) -> Answer:
    """Another engine's answer; that it crashes or hangs (`lost`) is not our fault."""
    try:
        answer: Answer = engine.ask(request, seconds=ENGINE_SECONDS)
    except LostError as error:
        return {"error": str(error), "lost": True}
    return answer


def agree(ours: Answer, theirs: Answer, request: Answer) -> None:
    """Both have the same columns, where both have any."""
    if "error" not in ours and "error" not in theirs:
        source = {name: b64decode(data) for name, data in request["files"].items()}
        assert ours["columns"] == theirs["columns"], source


#: Ours beside ClickHouse's, where neither loses anything: numbers with an exponent, days outside of
#: Date, years of two digits, integers that a double happens to hold.
ON_PURPOSE = {
    ("Nullable(Float64)", "Nullable(String)"),
    ("Nullable(Int128)", "Nullable(Float64)"),
    ("Nullable(Int256)", "Nullable(Float64)"),
    ("Nullable(Date32)", "Nullable(String)"),
    ("Nullable(Date32)", "Nullable(DateTime64(9))"),
    ("Nullable(String)", "Nullable(DateTime)"),
}


def agree_or_differ(engine: Watched, ours: Answer, theirs: Answer, request: Answer) -> None:
    """Both have the same columns; or what ClickHouse reads by ours and by its own is not the same,
    so that one of them loses something, which another test says of ours."""
    if "error" in ours or "error" in theirs or ours["columns"] == theirs["columns"]:
        return
    rows = [
        asked(engine, request | {"read_back": answer["columns"]}).get("rows")
        for answer in (ours, theirs)
    ]
    if None in rows:
        return
    for at, (own, other) in enumerate(zip(ours["columns"], theirs["columns"], strict=True)):
        by_ours, by_theirs = ([row[at] for row in each] for each in rows)
        is_known = own == other or (own[1], other[1]) in ON_PURPOSE
        assert is_known or by_ours != by_theirs, (own, other, request)
