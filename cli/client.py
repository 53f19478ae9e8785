"""The API as the command line asks it; what goes wrong becomes a sentence that says what to do."""

import os
import unicodedata
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from stocktake.errors import CommandError

if TYPE_CHECKING:
    import httpx

_DEFAULT_URL: Final = "http://127.0.0.1:8000"
_PAGE: Final = 500
#: Above the longest wait that the API grants.
_TIMEOUT_SECONDS: Final = 75.0
_NO_KEY: Final = (
    "No API key: set STOCKTAKE_API_KEY. `stocktake up` keeps one in its data directory:\n"
    "  export STOCKTAKE_API_KEY=$(cat .stocktake/api_key)"
)


class Client:
    """One project of one server.

    Args:
        url: of the server, without a path.
        key: the API key.
        project: its id, or ``@current`` for the one project of the key.
    """

    def __init__(self, url: str, key: str, project: str = "@current") -> None:
        import httpx  # late: `stocktake up` does without

        self.url = url.rstrip("/")
        self._project = project
        self._http = httpx.Client(
            base_url=f"{self.url}/api/projects/{urllib.parse.quote(project, safe='@')}/",
            headers={"Authorization": f"Bearer {key}"},
            timeout=_TIMEOUT_SECONDS,
            # A proxy of the environment is for the outside; this is the person's own server.
            trust_env=False,
        )

    @classmethod
    def from_environment(cls) -> Self:
        """Return the server that ``STOCKTAKE_URL``, ``_API_KEY`` and ``_PROJECT_ID`` name.

        Raises:
            CommandError: there is no key, or one that no header can carry, or the URL is none.
        """
        key = os.environ.get("STOCKTAKE_API_KEY", "").strip()
        if not key or not key.isascii():
            raise CommandError(_NO_KEY)
        url = os.environ.get("STOCKTAKE_URL") or _DEFAULT_URL
        if not url.startswith(("http://", "https://")):
            raise CommandError(
                f"STOCKTAKE_URL must begin with http:// or https://, as {_DEFAULT_URL} does; "
                f"it is {url!r}."
            )
        if path := url.partition("://")[2].partition("/")[2].strip("/"):
            raise CommandError(
                f"STOCKTAKE_URL names the server alone, without a path: leave {path[:100]!r} out. "
                "STOCKTAKE_PROJECT_ID names a project."
            )
        return cls(url, key, os.environ.get("STOCKTAKE_PROJECT_ID") or "@current")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """Return what is at a path under the project.

        Raises:
            CommandError: the server cannot be reached, or refuses.
        """
        given = {name: value for name, value in query.items() if value is not None}
        return self._ask("GET", path, params=given)

    def post(self, path: str, body: Any, *, wait_seconds: int = 0) -> Any:
        """Send a body to a path under the project.

        Args:
            wait_seconds: for how long the answer may wait for the job's end.

        Raises:
            CommandError: the server cannot be reached, or refuses.
        """
        headers = {"Prefer": f"wait={wait_seconds}"} if wait_seconds else {}
        return self._ask("POST", path, json=body, headers=headers)

    def send_file(
        self, path: str, file: Path, fields: dict[str, str], *, wait_seconds: int = 0
    ) -> Any:
        """Send a file, and the fields of a form, to a path under the project.

        Args:
            wait_seconds: for how long the answer may wait for the job's end.

        Raises:
            CommandError: the file cannot be read, or the server not be reached, or it refuses.
        """
        headers = {"Prefer": f"wait={wait_seconds}"} if wait_seconds else {}
        try:
            with file.open("rb") as opened:
                files = {"file": (file.name, opened)}
                return self._ask("POST", path, data=fields, files=files, headers=headers)
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
        found: dict[str, Any] = self._ask(method, path, absent=absent, params=query)
        return found

    def all(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Yield the results of all pages: none twice, and none left out that was there at the
        first.
        """
        page = self.get(path, limit=_PAGE, cursor="", **query)
        yield from page["results"]
        while page["next"]:
            # Not the URL itself: the server may know itself by another name than we do.
            following = urllib.parse.urlsplit(page["next"]).query
            page = self.get(path, **dict(urllib.parse.parse_qsl(following)))
            yield from page["results"]

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

    def _ask(self, method: str, path: str, *, absent: str = "", **request: Any) -> Any:
        import httpx

        try:
            answer = self._http.request(method, path, **request)
        except httpx.InvalidURL as exc:
            raise CommandError(f"STOCKTAKE_URL is no URL: {exc}.") from exc
        except httpx.TimeoutException as exc:
            raise CommandError(
                f"The server at {self.url} did not answer within {_TIMEOUT_SECONDS:g} s."
            ) from exc
        except httpx.TransportError as exc:
            raise CommandError(
                f"No server answers at {self.url} ({exc}). Start one with `stocktake up`, or set "
                "STOCKTAKE_URL to where yours is."
            ) from exc
        if answer.status_code == 404:
            raise CommandError(absent if absent and self._knows_project() else self._not_found())
        if not answer.is_success:
            raise CommandError(self._explain(answer))
        return answer.json() if answer.content else None

    def _knows_project(self) -> bool:
        # Every project has this list, so that a 404 is the project's own. The API answers alike for
        # a thing that is missing and for a project that is another's.
        return self._http.get("jobs/", params={"limit": 1}).status_code != 404

    def _not_found(self) -> str:
        if self._knows_project():
            return f"Not found in project {self._project}. Check the name or id."
        return (
            f"This API key has no project {self._project!r}. Leave STOCKTAKE_PROJECT_ID out for "
            "the key's own, or set it to one that `stocktake keys list` shows for the key."
        )

    def _explain(self, answer: "httpx.Response") -> str:
        detail = _detail(answer)
        match answer.status_code:
            case 401:
                return (
                    f"The server does not know this API key ({detail}). Check STOCKTAKE_API_KEY, "
                    "or make a key with `stocktake keys create`."
                )
            case 403:
                return f"This API key may not do that: {detail}"
            case 429:
                return f"{detail} Try again in {answer.headers.get('Retry-After', 'a few')} s."
            case status if status >= 500:
                return f"The server failed with {status}: {detail} Its log says more."
        return detail


def _detail(answer: "httpx.Response") -> str:
    try:
        body = answer.json()
    except ValueError:
        return f"status {answer.status_code} from something that is not Stocktake"
    if not isinstance(body, dict):
        return f"status {answer.status_code}"
    attr = str(body.get("attr") or "").replace("__", ".")  # as it is written in a body
    detail = str(body.get("detail") or body.get("message") or f"status {answer.status_code}")
    # A create that waited and whose read failed carries the job's error.
    hint = (body.get("error") or {}).get("hint")
    return (f"{attr}: {detail}" if attr else detail) + (f"\n{hint}" if hint else "")
