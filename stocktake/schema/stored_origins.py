"""How a table keeps its columns' origins: beside the columns, so that equal columns from another
file make no new schema version, and small, whatever the number of files.

Places stand once each; a column has their numbers. What most columns have is said once.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from stocktake.schema.origin import MAX_DIVIDED, Camp, Origin, Origins, Place, cut_type
from stocktake.schema.swings import Swings
from stocktake.schema.types import parse

#: first, newest, files, since when it has its type, camps
_Row = tuple[int, int, int | None, int | None, tuple[tuple[str, int, int, int], ...]]


class _Writer:
    """Gives each place its number."""

    def __init__(self) -> None:
        self.places: dict[Place, int] = {}
        self._rows: dict[int, tuple[Origin, _Row]] = {}
        self._divided = 0

    def row(self, origin: Origin) -> _Row:
        # many columns share one object
        known = self._rows.get(id(origin))
        if known is not None:
            return known[1]
        divided = len(origin.camps) > 1 and self._divided < MAX_DIVIDED
        self._divided += divided
        since = origin.type_since
        row = (
            self._number(origin.first),
            self._number(origin.newest),
            origin.files,
            None if since is None else self._number(since),
            tuple(map(self._camp, origin.camps)) if divided else (),
        )
        self._rows[id(origin)] = (origin, row)
        return row

    def _camp(self, camp: Camp) -> tuple[str, int, int, int]:
        return (
            cut_type(camp.type),
            camp.files,
            self._number(camp.first),
            self._number(camp.newest),
        )

    def _number(self, place: Place) -> int:
        return self.places.setdefault(place, len(self.places))


def stored_origins(origins: Origins, names: Iterable[str]) -> dict[str, Any]:
    """Return JSON of the origins of these columns, the table's."""
    writer = _Writer()
    rows = {
        name: None if (each := origins.columns.get(name)) is None else writer.row(each)
        for name in names
    }
    usual = next(iter(Counter(rows.values()).most_common(1)), (None, 0))[0]
    return {
        "of_files": origins.of_files,
        "sampled": origins.sampled,
        "places": [_place(place) for place in writer.places],
        "usual": usual,
        "columns": {name: row for name, row in rows.items() if row != usual},
    }


def _place(place: Place) -> list[Any]:
    return [*place.as_dict().values()]


#: Of a column that is told as unstable, and of which nothing else is known.
_UNKNOWN: Final[dict[str, Any]] = {
    "first": None,
    "newest": None,
    "files": None,
    "of_files": None,
    "sampled": False,
    "type_since": None,
    "unstable": False,
    "swings": [],
    "camps": [],
}


class StoredOrigins:
    """Reads what `stored_origins` made; of nothing it knows nothing.

    Args:
        found: the JSON, or None.
    """

    def __init__(self, found: dict[str, Any] | None) -> None:
        self._found = found or {}
        self._places = [*map(_read_place, self._found.get("places", ()))]
        self._shown: dict[str, dict[str, Any]] = {}
        self._swings = Swings.from_dict(self._found.get("swings")).columns

    def origins(self, names: Iterable[str], *, camps: bool = False) -> Origins | None:
        """Return them again; None where none were stored.

        Args:
            camps: whether with camps, whose types may be cut.
        """
        if not self._places:
            return None
        made: dict[str, Origin] = {}
        columns = {}
        for name in names:
            row = self._row(name)
            if row is not None:
                columns[name] = made.setdefault(str(row), self._origin(row, camps))
        return Origins(
            columns=columns, of_files=self._found["of_files"], sampled=self._found["sampled"]
        )

    @property
    def files(self) -> list[str]:
        """The names of the files that are remembered."""
        return list(dict.fromkeys(place.file for place in self._places if place.file is not None))

    def place_of(self, file: str) -> Place | None:
        """Return the place of a file of this name; None where none is remembered."""
        return next((place for place in self._places if place.file == file), None)

    def _origin(self, row: Any, with_camps: bool) -> Origin:
        first, newest, files, since, camps = row
        return Origin(
            first=self._places[first],
            newest=self._places[newest],
            files=files,
            camps=tuple(map(self._camp, camps)) if with_camps else (),
            type_since=None if since is None else self._places[since],
        )

    def _camp(self, camp: Any) -> Camp:
        type_, files, first, newest = camp
        return Camp(
            type=parse(type_), files=files, first=self._places[first], newest=self._places[newest]
        )

    def _row(self, name: str) -> Any:
        return self._found.get("columns", {}).get(name, self._found.get("usual"))

    def shown(self, name: str, *, override: bool = False) -> dict[str, Any] | None:
        """Return a column's origin on the wire; columns of one origin share it.

        Args:
            override: whether a user has decided its type, so that it is stable.
        """
        row = self._row(name)
        shown = None if row is None else self._shared(row)
        swing = self._swings.get(name)
        if override or swing is None or not swing.unstable:
            return shown
        told = {"unstable": True, "swings": [side.as_dict() for side in swing.sides]}
        return (shown or _UNKNOWN) | told

    def _shared(self, row: Any) -> dict[str, Any]:
        key = str(row)
        if key not in self._shown:
            self._shown[key] = self._show(row)
        return self._shown[key]

    def _show(self, row: Any) -> dict[str, Any]:
        first, newest, files, since, camps = row
        return {
            "first": self._places[first].as_dict(),
            "newest": self._places[newest].as_dict(),
            "files": files,
            "of_files": self._found["of_files"],
            "sampled": self._found["sampled"],
            "type_since": None if since is None else self._places[since].as_dict(),
            "unstable": False,
            "swings": [],
            "camps": [
                {
                    "type": type_,
                    "files": count,
                    "first": self._places[oldest].as_dict(),
                    "newest": self._places[latest].as_dict(),
                }
                for type_, count, oldest, latest in camps
            ],
        }


def _read_place(place: Any) -> Place:
    names = ("file", "version", "snapshot", "at", "exact")
    return Place.from_dict(dict(zip(names, place, strict=True)))
