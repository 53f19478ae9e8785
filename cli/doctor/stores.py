"""What keeps the service's state: database, broker, object store."""

import asyncio
from collections.abc import Iterator
from typing import Any, Final
from uuid import uuid4

import httpx
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import make_url, text
from sqlalchemy.exc import SQLAlchemyError

from cli.doctor.findings import Area, Finding, Verdict
from cli.output import size
from stocktake.db import migrate
from stocktake.db.failures import explain_failure
from stocktake.db.session import Database
from stocktake.errors import JobError, RequestError, SourceNotFoundError
from stocktake.parts import managed_storage
from stocktake.settings import Settings
from stocktake.storage.managed import ManagedStorage
from stocktake.storage.places.trusted import read_entry
from stocktake.storage.places.urls import MalformedUrlError
from stocktake.storage.stores.certificates import certificate_error
from stocktake.storage.stores.exclusive import exclusive_put_holds
from stocktake.storage.stores.protocol import MOST_SKIPPED_BYTES

#: What the tests run on is far newer; the oldest with all that is used.
OLDEST_POSTGRESQL: Final = 14
OLDEST_REDIS: Final = (6, 2)
_BROKER_SECONDS: Final = 3.0
_ENDPOINT_SECONDS: Final = 5.0
_PROBE: Final = b"stocktake doctor was here\n"

_database, _broker, _store = Area("database"), Area("broker"), Area("object store")


# --- database -----------------------------------------------------------------------------


def look_at_database(database: Database) -> Iterator[Finding]:
    """Ask whether it answers, is migrated, and keeps what it has confirmed."""
    shown = make_url(str(database.engine.url)).render_as_string(hide_password=True)
    try:
        version, durability = _ask(database)
        revision = migrate.revision(database.engine)
    except SQLAlchemyError as exc:
        todo = f"{explain_failure(exc)} Requests get 503 until then."
        yield _database.failed("answers", f"{shown}: {type(exc).__name__}", todo)
        return
    yield _database.ok("answers", f"{version} at {shown}")
    yield judge_revision(revision, migrate.newest())
    yield from judge_durability(durability)


def judge_revision(revision: str | None, newest: str) -> Finding:
    """Judge whether the tables are those of this code."""
    if revision is None or revision < newest:
        found = f"at {revision}, this code wants {newest}" if revision else "never migrated"
        return _database.failed("revision", found, "Run `stocktake db upgrade`.")
    if revision > newest:
        found = f"at {revision}, newer than this code's {newest}"
        todo = "Upgrade this installation to the release that migrated the database."
        return _database.warning("revision", found, todo)
    return _database.ok("revision", f"{revision}, the newest")


def _ask(database: Database) -> tuple[str, dict[str, str]]:
    """Return the version for people, and what the database says of its durability."""
    with database.engine.connect() as connection:
        if database.sqlite:
            version = f"SQLite {connection.scalar(text('SELECT sqlite_version()'))}"
            pragmas = ("journal_mode", "synchronous")
            asked = {name: connection.scalar(text(f"PRAGMA {name}")) for name in pragmas}
            return version, {name: str(value) for name, value in asked.items()}
        wanted = ("server_version", "fsync", "full_page_writes", "synchronous_commit")
        rows = connection.execute(
            text("SELECT name, setting FROM pg_settings WHERE name = ANY(:wanted)"),
            {"wanted": list(wanted)},
        )
        values = {name: str(setting) for name, setting in rows}
        return f"PostgreSQL {values['server_version']}", values


