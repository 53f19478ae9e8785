"""Schedules: cron rules that start bulk refreshes."""

from collections.abc import Mapping
from typing import Any

from stocktake.client.answers import Batch, Schedule, Upcoming
from stocktake.client.errors import NotFoundError
from stocktake.client.pages import PAGE_SIZE, all_of, first, one, part
from stocktake.client.requests import Flow, Request, Stream


def list_schedules(*, page_size: int = PAGE_SIZE) -> Stream[Schedule]:
    """Iterate over the project's schedules, newest first."""
    return all_of(Schedule, "schedules/", page_size=page_size)


def get_schedule(schedule: str | Schedule) -> Flow[Schedule]:
    """Return a schedule by its name or its id.

    Raises:
        NotFoundError: the project has none.
    """
    wanted = schedule if isinstance(schedule, str) else schedule.id
    found = yield from first(list_schedules(), lambda each: wanted in (each.id, each.name))
    if found is None:
        raise NotFoundError(f"There is no schedule {wanted!r}.", code="not_found", status=404)
    return found


def create_schedule(
    name: str,
    *,
    cron: str,
    selector: Mapping[str, Any],
    timezone: str | None = None,
    jitter_seconds: float | None = None,
    paused: bool | None = None,
) -> Flow[Schedule]:
    """Add a schedule.

    Args:
        cron: five fields, or a nickname as `@daily`.
        selector: which tables, such as `{"all": True}` or `{"name_glob": "sales_*"}`.
        timezone: an IANA name; UTC if left out.
    """
    body = _given(
        name=name,
        cron=cron,
        selector=dict(selector),
        timezone=timezone,
        jitter_seconds=jitter_seconds,
        paused=paused,
    )
    request = Request(method="POST", path="schedules/", body=body, once=True)
    return (yield from one(Schedule, request))


def edit_schedule(
    schedule: str | Schedule,
    *,
    name: str | None = None,
    cron: str | None = None,
    selector: Mapping[str, Any] | None = None,
    timezone: str | None = None,
    jitter_seconds: float | None = None,
    paused: bool | None = None,
) -> Flow[Schedule]:
    """Change what is given."""
    body = _given(
        name=name,
        cron=cron,
        selector=selector,
        timezone=timezone,
        jitter_seconds=jitter_seconds,
        paused=paused,
    )
    request = Request(method="PATCH", path=(yield from _path(schedule)), body=body)
    return (yield from one(Schedule, request))


def delete_schedule(schedule: str | Schedule) -> Flow[None]:
    """Delete a schedule. The bulk refreshes that it started stay."""
    yield Request(method="DELETE", path=(yield from _path(schedule)))


def run_schedule(schedule: str | Schedule) -> Flow[Batch]:
    """Start the schedule's bulk refresh at once, paused or not."""
    path = f"{(yield from _path(schedule))}run/"
    return (yield from one(Batch, Request(method="POST", path=path, body={}, once=True)))


def upcoming_fires(schedule: str | Schedule, *, count: int = 5) -> Flow[Upcoming]:
    """Return the next times of a schedule, as if it were not paused, and how many tables it means.

    Args:
        count: of times, up to 50.
    """
    path = f"{(yield from _path(schedule))}upcoming/"
    return (yield from one(Upcoming, Request(method="GET", path=path, query={"count": count})))


def _path(schedule: str | Schedule) -> Flow[str]:
    if isinstance(schedule, str):
        schedule = yield from get_schedule(schedule)
    return f"schedules/{part(schedule.id)}/"


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
