"""What every service function is handed: the session, who asks, and the service's own parts."""

from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.orm import Session

from stocktake.security.encryption import Keyring
from stocktake.settings import Settings
from stocktake.storage.guard import GuardPolicy
from stocktake.storage.uploads import ManagedStorage


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, after authentication.

    Attributes:
        project_id: the tenant of this request; every query filters by it.
        key_id: the API key, None for the command line and the clock.
        project_ids: all projects that the key is bound to.
    """

    project_id: int
    user_id: int | None
    key_id: UUID | None = None
    key_prefix: str | None = None
    scopes: frozenset[str] = field(default_factory=frozenset)
    project_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One request's surroundings. Services never commit: the edge that made this does."""

    session: Session
    caller: Caller
    settings: Settings
    keyring: Keyring
    guard: GuardPolicy
    storage: ManagedStorage
