"""Every way to name a place that nobody may open: refused with its sentence, nothing connected to,
no name resolved. What is asked is the API of a web process that writes down where it connects.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from servers.process import PATIENCE_SECONDS
from servers.service import Web
from tests.faults.inside import variables
from tests.security.conftest import StartWeb
from tests.security.refused_urls import PORT, REFUSED
from tests.security.tripwire import Tripwire
from tests.support.commands import stocktake
from tests.support.stack import wait_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """A web process, and where it went.

    Attributes:
        client: relative to a project.
        table: the path of a table in it.
    """

    client: httpx.Client
    table: str
    tripwire: Tripwire
    record: Path

    def went(self, *, after: int = 0) -> list[str]:
        """Names that were resolved and addresses that were connected to, but for the broker's."""
        lines = self.record.read_text()[after:].splitlines()
        return [line for line in lines if not line.endswith(BROKER)]


#: The discard port: `start_web` gives the process a broker there, which nobody is.
BROKER = "('127.0.0.1', 9)"


@pytest.fixture(scope="module")
def guarded(
    start_web: StartWeb,
    add_key: Callable[[Web], tuple[int, str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Guarded]:
    record = tmp_path_factory.mktemp("record") / "connections"
    record.touch()
    web = start_web(
        variables(record_connections=str(record)),
        ALLOWED_URL_SCHEMES="https",
        TRUSTED_ENDPOINTS="https://*.store.example,http://10.9.8.7:9000",
        MANAGED_STORAGE_URL="https://ours.s3.eu-west-1.amazonaws.com/x",
        MANAGED_STORAGE_ACCESS_KEY="ours",
        MANAGED_STORAGE_ACCESS_SECRET="ours",
    )
    project, key = add_key(web)
    client = httpx.Client(
        base_url=f"{web.url}/api/projects/{project}/",
        headers={"Authorization": f"Bearer {key}"},
        timeout=PATIENCE_SECONDS,
    )
    with client, Tripwire() as tripwire:
        answer = client.post("warehouse_tables/", json=body("https://b.s3.amazonaws.com/k"))
        assert answer.status_code == 201, answer.text
        table = f"warehouse_tables/{answer.json()['id']}/"
        yield Guarded(client=client, table=table, tripwire=tripwire, record=record)


def body(url: str) -> dict[str, object]:
    """A table with that URL."""
    keys = {"access_key": "k", "access_secret": "s"}
    return {"name": "orders", "format": "Parquet", "url_pattern": url, "credential": keys}


def test_the_record_hears_where_the_process_goes(guarded: Guarded) -> None:
    """Else silence would prove nothing: the table's job was rung for."""
    wait_until(lambda: BROKER in guarded.record.read_text(), "a connection to the broker")


@pytest.mark.parametrize(
    ("sentence", "url"),
    REFUSED,
    ids=[f"{at}-{ascii(url)[1:60]}" for at, (_, url) in enumerate(REFUSED)],
)
def test_url_is_refused_and_nobody_is_asked(guarded: Guarded, sentence: str, url: str) -> None:
    url = url.replace(PORT, str(guarded.tripwire.port))
    before = guarded.record.stat().st_size
    for verb, path in (("POST", "warehouse_tables/"), ("PATCH", guarded.table)):
        answer = guarded.client.request(verb, path, json=body(url) | {"name": "attack"})
        assert answer.status_code == 400, answer.text
        told = answer.json()
        assert url not in told.pop("hint", "")
        assert told == {
            "type": "validation_error",
            "code": "invalid_input",
            "detail": sentence,
            "attr": "url_pattern",
        }
    assert guarded.went(after=before) == []
    assert guarded.tripwire.heard == []


def test_nothing_of_it_was_stored(guarded: Guarded) -> None:
    page = guarded.client.get("warehouse_tables/").json()
    assert [table["url_pattern"] for table in page["results"]] == ["https://b.s3.amazonaws.com/k"]


@pytest.mark.parametrize(
    "url",
    [
        "https://s3。amazonaws｡com/b/k",
        "https://ſ3.amazonaws.com/b/k",  # noqa: RUF001 - a long s
        "https://s3.amazonaws.com\u200b/b/k",
        "https://S3.AMAZONAWS.COM./b/k",
    ],
)
def test_a_name_that_is_a_stores_once_folded_is_opened_as_that_stores(
    guarded: Guarded, url: str
) -> None:
    """Never by what is written: the guard's own location is where the job connects to."""
    from stocktake.storage.places.guard import GuardPolicy, recheck
    from stocktake.storage.stores.clients import build_client
    from stocktake.storage.stores.protocol import Credential

    location = recheck(url, GuardPolicy())
    client = build_client(
        location, Credential(access_key="k", access_secret="s"), public=False, allow_http=False
    )
    assert urlsplit(client.config["endpoint"]).hostname == "s3.amazonaws.com"  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/b/k",
        "https://localhost:{port}/b/k",
        "https://2130706433:{port}/b/k",
        "https://s3.amazonaws.com@127.0.0.1:{port}/b/k",
        "https://evil.example/b/k",
    ],
)
def test_the_command_refuses_it_as_well(tmp_path: Path, url: str) -> None:
    record = tmp_path / "connections"
    with Tripwire() as tripwire:
        done = stocktake(
            *("inspect", url.replace(PORT, str(tripwire.port)), "--format", "Parquet", "--public"),
            folder=tmp_path,
            more=variables(record_connections=str(record)),
        )
        assert tripwire.heard == []
    assert done.returncode != 0
    assert "URL pattern" in done.stderr
    assert record.read_text() == ""
