"""One order of day and month for a column: by an option, else by all of its values.

A refresh decides it from a sample; a validation holds every value to it.
"""

from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any, Final

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
_DATE_TIMES: Final = frozenset({"DateTime", "DateTime32", "DateTime64"})
_UNKNOWN: Final = (
    "No value of column {name} tells whether its day or its month is first: ClickHouse reads them "
    "day first. Set options.date_order to day_first or to month_first."
)
_MONTH_FIRST: Final = (
    "Column {name} holds dates with the month first, of which ClickHouse would read some day "
    "first: it is a String. With options.date_order month_first it is a DateTime, for readers that "
    "set date_time_input_format to best_effort_us."
)


def decide_order(
    kinds: dict[str, Kind], option: str | None
) -> tuple[dict[str, Kind], list[ReadWarning]]:
    """Return the columns' kinds, in which dates that contradict the order are texts, and what there
    is to say of them.

    Args:
        kinds: by column, joined over all that was read.
        option: what `options.date_order` says.
    """
    decided, warnings = {}, []
    for name, kind in kinds.items():
        orders = {TIMES[each].order for each in _scalars(kind) if each in TIMES}
        is_text = _CONTRADICTIONS[option] & orders
        decided[name] = _replaced(kind, _contradicts(option)) if is_text else kind
        if option is None and (is_text or Order.EITHER in orders):
            sentence = _MONTH_FIRST if is_text else _UNKNOWN
            warnings.append(
                ReadWarning(
                    code=WarningCode.DATE_ORDER, sentence=sentence.format(name=ascii(name)[:80])
                )
            )
    return decided, warnings


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


class DateOrders:
    """What the values of each column have told of the order so far, file after file.

    Args:
        option: what `options.date_order` says.
    """

    def __init__(self, option: str | None) -> None:
        self._refused = _CONTRADICTIONS[option]
        self._is_open = option is None
        self._told: dict[str, Order] = {}

    def held(self, name: str, type_: Type, fits: Fits) -> Fits:
        """Return a check of a column's values that refuses, too, what contradicts the others."""
        if type_.name not in _DATE_TIMES:
            return fits
        return lambda value: fits(value) and self._agrees(name, value)

    def _agrees(self, name: str, value: Any) -> bool:
        kind = infer_text(value) if isinstance(value, str) else STRING
        order = TIMES[kind].order if kind in TIMES else Order.NOTHING
        if order in self._refused:
            return False
        if order and self._is_open:
            told = join_orders(self._told.get(name, Order.NOTHING), order)
            if told is None or told in self._refused:
                return False
            self._told[name] = told
        return True
