"""A table's credential as requests send it: checked as PostHog checks it, and sealed.

Secrets come in here and never go out: an answer shows the row's id and the time it was made.
"""

from dataclasses import dataclass
from typing import Final, TypedDict
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from stocktake.catalog import credentials as catalog
from stocktake.db.models import StoredCredential, Table
from stocktake.errors import AccessDeniedError, CredentialUnavailableError, ValidationError
from stocktake.security.encryption import AccessPair, Keyring
from stocktake.services import audit, words
from stocktake.services.context import Caller, Context
from stocktake.storage.places.urls import Location
from stocktake.storage.stores import keys
from stocktake.storage.stores.protocol import Credential

MAX_KEY_LENGTH: Final = 500
REQUIRED: Final = "Credentials are required"
KEYS_REQUIRED: Final = "Access key and secret are required"
KEYS_BLANK: Final = "Access key and secret can't be blank"
CREDENTIAL_REQUIRED: Final = "credential_required"


class CredentialFields(TypedDict, total=False):
    """The keys as the request holds them; one that is absent was not sent."""

    access_key: str | None
    access_secret: str | None


_FIELDS: Final = ("access_key", "access_secret")
_BLANK: Final = {
    "access_key": "Access key can't be blank",
    "access_secret": "Access secret can't be blank",
}


def new_pair(fields: CredentialFields | None) -> AccessPair | None:
    """Return the keys of a table that has none yet; None where no credential was sent.

    Raises:
        ValidationError: a key is missing, null, blank or too long.
    """
    if fields is None:
        return None
    for name in _FIELDS:
        if name not in fields:
            raise ValidationError(words.REQUIRED, code="required", attr=f"credential__{name}")
    key, secret = fields["access_key"], fields["access_secret"]
    if not key or not secret:
        raise ValidationError(KEYS_REQUIRED, attr="credential")
    if not key.strip() or not secret.strip():
        raise ValidationError(KEYS_BLANK, attr="credential")
    return AccessPair(
        access_key=_checked("access_key", key), access_secret=_checked("access_secret", secret)
    )


def changed_pair(
    context: Context, stored: StoredCredential | None, fields: CredentialFields
) -> AccessPair | None:
    """Return the keys after a change of either alone; None where nothing changes.

    Raises:
        ValidationError: a key is null, blank or too long; or only one was sent and there is no
            stored one to go with it.
    """
    sent = {name: _sent(name, fields) for name in _FIELDS if name in fields}
    if not sent:
        return None
    if stored is None:
        return new_pair(fields)
    old = _open(context, stored, replacing=len(sent) == len(_FIELDS))
    # Both were sent, so that what cannot be read is not needed.
    if old is None:
        return AccessPair(**sent)
    new = AccessPair(
        access_key=sent.get("access_key", old.access_key),
        access_secret=sent.get("access_secret", old.access_secret),
    )
    return None if new == old else new


def check_kind(pair: AccessPair, location: Location) -> None:
    """Refuse keys that by their form alone are of a kind that the store does not take.

    Raises:
        ValidationError: they are; neither key is quoted.
    """
    sent = Credential(access_key=pair.access_key, access_secret=pair.access_secret)
    try:
        keys.check_kind(location.provider, sent)
    except AccessDeniedError as exc:
        told = f"{exc.detail} {exc.hint}"
        raise ValidationError(told, code=exc.code, attr="credential") from exc


def store(context: Context, table: Table, pair: AccessPair) -> StoredCredential:
    """Seal the keys into the table's credential, made on first use. Its id stays the same.

    Raises:
        ValidationError: the service has no key to encrypt with.
    """
    try:
        keyring, maker = context.process.keyring, context.caller.user_id
        return catalog.store(context.session, keyring, table, pair, created_by_id=maker)
    except CredentialUnavailableError as exc:
        raise ValidationError(exc.detail, code=exc.code, attr="credential") from exc


def _sent(name: str, fields: CredentialFields) -> str:
    value = dict(fields)[name]
    if value is None:
        raise ValidationError(words.NOT_NULL, code="null", attr=f"credential__{name}")
    text = str(value)
    if not text.strip():
        raise ValidationError(_BLANK[name], code="blank", attr=f"credential__{name}")
    return _checked(name, text)


def _checked(name: str, value: str) -> str:
    longer = name == "access_secret" and keys.is_long(value)
    length = keys.LONG_SECRET_LENGTH if longer else MAX_KEY_LENGTH
    return words.check_text(value.strip(), f"credential__{name}", max_length=length)


def _open(context: Context, row: StoredCredential, *, replacing: bool) -> AccessPair | None:
    """Return the stored keys; None where they cannot be read and both are replaced anyway."""
    try:
        return catalog.opened(context.process.keyring, row)
    except CredentialUnavailableError as exc:
        if replacing:
            return None
        raise ValidationError(
            "The stored credential can no longer be read. Send both the access key and the "
            "access secret.",
            code=CREDENTIAL_REQUIRED,
            attr="credential",
        ) from exc


# --- for the command line -----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Resealed:
    """What became of some credentials.

    Attributes:
        last: the id of the last one that was looked at; None where none was left.
        done: how many are under the first key now.
        unreadable: why each of the others is not.
    """

    last: UUID | None
    done: int
    unreadable: list[str]


def reseal(session: Session, keyring: Keyring, *, after: UUID | None, limit: int) -> Resealed:
    """Encrypt some of the credentials that are under another key with the first one.

    Args:
        after: go on after this id.
        limit: how many at most, so that the rows are not locked for long.

    Raises:
        CredentialUnavailableError: there is no key.
    """
    query = select(StoredCredential).where(StoredCredential.key_id != keyring.first)
    if after is not None:
        query = query.where(StoredCredential.id > after)
    rows = session.scalars(query.order_by(StoredCredential.id).limit(limit).with_for_update()).all()
    unreadable = []
    for row in rows:
        try:
            pair = catalog.opened(keyring, row)
        except CredentialUnavailableError as exc:
            unreadable.append(f"{row.id} of project {row.project_id}: {exc.detail}")
            continue
        old = row.key_id
        catalog.seal(keyring, row, pair)
        operator = Caller(project_id=row.project_id, user_id=None)
        audit.record_for(
            session, operator, "credential.rotate", row.id, old_key=old, new_key=row.key_id
        )
    return Resealed(
        last=rows[-1].id if rows else None,
        done=len(rows) - len(unreadable),
        unreadable=unreadable,
    )


def keys_in_use(session: Session) -> dict[str, int]:
    """Return how many credentials are under each key."""
    counted = select(StoredCredential.key_id, func.count()).group_by(StoredCredential.key_id)
    return dict(session.execute(counted).all())
