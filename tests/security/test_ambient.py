"""On a machine with a cloud role, nothing of that role is asked for, used or sent."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from obstore.store import S3Store

from servers.process import PATIENCE_SECONDS
from servers.seaweedfs import SeaweedFS
from servers.service import Web, Worker, service_settings
from servers.valkey import Valkey
from stocktake.services import identity
from tests.security.service import ended
from tests.security.tripwire import Tripwire, ambient
from tests.support.stack import opened

#: Whoever finds these does not ask the metadata address.
FOUND_FIRST = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_FEDERATED_TOKEN_FILE",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_SERVICE_ACCOUNT",
)
#: A cloud's client as its library makes it.
_BARE = "from obstore.store import {0} as Store; Store({1}).list().collect()"
_ACCOUNT = "'container', account_name='acct'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A stack whose processes have the variables of a cloud's machine.

    Attributes:
        client: relative to a project.
    """

    client: httpx.Client
    tripwire: Tripwire
    s3: SeaweedFS
    bucket: str

    def put(self, key: str, data: bytes) -> None:
        store = S3Store(
            self.bucket,
            endpoint=self.s3.endpoint,
            region=self.s3.region,
            access_key_id=self.s3.access_key,
            secret_access_key=self.s3.secret_key,
            client_options={"allow_http": True},
        )
        store.put(key, data)

    def ended(self, location: str) -> dict[str, Any]:
        return ended(self.client, location)

    def register(self, **fields: Any) -> dict[str, Any]:
        answer = self.client.post("warehouse_tables/", json=fields)
        assert answer.status_code == 201, answer.text
        return self.ended(answer.headers["location"])

    @property
    def keys(self) -> dict[str, str]:
        return {"access_key": self.s3.access_key, "access_secret": self.s3.secret_key}


class CloudWorker(Worker):
    """A worker with variables that it finds on its machine."""

    found: Mapping[str, str] = {}

    def environment(self) -> dict[str, str]:
        return super().environment() | self.found


class CloudWeb(Web):
    """A web process with the same."""

    found: Mapping[str, str] = {}

    def environment(self) -> dict[str, str]:
        return super().environment() | self.found


