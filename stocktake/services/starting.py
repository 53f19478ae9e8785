"""What a process looks at before it starts: a setting that is wrong ends it with a sentence."""

from sqlalchemy.exc import SQLAlchemyError

from stocktake.db.failures import WrongEncodingError
from stocktake.db.session import Database
from stocktake.errors import StocktakeError
from stocktake.parts import guard_policy
from stocktake.security.encryption import Keyring
from stocktake.settings import Settings, SettingsError, read_settings


def settings_to_start() -> Settings:
    """Return the settings, with what they say, and the database's encoding, looked through.

    Raises:
        SettingsError: one of them is wrong, or the database is of an encoding that is no use.
    """
    settings = read_settings()
    require_usable(settings)
    _require_utf8(settings.database_url)
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


def _require_utf8(database_url: str) -> None:
    database = Database(database_url, pool_size=1)
    try:
        if not database.sqlite:
            database.engine.connect().close()
    except WrongEncodingError as exc:
        raise SettingsError(str(exc)) from exc
    except SQLAlchemyError:
        return  # it may come later, and who needs it says what is wrong with it
    finally:
        database.dispose()
