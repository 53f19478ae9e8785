"""From a POST over HTTP to the columns, for each format: a real worker, broker, bucket and
PostgreSQL. One stack serves the module: nothing here harms it.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from obstore.store import S3Store

from servers.postgres import Postgres
from servers.seaweedfs import SeaweedFS
from servers.service import Web, Worker, service_settings
from servers.valkey import Valkey
from stocktake.db.session import Database
from stocktake.services import identity
from tests.security.service import ended
from tests.support.iceberg_tables import as_file, field_of, metadata_of

WAIT_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The running service and the bucket that its tables lie in."""

    client: httpx.Client
    s3: SeaweedFS
    bucket: str

    @property
    def credential(self) -> dict[str, str]:
        return {"access_key": self.s3.access_key, "access_secret": self.s3.secret_key}

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

    def write_delta(self, key: str, rows: pa.Table) -> None:
        write_deltalake(
            f"s3://{self.bucket}/{key}",
            rows,
            mode="append",
            schema_mode="merge",
            storage_options=self.s3.delta_options(),
        )

    def register(self, path: str, format_: str, **more: Any) -> dict[str, Any]:
        body = {
            "name": f"{format_}_{path.split('/', maxsplit=1)[0]}",
            "format": format_,
            "url_pattern": self.s3.url(self.bucket, path),
            "credential": self.credential,
        }
        answer = self.client.post("warehouse_tables/", json=body | more)
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created

    def ended(self, job_id: str) -> dict[str, Any]:
        job = ended(self.client, job_id)
        assert job["state"] == "succeeded", job["error"]
        return job


@pytest.fixture(scope="module")
def service(
    s3: SeaweedFS,
    postgres: Postgres,
    migrated_postgres_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    url = postgres.create_database(migrated_postgres_template)
    database = Database(url)
    with database.write() as session:
        project_id = identity.create_project(session, "Shop").id
        key = identity.create_key(session, [project_id], ["*"])
    database.dispose()
    with Valkey() as broker:
        settings = service_settings(
            url, broker.url, tmp_path_factory.mktemp("stack"), TRUSTED_ENDPOINTS=s3.endpoint
        )
        with Worker(settings), Web(settings) as web:
            client = httpx.Client(
                base_url=f"{web.url}/api/projects/{project_id}/",
                headers={"Authorization": f"Bearer {key}"},
                timeout=2 * WAIT_SECONDS,
            )
            with client:
                yield Service(client=client, s3=s3, bucket=s3.bucket())
    postgres.drop_database(url)


def _parquet(**columns: pa.Array) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def _delta(service: Service, key: str) -> None:
    service.write_delta(key, pa.table({"id": [1], "note": ["x"]}))


def _iceberg(service: Service, key: str) -> None:
    schema = [field_of(1, "id", "long"), field_of(2, "note", "string")]
    service.put(f"{key}/metadata/00000-0.metadata.json", as_file(metadata_of(schema)))


def _file(data: bytes) -> Callable[[Service, str], None]:
    def write(service: Service, key: str) -> None:
        service.put(key.replace("*", "1"), data)

    return write


COLUMNS = [("id", "integer"), ("note", "string")]


@pytest.mark.parametrize(
    ("format_", "path", "write", "columns"),
    [
        ("Delta", "orders", _delta, COLUMNS),
        ("DeltaS3Wrapper", "wrapped", _delta, COLUMNS),
        (
            "Parquet",
            "parquet/*.parquet",
            _file(_parquet(id=pa.array([1]), note=pa.array(["x"]))),
            COLUMNS,
        ),
        ("CSVWithNames", "names/*.csv", _file(b"id,note\n1,x\n"), COLUMNS),
        ("CSV", "plain/*.csv", _file(b"1,x\n"), [("c1", "integer"), ("c2", "string")]),
        ("JSONEachRow", "json/*.json", _file(b'{"id":1,"note":"x"}\n'), COLUMNS),
        ("Iceberg", "iceberg", _iceberg, COLUMNS),
    ],
)
def test_a_table_of_each_format_is_read_after_its_post(
    service: Service,
    format_: str,
    path: str,
    write: Callable[[Service, str], None],
    columns: list[tuple[str, str]],
) -> None:
    write(service, path)
    created = service.register(path, format_)
    assert created["columns"] == []

    job = service.ended(created["latest_job"]["id"])
    table = service.client.get(f"warehouse_tables/{created['id']}/").json()
    again = service.client.post(f"warehouse_tables/{created['id']}/refresh_schema/")

    assert [(column["key"], column["type"]) for column in table["columns"]] == columns
    assert job["result"]["columns"] == len(columns)
    assert again.status_code == 202
    assert service.ended(again.json()["id"])["result"]["coverage"]["unchanged"] is True


def test_a_column_that_is_added_at_the_source_shows_in_the_diff(service: Service) -> None:
    _delta(service, "growing")
    table = service.register("growing", "Delta")
    service.ended(table["latest_job"]["id"])
    service.write_delta("growing", pa.table({"id": [2], "note": ["y"], "price": [1.5]}))

    answer = service.client.post(
        f"warehouse_tables/{table['id']}/refresh_schema/",
        headers={"Prefer": f"wait={WAIT_SECONDS}"},
    )

    assert answer.status_code == 200
    assert answer.json()["result"]["change"] == "additive"
    versions = f"warehouse_tables/{table['id']}/schema_versions/2/diff/"
    diff = service.client.get(versions).json()
    assert diff["change"] == "additive"


@pytest.mark.parametrize(
    ("credential", "path", "sentence"),
    [
        (
            {"access_key": "nobody", "access_secret": "x"},
            "guarded",
            "The Access Key you provided does not exist",
        ),
        ({}, "nothing/*.parquet", "The provided file doesn't exist in the bucket"),
    ],
)
def test_a_create_that_waits_for_a_bad_source_leaves_no_table(
    service: Service, credential: dict[str, str], path: str, sentence: str
) -> None:
    _delta(service, "guarded")
    body = {
        "name": "never",
        "format": "Parquet" if "*" in path else "Delta",
        "url_pattern": service.s3.url(service.bucket, path),
        "credential": service.credential | credential,
    }
    answer = service.client.post(
        "warehouse_tables/", json=body, headers={"Prefer": f"wait={WAIT_SECONDS}"}
    )

    assert answer.status_code == 400
    assert answer.json()["detail"] == sentence
    listed = service.client.get("warehouse_tables/", params={"search": "never"}).json()
    assert listed["count"] == 0
