"""The outside client: asks over HTTP as a customer does, and writes down all that it heard."""

import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx

from servers.process import PATIENCE_SECONDS
from tests.faults.sources import Source

#: Above what any single answer may take: a request that waited for the broker would show here.
ANSWER_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One request, and its answer if one came.

    Attributes:
        action: `create`, `refresh`, `refresh_all`, `change`, `override`, `upload`, `delete`,
            `cancel`, `retry`, `schedule`, `run_schedule`, `read` or `read_job`.
        table: the id of the table it is about, where it was known before.
        asked: what it asked for: the fields of a change, the marker and rows of an upload.
        key: its Idempotency-Key.
        sent_at: when it was sent, and `ended_at` when it was answered or given up.
        status: None if no answer came.
        why: why none came.
        again: whether it is a repetition, which may be told what the first one was told.
    """

    action: str
    table: UUID | None
    asked: Mapping[str, Any]
    key: str
    sent_at: datetime
    ended_at: datetime
    status: int | None
    body: Any = None
    location: str = ""
    retry_after: str = ""
    why: str = ""
    again: bool = False
    request: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def accepted(self) -> bool:
        """Whether the service took it upon itself."""
        return self.status in {200, 201, 202, 204}

    @property
    def put_off(self) -> bool:
        """Whether it was told to come back later, and nothing else."""
        return self.status == 503 and int(self.retry_after) > 0 and not self.location

    @property
    def job(self) -> UUID | None:
        """The job that it was answered with."""
        if not self.accepted or "/jobs/" not in self.location:
            return None
        return UUID(self.location.rstrip("/").rsplit("/", 1)[1])

    @property
    def table_id(self) -> UUID:
        """The table that it made or is about."""
        return self.table or UUID(self.body["id"])

    def __str__(self) -> str:
        heard = f"{self.status}" if self.status else f"no answer ({self.why})"
        return (
            f"{self.sent_at:%H:%M:%S.%f} {self.action} {self.table or ''} {self.asked} -> {heard}"
        )


class Client:
    """One customer, who may ask from many threads. Every request gets an Idempotency-Key.

    Args:
        url: of the web process; `move_to` another one.
    """

    def __init__(self, url: str, key: str, project_id: int) -> None:
        self._project_id = project_id
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {key}"},
            timeout=ANSWER_SECONDS,
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),
            trust_env=False,
        )
        self._lock = threading.Lock()
        self._url = url
        #: Everything that was asked, in the order in which it ended.
        self.log: list[Sent] = []
        #: Tables that must equal their source at the end.
        self.sources: dict[UUID, Source] = {}

    def move_to(self, url: str) -> None:
        """Ask another web process from now on."""
        self._url = url

    def close(self) -> None:
        self._http.close()

    # --- what a customer asks ---------------------------------------------------------------

    def create(self, source: Source, name: str | None = None, **fields: Any) -> UUID:
        """Register a table for a source, which the oracle will compare it with; its id."""
        sent = self.insist(self.register(source, name or f"t_{secrets.token_hex(4)}", **fields))
        assert sent.status == 201, (sent.status, sent.body, sent.why)
        self.sources[sent.table_id] = source
        return sent.table_id

    def register(self, source: Source, name: str, **fields: Any) -> Sent:
        """Register a table for a source."""
        body = {"name": name, "url_pattern": source.url_pattern, **source.fields, **fields}
        return self.ask("create", "POST", "warehouse_tables/", asked=body, json=body)

    def refresh(self, table_id: UUID, *, prefer: str | None = None) -> Sent:
        """Ask for a refresh."""
        headers = {"Prefer": prefer} if prefer else {}
        path = f"warehouse_tables/{table_id}/refresh_schema/"
        return self.ask("refresh", "POST", path, table=table_id, headers=headers)

    def refresh_all(self) -> Sent:
        """Ask for a batch over all tables."""
        body = {"all": True}
        return self.ask("refresh_all", "POST", "warehouse_tables/refresh/", asked=body, json=body)

    def change(self, table_id: UUID, **fields: Any) -> Sent:
        """Change fields of a table."""
        path = f"warehouse_tables/{table_id}/"
        return self.ask("change", "PATCH", path, table=table_id, asked=fields, json=fields)

    def override(self, table_id: UUID, **types: str | None) -> Sent:
        """Set or clear (None) the types of columns."""
        path = f"warehouse_tables/{table_id}/update_schema/"
        body = {"updates": types}
        return self.ask("override", "POST", path, table=table_id, asked=types, json=body)

    def upload(self, name: str, rows: int) -> Sent:
        """Append rows to a managed Delta table; a marker in each tells them from all others."""
        marker = f"m{secrets.token_hex(6)}"  # digits alone would be a number
        lines = "".join(f"{marker},{number}\n" for number in range(rows))
        return self.ask(
            "upload",
            "POST",
            "warehouse_tables/file/",
            asked={"marker": marker, "rows": rows},
            data={"name": name, "target": "delta", "mode": "append"},
            files={"file": (f"{marker}.csv", f"marker,number\n{lines}".encode())},
        )

    def delete(self, table_id: UUID) -> Sent:
        """Delete a table."""
        return self.ask("delete", "DELETE", f"warehouse_tables/{table_id}/", table=table_id)

    def cancel(self, job_id: UUID) -> Sent:
        """Cancel a job."""
        return self.ask("cancel", "POST", f"jobs/{job_id}/cancel/", asked={"job": job_id})

    def retry(self, job_id: UUID) -> Sent:
        """Do an ended job again."""
        return self.ask("retry", "POST", f"jobs/{job_id}/retry/", asked={"job": job_id})

    def schedule(self, name: str, cron: str, **fields: Any) -> Sent:
        """Make a schedule over all tables."""
        body = {"name": name, "cron": cron, "selector": {"all": True}, **fields}
        return self.ask("schedule", "POST", "schedules/", asked=body, json=body)

    def read(self, table_id: UUID) -> Sent:
        """Look at a table."""
        return self.ask("read", "GET", f"warehouse_tables/{table_id}/", table=table_id)

    def read_job(self, job_id: UUID) -> Sent:
        """Look at a job."""
        return self.ask("read_job", "GET", f"jobs/{job_id}/", asked={"job": job_id})

    def run_schedule(self, schedule_id: str) -> Sent:
        """Start a batch of a schedule now."""
        return self.ask("run_schedule", "POST", f"schedules/{schedule_id}/run/")

    def jobs(self) -> list[UUID]:
        """The jobs that it was answered with, each once, in the order of the answers."""
        return list(dict.fromkeys(sent.job for sent in self.log if sent.job is not None))

    def job(self, job_id: UUID) -> dict[str, Any]:
        """A job as the API shows it; not a request of the log."""
        return self.look(f"jobs/{job_id}/")

    def look(self, path: str) -> dict[str, Any]:
        """What the API says of a thing of the project; not a request of the log."""
        answer = self._http.get(f"{self._base}{path}")
        answer.raise_for_status()
        body: dict[str, Any] = answer.json()
        return body

    # --- how -------------------------------------------------------------------------------

    def again(self, sent: Sent) -> Sent:
        """Send the same request once more, with the same key."""
        return self.ask(
            sent.action,
            table=sent.table,
            asked=sent.asked,
            key=sent.key,
            again=True,
            **sent.request,
        )

    def ask(
        self,
        action: str,
        method: str,
        path: str,
        *,
        table: UUID | None = None,
        asked: Mapping[str, Any] | None = None,
        key: str | None = None,
        again: bool = False,
        headers: Mapping[str, str] | None = None,
        **content: Any,
    ) -> Sent:
        """Send one request and write down what came of it; never raises."""
        key = key or secrets.token_urlsafe(12)
        given = dict(headers or {})
        heard: dict[str, Any] = {"status": None}
        sent_at = datetime.now(UTC)
        try:
            answer = self._http.request(
                method, f"{self._base}{path}", headers=given | {"Idempotency-Key": key}, **content
            )
            heard = {
                "status": answer.status_code,
                "body": _json(answer),
                "location": answer.headers.get("Location", ""),
                "retry_after": answer.headers.get("Retry-After", ""),
            }
        except httpx.HTTPError as exc:
            heard["why"] = f"{type(exc).__name__}: {exc}"
        sent = Sent(
            action=action,
            table=table,
            asked=dict(asked or {}),
            key=key,
            again=again,
            sent_at=sent_at,
            ended_at=datetime.now(UTC),
            request={"method": method, "path": path, "headers": given, **content},
            **heard,
        )
        with self._lock:
            self.log.append(sent)
        return sent

    def insist(self, sent: Sent, *refusals: int, within_seconds: float = PATIENCE_SECONDS) -> Sent:
        """Repeat a request that got no answer, or was told to try again, until it is taken.

        Args:
            refusals: statuses that are an answer, too.
        """
        give_up_at = time.monotonic() + within_seconds
        pause = threading.Event()
        # What was deleted by a request that got no answer is gone.
        gone = (404,) if sent.action == "delete" else ()
        while not (
            sent.accepted or sent.status in refusals or (sent.again and sent.status in gone)
        ):
            assert sent.status in {None, 409, 503}, f"refused for good: {sent} {sent.body}"
            assert time.monotonic() < give_up_at, f"never taken: {sent}"
            # As it was told, or for a moment: who asks at once keeps a busy service busy.
            pause.wait(float(sent.retry_after or 0.1))
            sent = self.again(sent)
        return sent

    @property
    def _base(self) -> str:
        return f"{self._url}/api/projects/{self._project_id}/"


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return answer.text
