"""Selectors of batches and schedules, as people read and type them."""

from collections.abc import Mapping
from typing import Any, Final

from api.console.search import QUALIFIERS, Query
from stocktake.catalog.listing import TableFilter

#: By the field of a selector, the qualifier that means the same.
_QUALIFIER: Final = {name_of: name for name, (name_of, _) in QUALIFIERS.items()}
_TYPED: Final = frozenset(TableFilter.__dataclass_fields__)


def told(selector: Mapping[str, Any]) -> str:
    """Say which tables a selector names.

    >>> told({"all": True}), told({"tables": ["x"]}), told({"search": "eu", "state": "failing"})
    ('all tables', '1 named table', 'eu state:failing')
    >>> told({"name_glob": "sales_*", "stale_for_seconds": 3600})
    'name_glob:sales_* stale_for_seconds:3600'
    """
    if "all" in selector:
        return "all tables"
    if "tables" in selector:
        count = len(selector["tables"])
        return f"{count:,} named table{'' if count == 1 else 's'}"
    return " ".join(_part(name, value) for name, value in selector.items())


def _part(name: str, value: Any) -> str:
    if name == "search":
        return str(value)
    shown = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
    return f"{_QUALIFIER.get(name, name)}:{shown}"


def as_query(selector: Mapping[str, Any]) -> Query | None:
    """Return what one would type for a selector; None where the box has no words for it.

    >>> as_query({"search": "eu", "state": "failing"}).text, as_query({"name_glob": "a*"})
    ('eu state:failing', None)
    """
    if "all" in selector:
        return Query()
    if not set(selector) <= _TYPED:
        return None
    query = Query.parse(told(selector))
    return query if not query.wrong and query.selector == dict(selector) else None
