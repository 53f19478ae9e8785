"""JSON into the dataclasses of `answers`."""

from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from stocktake.client.errors import UnexpectedAnswerError

T = TypeVar("T")


def decode(kind: type[T], data: Any) -> T:
    """Return the JSON object as a dataclass; what it does not know is left out, and kept in `raw`
    where it has such a field.

    Raises:
        UnexpectedAnswerError: it lacks what no answer lacks.
    """
    if not isinstance(data, dict):
        raise UnexpectedAnswerError(f"Expected a {kind.__name__.lower()}; got {str(data)[:100]!r}.")
    given = {}
    for field, hint in _hints(cast("Any", kind)):
        key = field.name.rstrip("_")  # `from_`, since `from` is Python's
        if field.name == "raw":
            given["raw"] = data
        elif key in data:
            given[field.name] = _value(hint, data[key])
        elif field.default is MISSING and field.default_factory is MISSING:
            raise UnexpectedAnswerError(
                f"The answer is no {kind.__name__.lower()} of Stocktake: it has no {key!r}."
            )
    return kind(**given)


@cache
def _hints(kind: Any) -> tuple[tuple[Field[Any], Any], ...]:
    hints = get_type_hints(kind)
    return tuple((field, hints[field.name]) for field in fields(kind))


def _value(hint: Any, data: Any) -> Any:
    if data is None:
        return None
    if get_origin(hint) in (Union, UnionType):
        hint = next(each for each in get_args(hint) if each is not NoneType)
    if get_origin(hint) is tuple:
        return tuple(_value(get_args(hint)[0], each) for each in data)
    if hint is datetime:
        return datetime.fromisoformat(data)
    if is_dataclass(hint):
        return decode(hint, data)  # type: ignore[arg-type]  # is_dataclass is true of instances too
    return data
