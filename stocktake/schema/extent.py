"""How much there is in a type: what the bounds of a schema are held against."""

from dataclasses import dataclass
from typing import Final

from stocktake.schema.types import Type


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much there is in one type.

    Attributes:
        fields: the named elements of all its Tuples.
        depth: how many arrays, maps and Tuples are in each other.
        longest: the name of an element that no other is longer than; empty where there is none.
    """

    fields: int = 0
    depth: int = 0
    longest: str = ""


_PLAIN: Final = Extent()


def extent(type_: Type) -> Extent:
    """Measure a type.

    >>> from stocktake.schema.types import parse
    >>> extent(parse("Array(Tuple(a Int8, `b c` Map(String, String)))"))
    Extent(fields=2, depth=3, longest='b c')
    """
    if not type_.fields:
        return _PLAIN
    count, depth, longest = 0, 0, ""
    level = [type_]
    while level:
        depth += 1
        inside = []
        for each in level:
            for name, inner in each.fields or ():
                if name is not None:
                    count += 1
                    if len(name) > len(longest):
                        longest = name
                if inner.fields:
                    inside.append(inner)
        level = inside
    return Extent(fields=count, depth=depth, longest=longest)
