"""What a managed Delta table's log tells of its loads, and which version may be gone back to."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Self
from uuid import UUID

from stocktake.errors import RestoreRefusedError
from stocktake.jobs.arguments import RestoreArguments

#: A commit's own words for whose it is, beside deltalake's.
JOB: Final = "stocktakeJob"
UPLOAD: Final = "stocktakeUpload"
#: Whether an id was committed is all that is asked. The protocol's version numbers the commits of
#: one id, of which there is one here (Delta protocol, "Transaction Identifiers").
TRANSACTION_VERSION: Final = 1
#: Of a commit that takes back files which are there already.
RESTORE: Final = "RESTORE"
_LOADS: Final = frozenset({"WRITE", "MERGE"})


def job_transaction(job_id: UUID) -> str:
    """Return the application transaction by which a job knows its own commit (ADR 4)."""
    return f"stocktake-job:{job_id}"


def upload_transaction(upload_id: UUID | None) -> str:
    """Return the one by which an upload is known to be loaded, whichever job did it."""
    return f"stocktake-upload:{upload_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit of the log, as far as it matters here.

    Attributes:
        made_at: seconds since 1970, by its writer's clock.
        upload: the id of the upload that it belongs to.
        restored: of a restore, the version that it went back to.
    """

    version: int
    operation: str
    made_at: float
    job: str | None = None
    upload: str | None = None
    restored: int | None = None

    @classmethod
    def of(cls, version: int, actions: Iterable[dict[str, Any]]) -> Self:
        """Read a commit's actions."""
        told: dict[str, Any] = {}
        for each in actions:
            told = each.get("commitInfo", told)
        operation = str(told.get("operation"))
        restored = told.get("operationParameters", {}).get("version")
        return cls(
            version=version,
            operation=operation,
            made_at=int(told.get("timestamp", 0)) / 1000,
            job=told.get(JOB),
            upload=told.get(UPLOAD),
            restored=int(restored) if operation == RESTORE and restored is not None else None,
        )


#: A commit by its version; None where the log has it no more.
Log = Callable[[int], Commit | None]


def target(log: Log, head: int, wanted: RestoreArguments) -> int:
    """Return the version to go back to: the one that is asked for, or the one before the last load
    that nobody has undone.

    Args:
        head: the table's version now.

    Raises:
        RestoreRefusedError: rows were loaded since, or there is no such load.
    """
    for version in range(head, wanted.as_of, -1):
        commit = log(version)
        if commit is None or commit.operation in _LOADS or commit.operation == RESTORE:
            raise RestoreRefusedError(
                f"The table was changed (version {version}) after the restore was asked for "
                f"(at version {wanted.as_of}).",
                hint="Look at the table, and ask again if it is still wanted.",
            )
    return _before_last_load(log, wanted.as_of) if wanted.version is None else wanted.version


def _before_last_load(log: Log, at: int) -> int:
    while (commit := log(at)) is not None:
        if commit.restored is not None:
            at = commit.restored  # what came between is undone
        elif commit.operation in _LOADS:
            return _begin_of(log, commit) - 1
        else:
            at -= 1
    raise RestoreRefusedError(
        "The log tells of no load that could be undone.",
        hint="Name the version to go back to: each load's job has it as source_version.",
    )


def _begin_of(log: Log, load: Commit) -> int:
    """Return the first version of a load, which may have brought its columns in a commit before."""
    at = load.version
    while load.upload and (before := log(at - 1)) and before.upload == load.upload:
        at -= 1
    return at


def require_kept(after: Commit | None, version: int, *, seconds: float) -> None:
    """Let a version through whose files no vacuum may have removed: what was replaced since was
    replaced within the last `seconds`.

    Args:
        after: the commit that came next.

    Raises:
        RestoreRefusedError: it is older.
    """
    if after is None or after.made_at < time.time() - seconds:
        raise gone(version)


def gone(version: int) -> RestoreRefusedError:
    """Return the refusal of a version whose files are not there any more."""
    return RestoreRefusedError(f"The files of version {version} are not kept any more.")
