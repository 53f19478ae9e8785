"""Which snapshot of an Iceberg table brought which column, as far as its metadata still tells."""

from collections.abc import Iterable
from typing import Any, Final

from stocktake.readers.iceberg.document import First
from stocktake.readers.iceberg.metadata import TableMetadata
from stocktake.readers.moments import moment
from stocktake.schema.columns import Column
from stocktake.schema.origin import Origin, Origins, Place

#: Earlier schemas that are looked at, the newest.
_MOST_SCHEMAS: Final = 100


def origins_of(table: TableMetadata, columns: Iterable[Column]) -> Origins | None:
    """Return with which snapshot each column came, and with which one its type.

    A column is known by its field id, which is given out once, and its schema by the first snapshot
    that was written with it. Where that was expired, the next one that is known is told, as "then,
    or before".

    Args:
        columns: of the table's current schema.
    """
    if table.snapshot_id is None:
        return None
    newest = Place(snapshot=str(table.snapshot_id), at=moment(table.written))
    places = [_place(table.first, Place(snapshot=newest.snapshot, at=newest.at, exact=False))]
    current = _fields(table.schema)
    there, alike = dict.fromkeys(current, 0), dict.fromkeys(current, 0)
    before = set(current)
    earlier = table.earlier[-_MOST_SCHEMAS:]
    for number, schema in enumerate(reversed(earlier), 1):
        places.append(_place(schema.first, places[-1]))
        fields = _fields(schema.decoded())
        there |= dict.fromkeys(current.keys() & fields.keys(), number)
        before = {each for each in before if fields.get(each, ...) == current[each]}
        alike |= dict.fromkeys(before, number)
    if len(earlier) < len(table.earlier):
        places[-1] = _before(places[-1])
    made: dict[tuple[int, int], Origin] = {}
    found = {}
    for column in columns:
        begun, typed = there.get(column.field_id, 0), alike.get(column.field_id, 0)
        if (begun, typed) not in made:
            made[begun, typed] = Origin(
                first=places[begun],
                newest=newest,
                type_since=None if typed == begun else places[typed],
            )
        found[column.name] = made[begun, typed]
    return Origins(columns=found)


def _place(first: First | None, later: Place) -> Place:
    if first is None:
        return _before(later)
    return Place(snapshot=str(first.snapshot_id), at=moment(first.written), exact=first.exact)


def _before(place: Place) -> Place:
    return Place(snapshot=place.snapshot, at=place.at, exact=False)


def _fields(schema: dict[str, Any]) -> dict[int | None, Any]:
    """Return the type of each column by its field id."""
    fields = schema.get("fields")
    if not isinstance(fields, list):
        return {}
    ids = ((each, each.get("id")) for each in fields if isinstance(each, dict))
    return {field_id: each.get("type") for each, field_id in ids if isinstance(field_id, int)}
