"""Batches: what is done to many tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from stocktake.client.answers import Batch, ListedBatch, Table
from stocktake.client.pages import PAGE_SIZE, all_of, first, flag, one, part
from stocktake.client.requests import Flow, Request, Stream
from stocktake.client.tables import id_of
from stocktake.client.waiting import Deadline, batch_steps


def refresh_many(
    *,
    tables: Sequence[str | Table] | None = None,
    all: bool | None = None,  # noqa: A002 - as the API calls it
    name_glob: str | None = None,
    format: str | None = None,  # noqa: A002 - as the API calls it
    stale_for_seconds: float | None = None,
) -> Flow[Batch]:
    """Refresh many tables under one id.

    Args:
        tables: names or ids; or
        all: True; or any of the other three together.
        stale_for_seconds: tables whose last good refresh is this old, or missing.
    """
    ids: list[str] | None = None
    if tables is not None:
        ids = []
        for table in tables:
            ids.append((yield from id_of(table)))
    body = selector(
        tables=ids,
        all=all,
        name_glob=name_glob,
        format=format,
        stale_for_seconds=stale_for_seconds,
    )
    path = "warehouse_tables/refresh/"
    return (yield from one(Batch, Request(method="POST", path=path, body=body, once=True)))


def start_batch(
    action: str, selector: Mapping[str, Any], *, change_policy: str | None = None
) -> Flow[Batch]:
    """Do something to all tables that a selector names, under one id.

    Args:
        action: `refresh`, `delete`, or `policy` with a `change_policy` (None: the project's).
        selector: as the API has it, such as `{"state": "failing", "format": "Parquet"}`.
    """
    body: dict[str, Any] = {"action": action, "selector": dict(selector)}
    if action == "policy":
        body["change_policy"] = change_policy
    return (yield from one(Batch, Request(method="POST", path="batches/", body=body, once=True)))


def list_batches(
    *,
    action: str | None = None,
    state: str | None = None,
    schedule: str | None = None,
    dry_run: bool | None = None,
    page_size: int = PAGE_SIZE,
) -> Stream[ListedBatch]:
    """Iterate over the project's batches, newest first.

    Args:
        state: expanding, running, finished, cancelled or failed.
        schedule: id of the one that started them.
    """
    return all_of(
        ListedBatch,
        "batches/",
        page_size=page_size,
        action=action,
        state=state,
        schedule=schedule,
        dry_run=flag(dry_run),
    )


def selector(**fields: Any) -> dict[str, Any]:
    """Return which tables are meant, as the API has it."""
    return {name: value for name, value in fields.items() if value is not None}


def get_batch(batch: str | Batch) -> Flow[Batch]:
    """Return a bulk refresh as it is now."""
    return (yield from one(Batch, Request(method="GET", path=_path(batch))))


def cancel_batch(batch: str | Batch) -> Flow[Batch]:
    """End the batch's queued jobs, and ask its running ones to stop."""
    request = Request(method="POST", path=f"{_path(batch)}cancel/", body={})
    return (yield from one(Batch, request))


def progress(batch: str | Batch, *, timeout_seconds: float | None = None) -> Stream[Batch]:
    """Iterate over what becomes of a batch: as it is, whenever it has changed, and its end.

    Raises:
        NotEndedError: the time is over.
    """
    now = yield from get_batch(batch)
    yield from batch_steps(now, Deadline(timeout_seconds))


def wait_for_batch(batch: str | Batch, *, timeout_seconds: float | None = None) -> Flow[Batch]:
    """Return a batch once all its jobs have ended; `counts` and `errors` say how.

    Raises:
        NotEndedError: the time is over.
    """
    steps = progress(batch, timeout_seconds=timeout_seconds)
    ended = yield from first(steps, lambda each: each.done)
    assert ended is not None  # noqa: S101 - its last is done
    return ended


def _path(batch: str | Batch) -> str:
    return f"batches/{part(batch if isinstance(batch, str) else batch.id)}/"
