"""Managed storage in the store under test: uploads to the running service, appends at once."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier
from typing import Any, Final

import httpx
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from servers.service import service_settings
from servers.valkey import Valkey
from stocktake.errors import UnsupportedError
from stocktake.parts import managed_storage
from stocktake.settings import Settings
from stocktake.storage.stores.exclusive import require_exclusive_put
from tests.stores.tested import NotOfferedError, Place
from tests.support.harness import open_stack

#: What the matrix says where managed Delta is refused before anything is written.
REFUSED: Final = "refused"
_WRITERS: Final = 4
_APPENDS: Final = 3
_WAIT_SECONDS: Final = 60


def managed_upload(place: Place, migrated: Path, folder: Path) -> str | None:
    """A file and rows for a Delta table, over HTTP, read back by a worker."""
    if place.store.speaks_tls:
        raise NotOfferedError(
            "Azure's name leads to the emulator in one process only; "
            "tests/integration/test_azure.py uploads there"
        )
    holds = _holds(place)
    with _service(place, migrated, folder) as client:
        file = _uploaded(client, b"id,note\n1,one\n", name="file")
        assert file["state"] == "succeeded", file
        for number in (1, 2):
            rows = _uploaded(client, b"id\n%d\n" % number, name="rows", target="delta")
            if not holds:
                assert rows["error"]["code"] == "unsupported_store", rows
                return REFUSED
            assert rows["state"] == "succeeded", rows
        tables = client.get("warehouse_tables/").json()["results"]
        assert {each["name"]: each["row_count"] for each in tables} == {"file": 1, "rows": 2}
    return None


def appends_at_once(place: Place) -> str | None:
    """Every append is in the table, or none is let near it."""
    storage = managed_storage(_settings(place))
    try:
        require_exclusive_put(storage)
    except UnsupportedError:
        return REFUSED
    uri, options = storage.delta_root(1, "at-once")
    write_deltalake(uri, pa.table({"id": [-1]}), storage_options=options)
    together = Barrier(_WRITERS)

    def append(writer: int) -> None:
        for number in range(_APPENDS):
            together.wait()
            rows = pa.table({"id": [writer * _APPENDS + number]})
            write_deltalake(uri, rows, mode="append", storage_options=options)

    with ThreadPoolExecutor(_WRITERS) as writers:
        list(writers.map(append, range(_WRITERS)))
    found = DeltaTable(uri, storage_options=options).to_pyarrow_table()["id"].to_pylist()
    assert sorted(found) == list(range(-1, _WRITERS * _APPENDS))
    return None


def _settings(place: Place) -> Settings:
    values = place.store.managed(place.bucket)
    return Settings(**{name.lower(): value for name, value in values.items()})  # type: ignore[arg-type]  # pydantic takes texts


def _holds(place: Place) -> bool:
    try:
        require_exclusive_put(managed_storage(_settings(place)))
    except UnsupportedError:
        return False
    return True


@contextmanager
def _service(place: Place, migrated: Path, folder: Path) -> Iterator[httpx.Client]:
    """The API and a worker, with the bucket as managed storage."""
    shutil.copyfile(migrated, folder / "service.db")
    url = f"sqlite:///{folder / 'service.db'}"
    with Valkey() as broker:
        settings = service_settings(url, broker.url, folder, **place.store.managed(place.bucket))
        with open_stack(url, broker, settings, folder) as stack:
            stack.start_worker()
            client = httpx.Client(
                base_url=f"{stack.start_web().url}/api/projects/{stack.project_id}/",
                headers={"Authorization": f"Bearer {stack.make_key()}"},
                timeout=2 * _WAIT_SECONDS,
                trust_env=False,
            )
            with client:
                yield client


def _uploaded(client: httpx.Client, data: bytes, **form: str) -> dict[str, Any]:
    """The job that took the upload, once it has ended."""
    answer = client.post(
        "warehouse_tables/file/",
        data={"format": "CSVWithNames", **form},
        files={"file": ("orders.csv", data)},
    )
    assert answer.status_code in (200, 201, 202), answer.text
    job_id = answer.headers["Location"].rstrip("/").rpartition("/")[2]
    job: dict[str, Any] = client.get(f"jobs/{job_id}/", params={"wait": _WAIT_SECONDS}).json()
    assert job["done"], job
    return job
