"""What changed inside of a column's type: the fields of its structs, each by its path."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from stocktake.schema.types import Field, Type

#: What a diff shows of all fields together; the types of the columns tell the rest.
_MOST_SHOWN: Final = 1_000
_MOST_CHARACTERS: Final = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """A field of a struct, at any depth, that is not as before.

    Attributes:
        path: the names from the column's down to the field's own. What an Array holds, and the
            values of a Map, have no name and no step: ``("orders", "price")`` is the `price` of
            each of the `orders`.
        old: its type before; None where it is new.
        new: its type now; None where it is gone.
    """

    path: tuple[str, ...]
    old: Type | None
    new: Type | None


@dataclass(slots=True, kw_only=True)
class Inside:
    """What two types of one column differ in.

    Attributes:
        fields: an old type's fields in their order, then those that are new in its struct.
        itself: whether more differs than these fields tell.
        reordered: whether the fields that both have stand in another order somewhere.
    """

    fields: list[FieldChange] = field(default_factory=list)
    itself: bool = False
    reordered: bool = False


def inside(name: str, old: Type, new: Type) -> Inside:
    """Compare two types of one column, field by field.

    >>> from stocktake.schema.types import parse
    >>> found = inside("o", parse("Array(Tuple(a Int8))"), parse("Array(Tuple(a Int8, b Date))"))
    >>> [(".".join(each.path), str(each.new)) for each in found.fields], found.itself
    ([('o.b', 'Date')], False)
    """
    found = Inside()
    found.itself = _compare((name,), old, new, found)
    return found


def _compare(path: tuple[str, ...], old: Type, new: Type, found: Inside) -> bool:
    """Note the fields below that differ; return whether the type itself does beside them."""
    if old is new or old == new:
        return False
    if old.name != new.name or not (old.fields and new.fields):
        return True
    itself = (old.nullable, old.low_cardinality) != (new.nullable, new.low_cardinality)
    if old.name == "Tuple":
        return _compare_structs(path, old.fields, new.fields, found) or itself
    # an Array's element, a Map's value; a key of another type makes another Map
    if old.fields[:-1] != new.fields[:-1] or len(old.fields) != len(new.fields):
        return True
    return _compare(path, old.fields[-1].type, new.fields[-1].type, found) or itself


def _compare_structs(
    path: tuple[str, ...], old: tuple[Field, ...], new: tuple[Field, ...], found: Inside
) -> bool:
    before = {name: type_ for name, type_ in old if name is not None}
    after = {name: type_ for name, type_ in new if name is not None}
    if len(before) < len(old) or len(after) < len(new):
        # without names only the positions tell which is which
        return True
    for name, type_ in before.items():
        below = (*path, name)
        if name not in after:
            found.fields.append(FieldChange(path=below, old=type_, new=None))
        elif _compare(below, type_, after[name], found):
            found.fields.append(FieldChange(path=below, old=type_, new=after[name]))
    for name, type_ in after.items():
        if name not in before:
            found.fields.append(FieldChange(path=(*path, name), old=None, new=type_))
    if [name for name in before if name in after] != [name for name in after if name in before]:
        found.reordered = True
    return False


def as_dict(changes: Iterable[FieldChange]) -> dict[str, Any]:
    """Return the ``fields`` of a diff: as many as an answer can bear, and the count of others."""
    shown: dict[str, Any] = {"added": [], "removed": [], "changed": [], "omitted": 0}
    characters = 0
    for number, each in enumerate(changes):
        if number >= _MOST_SHOWN or characters > _MOST_CHARACTERS:
            shown["omitted"] += 1
            continue
        old, new = str(each.old or ""), str(each.new or "")
        characters += sum(map(len, each.path)) + len(old) + len(new)
        if each.old is None:
            shown["added"].append({"path": list(each.path), "type": new})
        elif each.new is None:
            shown["removed"].append({"path": list(each.path), "type": old})
        else:
            shown["changed"].append({"path": list(each.path), "from": old, "to": new})
    return shown
