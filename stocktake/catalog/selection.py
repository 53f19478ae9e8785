"""Which tables a batch or a schedule means: selectors, checked once and read in order of table id.

A selector is kept as the JSON that the client sent, so that a schedule shows what was asked for;
but each table in it once, in one spelling.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from stocktake.db.clock import now
from stocktake.db.models import SEARCHED_NAME, Table
from stocktake.errors import ValidationError, did_you_mean
from stocktake.schema.folding import fold
from stocktake.schema.formats import TableFormat

#: More ids than this in one selector are refused: name them by a glob instead.
MAX_IDS: Final = 10_000
_MAX_STALE_SECONDS: Final = 10 * 366 * 86_400
_FILTERS: Final = frozenset({"name_glob", "format", "stale_for_seconds"})
_KNOWN: Final = _FILTERS | {"tables", "all"}
_KINDS: Final = (
    'Give exactly one of {"tables": [ids]}, {"all": true}, or a filter of '
    '"name_glob", "format" and "stale_for_seconds".'
)
_IDS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """A checked selector. None in `ids` means all tables that pass the filters.

    Attributes:
        name_glob: ``*`` and ``?``, over the whole name, letter case ignored.
        stale_for_seconds: only tables whose last good refresh is at least this old, or missing.
    """

    ids: tuple[UUID, ...] | None = None
    name_glob: str | None = None
    format: TableFormat | None = None
    stale_for_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """One chunk of a selection.

    Attributes:
        cursor: where the next chunk begins; None after the last.
    """

    ids: Sequence[UUID]
    cursor: UUID | None


def parse_selector(raw: Any, *, attr: str | None = None) -> Selector:
    """Check a selector as it came over the wire.

    Args:
        attr: the field that held it, for the errors; None where it was the whole body.

    Raises:
        ValidationError: it is of no kind, of two, or a value is wrong.
    """
    if not isinstance(raw, dict):
        raise ValidationError(f"A selector must be a JSON object. {_KINDS}", attr=attr)
    if unknown := sorted(set(raw) - _KNOWN):
        raise ValidationError(
            f"Unknown selector field {(name := unknown[0][:64])!r}; {did_you_mean(name, _KNOWN)}",
            attr=_at(attr, name),
        )
    kinds = ("tables" in raw) + ("all" in raw) + bool(_FILTERS & set(raw))
    if kinds != 1:
        raise ValidationError(_KINDS, attr=attr)
    if "tables" in raw:
        return Selector(ids=_ids(raw["tables"], _at(attr, "tables")))
    if "all" in raw:
        return _all(raw["all"], _at(attr, "all"))
    return Selector(
        name_glob=_name_glob(raw, attr),
        format=_format(raw, attr),
        stale_for_seconds=_age(raw, attr),
    )


def kept_selector(raw: dict[str, Any], checked: Selector) -> dict[str, Any]:
    """Return a selector as its row holds it.

    Each batch of a schedule copies it: a table named 10,000 times would be 390 KB a minute, and
    an id of a thousand hyphens is one too.
    """
    return raw if checked.ids is None else {"tables": [str(each) for each in checked.ids]}


def _at(attr: str | None, field: str) -> str:
    return field if attr is None else f"{attr}__{field}"


def _all(value: Any, attr: str) -> Selector:
    if value is not True:
        raise ValidationError('"all" must be true; leave it out to use a filter.', attr=attr)
    return Selector()


def _ids(value: Any, attr: str) -> tuple[UUID, ...]:
    if not isinstance(value, list) or not value:
        raise ValidationError('"tables" must be a list of at least one table id.', attr=attr)
    if len(value) > MAX_IDS:
        raise ValidationError(
            f'"tables" holds {len(value)} ids, the most is {MAX_IDS}; select by "name_glob" '
            'or "all" instead.',
            attr=attr,
        )
    return tuple(dict.fromkeys(_id(each, attr) for each in value))


def _id(value: Any, attr: str) -> UUID:
    try:
        return UUID(value)
    except (ValueError, AttributeError, TypeError) as exc:
        raise ValidationError(f"{str(value)[:64]!r} is not a table id.", attr=attr) from exc


def _name_glob(raw: dict[str, Any], attr: str | None) -> str | None:
    value = raw.get("name_glob")
    if "name_glob" in raw and not (
        isinstance(value, str) and 0 < len(value) <= 128 and value.isprintable()
    ):
        raise ValidationError(
            '"name_glob" must be a string of 1 to 128 printable characters, for example "sales_*".',
            attr=_at(attr, "name_glob"),
        )
    return value


def _format(raw: dict[str, Any], attr: str | None) -> TableFormat | None:
    if "format" not in raw:
        return None
    known = ", ".join(TableFormat)
    if not isinstance(raw["format"], str) or raw["format"] not in set(TableFormat):
        raise ValidationError(f'"format" must be one of {known}.', attr=_at(attr, "format"))
    return TableFormat(raw["format"])


def _age(raw: dict[str, Any], attr: str | None) -> float | None:
    if "stale_for_seconds" not in raw:
        return None
    value = raw["stale_for_seconds"]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= _MAX_STALE_SECONDS:
        raise ValidationError(
            f'"stale_for_seconds" must be a number from 0 to {_MAX_STALE_SECONDS}.',
            attr=_at(attr, "stale_for_seconds"),
        )
    return float(value)


def require_known_ids(
    session: Session, project_id: int, selector: Selector, *, attr: str | None = None
) -> None:
    """Refuse a selector that names a table which this project does not have.

    Raises:
        ValidationError: naming the first unknown id; another tenant's table is unknown as well.
    """
    ids = selector.ids or ()
    for start in range(0, len(ids), _IDS_AT_ONCE):
        part = ids[start : start + _IDS_AT_ONCE]
        known = set(session.scalars(_live(project_id).where(Table.id.in_(part))))
        for missing in (each for each in part if each not in known):
            raise ValidationError(
                f"Table {missing} does not exist in this project.", attr=_at(attr, "tables")
            )


def select_tables(
    session: Session, project_id: int, selector: Selector, *, after: UUID | None, limit: int
) -> Selected:
    """Return the next tables of a selection, in order of id and locked; left out are sourced and
    deleted ones, and those for uploads of which none was accepted yet: there is nothing to read.

    Tables are locked before their jobs, everywhere, so that two writers cannot deadlock.

    Args:
        after: the cursor of the chunk before; None for the first.
        limit: how many tables to look at.
    """
    if selector.ids is not None:
        rest = [each for each in sorted(selector.ids) if after is None or each > after]
        part = rest[:limit]
        named = _refreshable(project_id).where(Table.id.in_(part))
        live = session.scalars(_in_order(named)).all()
        # The last that was looked at, live or not: the next chunk begins behind it.
        return Selected(ids=live, cursor=part[-1] if len(rest) > limit else None)
    statement = _filtered(_refreshable(project_id), selector)
    if after is not None:
        statement = statement.where(Table.id > after)
    found = session.scalars(_in_order(statement).limit(limit)).all()
    return Selected(ids=found, cursor=found[-1] if len(found) == limit else None)


def count_tables(session: Session, project_id: int, selector: Selector) -> int:
    """Return how many tables a selection means now."""
    if selector.ids is not None:
        parts = (
            selector.ids[start : start + _IDS_AT_ONCE]
            for start in range(0, len(selector.ids), _IDS_AT_ONCE)
        )
        return sum(_count(session, _refreshable(project_id).where(Table.id.in_(p))) for p in parts)
    return _count(session, _filtered(_refreshable(project_id), selector))


def _count(session: Session, tables: Select[UUID]) -> int:
    return session.scalar(tables.with_only_columns(func.count())) or 0


def _live(project_id: int) -> Select[UUID]:
    return select(Table.id).where(Table.project_id == project_id, Table.deleted.is_(False))


def _refreshable(project_id: int) -> Select[UUID]:
    return _live(project_id).where(
        Table.external_data_source.is_(None),
        or_(
            Table.managed.is_(False),
            Table.upload_id.is_not(None),
            Table.last_refreshed_at.is_not(None),
        ),
    )


def _in_order(tables: Select[UUID]) -> Select[UUID]:
    # FOR NO KEY UPDATE, as in `tables.locked`.
    return tables.order_by(Table.id).with_for_update(key_share=True)


def _filtered(statement: Select[UUID], selector: Selector) -> Select[UUID]:
    if selector.name_glob is not None:
        statement = statement.where(
            SEARCHED_NAME.like(_like(fold(selector.name_glob)), escape="\\")
        )
    if selector.format is not None:
        statement = statement.where(Table.format == selector.format.value)
    if selector.stale_for_seconds is not None:
        stale = Table.last_refreshed_at <= now(-selector.stale_for_seconds)
        statement = statement.where(or_(Table.last_refreshed_at.is_(None), stale))
    return statement


def _like(glob: str) -> str:
    r"""Return the glob as a LIKE pattern with a backslash as escape.

    >>> _like("sales_*.?")
    'sales\\_%._'
    """
    escaped = {"\\": "\\\\", "%": "\\%", "_": "\\_", "*": "%", "?": "_"}
    return "".join(escaped.get(each, each) for each in glob)
