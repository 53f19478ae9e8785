"""The search box: words of a name, and qualifiers such as `state:failing` and `code:not_found`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, Self
from uuid import UUID

from stocktake.catalog.listing import TableFilter
from stocktake.errors import did_you_mean
from stocktake.schema.diff import ChangeClass
from stocktake.schema.formats import TableFormat
from stocktake.states import TableState

MAX_QUERY: Final = 200
#: What people say for it.
_SAID: Final = MappingProxyType({"failed": "failing", "pending": "waiting", "running": "reading"})
_TRUE: Final = MappingProxyType({"yes": True, "true": True, "no": False, "false": False})


def _state(text: str) -> TableState:
    return TableState(_SAID.get(text.lower(), text.lower()))


def _format(text: str) -> TableFormat:
    return {each.value.lower(): each for each in TableFormat}[text.lower()]


#: A qualifier of tables: the field of the filter, and how its value is read.
QUALIFIERS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = MappingProxyType(
    {
        "state": ("state", _state),
        "code": ("error_code", str),
        "format": ("format", _format),
        "change": ("last_change", lambda text: ChangeClass(text.lower())),
        "set": ("has_overrides", lambda text: _TRUE[text.lower()]),
        "schedule": ("schedule", UUID),
    }
)
_KNOWN: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "state": tuple(each.value for each in TableState),
        "format": tuple(each.value for each in TableFormat),
        "change": tuple(each.value for each in ChangeClass),
        "set": ("yes", "no"),
    }
)
#: What a word may be called, that is looked for in names anyway.
_NAME: Final = "table"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What was asked for.

    Attributes:
        words: of a name.
        qualifiers: by their names, as they were typed.
        wrong: what no table can be asked by, in sentences.
    """

    words: tuple[str, ...] = ()
    qualifiers: Mapping[str, str] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what is in the box; of two qualifiers of a name the last one holds.

        >>> Query.parse("orders state:failed table:eu http://x").words
        ('orders', 'eu', 'http://x')
        """
        words: list[str] = []
        qualifiers: dict[str, str] = {}
        wrong: list[str] = []
        for token in text[:MAX_QUERY].replace("\0", "").split():
            name, colon, value = token.partition(":")
            if name == _NAME and value:
                words.append(value)
            elif not colon or name not in QUALIFIERS:
                words.append(token)
            elif (problem := _problem(name, value)) is not None:
                wrong.append(problem)
            else:
                qualifiers[name] = value
        return cls(words=tuple(words), qualifiers=qualifiers, wrong=tuple(wrong))

    @property
    def text(self) -> str:
        """The query as one would type it."""
        return " ".join([*self.words, *(f"{name}:{value}" for name, value in self.parts)])

    @property
    def parts(self) -> list[tuple[str, str]]:
        """The qualifiers, as pairs."""
        return list(self.qualifiers.items())

    def having(self, name: str, value: str | None) -> "Query":
        """Return the query with another value of a qualifier; None takes it away."""
        rest = {key: old for key, old in self.qualifiers.items() if key != name}
        return replace(self, qualifiers=rest if value is None else rest | {name: value})

    @property
    def filter(self) -> TableFilter:
        """What services are asked for."""
        found = {
            QUALIFIERS[name][0]: QUALIFIERS[name][1](value)
            for name, value in self.qualifiers.items()
        }
        return TableFilter(search=" ".join(self.words) or None, **found)

    @property
    def selector(self) -> dict[str, Any]:
        """The same tables, as a batch or a schedule names them."""
        return self.asked or {"all": True}

    @property
    def asked(self) -> dict[str, Any]:
        """The same, as the API's list is asked for them; none for all."""
        wanted = self.filter
        found = {
            name: value
            for name in TableFilter.__dataclass_fields__
            if (value := getattr(wanted, name)) is not None
        }
        return {name: str(value) if name == "schedule" else value for name, value in found.items()}


def _problem(name: str, value: str) -> str | None:
    try:
        QUALIFIERS[name][1](value)
    except (ValueError, KeyError):
        known = _KNOWN.get(name)
        told = did_you_mean(value[:40], known) if known else "it is an id."
        return f"{name}:{value[:40]} is no {name}; {told}"
    return None if value else f"{name}: needs a value behind the colon."
