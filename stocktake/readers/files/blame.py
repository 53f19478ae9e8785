"""Which of the files that were read has which column, as which type."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from stocktake.readers.files.listing import relative_name
from stocktake.readers.source import Source
from stocktake.schema.columns import Column
from stocktake.schema.origin import Camp, Origin, Origins, Place
from stocktake.schema.types import Type
from stocktake.storage.stores.opening import ObjectInfo

#: Types of one column that are held apart while files are counted; `Origin` keeps fewer.
_MOST_HELD: Final = 16
#: Groups of files that a file's columns are compared with: sources have few kinds of files.
_MOST_COMPARED: Final = 4

_Camps = tuple[Camp, ...]


@dataclass(slots=True)
class Alike:
    """Files of the very same columns.

    Attributes:
        newest, first: of them, by the order of the listing.
    """

    types: Mapping[str, Type]
    newest: ObjectInfo
    first: ObjectInfo
    files: int = 0

    def add(self, file: ObjectInfo) -> None:
        """Count one more; files come newest first, those of one time by path."""
        self.files += 1
        if file.modified_at != self.first.modified_at:
            self.first = file
        if file.modified_at == self.newest.modified_at:
            # of one time the later name is the newer one, as with days in names
            self.newest = file


def alike(per_file: Iterable[tuple[ObjectInfo, tuple[Column, ...]]]) -> list[Alike]:
    """Put files of the same columns together.

    Args:
        per_file: newest first; files may share one tuple of columns.
    """
    by_tuple: dict[int, Alike] = {}
    groups: list[Alike] = []
    for file, columns in per_file:
        group = by_tuple.get(id(columns))
        if group is None:
            group = _group(groups, {column.name: column.type for column in columns}, file)
            by_tuple[id(columns)] = group
        group.add(file)
    return groups


def alike_types(per_file: Iterable[tuple[ObjectInfo, Mapping[str, Type]]]) -> list[Alike]:
    """Put files of the same columns together.

    Args:
        per_file: newest first, each with its columns' types.
    """
    groups: list[Alike] = []
    for file, types in per_file:
        _group(groups, types, file).add(file)
    return groups


def _group(groups: list[Alike], types: Mapping[str, Type], file: ObjectInfo) -> Alike:
    """Return the group of these types, a new one where none of the last few is."""
    for group in reversed(groups[-_MOST_COMPARED:]):
        if group.types is types or group.types == types:
            return group
    groups.append(Alike(types=types, newest=file, first=file))
    return groups[-1]


def origins_of(
    source: Source,
    groups: list[Alike],
    partitions: Iterable[Column] = (),
    *,
    sampled: bool,
) -> Origins:
    """Return where the columns of these files come from.

    Args:
        groups: of all files that were read.
        partitions: what stands in the path of each of them.
        sampled: whether other files were not read.
    """
    read = sum(group.files for group in groups)
    columns = (
        _of_one(source, groups[0], partitions)
        if len(groups) == 1
        else _of_many(source, groups, partitions)
    )
    return Origins(columns=columns, of_files=read, sampled=sampled, continues=sampled)


def _of_one(source: Source, group: Alike, partitions: Iterable[Column]) -> dict[str, Origin]:
    """Return the origins of files that are all alike, as most are."""
    camp_of = _Camping(source, group)
    types = {each.name: each.type for each in partitions} | dict(group.types)
    distinct = {id(each): each for each in types.values()}
    made = {key: Origin.of_camps([camp_of(each)]) for key, each in distinct.items()}
    return {name: made[id(type_)] for name, type_ in types.items()}


def _of_many(
    source: Source, groups: list[Alike], partitions: Iterable[Column]
) -> dict[str, Origin]:
    found: dict[str, _Camps] = {}
    joined: dict[tuple[int, int], tuple[_Camps, Camp, _Camps]] = {}
    for group in groups:
        camp_of = _Camping(source, group)
        for name, type_ in _with_partitions(group.types, partitions):
            camps, camp = found.get(name, ()), camp_of(type_)
            # Columns share their camps, so that of thousands few are made. Those that an id is of
            # are kept with it.
            key = id(camps), id(camp)
            if key not in joined:
                joined[key] = camps, camp, _joined(camps, camp)
            found[name] = joined[key][2]
    origins = {id(camps): Origin.of_camps(camps) for _, _, camps in joined.values()}
    return {name: origins[id(camps)] for name, camps in found.items()}


class _Camping:
    """Makes one camp of each type that a group of files has."""

    def __init__(self, source: Source, group: Alike) -> None:
        self._group = group
        self._made: dict[int, Camp] = {}
        self._newest, self._first = (
            Place.of_file(relative_name(source, file.path), file.modified_at)
            for file in (group.newest, group.first)
        )

    def __call__(self, type_: Type) -> Camp:
        # nearly all columns are of few types, each of which is one object
        camp = self._made.get(id(type_))
        if camp is None:
            camp = Camp(type=type_, files=self._group.files, first=self._first, newest=self._newest)
            self._made[id(type_)] = camp
        return camp


def _with_partitions(
    types: Mapping[str, Type], partitions: Iterable[Column]
) -> Iterator[tuple[str, Type]]:
    yield from types.items()
    yield from ((each.name, each.type) for each in partitions if each.name not in types)


def _joined(camps: _Camps, camp: Camp) -> _Camps:
    """Return the camps with one more, which is of one of their types or of another."""
    for at, known in enumerate(camps):
        if known.type is camp.type or known.type == camp.type:
            return (*camps[:at], known.joined(camp), *camps[at + 1 :])
    if len(camps) < _MOST_HELD:
        return (*camps, camp)
    return (*camps[:-1], camps[-1].joined(camp))
