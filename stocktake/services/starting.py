"""What a process looks at before it starts: a setting that is wrong ends it with a sentence."""

from stocktake.errors import StocktakeError
from stocktake.security.encryption import Keyring
from stocktake.settings import Settings, SettingsError, read_settings
from stocktake.storage.configured import guard_policy


def settings_to_start() -> Settings:
    """The settings, with the secret keys, the managed storage and the endpoints looked through.

    Raises:
        SettingsError: one of them is wrong.
    """
    settings = read_settings()
    require_usable(settings)
    return settings


def require_usable(settings: Settings) -> None:
    """See that what is written in forms of its own can be read.

    Raises:
        SettingsError: a secret key, the managed storage or a trusted endpoint cannot.
    """
    try:
        Keyring.of(settings.secret_keys)
    except ValueError as exc:
        raise SettingsError(f"{exc}. `stocktake keys make-secret NAME` draws one.") from exc
    try:
        guard_policy(settings)
    except StocktakeError as exc:
        raise SettingsError(str(exc)) from exc
