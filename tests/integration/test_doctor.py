"""`stocktake doctor` on real parts that are broken, each in its own way; and one whole stack."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from servers.postgres import Postgres
from servers.process import PATIENCE_SECONDS, free_ports
from servers.seaweedfs import SeaweedFS
from servers.service import COMMAND, Worker, environment
from servers.valkey import Valkey
from stocktake.db.models import StoredCredential, new_id
from stocktake.db.session import Database
from stocktake.security.encryption import AccessPair, Keyring, make_secret_key
from tests.faults.breaking import freeze_between_writes
from tests.stores.servers import Rclone, make_bucket
from tests.support.commands import stocktake
from tests.support.harness import Stack
from tests.support.rows import make_project
from tests.support.stack import wait_until

Checks = dict[tuple[str, str], dict[str, str]]

DEAD_BROKER = "redis://:hunter2@127.0.0.1:1/0"


@pytest.fixture
def database_file(migrated_sqlite_file: Path, tmp_path: Path) -> str:
    copy = tmp_path / "service.db"
    copy.write_bytes(migrated_sqlite_file.read_bytes())
    return f"sqlite:///{copy}"


def _examine(folder: Path, status: int = 1, **settings: str) -> Checks:
    """What it finds, by area and check; its exit status must be as given."""
    settings = {"BROKER_URL": DEAD_BROKER} | settings
    done = stocktake("doctor", "--json", folder=folder, settings=settings)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return _parsed(done.stdout)


def _parsed(text: str) -> Checks:
    answer: dict[str, Any] = json.loads(text)
    failed = [each for each in answer["checks"] if each["verdict"] == "failed"]
    assert answer["healthy"] is not bool(failed)
    assert all(each["todo"] for each in failed), failed
    return {(each["area"], each["check"]): each for each in answer["checks"]}


def _verdict(checks: Checks, area: str, check: str) -> str:
    return checks[(area, check)]["verdict"]


def test_where_nothing_is_each_part_says_what_to_do(tmp_path: Path) -> None:
    checks = _examine(tmp_path)
    assert _verdict(checks, "database", "answers") == "failed"
    assert "stocktake up" in checks[("database", "answers")]["todo"]
    assert _verdict(checks, "broker", "answers") == "failed"
    assert _verdict(checks, "secrets", "secret keys") == "failed"
    assert _verdict(checks, "worker", "canary") == "skipped"
    assert _verdict(checks, "clock", "last tick") == "skipped"
    assert _verdict(checks, "object store", "managed storage") == "skipped"
    assert list(tmp_path.iterdir()) == []


def test_managed_storage_in_the_folder_of_a_stack_is_tried(tmp_path: Path) -> None:
    (tmp_path / ".stocktake").mkdir()
    checks = _examine(tmp_path)
    assert _verdict(checks, "object store", "managed storage") == "ok"


def test_for_people_it_names_what_failed_and_the_remedy_and_no_password(tmp_path: Path) -> None:
    done = stocktake("doctor", folder=tmp_path, settings={"BROKER_URL": DEAD_BROKER})
    assert done.returncode == 1
    assert "\tfailed\tanswers\t" in done.stdout
    assert "\tStart it, or correct STOCKTAKE_BROKER_URL" in done.stdout
    assert "checks failed." in done.stdout
    assert "hunter2" not in done.stdout + done.stderr


def test_a_database_that_is_away_is_told_without_its_password(tmp_path: Path) -> None:
    url = "postgresql+psycopg://stocktake:hunter2@127.0.0.1:1/gone"
    checks = _examine(tmp_path, DATABASE_URL=url)
    assert _verdict(checks, "database", "answers") == "failed"
    assert "127.0.0.1:1/gone" in checks[("database", "answers")]["found"]
    assert "hunter2" not in json.dumps(list(checks.values()))


def test_a_database_that_is_behind_is_told(tmp_path: Path) -> None:
    (tmp_path / "new.db").touch()
    checks = _examine(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path / 'new.db'}")
    assert checks[("database", "revision")]["found"] == "never migrated"
    assert "stocktake db upgrade" in checks[("database", "revision")]["todo"]


def test_a_postgresql_that_may_forget_is_told(
    tmp_path: Path, postgres: Postgres, migrated_postgres_template: str
) -> None:
    """The tests' own server runs without fsync."""
    url = postgres.create_database(migrated_postgres_template)
    checks = _examine(tmp_path, DATABASE_URL=url)
    postgres.drop_database(url)
    assert checks[("database", "answers")]["found"].startswith("PostgreSQL ")
    assert _verdict(checks, "database", "durability") == "failed"
    assert "fsync=off" in checks[("database", "durability")]["found"]


