"""One order of day and month for a column: by an option, else by all of its values.

A refresh decides it from a sample; a validation and a load hold every value to it.
"""

import re
from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from stocktake.readers.text.values.checks import Fits
from stocktake.readers.text.values.dates import STRING, TIMES, Order, infer_text, join_orders
from stocktake.readers.text.values.kinds import Array, Kind, Map, Tuple
from stocktake.schema.options import DAY_FIRST, MONTH_FIRST
from stocktake.schema.types import Type
from stocktake.schema.warnings import ReadWarning, WarningCode

#: By the option's value, what contradicts it.
_CONTRADICTIONS: Final = MappingProxyType(
    {
        DAY_FIRST: {Order.MONTH_FIRST, Order.MONTH_FIRST_IN_ALL},
        MONTH_FIRST: {Order.DAY_FIRST},
        None: {Order.MONTH_FIRST_IN_ALL},
    }
)
_MONTH_FIRST_ORDERS: Final = frozenset({Order.MONTH_FIRST, Order.MONTH_FIRST_IN_ALL})
_DATE_TIMES: Final = frozenset({"DateTime", "DateTime32", "DateTime64"})
#: What two numbers may begin whose order is not told by their places.
_NUMBERS_FIRST: Final = re.compile(r"[ \t]*[0-9]{1,2}[/-]")
_UNKNOWN: Final = (
    "No value of column {name} tells whether its day or its month is first: ClickHouse reads them "
    "day first. Set options.date_order to day_first or to month_first."
)
_MONTH_FIRST: Final = (
    "Column {name} holds dates with the month first, of which ClickHouse would read some day "
    "first: as a new column it is a String. With options.date_order month_first it is a DateTime, "
    "for readers that set date_time_input_format to best_effort_us."
)


class Decided(NamedTuple):
    """What all values of the columns say of their dates.

    Attributes:
        kinds: by column; dates that contradict the order are texts.
        month_first: the columns of dates alone that have the month first.
        warnings: what there is to say of them.
    """

    kinds: dict[str, Kind]
    month_first: frozenset[str]
    warnings: list[ReadWarning]


def decide_order(kinds: dict[str, Kind], option: str | None) -> Decided:
    """Decide each column's order of day and month.

    Args:
        kinds: by column, joined over all that was read.
        option: what `options.date_order` says.
    """
    decided, month_first, warnings = {}, set(), []
    for name, kind in kinds.items():
        scalars = list(_scalars(kind))
        orders = {TIMES[each].order for each in scalars if each in TIMES}
        if len(scalars) == 1 and orders & _MONTH_FIRST_ORDERS:
            month_first.add(name)
        is_text = _CONTRADICTIONS[option] & orders
        decided[name] = _replaced(kind, _contradicts(option)) if is_text else kind
        if option is None and (is_text or Order.EITHER in orders):
            sentence = _MONTH_FIRST if is_text else _UNKNOWN
            warnings.append(
                ReadWarning(
                    code=WarningCode.DATE_ORDER, sentence=sentence.format(name=ascii(name)[:80])
                )
            )
    return Decided(decided, frozenset(month_first), warnings)


def _contradicts(option: str | None) -> Callable[[str], bool]:
    return lambda kind: kind in TIMES and TIMES[kind].order in _CONTRADICTIONS[option]


def _scalars(kind: Kind) -> Iterator[str]:
    if isinstance(kind, str):
        yield kind
    elif isinstance(kind, Tuple):
        for inner in kind.fields.values():
            yield from _scalars(inner)
    elif kind is not None:
        yield from _scalars(kind.element if isinstance(kind, Array) else kind.value)


def _replaced(kind: Kind, is_text: Callable[[str], bool]) -> Kind:
    if isinstance(kind, str):
        return STRING if is_text(kind) else kind
    if isinstance(kind, Array):
        return Array(element=_replaced(kind.element, is_text))
    if isinstance(kind, Map):
        return Map(value=_replaced(kind.value, is_text))
    if isinstance(kind, Tuple):
        return Tuple(fields={key: _replaced(each, is_text) for key, each in kind.fields.items()})
    return kind


class ColumnOrder:
    """What the values of a column have told of the order so far.

    Args:
        option: what is known of it beforehand, in the words of `options.date_order`.
    """

    def __init__(self, option: str | None) -> None:
        self.month_first = option == MONTH_FIRST
        self._refused = _CONTRADICTIONS[option]
        self._is_open = option is None
        self._told = Order.NOTHING

    def agrees(self, value: Any) -> bool:
        """Return whether a value may be read as those before it, and learn of it."""
        if not isinstance(value, str) or not _NUMBERS_FIRST.match(value):
            return True
        kind = infer_text(value, short_years=True)
        order = TIMES[kind].order if kind in TIMES else Order.NOTHING
        if order in self._refused:
            return False
        if order and self._is_open:
            told = join_orders(self._told, order)
            if told is None or told in self._refused:
                return False
            self._told = told
        return True


class DateOrders:
    """The orders of all columns, file after file.

    Args:
        option: what `options.date_order` says.
    """

    def __init__(self, option: str | None) -> None:
        self._option = option
        self._columns: dict[str, ColumnOrder] = {}

    def held(self, name: str, type_: Type, fits: Fits) -> Fits:
        """Return a check of a column's values that refuses, too, what contradicts the others."""
        if type_.name not in _DATE_TIMES:
            return fits
        order = self._columns.setdefault(name, ColumnOrder(self._option))
        return lambda value: fits(value) and order.agrees(value)
