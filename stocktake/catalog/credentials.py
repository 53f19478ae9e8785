"""Credentials in the database: sealed, opened, and erased with the table or the job that needs
them."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from stocktake.db.models import JobRow, StoredCredential, Table, new_id
from stocktake.errors import CredentialUnavailableError
from stocktake.security.encryption import AccessPair, Keyring, Sealed

_GONE: Final = "The table's credential is gone."


def store(
    session: Session,
    keyring: Keyring,
    table: Table,
    pair: AccessPair,
    *,
    created_by_id: int | None = None,
) -> StoredCredential:
    """Seal the keys into the table's credential, made on first use. Its id stays the same.

    Raises:
        CredentialUnavailableError: there is no key to encrypt with.
    """
    row = table.credential_id and session.get(StoredCredential, table.credential_id)
    if row:
        seal(keyring, row, pair)
        return row
    row = StoredCredential(id=new_id(), project_id=table.project_id, created_by_id=created_by_id)
    seal(keyring, row, pair)
    session.add(row)
    # The row first, which the table's foreign key then names.
    session.flush()
    table.credential_id = row.id
    return row


def store_for_job(
    session: Session,
    keyring: Keyring,
    job: JobRow,
    pair: AccessPair,
) -> None:
    """Seal keys for a job that waits, which takes them as it begins (`taken`).

    Raises:
        CredentialUnavailableError: there is no key to encrypt with.
    """
    row = StoredCredential(
        id=new_id(), project_id=job.project_id, job_id=job.id, created_by_id=job.created_by_id
    )
    seal(keyring, row, pair)
    session.add(row)


def taken(session: Session, keyring: Keyring, job_id: UUID) -> AccessPair:
    """Return the keys that were sealed for a job, and remove them: nothing keeps them any more.

    Raises:
        CredentialUnavailableError: they are gone, with an attempt before this one, or cannot be
            decrypted.
    """
    row = session.scalars(
        select(StoredCredential).where(StoredCredential.job_id == job_id)
    ).one_or_none()
    if row is None:
        raise CredentialUnavailableError(
            "The keys are gone: they are kept for the beginning of the job alone.",
            hint="Ask for the check again, with the keys.",
        )
    session.delete(row)
    return opened(keyring, row)


def seal(keyring: Keyring, row: StoredCredential, pair: AccessPair) -> None:
    """Encrypt the keys with the first of the service's own, into the row.

    Raises:
        CredentialUnavailableError: there is none.
    """
    sealed = keyring.seal(pair, project_id=row.project_id, credential_id=row.id)
    row.key_id, row.ciphertext = sealed.key_id, sealed.ciphertext


def opened(keyring: Keyring, row: StoredCredential) -> AccessPair:
    """Return the keys of a credential.

    Raises:
        CredentialUnavailableError: they cannot be decrypted.
    """
    return keyring.open(
        Sealed(key_id=row.key_id, ciphertext=row.ciphertext),
        project_id=row.project_id,
        credential_id=row.id,
    )


def opened_for(session: Session, keyring: Keyring, table: Table) -> AccessPair | None:
    """Return the keys that the table is read with; None where it needs none.

    Raises:
        CredentialUnavailableError: they are gone, or cannot be decrypted.
    """
    if table.credential_id is None:
        return None
    row = session.get(StoredCredential, table.credential_id)
    if row is None or row.project_id != table.project_id:
        raise CredentialUnavailableError(_GONE)
    return opened(keyring, row)


def opened_with(keyring: Keyring, table: Any) -> AccessPair | None:
    """Return what `opened_for` does, and raise what it raises, of a row that has the `key_id` and
    the `ciphertext` of its project's credential beside the table's columns: a read asks for them
    by one statement."""
    if table.credential_id is None:
        return None
    if table.ciphertext is None:
        raise CredentialUnavailableError(_GONE)
    return keyring.open(
        Sealed(key_id=table.key_id, ciphertext=table.ciphertext),
        project_id=table.project_id,
        credential_id=table.credential_id,
    )


def erase(session: Session, table: Table) -> None:
    """Remove the table's credential for good: not even the ciphertext stays."""
    credential_id, table.credential_id = table.credential_id, None
    if credential_id is None:
        return
    # The table lets go first, as its foreign key would keep the row.
    session.flush()
    session.execute(
        delete(StoredCredential).where(
            StoredCredential.id == credential_id,
            StoredCredential.project_id == table.project_id,
        )
    )
