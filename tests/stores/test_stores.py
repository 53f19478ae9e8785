"""One set of scenarios against every store that a package ships: `make stores` runs all of them.

`make test` runs the quick ones, against the two stores that need Python alone and take no time.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from stocktake.storage import clients, objects
from stocktake.storage.routes import Route, route
from tests.processes import HOST
from tests.servers import Azurite
from tests.stores import managing, scenarios
from tests.stores.exceptions import EXCEPTIONS
from tests.stores.servers import FakeGcs, Moto, Rclone, S3rver, WatchfulSeaweedFS
from tests.stores.tested import (
    AzureKind,
    GcsKind,
    MotoKind,
    NotOfferedError,
    Place,
    RcloneKind,
    S3rverKind,
    SeaweedKind,
    TestedStore,
)

STORES: Final[dict[str, tuple[type[TestedStore], type[Any]]]] = {
    kind.name: (kind, server)
    for kind, server in (
        (SeaweedKind, WatchfulSeaweedFS),
        (MotoKind, Moto),
        (RcloneKind, Rclone),
        (S3rverKind, S3rver),
        (GcsKind, FakeGcs),
        (AzureKind, Azurite),
    )
}
MANAGING: Final = ("managed upload", "two appends at once")
#: What `make test` leaves to `make stores`: the rest of the stores, and what takes seconds.
_QUICK_STORES: Final = ("SeaweedFS", "moto")
_SLOW: Final = ("1,500 objects", "hanging body", "managed upload")


def _cases() -> Iterator[Any]:
    for store in STORES:
        for scenario in (*scenarios.READING, *MANAGING):
            marks = [pytest.mark.xdist_group(store)]
            if store not in _QUICK_STORES or scenario in _SLOW:
                marks.append(pytest.mark.long)
            if fault := EXCEPTIONS.get((store, scenario)):
                marks.append(pytest.mark.xfail(reason=fault, strict=True))
            yield pytest.param(store, scenario, marks=marks, id=f"{store}-{scenario}")


@pytest.fixture(scope="session")
def running() -> Iterator[Callable[[str], TestedStore]]:
    """The store of a name, started when it is first asked for."""
    started: dict[str, Any] = {}

    def run(name: str) -> TestedStore:
        kind, server = STORES[name]
        if name not in started:
            if why := getattr(server, "missing", lambda: None)():
                pytest.skip(why)
            started[name] = server().start()
        return kind(started[name])  # type: ignore[call-arg]  # each takes its own server

    yield run
    for server in started.values():
        server.stop()


@pytest.fixture(autouse=True)
def impatient(scenario: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent store is given up sooner than in service."""
    if scenario == "hanging body":
        monkeypatch.setattr(clients, "_READ_SECONDS", 3)
        monkeypatch.setitem(clients._RETRY, "retry_timeout", timedelta(seconds=1))


@pytest.fixture
def place(
    store: str,
    scenario: str,
    running: Callable[[str], TestedStore],
    monkeypatch: pytest.MonkeyPatch,
) -> Place:
    tested = running(store)
    if isinstance(tested, AzureKind):
        _lead_azures_name_here(tested, monkeypatch)
    return Place(store=tested, bucket=tested.bucket(_bucket_name(scenario)))


def _bucket_name(scenario: str) -> str:
    """A new one, which begins with the scenario's first word, as far as buckets may."""
    word = "".join(letter for letter in scenario.split(maxsplit=1)[0].lower() if letter.isalnum())
    return f"{word}-{uuid4().hex[:12]}"


def _lead_azures_name_here(tested: AzureKind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections to Azure's host arrive at this machine, as if a resolver had said so."""

    def local(endpoint: str, *, allow_http: bool) -> Route:
        way = route(endpoint, allow_http=allow_http)
        return replace(way, proxy_url=f"https://{HOST}:{urlsplit(endpoint).port}")

    monkeypatch.setenv("SSL_CERT_FILE", str(tested.server.certificate.authority))
    monkeypatch.setattr(clients, "route", local)
    monkeypatch.setattr(objects, "route", local)


@contextmanager
def _offered() -> Iterator[None]:
    try:
        yield
    except NotOfferedError as lack:
        pytest.skip(f"not offered: {lack}")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("store", "scenario"), list(_cases()))
def test_store(
    store: str,
    scenario: str,
    place: Place,
    tmp_path: Path,
    migrated_sqlite_file: Path,
    record_property: Callable[[str, object], None],
) -> None:
    work: dict[str, Callable[[Place], str | None]] = {
        **scenarios.READING,
        MANAGING[0]: partial(
            managing.managed_upload, migrated=migrated_sqlite_file, folder=tmp_path
        ),
        MANAGING[1]: managing.appends_at_once,
    }
    with _offered():
        if said := work[scenario](place):
            record_property("said", said)