def test_a_broker_that_evicts_or_forgets_is_told(tmp_path: Path, database_file: str) -> None:
    with Valkey() as broker, broker.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("appendonly", "no")
        checks = _examine(tmp_path, DATABASE_URL=database_file, BROKER_URL=broker.url)
    assert _verdict(checks, "broker", "answers") == "ok"
    assert checks[("broker", "maxmemory-policy")]["found"] == "allkeys-lru"
    assert _verdict(checks, "broker", "maxmemory-policy") == "failed"
    assert _verdict(checks, "broker", "persistence") == "warning"
    # Nobody takes messages there, and no clock has ticked.
    assert _verdict(checks, "worker", "version") == "failed"
    assert _verdict(checks, "clock", "last tick") == "failed"


def test_managed_storage_that_cannot_be_written_is_told(tmp_path: Path, database_file: str) -> None:
    (tmp_path / "a_file").touch()
    checks = _examine(
        tmp_path, DATABASE_URL=database_file, MANAGED_STORAGE_URL=str(tmp_path / "a_file" / "x")
    )
    assert "cannot write" in checks[("object store", "managed storage")]["found"]
    assert _verdict(checks, "object store", "managed storage") == "failed"
    checks = _examine(tmp_path, DATABASE_URL=database_file, MANAGED_STORAGE_URL="s3://bucket/x")
    assert "needs an access key" in checks[("object store", "managed storage")]["found"]


def test_a_bucket_is_tried_with_its_keys_and_endpoints_are_called(
    tmp_path: Path, database_file: str, s3: SeaweedFS, bucket: str
) -> None:
    dead = f"http://127.0.0.1:{free_ports(1)[0]}"
    given = {
        "DATABASE_URL": database_file,
        "TRUSTED_ENDPOINTS": f"{s3.endpoint},{dead},https://*.store.example",
        "MANAGED_STORAGE_URL": f"s3://{bucket}/managed",
        "MANAGED_STORAGE_ENDPOINT": s3.endpoint,
        "MANAGED_STORAGE_REGION": s3.region,
        "MANAGED_STORAGE_ACCESS_KEY": s3.access_key,
    }
    checks = _examine(tmp_path, MANAGED_STORAGE_ACCESS_SECRET=s3.secret_key, **given)
    assert _verdict(checks, "object store", "managed storage") == "ok"
    assert _verdict(checks, "object store", "managed Delta") == "ok"
    assert _verdict(checks, "object store", s3.endpoint) == "ok"
    assert _verdict(checks, "object store", dead) == "failed"
    assert _verdict(checks, "object store", "https://*.store.example") == "skipped"
    checks = _examine(tmp_path, MANAGED_STORAGE_ACCESS_SECRET="not-the-secret", **given)
    assert _verdict(checks, "object store", "managed storage") == "failed"
    assert "not-the-secret" not in json.dumps(list(checks.values()))


def test_a_bucket_that_would_lose_a_commit_is_told(
    tmp_path: Path, database_file: str, rclone: Rclone
) -> None:
    make_bucket(rclone, "lax-doctor")
    checks = _examine(
        tmp_path,
        DATABASE_URL=database_file,
        MANAGED_STORAGE_URL="s3://lax-doctor/managed",
        MANAGED_STORAGE_ENDPOINT=rclone.endpoint,
        MANAGED_STORAGE_ACCESS_KEY=rclone.access_key,
        MANAGED_STORAGE_ACCESS_SECRET=rclone.secret_key,
    )
    assert _verdict(checks, "object store", "managed storage") == "warning"  # no ranges either
    assert _verdict(checks, "object store", "managed Delta") == "warning"
    assert "If-None-Match" in checks[("object store", "managed Delta")]["found"]
    assert "target=delta are refused" in checks[("object store", "managed Delta")]["todo"]


