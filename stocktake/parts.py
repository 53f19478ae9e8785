"""What every process builds once, as the settings say: web, workers and clock have it alike."""

from dataclasses import dataclass
from typing import Self

from stocktake.db.session import Database
from stocktake.errors import ValidationError
from stocktake.security.encryption import Keyring
from stocktake.settings import Settings, unreadable_entry
from stocktake.storage.managed import ManagedStorage, storage_at
from stocktake.storage.places.guard import GuardPolicy
from stocktake.storage.places.trusted import read_entry
from stocktake.storage.places.urls import MalformedUrlError


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessParts:
    """One process's own; whoever works in it holds this, and copies nothing of it.

    Attributes:
        guard: what a customer's URL may lead to.
        storage: the operator's, where uploads are.
    """

    settings: Settings
    database: Database
    keyring: Keyring
    guard: GuardPolicy
    storage: ManagedStorage

    @classmethod
    def of(cls, settings: Settings, database: Database) -> Self:
        """Build them around a database, of which each process has its own way to wait.

        Raises:
            ValueError: a secret key cannot be read.
            ValidationError: an entry of ``TRUSTED_ENDPOINTS`` cannot be read.
        """
        return cls(
            settings=settings,
            database=database,
            keyring=Keyring.of(settings.secret_keys),
            guard=guard_policy(settings),
            storage=managed_storage(settings),
        )


def managed_storage(settings: Settings) -> ManagedStorage:
    """Return managed storage: a folder of the data directory where nothing else is set."""
    secret = settings.managed_storage_access_secret
    return storage_at(
        settings.managed_storage_url or str(settings.data_dir.resolve() / "managed"),
        access_key=settings.managed_storage_access_key,
        access_secret=secret.get_secret_value() if secret else None,
        endpoint=settings.managed_storage_endpoint,
        region=settings.managed_storage_region,
    )


def guard_policy(settings: Settings) -> GuardPolicy:
    """Return what the operator allows; our own storage and folder are refused to customers' URLs.

    Raises:
        ValidationError: an entry of ``TRUSTED_ENDPOINTS`` cannot be read.
    """
    for number, entry in enumerate(settings.trusted_endpoints, 1):
        try:
            read_entry(entry)
        except MalformedUrlError as exc:
            told = unreadable_entry(number, entry, str(exc))
            raise ValidationError(
                f"STOCKTAKE_TRUSTED_ENDPOINTS: {told}.", attr="trusted_endpoints"
            ) from exc
    return GuardPolicy(
        allowed_schemes=frozenset(settings.allowed_url_schemes),
        trusted_endpoints=settings.trusted_endpoints,
        local_roots=tuple(root.resolve() for root in settings.local_roots),
        managed_location=managed_storage(settings).root,
        private_folders=(settings.data_dir.resolve(),),
    )
