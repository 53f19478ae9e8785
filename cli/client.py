"""The API as the command line asks it; what goes wrong becomes a sentence that says what to do.

Requests are made by `stocktake.client`; what is here are the commands' words.
"""

import unicodedata
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from stocktake.errors import CommandError

if TYPE_CHECKING:
    from stocktake.client import RefusedError, UnreachableError
    from stocktake.client.requests import Form

_PAGE: Final = 500
#: Above the longest wait that the API grants.
_TIMEOUT_SECONDS: Final = 75.0


class Client:
    """One project of one server.

    Args:
        url: of the server, without a path; as the environment says where None.
        key: the API key; likewise.
        project: its id, or ``@current`` for the one project of the key; likewise.

    Raises:
        CommandError: there is no key, or one that no header can carry, or the URL is none.
    """

    def __init__(
        self, url: str | None = None, key: str | None = None, project: str | None = None
    ) -> None:
        from stocktake import client  # late: `stocktake up` does without httpx

        try:
            # One attempt: whoever typed the command sees at once what is wrong, and decides.
            self._api = client.Client(
                url,
                key,
                project=project,
                timeout_seconds=_TIMEOUT_SECONDS,
                retries=client.Retries(attempts=1),
            )
        except client.ConfigurationError as exc:
            raise CommandError(str(exc)) from exc
        self.url, self._project = self._api.address.url, self._api.address.project

    @classmethod
    def from_environment(cls) -> Self:
        """Return the server that ``STOCKTAKE_URL``, ``_API_KEY`` and ``_PROJECT_ID`` name.

        Raises:
            CommandError: there is no key, or one that no header can carry, or the URL is none.
        """
        return cls()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._api.close()

    def get(self, path: str, *, absent: str = "", **query: Any) -> Any:
        """Return what is at a path under the project.

        Args:
            absent: the sentence where nothing is there.
            query: behind the path.

        Raises:
            CommandError: the server cannot be reached, or refuses.
        """
        return self._ask("GET", path, query=query, absent=absent)

    def post(self, path: str, body: Any, *, wait_seconds: int = 0, **query: Any) -> Any:
        """Send a body to a path under the project.

        Args:
            wait_seconds: for how long the answer may wait for the job's end.
            query: behind the path.

        Raises:
            CommandError: the server cannot be reached, or refuses.
        """
        return self._ask("POST", path, body=body, query=query, wait_seconds=wait_seconds)

    def patch(self, path: str, body: Any) -> Any:
        """Change what is at a path under the project.

        Raises:
            CommandError: the server cannot be reached, or refuses.
        """
        return self._ask("PATCH", path, body=body)

    def send_file(
        self, path: str, file: Path | None, fields: dict[str, str], *, wait_seconds: int = 0
    ) -> Any:
        """Send a file, or none, and the fields of a form, to a path under the project.

        Args:
            wait_seconds: for how long the answer may wait for the job's end.

        Raises:
            CommandError: the file cannot be read, or the server not be reached, or it refuses.
        """
        from stocktake.client.requests import Form

        if file is None:
            form = Form(file=None, filename="", fields=fields)
            return self._ask("POST", path, form=form, wait_seconds=wait_seconds)
        try:
            with file.open("rb") as opened:
                form = Form(file=opened, filename=file.name, fields=fields)
                return self._ask("POST", path, form=form, wait_seconds=wait_seconds)
        except OSError as exc:
            raise CommandError(f"{file} cannot be read: {exc.strerror}.") from exc

    def delete(self, path: str) -> None:
        """Delete what is at a path under the project.

        Raises:
            CommandError: the server cannot be reached, or refuses.
        """
        self._ask("DELETE", path)

    def job(self, job_id: str, action: str = "", **query: Any) -> dict[str, Any]:
        """Return a job as it is, or as `action` (cancel or retry) leaves it.

        Raises:
            CommandError: there is none, or it is in no state for that.
        """
        path = f"jobs/{urllib.parse.quote(job_id, safe='')}/"
        absent = (
            f"There is no job {job_id!r} in project {self._project}. "
            "`stocktake jobs list` shows those known."
        )
        method, path = ("POST", f"{path}{action}/") if action else ("GET", path)
        found: dict[str, Any] = self._ask(method, path, absent=absent, query=query)
        return found

    def all(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Yield the results of all pages: none twice, and none left out that was there at the
        first.
        """
        from stocktake.client.strangers import is_page

        query = query | {"limit": _PAGE, "cursor": ""}
        while True:
            if not is_page(page := self.get(path, **query)):
                raise CommandError(
                    f"{self.url} answered with no list of Stocktake's. Set STOCKTAKE_URL to where "
                    "your Stocktake is."
                )
            yield from page["results"]
            if not page["next"]:
                return
            # Not the URL itself: the server may know itself by another name than we do.
            query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(page["next"]).query))

    def watch(self, topics: Iterable[str], since: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield what changes in the project, as the stream of events has it, with its `id`.

        Raises:
            CommandError: the key does not hold any more, or may not.
        """
        from stocktake import client

        try:
            for changes in self._api.watch(tuple(topics), last_event_id=since):
                yield dict(changes.raw)
        except client.RefusedError as exc:
            raise CommandError(self._explain(exc)) from exc

    def table(self, name: str) -> dict[str, Any]:
        """Return the table of this name, or with this id.

        Raises:
            CommandError: there is none.
        """
        composed = unicodedata.normalize("NFC", name)  # as names are stored
        # The search finds parts of names, in any letter case: which one is meant is told here.
        for table in self.all("warehouse_tables/", search=name):
            if table["name"] in (name, composed):
                return table
        if name.count("-") == 4:  # looks like an id
            found: dict[str, Any] = self.get(f"warehouse_tables/{name}/")
            return found
        raise CommandError(
            f"There is no table {name!r}. `stocktake tables list` shows those known."
        )

    def _ask(
        self,
        method: str,
        path: str,
        *,
        absent: str = "",
        query: dict[str, Any] | None = None,
        body: Any = None,
        form: "Form | None" = None,
        wait_seconds: int = 0,
    ) -> Any:
        from stocktake import client
        from stocktake.client.requests import Request, json_request

        request = Request(
            method=method,
            path=path,
            query=query or {},
            body=body,
            form=form,
            wait_seconds=wait_seconds,
        )
        try:
            return self._api.run(json_request(request))
        except client.NotFoundError as exc:
            if exc.code != "not_found":  # it says more than that something is missing
                raise CommandError(self._explain(exc)) from exc
            told = absent if absent and self._knows_project() else self._not_found()
            raise CommandError(told) from exc
        except client.RefusedError as exc:
            raise CommandError(self._explain(exc)) from exc
        except client.UnreachableError as exc:
            raise CommandError(self._silent(exc)) from exc
        except client.StocktakeError as exc:
            raise CommandError(str(exc)) from exc

    def _silent(self, error: "UnreachableError") -> str:
        if error.timed_out:
            return f"The server at {self.url} did not answer within {_TIMEOUT_SECONDS:g} s."
        started = "\n`stocktake up` starts one." if "No answer came" in error.detail else ""
        return f"{error}{started}"

    def _knows_project(self) -> bool:
        # Every project has this list, so that a 404 is the project's own. The API answers alike for
        # a thing that is missing and for a project that is another's.
        from stocktake import client
        from stocktake.client.requests import Request, json_request

        looking = Request(method="GET", path="jobs/", query={"limit": 1})
        try:
            self._api.run(json_request(looking))
        except client.NotFoundError:
            return False
        except client.StocktakeError:
            pass
        return True

    def _not_found(self) -> str:
        if self._knows_project():
            return f"Not found in project {self._project}. Check the name or id."
        return (
            f"This API key has no project {self._project!r}. Leave STOCKTAKE_PROJECT_ID out for "
            "the key's own, or set it to one that `stocktake keys list` shows for the key."
        )

    def _explain(self, refusal: "RefusedError") -> str:
        detail = refusal.detail
        match refusal.status:
            case 401:
                return (
                    f"The server at {self.url} does not know this API key ({detail}). Check "
                    "STOCKTAKE_API_KEY, or make a key with `stocktake keys create`; and "
                    "STOCKTAKE_URL, where that is another server than you mean."
                )
            case 403:
                return f"This API key may not do that: {detail}"
            case 429:
                seconds = refusal.retry_after_seconds
                return f"{detail} Try again in {'a few' if seconds is None else int(seconds)} s."
            case status if status >= 500:
                return f"The server failed with {status}: {detail} Its log says more."
        named = not refusal.attr or detail.startswith(f"{refusal.attr} ")
        told = detail if named else f"{refusal.attr}: {detail}"
        return f"{told}\n{refusal.hint}" if refusal.hint else told
