"""Which server, which key, which project: from arguments, or the environment."""

import os
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import quote

import httpx

from stocktake.client.errors import ConfigurationError

DEFAULT_URL: Final = "http://127.0.0.1:8000"
_NO_KEY: Final = (
    "No API key: set STOCKTAKE_API_KEY. `stocktake up` keeps one in its data directory:\n"
    "  export STOCKTAKE_API_KEY=$(cat .stocktake/api_key)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One project of one server, and the key to it.

    Attributes:
        project: its id, or ``@current`` for the one project of the key.
    """

    url: str
    api_key: str = field(repr=False)
    project: str

    @classmethod
    def found(
        cls, url: str | None = None, api_key: str | None = None, project: str | int | None = None
    ) -> Self:
        """Return what is given; of the rest what ``STOCKTAKE_URL``, ``STOCKTAKE_API_KEY`` and
        ``STOCKTAKE_PROJECT_ID`` say.

        Raises:
            ConfigurationError: there is no key, or one that no header can carry, or the URL is
                none.
        """
        key = (api_key or os.environ.get("STOCKTAKE_API_KEY", "")).strip()
        if not key or not key.isascii():
            raise ConfigurationError(_NO_KEY)
        where = "url" if url else "STOCKTAKE_URL"
        url = url or os.environ.get("STOCKTAKE_URL") or DEFAULT_URL
        if not url.startswith(("http://", "https://")):
            raise ConfigurationError(
                f"{where} must begin with http:// or https://, as {DEFAULT_URL} does; "
                f"it is {url!r}."
            )
        if path := url.partition("://")[2].partition("/")[2].strip("/"):
            raise ConfigurationError(
                f"{where} names the server alone, without a path: leave {path[:100]!r} out. "
                "STOCKTAKE_PROJECT_ID names a project."
            )
        try:
            named_user = httpx.URL(url).userinfo
        except httpx.InvalidURL as exc:
            raise ConfigurationError(f"{where} is no URL: {exc}.") from exc
        if named_user:
            # It would be sent in the place of the key, and be repeated in errors.
            raise ConfigurationError(
                f"{where} has a user or a password, which no Stocktake asks for: leave out what "
                "stands before the @."
            )
        named = str(project or os.environ.get("STOCKTAKE_PROJECT_ID") or "@current")
        return cls(url=url.rstrip("/"), api_key=key, project=named)

    @property
    def base_url(self) -> str:
        """The URL that all paths of the project are below."""
        return f"{self.url}/api/projects/{quote(self.project, safe='@')}/"
