"""What is different between two lists of columns, line by line, what breaks first."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from stocktake.schema.diff import ChangeClass, completed
from stocktake.schema.types import parse
from stocktake.schema.widening import is_widening

#: Lines of one page: names and types may be long.
_MOST: Final = 40
_WORST_FIRST: Final = (ChangeClass.BREAKING, ChangeClass.WIDENING, ChangeClass.ADDITIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that is different.

    Attributes:
        change: how much it breaks.
        word: what became of it, such as "type changed".
        name: of the column, or the way to a field inside of one.
        type: of what came or went.
        old, new: the types of what changed, or the names of what was renamed.
        origin: of a column that came, what is known of who brought it.
    """

    change: ChangeClass
    word: str
    name: str = ""
    type: str = ""
    old: str = ""
    new: str = ""
    origin: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Differences:
    """The lines of one page.

    Attributes:
        count: lines of all pages; offset: those before this one; limit: of a page.
        untold: fields that are different, and that the diff does not name.
    """

    lines: list[Line]
    count: int
    offset: int
    untold: int
    reordered: bool
    limit: int = _MOST


def told(stored: dict[str, Any], offset: int = 0) -> Differences:
    """Return a part of a stored diff, from a line on, as pages tell it.

    >>> changed = [{"name": "n", "from": "Int32", "to": "Int64", "only_fields": False}]
    >>> gone = [{"name": "old", "type": "String"}]
    >>> diff = {"added": [], "removed": gone, "changed": changed, "renamed": [], "reordered": False}
    >>> [line.word for line in told(diff).lines]
    ['removed', 'type widened']
    """
    diff = completed(stored)
    found = sorted(_lines(diff), key=lambda line: _WORST_FIRST.index(line.change))
    return Differences(
        lines=found[offset : offset + _MOST],
        count=len(found),
        offset=offset,
        untold=diff["fields"]["omitted"],
        reordered=bool(diff["reordered"]),
    )


def _lines(diff: Mapping[str, Any]) -> Iterator[Line]:
    breaking, additive = ChangeClass.BREAKING, ChangeClass.ADDITIVE
    fields = diff["fields"]
    for each in diff["removed"]:
        yield Line(change=breaking, word="removed", name=each["name"], type=each["type"])
    for each in diff["renamed"]:
        yield Line(change=breaking, word="renamed", old=each["from"], new=each["to"])
    for each in diff["changed"]:
        if not each["only_fields"]:
            yield _changed(each["name"], each, "type")
    for each in fields["removed"]:
        name = ".".join(each["path"])
        yield Line(change=breaking, word="field removed", name=name, type=each["type"])
    for each in fields["changed"]:
        yield _changed(".".join(each["path"]), each, "field")
    for each in fields["added"]:
        name = ".".join(each["path"])
        yield Line(change=additive, word="field added", name=name, type=each["type"])
    for each in diff["added"]:
        yield Line(
            change=additive,
            word="added",
            name=each["name"],
            type=each["type"],
            origin=each.get("origin"),
        )


def _changed(name: str, each: Mapping[str, Any], what: str) -> Line:
    old, new = each["from"], each["to"]
    # One type under two classes, such as a text that is JSON now: who reads it must know.
    widens = old != new and is_widening(parse(old), parse(new))
    return Line(
        change=ChangeClass.WIDENING if widens else ChangeClass.BREAKING,
        word=f"{what} {'widened' if widens else 'changed'}",
        name=name,
        old=old,
        new=new,
    )
