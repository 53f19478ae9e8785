"""The annotations in a Parquet schema, put so that pyarrow reads what ClickHouse reads.

Writers have left many shapes under the two marks (parquet-format, logical types, "Nested
Types"). Some pyarrow refuses: a map's optional key, as Presto, Hive and Flink write it; a marked
group that repeats, or that has none of the shapes. Some it reads otherwise: a list's group named
`array`, a map without values. A column's type is there for ClickHouse to read the file by, so its
reading counts (asked of 26.9). But for optional keys, what is changed here leaves all definition
and repetition levels as they are: the same pages are read by the new schema.

A logical type may be newer than its reader: writers put the older converted type beside it, so
that readers have something to go by (parquet.thrift, `SchemaElement`). ClickHouse goes by that,
and by that beside the logical type of nulls, too; pyarrow drops both.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from stocktake.readers.parquet.footer import after, list_header, number, struct_list, varint

#: Field ids of `SchemaElement` in parquet.thrift.
_REPETITION, _NAME, _CHILDREN, _CONVERTED, _LOGICAL = 3, 4, 5, 6, 10
_REQUIRED, _OPTIONAL, _REPEATED = 0, 1, 2
#: Of `ConvertedType`; `LogicalType` has fields of the ids 2 and 3 for the same.
_MAP, _MAP_KEY_VALUE, _LIST = 1, 2, 3
_LOGICAL_MAP, _LOGICAL_LIST = 2, 3
#: Logical types that count whatever stands beside them: all but 9, which is none, and the nulls'.
_KNOWN: Final = frozenset(range(1, 19)) - {9, 11}
#: How a logical type begins whose element has a converted one and that may not be known: the
#: header of the field, one to four ids behind another, and not that of a known one in the union.
_MAYBE_UNKNOWN: Final = re.compile(
    rb"[\x1c\x2c\x3c\x4c](?![\x1c\x2c\x3c\x4c\x5c\x6c\x7c\x8c\xac\xcc\xdc\xec\xfc]|\x0c[\x20\x22\x24])"
)
#: Kinds of Thrift's compact protocol.
_I32, _BINARY, _STRUCT = 5, 8, 12
#: Of those fields. One of another kind is passed over, as Thrift's own readers do.
_ELEMENT: Final = {
    _REPETITION: _I32,
    _NAME: _BINARY,
    _CHILDREN: _I32,
    _CONVERTED: _I32,
    _LOGICAL: _STRUCT,
}
#: Beyond these a schema is left as it is: each takes some hundred bytes here, and a column of more
#: is refused later.
_MAX_ELEMENTS: Final = 50_000


@dataclass(slots=True)
class _Element:
    """One `SchemaElement`: its fields by id, each with its kind and bytes, and its place."""

    fields: dict[int, tuple[int, bytes]]
    parent: "_Element | None" = None
    children: list["_Element"] = field(default_factory=list)
    changed: bool = False
    #: Whether it is what repeats in a map, which may carry a mark of its own.
    pairs: bool = False
    #: Whether a list that pyarrow takes is put around it.
    wrapped: bool = False

    def number(self, field_id: int) -> int | None:
        """Return a small integer."""
        return self.fields[field_id][1][0] >> 1 if field_id in self.fields else None

    def put(self, field_id: int, value: int | bytes) -> None:
        """Set a small integer, or a name."""
        if isinstance(value, bytes):
            written = (_BINARY, number(len(value)) + value)
        else:
            written = (_I32, number(value << 1))
        self.changed = self.changed or self.fields.get(field_id) != written
        self.fields[field_id] = written

    def unmark(self) -> None:
        """Leave a group that is read by its shape."""
        for field_id in (_CONVERTED, _LOGICAL):
            self.changed = self.fields.pop(field_id, None) is not None or self.changed

    def heed_converted(self) -> None:
        """Leave the converted type alone, where the logical one beside it says nothing."""
        if _LOGICAL in self.fields and _CONVERTED in self.fields:
            union = _element(self.fields[_LOGICAL][1], 0, kinds={})[0].fields
            if not any(union.get(each, (0,))[0] == _STRUCT for each in _KNOWN):
                del self.fields[_LOGICAL]
                self.changed = True

    @property
    def repeats(self) -> bool:
        return self.number(_REPETITION) == _REPEATED

    @property
    def mark(self) -> int | None:
        """`_MAP`, `_LIST` or None."""
        # A union of structs: the one field's header has its id.
        logical = self.fields[_LOGICAL][1][0] >> 4 if _LOGICAL in self.fields else None
        converted = self.number(_CONVERTED)
        if logical == _LOGICAL_LIST or converted == _LIST:
            return _LIST
        is_map = logical == _LOGICAL_MAP or converted in (_MAP, _MAP_KEY_VALUE)
        return _MAP if is_map and not self.pairs else None


def readable(schema: bytes, *, of_pages: bool = False) -> bytes:
    """Return a schema as pyarrow has to see it; the same object where it needs no change.

    Args:
        schema: the bytes of `footer.schema_range`. A corrupt one is returned as it is.
        of_pages: whether pages are read by it. Their levels tell an optional key from a required
            one, so that such a map then is a list of pairs.
    """
    try:
        size, _, at = list_header(schema, 0)
        root, _ = _element(schema, at)
        if size > _MAX_ELEMENTS:
            return schema
        # No group but the root, and no such type: nearly all files, and none of this concerns them.
        if _child_count(root) + 1 == size and not _MAYBE_UNKNOWN.search(schema):
            return schema
        elements = _tree(schema, size, at)
        for each in elements[1:]:
            each.heed_converted()
            _put_right(each, of_pages=of_pages)
        if not any(each.changed or each.wrapped for each in elements):
            return schema
        return struct_list([part for each in elements for part in _written(each)])
    except (IndexError, KeyError, ValueError):
        return schema


def _element(data: bytes, at: int, *, kinds: Mapping[int, int] = _ELEMENT) -> tuple[_Element, int]:
    fields: dict[int, tuple[int, bytes]] = {}
    field_id = 0
    while header := data[at]:
        if header > 15:
            field_id, at = field_id + (header >> 4), at + 1
        else:
            zigzag, at = varint(data, at + 1)
            field_id = zigzag >> 1 ^ -(zigzag & 1)
        kind = header & 15
        end = after(data, at, kind, 0)
        if kinds.get(field_id, kind) == kind:
            fields[field_id] = (kind, data[at:end])
        at = end
    return _Element(fields), at + 1


def _child_count(element: _Element) -> int:
    _, data = element.fields.get(_CHILDREN, (_I32, b"\0"))
    return varint(data, 0)[0] >> 1


def _tree(schema: bytes, size: int, at: int) -> list[_Element]:
    """Return all elements in their order, each with its parent and its children."""
    elements: list[_Element] = []
    open_: list[tuple[_Element, int]] = []
    for _ in range(size):
        element, at = _element(schema, at)
        while open_ and len(open_[-1][0].children) == open_[-1][1]:
            open_.pop()
        if elements:
            # an IndexError where there are more elements than the groups say
            element.parent = open_[-1][0]
            element.parent.children.append(element)
        open_.append((element, _child_count(element)))
        elements.append(element)
    return elements


def _put_right(group: _Element, *, of_pages: bool) -> None:
    mark = group.mark
    if mark is None or not group.children:
        return
    inner = group.children[0]
    if len(group.children) > 1 or not inner.repeats:
        group.unmark()
    elif mark == _MAP:
        _put_map_right(group, inner, of_pages=of_pages)
    else:
        _put_list_right(inner)
    inner.pairs = group.mark == _MAP
    if group.mark is not None and group.repeats and not _is_element(group):
        group.wrapped = True


def _put_map_right(group: _Element, pairs: _Element, *, of_pages: bool) -> None:
    # ClickHouse takes anything but a key and a value for no map.
    if len(pairs.children) != 2:
        group.unmark()
        return
    key = pairs.children[0]
    # It heeds no mark of a key.
    if key.children:
        key.unmark()
    key.wrapped = key.repeats
    if key.number(_REPETITION) != _OPTIONAL:
        return
    if of_pages:
        group.unmark()
        group.put(_CONVERTED, _LIST)
    else:
        # A null as a key is what the format forbids; ClickHouse has no Map with nullable keys.
        key.put(_REPETITION, _REQUIRED)
        _let_fields_be_null(key)


def _let_fields_be_null(group: _Element) -> None:
    """Have the fields of a group be null where the group may be, as ClickHouse has them."""
    for each in group.children:
        if each.number(_REPETITION) != _REQUIRED or each.mark is not None:
            continue
        if each.children:
            _let_fields_be_null(each)
        else:
            each.put(_REPETITION, _OPTIONAL)


def _put_list_right(inner: _Element) -> None:
    if len(inner.children) != 1:
        return
    # Of one field the group is a level of the list, whatever its name and its mark.
    inner.unmark()
    inner.put(_NAME, b"list")
    inner.children[0].wrapped = inner.children[0].repeats


def _is_element(group: _Element) -> bool:
    """Whether it is what a list of two levels repeats."""
    parent = group.parent
    return parent is not None and parent.mark is not None and parent.children == [group]


def _written(element: _Element) -> Iterator[bytes]:
    if not element.wrapped:
        yield _struct(element.fields)
        return
    # The same levels in the three of a list: it is the middle one that repeats.
    around, level = _Element({_NAME: element.fields[_NAME]}), _Element({})
    level.put(_NAME, b"list")
    for group, repetition in ((around, _REQUIRED), (level, _REPEATED)):
        group.put(_REPETITION, repetition)
        group.put(_CHILDREN, 1)
    around.put(_CONVERTED, _LIST)
    element.put(_NAME, b"element")
    element.put(_REPETITION, _REQUIRED)
    yield from (_struct(each.fields) for each in (around, level, element))


def _struct(fields: dict[int, tuple[int, bytes]]) -> bytes:
    written, last = [], 0
    for field_id, (kind, data) in sorted(fields.items()):
        step, last = field_id - last, field_id
        header = (
            bytes([step << 4 | kind]) if 0 < step < 16 else bytes([kind, *number(field_id << 1)])
        )
        written.append(header + data)
    return b"".join((*written, b"\0"))
