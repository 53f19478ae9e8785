"""A desk at which uploads arrive and jobs are run, without a broker and without HTTP."""

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from servers.seaweedfs import SeaweedFS
from stocktake.db.models import Job, SchemaVersion, Table, Upload
from stocktake.db.session import Database
from stocktake.errors import JobError
from stocktake.jobs import leases
from stocktake.jobs.leases import RetryPolicy
from stocktake.parts import managed_storage
from stocktake.readers.source import no_progress
from stocktake.runs import ingest_file
from stocktake.runs.attempt import Attempt
from stocktake.services import files
from stocktake.services.upload_forms import check_form
from stocktake.settings import Settings
from stocktake.states import JobState
from stocktake.storage.managed import ManagedStorage
from tests.stores.servers import Rclone, make_bucket
from tests.support.azurite import Azurite
from tests.support.rows import (
    RecordedRings,
    claimed,
    context,
    make_project,
    process_of,
    settings_for,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One project with its database and its managed storage."""

    database: Database
    settings: Settings
    project_id: int
    sources: Path

    def send(
        self,
        data: bytes,
        filename: str = "orders.csv",
        request_key: str | None = None,
        **fields: str,
    ) -> UUID:
        """Upload a file as the API does; the id of the job that will read it."""
        sent = hashlib.sha256(repr((filename, fields)).encode() + data).digest()
        with context(self.database, self.settings, self.project_id) as ctx:
            upload = files.begin(ctx, filename)
            upload_id, key = upload.id, upload.object_key
        asyncio.run(self._store(key, data))
        with context(self.database, self.settings, self.project_id) as ctx:
            stored = files.store(ctx, upload_id, size_bytes=len(data))
            form = check_form(filename, {"name": "orders"} | fields)
            if form.dry_run:
                return files.request_check(ctx, stored, form).job.id
            return files.ingest(ctx, stored, form, key=request_key, sent=sent).enqueued.job.id

    async def _store(self, key: str, data: bytes) -> None:
        sink = managed_storage(self.settings).open_upload(key)
        await sink.write(data)
        await sink.finish()

    def attempt(self, job_id: UUID) -> Attempt:
        """A claim of the job, with all that a worker's child hands to a run."""
        return Attempt(
            claim=claimed(self.database, job_id),
            process=process_of(self.database, self.settings),
            progress=no_progress,
        )

    def run(self, job_id: UUID, work: Callable[[Attempt], None] = ingest_file.run) -> Attempt:
        """Claim the job and run it; it must succeed."""
        attempt = self.attempt(job_id)
        work(attempt)
        assert self.job(job_id).state == JobState.SUCCEEDED
        return attempt

    def fail(
        self, job_id: UUID, error: type[JobError], work: Callable[[Attempt], None] = ingest_file.run
    ) -> JobError:
        """Claim the job and run it; it must fail like this, and is ended as the task ends it."""
        return self.end(self.attempt(job_id), error, work)

    def end(
        self,
        attempt: Attempt,
        error: type[JobError],
        work: Callable[[Attempt], None] = ingest_file.run,
    ) -> JobError:
        """Run a claimed attempt; it must fail like this, and is ended as the task ends it."""
        with pytest.raises(error) as caught:
            work(attempt)
        with self.database.write() as session:
            policy = RetryPolicy(base_seconds=0, max_seconds=0)
            leases.fail(session, attempt.claim, caught.value, policy)
        return caught.value

    def load(self, data: bytes, **fields: Any) -> Attempt:
        """Load a file into the managed Delta table."""
        return self.run(self.send(data, **({"target": "delta"} | fields)))

    def expire(self, job_id: UUID) -> None:
        """Put a running job back, as the clock does when its lease ran out."""
        with self.database.write() as session:
            job = session.get_one(Job, job_id)
            job.state = JobState.QUEUED.value
            job.lease_expires_at = None

    def job(self, job_id: UUID) -> Job:
        with self.database.read() as session:
            return session.get_one(Job, job_id)

    def result(self, job_id: UUID) -> dict[str, Any]:
        result = self.job(job_id).result
        assert result is not None
        return result

    def table(self, name: str = "orders") -> Table:
        with self.database.read() as session:
            return session.scalars(select(Table).where(Table.name == name)).one()

    def columns(self) -> dict[str, str]:
        """The table's columns by name, without `Nullable`."""
        return {c["name"]: c["clickhouse"].removeprefix("Nullable(") for c in self.table().columns}

    def valid(self) -> dict[str, bool]:
        return {column["name"]: column["valid"] for column in self.table().columns}

    def override(self, name: str, clickhouse: str) -> None:
        """Set a column's type, as `update_schema` does."""
        with self.database.write() as session:
            table = session.scalars(select(Table).where(Table.name == "orders")).one()
            table.columns = [
                column | {"clickhouse": clickhouse, "override": True}
                if column["name"] == name
                else column
                for column in table.columns
            ]

    def change_table(self, **values: Any) -> None:
        """What a request does to the table while a worker reads: its generation rises."""
        with self.database.write() as session:
            table = session.scalars(select(Table).where(Table.name == "orders")).one()
            for name, value in values.items():
                setattr(table, name, value)
            table.generation += 1

    def upload_state(self, job_id: UUID) -> str:
        with self.database.read() as session:
            job = session.get_one(Job, job_id)
            assert job.upload_id is not None
            return session.get_one(Upload, job.upload_id).state

    def versions(self) -> int:
        with self.database.read() as session:
            return len(session.scalars(select(SchemaVersion)).all())


def with_storage(attempt: Attempt, storage: ManagedStorage) -> Attempt:
    """The attempt with another managed storage."""
    return replace(attempt, process=replace(attempt.process, storage=storage))


@pytest.fixture
def rings() -> RecordedRings:
    return RecordedRings()


@pytest.fixture
def database(migrated_database_url: str, rings: RecordedRings) -> Iterator[Database]:
    opened = Database(migrated_database_url, rings.ring)
    yield opened
    opened.dispose()


def _desk(database: Database, url: str, folder: Path, **settings: Any) -> Desk:
    with database.write() as session:
        project_id = make_project(session).id
    sources = folder / "sources"
    sources.mkdir()
    return Desk(
        database=database,
        settings=settings_for(
            url,
            folder,
            allowed_url_schemes=("https", "file"),
            local_roots=(sources,),
            **settings,
        ),
        project_id=project_id,
        sources=sources,
    )


@pytest.fixture
def desk(database: Database, migrated_database_url: str, tmp_path: Path) -> Desk:
    """Managed storage is a folder."""
    return _desk(database, migrated_database_url, tmp_path)


@pytest.fixture
def bucket_desk(
    database: Database, migrated_database_url: str, tmp_path: Path, s3: SeaweedFS
) -> Desk:
    """Managed storage is a bucket."""
    return _desk(database, migrated_database_url, tmp_path, **_bucket_settings(s3, s3.bucket()))


@pytest.fixture
def lax_desk(
    database: Database, migrated_database_url: str, tmp_path: Path, rclone: Rclone
) -> Desk:
    """Managed storage is a bucket of a store that writes over anything."""
    bucket = f"lax-{secrets.token_hex(4)}"
    make_bucket(rclone, bucket)
    return _desk(database, migrated_database_url, tmp_path, **_bucket_settings(rclone, bucket))


@pytest.fixture(params=["folder", "bucket", "azure"])
def any_desk(
    request: pytest.FixtureRequest,
    database: Database,
    migrated_database_url: str,
    tmp_path: Path,
) -> Desk:
    """Managed storage once in a folder, once in a bucket, once in a container of Azure's."""
    settings: dict[str, str] = {}
    if request.param == "bucket":
        s3: SeaweedFS = request.getfixturevalue("s3")
        settings = _bucket_settings(s3, s3.bucket())
    elif request.param == "azure":
        request.getfixturevalue("azures_name")
        settings = _azure_settings(request.getfixturevalue("azurite"))
    return _desk(database, migrated_database_url, tmp_path, **settings)


def _bucket_settings(s3: SeaweedFS | Rclone, bucket: str) -> dict[str, str]:
    return {
        "managed_storage_url": f"s3://{bucket}/managed",
        "managed_storage_access_key": s3.access_key,
        "managed_storage_access_secret": s3.secret_key,
        "managed_storage_endpoint": s3.endpoint,
        "managed_storage_region": s3.region,
    }


def _azure_settings(azurite: Azurite) -> dict[str, str]:
    return {
        "managed_storage_url": azurite.url(azurite.container(), "managed"),
        "managed_storage_access_key": azurite.account,
        "managed_storage_access_secret": azurite.account_key,
    }
