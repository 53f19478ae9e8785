"""Rows that a job has read for somebody to look at: sealed for some minutes, and kept by nobody."""

import json
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from stocktake.db.clock import now
from stocktake.db.models import Preview, Project
from stocktake.errors import CredentialUnavailableError
from stocktake.security.encryption import Keyring, Sealed

#: For how long rows are shown. The clock removes them a minute later at the latest.
KEPT_SECONDS: Final = 600.0
#: Of one project at a time; the oldest go first.
MOST_KEPT: Final = 20


def keep(
    session: Session, keyring: Keyring, job_id: UUID, rows: list[list[Any]], *, project_id: int
) -> None:
    """Seal a job's rows, for those who may see them to read soon.

    Raises:
        CredentialUnavailableError: there is no key to encrypt with.
    """
    clear = json.dumps(rows, separators=(",", ":"), ensure_ascii=False).encode()
    sealed = keyring.seal_bytes(clear, project_id=project_id, row_id=job_id)
    session.add(
        Preview(
            job_id=job_id,
            project_id=project_id,
            key_id=sealed.key_id,
            ciphertext=sealed.ciphertext,
        )
    )
    session.flush()
    older = (
        select(Preview.job_id)
        .where(Preview.project_id == project_id)
        .order_by(Preview.created_at.desc(), Preview.job_id.desc())
        .offset(MOST_KEPT)
    )
    if gone := session.scalars(older).all():
        session.execute(delete(Preview).where(Preview.job_id.in_(gone)))


def erase(session: Session, project_id: int) -> None:
    """Remove all rows of a project that shows none any more."""
    session.execute(delete(Preview).where(Preview.project_id == project_id))


def rows_of(
    session: Session, keyring: Keyring, job_id: UUID, *, project_id: int
) -> list[list[Any]] | None:
    """Return a job's rows; None where their time is over, or the project shows none any more."""
    row = session.scalars(
        select(Preview)
        .join(Project, Project.id == Preview.project_id)
        .where(
            Preview.job_id == job_id,
            Preview.project_id == project_id,
            Preview.created_at > now(-KEPT_SECONDS),
            Project.row_previews.is_(True),
        )
    ).one_or_none()
    if row is None:
        return None
    sealed = Sealed(key_id=row.key_id, ciphertext=row.ciphertext)
    try:
        clear = keyring.open_bytes(sealed, project_id=project_id, row_id=job_id)
    except CredentialUnavailableError:
        # The key was taken away since: to ask again is all that there is to do.
        return None
    rows: list[list[Any]] = json.loads(clear)
    return rows
