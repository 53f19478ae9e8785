"""Health: each part of the service, and what the project has under way."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Response

from api.console.rendering import show
from api.console.routing import Router
from api.console.session import ReadEdge
from api.routes.health import look, look_at_workers
from stocktake import __version__
from stocktake.monitoring.readiness import Part, Status
from stocktake.services import queues
from stocktake.services.context import Context

router = Router()


@dataclass(frozen=True, slots=True)
class _Told:
    """A part as people know it: its name, and what does not work without it."""

    name: str
    does: str


_PARTS: Final[Mapping[Part, _Told]] = {
    Part.DATABASE: _Told("Database", "Everything that is known. Without it nothing works."),
    Part.BROKER: _Told(
        "Broker", "Tells workers of new jobs. Without it they are accepted, and wait."
    ),
    Part.CLOCK: _Told("Clock", "Fires schedules, and has what failed tried again."),
    Part.WORKER: _Told("Workers", "Read the sources. Without one jobs wait."),
}
_WORDS: Final[Mapping[Status, str]] = {
    Status.OK: "works",
    Status.UNREACHABLE: "does not answer",
    Status.NOT_MIGRATED: "is not migrated",
    Status.NOT_TICKING: "does not tick",
    Status.BUSY: "busy",
    Status.SILENT: "none takes jobs",
    Status.STUCK: "stuck",
    Status.UNKNOWN: "cannot be told",
}


@router.get("/p/{project_id}/health")
async def health(edge: ReadEdge) -> Response:
    """Show how each part is, and what waits in each queue."""
    found = await look(edge.parts)

    def work(context: Context) -> Mapping[str, Any]:
        waiting = queues.under_way(context)
        return {
            "found": found,
            "parts": [(part, _PARTS[part], found.checks[part]) for part in Part],
            "words": _WORDS,
            "kinds": {status: _kind(status) for status in Status},
            "reasons": found.reasons,
            "queues": waiting,
            "oldest": min((each.oldest for each in waiting if each.oldest), default=None),
            "flower": context.process.settings.flower_url,
        }

    return await show(edge, "health.html", work)


@router.get("/p/{project_id}/health/workers")
async def workers(edge: ReadEdge) -> Response:
    """Show which workers there are; apart from the page of health, as they take their time."""
    found = await look_at_workers(edge.parts)
    values = {"workers": found, "version": __version__}
    return await show(edge, "health_workers.html", lambda _: values)


def _kind(status: Status) -> tuple[str, str]:
    """Return the kind of a status's colour, and its icon."""
    if status is Status.UNKNOWN:
        return "quiet", "circle-dashed"
    if status is Status.BUSY:
        return "warn", "loader"
    return ("good", "circle-check") if status.good else ("bad", "circle-x")