def test_credentials_of_a_key_that_is_gone_are_told(tmp_path: Path, database_file: str) -> None:
    old, new = make_secret_key("old"), make_secret_key("new")
    database = Database(database_file)
    with database.write() as session:
        project_id, credential_id = make_project(session).id, new_id()
        pair = AccessPair(access_key="AK", access_secret="SK")
        sealed = Keyring([old]).seal(pair, project_id=project_id, credential_id=credential_id)
        session.add(
            StoredCredential(
                id=credential_id,
                project_id=project_id,
                key_id=sealed.key_id,
                ciphertext=sealed.ciphertext,
            )
        )
    database.dispose()
    checks = _examine(tmp_path, DATABASE_URL=database_file, SECRET_KEYS=new)
    assert "1 of 1 do not decrypt" in checks[("secrets", "credentials")]["found"]
    assert "'old'" in checks[("secrets", "credentials")]["found"]
    checks = _examine(tmp_path, DATABASE_URL=database_file, SECRET_KEYS=f"{new},{old}")
    assert checks[("secrets", "credentials")]["found"] == "all 1 decrypt"
    data = tmp_path / ".stocktake"
    data.mkdir(exist_ok=True)
    (data / "secret_key").write_text(f"{new},{old}\n")
    checks = _examine(tmp_path, DATABASE_URL=database_file)
    assert checks[("secrets", "credentials")]["found"] == "all 1 decrypt"
    (data / "secret_key").write_text(f"{new}\n{old}\n")
    assert (
        "entry 1 of 1"
        in _examine(tmp_path, DATABASE_URL=database_file)[("secrets", "secret keys")]["found"]
    )


def test_limits_that_are_too_low_are_told(tmp_path: Path, database_file: str) -> None:
    settings = {
        "DATABASE_URL": database_file,
        "BROKER_URL": DEAD_BROKER,
        "LEASE_SECONDS": "2",
        "HEARTBEAT_SECONDS": "1",
        "JOB_MEMORY_LIMIT_BYTES": str(1 << 60),
    }
    done = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -n 256; exec "$@"', "sh", *COMMAND, "doctor", "--json"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(settings),
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 1
    checks = _parsed(done.stdout)
    assert checks[("limits", "open files")]["found"] == "256"
    for check in ("open files", "leases", "memory"):
        assert _verdict(checks, "limits", check) == "failed"


@pytest.mark.faults
@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_whole_stack_is_well_and_a_frozen_worker_is_not(
    stack: Stack, worker: Worker, tmp_path: Path
) -> None:
    stack.start_clock(CANARY_INTERVAL_SECONDS="0.3", RING_AGAIN_SECONDS="1")

    def examine(status: int, late_seconds: str) -> Checks:
        return _examine(tmp_path, status, **stack.settings, CANARY_LATE_SECONDS=late_seconds)

    def canary(late_seconds: str) -> str:
        late = {"CANARY_LATE_SECONDS": late_seconds}
        done = stocktake("doctor", "--json", folder=tmp_path, settings=stack.settings | late)
        return _verdict(_parsed(done.stdout), "worker", "canary")

    wait_until(lambda: canary("60") == "ok", "a canary at home")
    checks = examine(0, "60")
    assert {each["verdict"] for each in checks.values()} == {"ok"}
    assert worker.node in checks[("worker", "version")]["found"]

    freeze_between_writes(stack.database, *worker.all_processes())
    wait_until(lambda: canary("2") == "failed", "a late canary")
    checks = examine(1, "2")
    assert _verdict(checks, "worker", "version") == "failed"
    assert _verdict(checks, "clock", "last tick") == "ok"
