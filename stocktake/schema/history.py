"""What a source tells of its own past, and the versions that a registry makes of it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from stocktake.schema.columns import Column
from stocktake.schema.diff import Diff, diff


@dataclass(frozen=True, slots=True, kw_only=True)
class PastSchema:
    """A source's columns at some time.

    Attributes:
        columns: in their order then.
        source_version: the first version that is known to have them; None where none is.
    """

    columns: tuple[Column, ...]
    source_version: int | str | None


def steps(past: Iterable[PastSchema], now: PastSchema) -> Iterator[tuple[PastSchema, Diff]]:
    """Yield the schemas that differ from the one before them, the present one last, each with what
    it changed. The first one has a diff from nothing. Of those that are alike the last one stays,
    under the first one's version.

    Args:
        past: oldest first.
        now: the present one.
    """
    kept: list[PastSchema] = []
    for each in past:
        if kept and not diff(kept[-1].columns, each.columns):
            first = kept.pop().source_version or each.source_version
            kept.append(PastSchema(columns=each.columns, source_version=first))
        else:
            kept.append(each)
    if kept and not diff(kept[-1].columns, now.columns):
        kept.pop()
    kept.append(now)
    before: tuple[Column, ...] = ()
    for each in kept:
        yield each, diff(before, each.columns)
        before = each.columns
