"""A table's credential in the database: sealed, opened, and erased with what needed it."""

from sqlalchemy import delete
from sqlalchemy.orm import Session

from stocktake.db.models import StoredCredential, Table, new_id
from stocktake.errors import CredentialUnavailableError
from stocktake.security.encryption import AccessPair, Keyring, Sealed


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
        raise CredentialUnavailableError("The table's credential is gone.")
    return opened(keyring, row)


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