def judge_durability(values: dict[str, str]) -> Iterator[Finding]:
    """Judge whether a power cut may take what was confirmed.

    Args:
        values: SQLite's PRAGMAs or PostgreSQL's settings, by name.
    """
    if "journal_mode" in values:
        # 2 is FULL.
        wrong = values != {"journal_mode": "wal", "synchronous": "2"}
        todo = "Put the database on a local disk: SQLite's WAL does not work over a network."
    else:
        version = values.pop("server_version")
        if int(version.split(".")[0]) < OLDEST_POSTGRESQL:
            todo = f"Upgrade to {OLDEST_POSTGRESQL} or newer."
            yield _database.failed("version", f"PostgreSQL {version}", todo)
        wrong = "off" in values.values()
        todo = "Set them to `on`: a crash would lose jobs that were answered 202."
    shown = ", ".join(f"{name}={value}" for name, value in sorted(values.items()))
    if wrong:
        yield _database.failed("durability", shown, todo)
    else:
        yield _database.ok("durability", shown)


# --- broker -------------------------------------------------------------------------------


def look_at_broker(settings: Settings) -> Iterator[Finding]:
    """Ask whether it answers, keeps messages over a restart, and throws none away."""
    url = settings.broker_url.get_secret_value()
    client = redis.Redis.from_url(
        url,
        socket_timeout=_BROKER_SECONDS,
        socket_connect_timeout=_BROKER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    where = "{host}:{port}".format_map(
        {"host": "?", "port": 6379} | client.connection_pool.connection_kwargs
    )
    try:
        info: dict[str, Any] = client.info()
    except (redis.RedisError, OSError) as exc:
        todo = (
            "Start it, or correct STOCKTAKE_BROKER_URL and its password. Jobs are accepted "
            "meanwhile, and wait."
        )
        yield _broker.failed("answers", f"{where}: {type(exc).__name__}", todo)
        return
    finally:
        client.close()
    yield from judge_broker(info, where)


def judge_broker(info: dict[str, Any], where: str) -> Iterator[Finding]:
    """Judge what a broker says of itself.

    Args:
        info: the answer to INFO.
    """
    name = "Valkey" if info.get("server_name") == "valkey" else "Redis"
    version = str(info.get("valkey_version") or info.get("redis_version", "0.0"))
    yield _broker.ok("answers", f"{name} {version} at {where}")
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_REDIS:
        yield _broker.failed("version", f"{name} {version}", "Upgrade to 6.2 or newer.")
    policy = str(info.get("maxmemory_policy", "unknown"))
    if policy == "noeviction":
        yield _broker.ok("maxmemory-policy", policy)
    else:
        todo = "Set `maxmemory-policy noeviction`: a full broker would drop queues silently."
        yield _broker.failed("maxmemory-policy", policy, todo)
    if info.get("aof_enabled"):
        yield _broker.ok("persistence", "append-only file")
    else:
        todo = (
            "Set `appendonly yes`. No job is lost without it, but after a restart of the broker "
            "waiting jobs are rung for again little by little."
        )
        yield _broker.warning("persistence", "no append-only file", todo)


# --- object store -------------------------------------------------------------------------


def look_at_stores(settings: Settings) -> Iterator[Finding]:
    """Try whether managed storage takes, gives, removes and keeps apart objects, and whether
    trusted endpoints answer.
    """
    try:
        storage = managed_storage(settings)
    except RequestError as exc:
        todo = "Correct STOCKTAKE_MANAGED_STORAGE_URL and what belongs to it."
        yield _store.failed("managed storage", str(exc), todo)
    else:
        if settings.managed_storage_url is None and not settings.data_dir.exists():
            why = f"there is no folder {settings.data_dir.resolve()}, and this makes none"
            yield _store.skipped("managed storage", why)
        else:
            found = _round_trip(storage)
            yield found
            if found.verdict is not Verdict.FAILED:
                yield _managed_delta(storage)
    for endpoint in settings.trusted_endpoints:
        yield _look_at_endpoint(endpoint)


def _round_trip(storage: ManagedStorage) -> Finding:
    root = storage.root
    where = root.key if root.provider == "file" else f"{root.endpoint or root.host} {root.bucket}"
    # Nobody's project, and no upload's name, so that no sweep takes it away meanwhile.
    key = storage.upload_key(0, f"doctor-{uuid4().hex}")
    step = "write"
    try:
        asyncio.run(_write(storage, key))
        store, path = storage.store(), storage.path(key)
        step = "read"
        back = store.get(path).data
        step = "read a part of a file"
        parts = [store.get(path, start=2, length=8), store.get_tail(path, 8)]
        step = "list"
        listed = [info.size for info in store.list(path)]
        step = "remove"
        asyncio.run(storage.remove(key))
        left = _is_there(storage, key)
    except (JobError, OSError) as exc:
        reason = exc.detail if isinstance(exc, JobError) else exc.strerror or type(exc).__name__
        todo = "Uploads fail until it works: check that it is there, and the keys' rights to it."
        if isinstance(exc, JobError) and exc.code == "certificate_refused":
            todo = f"Uploads fail until then. {exc.hint}"
        return _store.failed("managed storage", f"{where}: cannot {step}: {reason}", todo)
    wanted = [_PROBE[2:10], _PROBE[-8:]]
    if back != _PROBE or left or [part.data for part in parts] != wanted:
        todo = "It is no plain object store: a cache or a proxy in front of it answers for it."
        return _store.failed("managed storage", f"{where}: does not give what was put", todo)
    if listed != [len(_PROBE)]:
        todo = "Jobs do not find what was uploaded: it is no plain object store."
        return _store.failed("managed storage", f"{where}: does not list what was put", todo)
    if any(part.skipped for part in parts):
        found = f"{where}: sends a whole file where a part is asked for"
        todo = (
            f"Uploads of more than {size(MOST_SKIPPED_BYTES)} in Parquet, and long Delta logs, "
            "cannot be read: name the store itself, and no gateway without range requests."
        )
        return _store.warning("managed storage", found, todo)
    return _store.ok("managed storage", f"written, read and removed {size(len(_PROBE))} at {where}")


def _managed_delta(storage: ManagedStorage) -> Finding:
    try:
        holds = exclusive_put_holds(storage)
    except JobError as exc:
        todo = "Uploads with target=delta fail until it works: check the keys' rights to it."
        return _store.failed("managed Delta", f"cannot try conditional writes: {exc.detail}", todo)
    if holds:
        return _store.ok("managed Delta", "of writers at once one succeeds, and the others hear it")
    todo = (
        "Uploads with target=delta are refused; all else works. For them, put managed storage "
        "into a store with conditional writes (docs/stores.md)."
    )
    found = "its store writes over an object in spite of If-None-Match: a commit would be lost"
    return _store.warning("managed Delta", found, todo)


async def _write(storage: ManagedStorage, key: str) -> None:
    sink = storage.open_upload(key)
    await sink.write(_PROBE)
    await sink.finish()


def _is_there(storage: ManagedStorage, key: str) -> bool:
    try:
        storage.store().get(storage.path(key))
    except SourceNotFoundError:
        return False
    return True


def _look_at_endpoint(entry: str) -> Finding:
    try:
        endpoint = read_entry(entry)
    except MalformedUrlError as exc:
        todo = "Correct STOCKTAKE_TRUSTED_ENDPOINTS: until then it trusts nobody."
        return _store.failed(entry, str(exc), todo)
    if endpoint.many:
        return _store.skipped(entry, "stands for many hosts")
    try:
        # Any answer will do: without keys most refuse.
        trusted = httpx.create_ssl_context()  # SSL_CERT_FILE, as the readers
        with httpx.Client(timeout=_ENDPOINT_SECONDS, trust_env=False, verify=trusted) as client:
            status = client.head(endpoint.url).status_code
    except (httpx.HTTPError, OSError) as exc:
        if told := certificate_error(str(exc), host=".".join(endpoint.labels)):
            return _store.failed(entry, told.detail, told.hint or "")
        todo = "Tables there cannot be read: check the name, the network and the certificate."
        return _store.failed(entry, f"does not answer from here ({type(exc).__name__})", todo)
    return _store.ok(entry, f"answers from here ({status})")
