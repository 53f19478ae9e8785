"""Idempotency keys: the first answer to a POST is kept for 24 hours and given again.

The key's row is written in the transaction of the change it guards, so there is never a change
without its key nor a key without its change. A second request with the same key waits on the
row's unique key until the first has committed, and then finds its answer.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from pydantic_core import to_json
from sqlalchemy import case, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from stocktake.db.clock import now
from stocktake.db.models import IdempotencyKey
from stocktake.errors import ConflictError, UnprocessableError, ValidationError

#: How long an answer is kept.
KEPT: Final = timedelta(hours=24)
#: A request that waits for its job is given up for lost after this long (it may wait for 60 s,
#: and its process may have died meanwhile); from then on its first answer counts.
RUNNING_SECONDS: Final = 90.0
MAX_KEY_CHARACTERS: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """An answer as it was given first."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What names one request: the client's key, inside a project, and what it was sent with."""

    project_id: int
    key: str
    fingerprint: bytes


def make_key(project_id: int, key: str, *parts: bytes) -> Key:
    """Return a key over the parts of a request that must not differ: method, path, body.

    Raises:
        ValidationError: the key is blank, too long or not printable ASCII.
    """
    if not 1 <= len(key) <= MAX_KEY_CHARACTERS or not (key.isascii() and key.isprintable()):
        raise ValidationError(
            f"Idempotency-Key must be 1 to {MAX_KEY_CHARACTERS} printable ASCII characters.",
            attr="Idempotency-Key",
        )
    whole = hashlib.sha256()
    # Each by its own digest: joined as they are, the end of a path could be the begin of a body.
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return Key(project_id=project_id, key=key, fingerprint=whole.digest())


def digest(project_id: int, key: str | None, sent: bytes) -> str:
    """Return what names an upload outside of the database, for its repetition to find (ADR 21).

    Args:
        key: the client's; None where it sent none.
        sent: the fingerprint of the form: its fields, the file's name and bytes.
    """
    whole = hashlib.sha256(str(project_id).encode())
    for part in (b"" if key is None else b"key:" + key.encode(), sent):
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()


def begin(session: Session, key: Key) -> StoredAnswer | None:
    """Take the key for this transaction, or return the answer that it stands for.

    Raises:
        UnprocessableError: the key was used with another request.
        ConflictError: the first request with this key is still running.
    """
    if _insert(session, key):
        return None
    row, running = session.execute(
        select(IdempotencyKey, _running()).where(_is(key)).with_for_update()
    ).one()
    if row.fingerprint != key.fingerprint:
        raise UnprocessableError(
            "This Idempotency-Key was used before with another request. Use a new key."
        )
    # After the comparison: another request under this key is wrong now and later, and is told so.
    if running:
        raise ConflictError(
            "The first request with this Idempotency-Key is still running. Try again soon.",
            code="idempotency_key_in_use",
        )
    return _stored(row)


def _insert(session: Session, key: Key) -> bool:
    # One past its time is none, also before the clock has removed it.
    session.execute(
        delete(IdempotencyKey).where(
            _is(key), IdempotencyKey.created_at < now(-KEPT.total_seconds())
        )
    )
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    statement = (
        dialect.insert(IdempotencyKey)
        .values(
            project_id=key.project_id,
            key=key.key,
            fingerprint=key.fingerprint,
            created_at=now(),
        )
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.key)
    )
    return session.execute(statement).one_or_none() is not None


def _is(key: Key) -> Any:
    return (IdempotencyKey.project_id == key.project_id) & (IdempotencyKey.key == key.key)


def _running() -> Any:
    recent = IdempotencyKey.created_at > now(-RUNNING_SECONDS)
    return case((IdempotencyKey.status.is_(None) & recent, True), else_=False)


def _stored(row: IdempotencyKey) -> StoredAnswer:
    kept = row.body or {}
    return StoredAnswer(
        status=kept.get("status", 200), body=kept.get("body"), headers=dict(row.headers or {})
    )


def keep(session: Session, key: Key, answer: StoredAnswer, *, final: bool) -> None:
    """Store the answer under its key, in the transaction that made it.

    Args:
        final: False while the request goes on to wait for its job: the same key is refused
            meanwhile, and if the process dies the answer counts after `RUNNING_SECONDS`.
    """
    body = {"status": answer.status, "body": answer.body}
    session.execute(
        update(IdempotencyKey)
        .where(_is(key))
        .values(
            status=answer.status if final else None,
            headers=answer.headers,
            body=body,
            size_bytes=len(to_json(body)),
        )
    )