@pytest.fixture(scope="module")
def service(
    s3: SeaweedFS,
    migrated_sqlite_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("ambient")
    database = folder / "stocktake.db"
    database.write_bytes(migrated_sqlite_file.read_bytes())
    bucket, managed = s3.bucket(), s3.bucket()
    settings = service_settings(
        f"sqlite:///{database}",
        "redis://127.0.0.1:9/0",
        folder,
        TRUSTED_ENDPOINTS=s3.endpoint,
        MANAGED_STORAGE_URL=f"s3://{managed}",
        MANAGED_STORAGE_ENDPOINT=s3.endpoint,
        MANAGED_STORAGE_REGION="us-east-1",
        MANAGED_STORAGE_ACCESS_KEY=s3.access_key,
        MANAGED_STORAGE_ACCESS_SECRET=s3.secret_key,
    )
    with opened(settings["DATABASE_URL"]) as opened_database, opened_database.write() as session:
        project = identity.create_project(session, "Shop").id
        key = identity.create_key(session, [project], ["*"])
    with Tripwire() as tripwire, Valkey() as broker:
        settings["BROKER_URL"] = broker.url
        worker, web = CloudWorker(settings), CloudWeb(settings)
        worker.found = web.found = ambient(tripwire.url, folder)
        with worker, web:
            client = httpx.Client(
                base_url=f"{web.url}/api/projects/{project}/",
                headers={"Authorization": f"Bearer {key}"},
                timeout=PATIENCE_SECONDS,
            )
            with client:
                yield Service(client=client, tripwire=tripwire, s3=s3, bucket=bucket)


def test_the_tripwire_hears_who_does_look_around(tmp_path: Path) -> None:
    """Else silence would prove nothing: the same libraries, with no key of their own."""
    looking = {
        "deltalake": "from deltalake import DeltaTable; DeltaTable('s3://bucket/table')",
        "obstore": "from obstore.store import S3Store; S3Store('bucket').list().collect()",
        "pyarrow": "from pyarrow.fs import S3FileSystem as S; S().get_file_info('bucket/key')",
    }
    for program in looking.values():
        with Tripwire() as tripwire:
            variables = ambient(tripwire.url, tmp_path)
            subprocess.run(
                [sys.executable, "-c", program],
                env=variables,
                check=False,
                capture_output=True,
                timeout=PATIENCE_SECONDS,
            )
            assert tripwire.heard


def test_a_table_is_read_with_its_own_keys(service: Service) -> None:
    service.put("orders/a.csv", b"id\n1\n")
    job = service.register(
        name="orders",
        format="CSVWithNames",
        url_pattern=service.s3.url(service.bucket, "orders/*.csv"),
        credential=service.keys,
    )
    assert job["state"] == "succeeded", job["error"]
    assert service.tripwire.heard == []


def test_a_delta_table_is_read_with_its_own_keys(service: Service) -> None:
    write_deltalake(
        f"s3://{service.bucket}/sales",
        pa.table({"id": [1]}),
        storage_options=service.s3.delta_options(),
    )
    job = service.register(
        name="sales",
        format="Delta",
        url_pattern=service.s3.url(service.bucket, "sales"),
        credential=service.keys,
    )
    assert job["state"] == "succeeded", job["error"]
    assert service.tripwire.heard == []


def test_a_wrong_key_is_denied_and_no_other_is_tried(service: Service) -> None:
    job = service.register(
        name="wrong",
        format="CSVWithNames",
        url_pattern=service.s3.url(service.bucket, "orders/*.csv"),
        credential={"access_key": "wrong", "access_secret": "wrong"},
    )
    assert job["error"]["code"] in ("invalid_access_key", "access_denied")
    assert service.tripwire.heard == []


def test_a_public_source_is_read_unsigned(service: Service) -> None:
    """The store of the test takes no unsigned request."""
    job = service.register(
        name="public",
        format="CSVWithNames",
        url_pattern=service.s3.url(service.bucket, "orders/*.csv"),
        options={"public": True},
    )
    assert job["error"]["code"] == "access_denied"
    assert service.tripwire.heard == []


def _run_without_found_keys(program: str, tripwire: Tripwire, folder: Path) -> str:
    """Run it where nothing but the metadata address has keys to give: what it printed."""
    variables = ambient(tripwire.url, folder)
    for name in FOUND_FIRST:
        del variables[name]
    done = subprocess.run(
        [sys.executable, "-c", f"try:\n    {program}\nexcept BaseException:\n    print('failed')"],
        env=variables,
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("store", "arguments"),
    [("S3Store", "'bucket'"), ("GCSStore", "'bucket'"), ("AzureStore", _ACCOUNT)],
)
def test_each_clouds_client_does_look_around(tmp_path: Path, store: str, arguments: str) -> None:
    """Else the silence of the next test would prove nothing."""
    with Tripwire() as tripwire:
        _run_without_found_keys(_BARE.format(store, arguments), tripwire, tmp_path)
    assert tripwire.heard


@pytest.mark.parametrize(
    "url",
    [
        "https://b.s3.eu-west-1.amazonaws.com/k",
        "https://storage.googleapis.com/b/k",
        "https://acct.blob.core.windows.net/c/k",
    ],
)
@pytest.mark.parametrize("public", [True, False])
def test_no_client_of_ours_looks_around(tmp_path: Path, url: str, public: bool) -> None:
    """Whether or not the cloud can be reached from here, its client asks nobody else.

    Two things see to it: it is given keys or told to need none, and it reaches no other host.
    """
    keys = None if public else "Credential(access_key='acct', access_secret='c2VjcmV0')"
    program = (
        "from stocktake.storage.stores.clients import build_client; "
        "from stocktake.storage.stores.protocol import Credential; "
        "from stocktake.storage.places.urls import parse; "
        f"client = build_client(parse({url!r}), {keys}, public={public}, allow_http=False); "
        "print('built'); client.list().collect()"
    )
    with Tripwire() as tripwire:
        printed = _run_without_found_keys(program, tripwire, tmp_path)
    assert printed in ("built\n", "built\nfailed\n")
    assert tripwire.heard == []


@pytest.mark.parametrize("target", ["file", "delta"])
def test_managed_storage_is_used_with_its_own_keys(service: Service, target: str) -> None:
    """The request stores the upload, the job reads it; Delta is written by deltalake."""
    for _ in range(2):
        answer = service.client.post(
            "warehouse_tables/file/",
            files={"file": ("a.csv", b"id\n1\n")},
            data={"name": f"managed_{target}", "target": target},
        )
        job = service.ended(answer.headers["location"])
        assert job["state"] == "succeeded", job["error"]
    assert service.tripwire.heard == []
