"""Templates made into pages, in the thread that has read what they show."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from api.console import words
from api.console.assets import address, icon
from api.edge.edge import Edge
from api.edge.pages import origin_of
from stocktake import __version__
from stocktake.db.models import Project
from stocktake.security.scopes import (
    ALL,
    AUDIT_READ,
    TABLE_READ,
    TABLE_READ_ROWS,
    TABLE_WRITE,
    allows,
)
from stocktake.services import changes, identity
from stocktake.services.changes import ChangeFilter
from stocktake.services.context import Context
from stocktake.states import ChangeState

#: Everything that a page needs is here, and nothing is run that is written in it.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    # Not "no-referrer", with which browsers send the `Origin` of a form as null.
    "Referrer-Policy": "same-origin",
    # No page that has opened one of ours may look at its window.
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class RailItem:
    """An entry of the rail: the word, the icon, the path below the project, and the letter that
    leads there behind a g."""

    name: str
    icon: str
    path: str
    letter: str


RAIL: Final = (
    RailItem("Home", "house", "", "h"),
    RailItem("Tables", "table", "tables", "t"),
    RailItem("Changes", "git-pull-request-arrow", "changes", "c"),
    RailItem("Jobs", "activity", "jobs", "j"),
    RailItem("Batches", "layers", "batches", "b"),
    RailItem("Schedules", "calendar-clock", "schedules", "s"),
    RailItem("Health", "heart-pulse", "health", "e"),
    RailItem("Settings", "settings", "settings", "p"),
)
#: What a page may tell of what was just done; the query names it, and no text comes from there.
NOTICES: Final = {
    "refresh": "The refresh is queued. Its job is below as soon as a worker takes it.",
    "batch": "The batch is started. What becomes of its tables is told here.",
    "deleted": "The table is deleted. Its name is free again, and its credential is erased.",
    "decided": "Decided. What was accepted is live.",
    "undone": "The decision is taken back. The columns are as before, and wait again.",
    "type": "The type is set. It survives each refresh until it is cleared.",
    "cleared": "The type is the source's again.",
    "policy": "The policy is set, for changes from now on.",
    "check": "The source is being tried. What becomes of each step is told here.",
    "plan": "The source is being read, and nothing is stored. The job tells what would change.",
    "cancelled": "Asked to end. What waits ends at once, what runs as soon as its worker sees it.",
    "added": "The table is registered. Its columns are here when a worker has read its source.",
    "uploaded": "The file is received. Its columns are here as soon as a worker has read it.",
    "gone_back": "The table reads its own source again, with the columns of before the upload.",
    "saved": "Saved.",
    "paused": "Paused. What it misses until it goes on is not made up for.",
    "resumed": "It goes on, with its next time.",
    "unscheduled": "The schedule is deleted. The batches that it started stay.",
    "retried": "Queued once more. This is the new job.",
}


class Frame:
    """What each page shows around its own: the rail, the projects, who looks.

    Args:
        edge: None where nobody has signed in.
        projects: those of the caller's key.
        waiting: changes that wait in this project; None where that was not asked.
    """

    def __init__(
        self,
        request: Request,
        edge: Edge | None,
        projects: tuple[Project, ...] = (),
        waiting: int | None = None,
    ) -> None:
        self._request = request
        self._caller = None if edge is None else edge.caller
        self.project_id = 0 if self._caller is None else self._caller.project_id
        self.projects = projects
        self.waiting = waiting
        self.signed_in = self._caller is not None
        self.key_prefix = (self._caller and self._caller.key_prefix) or ""
        self.version = __version__
        self.request_id = request.state.request_id
        self.path = request.url.path
        self.notice = NOTICES.get(request.query_params.get("notice", ""), "")
        self.search = request.query_params.get("q", "")[: words.MAX_SEARCH]
        self.rail = RAIL if self.project_id else ()
        self.origin = origin_of(request) or "https://YOUR-SERVER"

    @classmethod
    def of(cls, context: Context, edge: Edge) -> "Frame":
        """Ask for it in a page's own transaction."""
        projects = tuple(identity.list_projects(context))
        waiting = None
        if edge.caller.project_id and allows(edge.caller.scopes, TABLE_READ):
            pending = ChangeFilter(state=ChangeState.PENDING)
            waiting = changes.list_changes(context, pending, limit=1, offset=0)[0]
        return cls(edge.request, edge, projects, waiting)

    @property
    def project(self) -> Project | None:
        """The project of the page."""
        return next((each for each in self.projects if each.id == self.project_id), None)

    def may(self, scope: str = TABLE_WRITE) -> bool:
        """Return whether the key has this scope."""
        return self._caller is not None and allows(self._caller.scopes, scope)

    def url(self, path: str = "", **query: Any) -> str:
        """Return a path below this project, with what is asked behind it."""
        asked = {key: value for key, value in query.items() if value not in (None, "", False)}
        tail = f"?{urlencode(asked, doseq=True)}" if asked else ""
        return f"/p/{self.project_id}/{path}".rstrip("/") + tail

    def same(self, **changed: Any) -> str:
        """Return this page's own address with other values in its query; None takes one away."""
        query = {**dict(self._request.query_params), **changed}
        query.pop("notice", None)
        asked = {key: value for key, value in query.items() if value not in (None, "")}
        return self.path + (f"?{urlencode(asked)}" if asked else "")


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("api.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )
    made.globals.update(
        icon=icon,
        asset=address,
        STATES=words.STATES,
        WRITE=TABLE_WRITE,
        ROWS=TABLE_READ_ROWS,
        AUDIT=AUDIT_READ,
        ALL=ALL,
    )
    made.filters.update(
        ago=words.ago,
        moment=words.moment,
        iso=words.iso,
        number=words.number,
        size=words.size,
        duration=words.duration,
        cut=words.cut,
        plural=words.plural,
        shell=shlex.quote,
    )
    return made


ENVIRONMENT: Final = _environment()


def render(template: str, frame: Frame, values: Mapping[str, Any], status: int = 200) -> Response:
    """Return a page."""
    html = ENVIRONMENT.get_template(template).render(frame=frame, **values)
    return HTMLResponse(html, status, headers=HEADERS)


async def show(
    edge: Edge, template: str, work: Callable[[Context], Mapping[str, Any]], status: int = 200
) -> Response:
    """Answer with a page of what `work` finds, read and made in one of the console's threads."""

    def shown(context: Context) -> Response:
        values = work(context)
        return render(template, Frame.of(context, edge), values, status)

    return await edge.read(shown)
