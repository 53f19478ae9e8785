"""A client that goes away, at any point of any kind of request, is nobody's error: no traceback."""

import json
import logging
import socket
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import pytest
import structlog

from tests.integration.api.conftest import MakeJob, MakeKey, Served
from tests.support.stack import wait_until

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)

BODY = json.dumps({"name": "orders", "format": "CSV", "url_pattern": "https://x.example/*.csv"})
FORM = (
    '--b\r\nContent-Disposition: form-data; name="name"\r\n\r\norders\r\n'
    '--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\na,b\r\n1,2\r\n'
    "--b--\r\n"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is sent up to a point.

    Attributes:
        body: what it says it will send.
        sent: how many characters of it come.
    """

    line: str
    headers: str = ""
    body: str = ""
    sent: int = 0
    chunked: bool = False

    @property
    def text(self) -> str:
        """What goes over the wire; names in braces are to be filled in."""
        method, _, path = self.line.partition(" ")
        head = f"{method} /api/projects/{{project}}/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        head += f"Authorization: Bearer {{key}}\r\n{self.headers}"
        body = self.body[: self.sent].replace("{", "{{").replace("}", "}}")
        if self.chunked:
            chunk = f"{self.sent:x}\r\n{body}\r\n" if body else ""
            return f"{head}Transfer-Encoding: chunked\r\n\r\n{chunk}"
        length = f"Content-Length: {len(self.body)}\r\n" if self.body else ""
        return f"{head}{length}\r\n{body}"


def cut(line: str, headers: str, body: str, step: int) -> Iterator[Asked]:
    """The request with less of its body than it says, by each number of steps; and in chunks."""
    for sent in range(0, len(body), step):
        yield Asked(line, headers, body, sent)
        yield Asked(line, headers, body, sent, chunked=True)


JSON = "Content-Type: application/json\r\n"
KEY = "Idempotency-Key: k-{number}\r\n"
FORM_TYPE = "Content-Type: multipart/form-data; boundary=b\r\n"
PROXY = "X-Forwarded-For: 10.0.0.1\r\n"
UPLOADS = ("warehouse_tables/file/", "warehouse_tables/upload_file/")
#: Whose answers do not depend on a body, and which read it for their Idempotency-Key alone.
BODILESS = (
    "warehouse_tables/{table}/refresh_schema/",
    "warehouse_tables/{table}/maintain/",
    "jobs/{job}/cancel/",
    "jobs/{job}/retry/",
)
TABLE = "POST warehouse_tables/"
KINDS: dict[str, list[Asked]] = {
    "json": [*cut(TABLE, JSON, BODY, 60), *cut(TABLE, JSON + KEY, BODY, 60)],
    "change": [*cut("PATCH warehouse_tables/{table}/", JSON, BODY, 40)],
    "no body wanted": [
        asked for path in BODILESS for asked in cut(f"POST {path}", JSON + KEY, "{}  ", 2)
    ],
    "no body wanted, no key": [
        asked for path in BODILESS for asked in cut(f"POST {path}", JSON, "{}  ", 2)
    ],
    "form": [a for path in UPLOADS for a in cut(f"POST {path}", FORM_TYPE, FORM, 40)],
    "form with key": [
        a for path in UPLOADS for a in cut(f"POST {path}", FORM_TYPE + KEY, FORM, 120)
    ],
    "waiting": [
        Asked("GET jobs/{job}/?wait=30"),
        Asked("GET jobs/{job}/events/"),
        Asked("HEAD jobs/{job}/events/"),
        Asked("POST warehouse_tables/{table}/refresh_schema/", "Prefer: wait=30\r\n"),
        Asked("POST warehouse_tables/{table}/refresh_schema/", "Prefer: wait=30\r\n" + KEY),
    ],
    "answer not read": [Asked("GET warehouse_tables/"), Asked("GET audit_log/")],
    "through a proxy": [
        *cut(f"POST {UPLOADS[0]}", FORM_TYPE + PROXY, FORM, 80),
        *cut(f"POST {BODILESS[0]}", JSON + PROXY + KEY, "{}  ", 2),
        *cut("POST nothing/", JSON + PROXY, BODY, 60),
    ],
    "unknown": [*cut("POST nothing/", JSON, BODY, 60), *cut("PUT jobs/", JSON, BODY, 60)],
}


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_goes_away_leaves_no_traceback(
    served: Served,
    make_key: MakeKey,
    make_job: MakeJob,
    make_table: Callable[..., UUID],
    project_id: int,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    reset: bool,
) -> None:
    names = {"key": make_key(), "project": project_id, "table": make_table(), "job": make_job()}
    with structlog.testing.capture_logs() as logged, caplog.at_level(logging.ERROR):
        for number, asked in enumerate(KINDS[kind]):
            with socket.create_connection(("127.0.0.1", served.listening.getsockname()[1])) as it:
                it.sendall(asked.text.format(**names, number=number).encode())
                wait_until(lambda n=number: begun(served, logged, n), f"{asked} to begin")
                if reset:
                    it.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            wait_until(lambda n=number: ended(logged) > n, f"the end of {asked}")
        wait_until(lambda: not served.server.server_state.tasks, "the end of all tasks")
    assert [record.getMessage() for record in caplog.records] == []
    assert [each for each in logged if each["log_level"] in {"error", "critical"}] == []


def begun(served: Served, logged: Sequence[Mapping[str, object]], before: int) -> bool:
    """Whether the app has one more request than so many."""
    return bool(served.server.server_state.tasks) or ended(logged) > before


def ended(logged: Sequence[Mapping[str, object]]) -> int:
    """How many requests the app has done."""
    return sum(each["event"] == "request" for each in logged)
