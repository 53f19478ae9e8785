"""What the live files of a table add up to, as far as the log tells."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Self

from stocktake.readers.delta.numbers import total, whole_number, without
from stocktake.readers.delta.paths import ABSOLUTE, lies_elsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What some files add up to; None where that is unknown.

    Attributes:
        row_count: without deleted ones.
        size_bytes: as stored.
        elsewhere_count: of the files, those with an absolute path, or one that leaves the table's
            folder; the same of their deletion vectors.
    """

    row_count: int | None = None
    size_bytes: int | None = None
    file_count: int | None = None
    elsewhere_count: int | None = None

    @classmethod
    def of_add(cls, add: dict[str, Any]) -> Self:
        """Read an `add` action.

        >>> Totals.of_add({"path": "x", "size": 9, "stats": '{"numRecords": 2}'}).row_count
        2
        """
        path, vector = add.get("path"), add.get("deletionVector")
        vector = vector if isinstance(vector, dict) else {}
        deleted = whole_number(vector.get("cardinality")) if vector else 0
        away = isinstance(path, str) and lies_elsewhere(path)
        away = away or vector.get("storageType") == ABSOLUTE
        return cls(
            row_count=without(row_count(add.get("stats")), deleted),
            size_bytes=whole_number(add.get("size")),
            file_count=1,
            elsewhere_count=int(away),
        )

    @classmethod
    def summed(cls, parts: Iterable["Totals"]) -> Self:
        """Return the sums; each is unknown where it is of a part.

        >>> Totals.summed([]).row_count
        0
        """
        parts = [*parts]
        return cls(
            row_count=total(each.row_count for each in parts),
            size_bytes=total(each.size_bytes for each in parts),
            file_count=total(each.file_count for each in parts),
            elsewhere_count=total(each.elsewhere_count for each in parts),
        )


#: What a log says by itself.
UNKNOWN: Final = Totals()


def row_count(stats: object) -> int | None:
    """Return the `numRecords` of a file's statistics, a text of JSON; None where it is none.

    >>> row_count('{"numRecords": 2}'), row_count("{"), row_count(None)
    (2, None, None)
    """
    if not isinstance(stats, str):
        return None
    try:
        return whole_number(json.loads(stats).get("numRecords"))
    except (ValueError, AttributeError, RecursionError):
        return None
