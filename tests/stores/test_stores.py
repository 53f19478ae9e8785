"""One set of scenarios against every store that a package ships: `make stores` runs all of them.

`make test` runs the quick ones, against the two stores that need Python alone and take no time.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from stocktake.storage.stores import clients
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
from tests.support.azurite import Azurite

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
UPLOAD, APPENDS = MANAGING = ("managed upload", "two appends at once")
#: What `make test` leaves to `make stores`: the rest of the stores, and what takes seconds.
_QUICK_STORES: Final = ("SeaweedFS", "moto")
_SLOW: Final = ("1,500 objects", "hanging body", UPLOAD)


def _cases() -> Iterator[Any]:
    for store in STORES:
        for scenario in (*scenarios.READING, *MANAGING):
            marks: list[pytest.MarkDecorator] = []
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
    request: pytest.FixtureRequest,
) -> Place:
    if store == AzureKind.name:
        request.getfixturevalue("azures_name")
        tested: TestedStore = AzureKind(request.getfixturevalue("azurite"))
    else:
        tested = running(store)
    return Place(store=tested, bucket=tested.bucket(_bucket_name(scenario)))


def _bucket_name(scenario: str) -> str:
    """A new one, which begins with the scenario's first word, as far as buckets may."""
    word = "".join(letter for letter in scenario.split(maxsplit=1)[0].lower() if letter.isalnum())
    return f"{word}-{uuid4().hex[:12]}"


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
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    with _offered():
        if scenario == UPLOAD:
            migrated: Path = request.getfixturevalue("migrated_sqlite_file")
            said = managing.managed_upload(place, migrated, tmp_path)
        elif scenario == APPENDS:
            said = managing.appends_at_once(place)
        else:
            said = scenarios.READING[scenario](place)
    if said is not None:
        record_property("said", said)
