"""What the service runs on: versions, secrets, and the limits of this machine."""

import platform
import resource
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final

import psutil
from packaging.requirements import Requirement
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from cli.doctor.findings import NO_DATABASE, Area, Finding
from cli.output import size
from stocktake import __version__
from stocktake.catalog.credentials import opened
from stocktake.db.models import StoredCredential
from stocktake.db.session import Database
from stocktake.errors import CredentialUnavailableError
from stocktake.security.encryption import Keyring
from stocktake.settings import Settings
from tasks.app import configure

_GIB: Final = 1024**3
#: A web process with a few hundred waiting clients, or a reader with a glob of files.
FEWEST_FILES: Final = 1024
LEAST_FREE_BYTES: Final = _GIB
_HEARTBEATS_A_LEASE: Final = 3
_CREDENTIALS_AT_MOST: Final = 10_000

_versions, _secrets, _limits = Area("versions"), Area("secrets"), Area("limits")


# --- versions -----------------------------------------------------------------------------


def look_at_versions() -> Iterator[Finding]:
    """Compare this Python and the installed packages with those that this release names."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    yield _versions.ok("stocktake", f"{__version__} on {python} in {sys.prefix}")
    yield judge_packages(requires("stocktake") or [])


def judge_packages(required: list[str]) -> Finding:
    """Judge whether what is installed is what is required.

    Args:
        required: as a package's metadata has it.
    """
    needed = [Requirement(line) for line in required]
    # No extra: what only the demo or development asks for need not be there.
    needed = [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = [problem for one in needed if (problem := _mismatch(one))]
    if wrong:
        todo = (
            "Install again from the lock: "
            "pip install --no-deps --require-hashes -r requirements-service.lock"
        )
        return _versions.failed("packages", "; ".join(wrong), todo)
    return _versions.ok("packages", f"{len(needed)} as this release names them")


def _mismatch(wanted: Requirement) -> str | None:
    try:
        installed = version(wanted.name)
    except PackageNotFoundError:
        return f"{wanted.name} is missing"
    if wanted.specifier.contains(installed, prereleases=True):
        return None
    return f"{wanted.name} is {installed}, wanted {wanted.specifier}"


# --- secrets ------------------------------------------------------------------------------


def look_at_secrets(settings: Settings, database: Database | None) -> Iterator[Finding]:
    """Yield whether there are secret keys, and whether they open what is stored.

    Args:
        database: None where it does not answer.
    """
    try:
        keyring = Keyring.of(settings.secret_keys)
        first = keyring.first
    except (ValueError, CredentialUnavailableError) as exc:
        todo = "Set STOCKTAKE_SECRET_KEYS; .env.example says how to make one."
        yield _secrets.failed("secret keys", str(exc), todo)
        return
    yield _secrets.ok("secret keys", f"{len(settings.secret_keys)}; {first!r} encrypts")
    if database is None:
        yield _secrets.skipped("credentials", NO_DATABASE)
        return
    yield _look_at_credentials(keyring, database)


def _look_at_credentials(keyring: Keyring, database: Database) -> Finding:
    try:
        with database.read() as session:
            rows = session.scalars(select(StoredCredential).limit(_CREDENTIALS_AT_MOST)).all()
    except SQLAlchemyError as exc:
        return _secrets.skipped("credentials", f"not to be read ({type(exc).__name__})")
    shut = [row for row in rows if not _opens(keyring, row)]
    if shut:
        keys = ", ".join(sorted({repr(row.key_id) for row in shut}))
        found = f"{len(shut)} of {len(rows)} do not decrypt; they name the keys {keys}"
        todo = (
            "Put those keys back behind the first one in STOCKTAKE_SECRET_KEYS. Where one is "
            "lost, its tables need their access keys anew."
        )
        return _secrets.failed("credentials", found, todo)
    return _secrets.ok("credentials", f"all {len(rows)} decrypt" if rows else "none stored")


def _opens(keyring: Keyring, row: StoredCredential) -> bool:
    try:
        opened(keyring, row)
    except CredentialUnavailableError:
        return False
    return True


# --- limits -------------------------------------------------------------------------------


def look_at_limits(settings: Settings) -> Iterator[Finding]:
    """Open files, disk, memory, and whether the job limits fit each other."""
    yield judge_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    if settings.managed_storage_url and not settings.database_url.startswith("sqlite"):
        yield _limits.ok("disk", "nothing is kept here: the database and uploads are elsewhere")
    else:
        yield judge_disk(settings.data_dir)
    yield judge_memory(settings, _memory_bytes())
    yield judge_leases(settings)


def judge_files(soft_limit: int) -> Finding:
    """Judge how many files a process may open."""
    if soft_limit == resource.RLIM_INFINITY:
        return _limits.ok("open files", "no limit")
    if soft_limit < FEWEST_FILES:
        todo = f"Raise it to {FEWEST_FILES} or more: ulimit -n, or LimitNOFILE of the service."
        return _limits.failed("open files", str(soft_limit), todo)
    return _limits.ok("open files", f"{soft_limit} a process")


def judge_disk(data_dir: Path, least_bytes: int = LEAST_FREE_BYTES) -> Finding:
    """Judge how much is free where the data directory is, or will be."""
    folder = data_dir.resolve()
    there = next(each for each in (folder, *folder.parents) if each.exists())
    free = psutil.disk_usage(str(there)).free
    found = f"{size(free)} free in {folder}"
    if free < least_bytes:
        todo = "Free some: with a full disk uploads are refused, and with SQLite every change."
        return _limits.failed("disk", found, todo)
    return _limits.ok("disk", found)


def _memory_bytes() -> int:
    """Return what this machine has, or what its container is allowed."""
    total = int(psutil.virtual_memory().total)
    try:
        allowed = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return total
    # cgroup v2 has `max` there where nothing is limited.
    return min(total, int(allowed)) if allowed.isdigit() else total


def judge_memory(settings: Settings, total_bytes: int) -> Finding:
    """Judge whether the watched limit comes before the kernel's."""
    limit = settings.job_memory_limit_bytes
    children = settings.worker_concurrency + settings.worker_reserve
    found = f"{children} reads of up to {size(limit)}; this machine has {size(total_bytes)}"
    todo = (
        "Lower STOCKTAKE_JOB_MEMORY_LIMIT_BYTES or STOCKTAKE_WORKER_CONCURRENCY on the workers' "
        "machines: the kernel would end a read before its limit says why."
    )
    if limit > total_bytes:
        return _limits.failed("memory", found, todo)
    if limit * children > total_bytes:
        return _limits.warning("memory", found, todo)
    return _limits.ok("memory", found)


def judge_leases(settings: Settings) -> Finding:
    """Judge whether a lease outlasts missed heartbeats and ends before a message is given out
    again.
    """
    redelivered = configure(settings).conf.broker_transport_options["visibility_timeout"]
    lease, beat = settings.lease_seconds, settings.heartbeat_seconds
    found = f"lease {lease:g} s, heartbeat {beat:g} s, redelivery after {redelivered} s"
    if lease < _HEARTBEATS_A_LEASE * beat:
        todo = (
            f"Set STOCKTAKE_LEASE_SECONDS to {_HEARTBEATS_A_LEASE} times "
            "STOCKTAKE_HEARTBEAT_SECONDS or more: one slow heartbeat would lose the job."
        )
        return _limits.failed("leases", found, todo)
    if lease > redelivered:
        todo = "Lower STOCKTAKE_LEASE_SECONDS: a lost worker's job would wait for it to run out."
        return _limits.failed("leases", found, todo)
    return _limits.ok("leases", found)
