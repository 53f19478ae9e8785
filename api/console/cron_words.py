"""A cron rule in words."""

from typing import Final

from cron_descriptor import (  # type: ignore[import-untyped]  # ships no types
    Options,
    get_description,
)

from stocktake.services import cron


def _options() -> Options:
    made = Options()
    made.use_24hour_time_format = True
    made.locale_code = "en_US"  # and not what the process's environment says
    return made


_OPTIONS: Final = _options()


def in_words(rule: str) -> str:
    """Return a rule in words; the rule itself where there are none for it.

    >>> in_words("0 6 * * mon#1"), in_words("@daily"), in_words("what")
    ('At 06:00, on the first Monday of the month', 'At 00:00', 'what')
    """
    try:
        return str(get_description(cron.fields(rule), _OPTIONS))
    except Exception:  # noqa: BLE001 - of a library: a rule that it cannot tell is shown as it is
        return rule
