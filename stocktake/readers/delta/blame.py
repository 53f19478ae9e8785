"""Which version of a Delta table brought which column, as far as its log still tells."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from stocktake.readers.delta.actions import Said
from stocktake.schema.columns import Column
from stocktake.schema.origin import Origin, Origins, Place

#: Schemas of one read that are looked at, the newest; tables have few.
MOST_SCHEMAS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A schema, and where the log tells it.

    Attributes:
        said: the `metaData` action.
    """

    place: Place
    said: Said


def newest(told: Sequence[Told]) -> tuple[Told, ...]:
    """Return the last of them, as many as are looked at: the first then may be older."""
    if len(told) <= MOST_SCHEMAS:
        return tuple(told)
    first, *others = told[-MOST_SCHEMAS:]
    return (replace(first, place=replace(first.place, exact=False)), *others)


def origins_of(
    told: Sequence[Told], head: Place, columns: Iterable[Column], *, continues: bool
) -> Origins | None:
    """Return since which version each column is there, and since which one with its type.

    Args:
        told: the schemas of the log that was read, oldest first; the last one is the table's.
        head: the newest version.
        columns: of the table.
        continues: whether the first of them is what the read before found.
    """
    if not told:
        return None
    first, since = _walk(told)
    made: dict[tuple[int, int], Origin] = {}
    last = len(told) - 1
    found = {}
    for column in columns:
        key = column.name
        begun = first.get(key, last)
        typed = since.get(key, last)
        if (begun, typed) not in made:
            made[begun, typed] = Origin(
                first=told[begun].place,
                newest=head,
                type_since=None if typed == begun else told[typed].place,
            )
        found[key] = made[begun, typed]
    return Origins(columns=found, continues=continues)


def _walk(told: Sequence[Told]) -> tuple[dict[str, int], dict[str, int]]:
    """Return by each column's name the first schema of the unbroken row that has it, and of the
    one that has it as it is now. None of a column means the last one."""
    first: dict[str, int] = {}
    since: dict[str, int] = {}
    if len(told) == 1:
        return first, since
    current = _fields(told[-1]) or {}
    there, alike = set(current), set(current)
    for number in range(len(told) - 2, -1, -1):
        fields = _fields(told[number])
        if fields is None:
            continue
        there &= fields.keys()
        alike = {key for key in alike & there if fields[key][1] == current[key][1]}
        first.update((current[key][0], number) for key in there)
        since.update((current[key][0], number) for key in alike)
    return first, since


def _fields(told: Told) -> dict[object, tuple[str, Any]] | None:
    """Return name and type of each column, by what stays when it is renamed; None for an action
    that is incomplete: it was superseded, and harms nobody."""
    try:
        fields = json.loads(told.said.action["schemaString"])["fields"]  # type: ignore[index]
        return {_key(each): (each["name"], each["type"]) for each in fields}
    except (TypeError, KeyError, ValueError, AttributeError, RecursionError):
        return None


def _key(field: dict[str, Any]) -> object:
    found = field.get("metadata") or {}
    return found.get("delta.columnMapping.id", field["name"])
