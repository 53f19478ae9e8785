"""Which tables a batch or a schedule means: selectors, checked once and read in order of table id.

A selector is kept as the JSON that the client sent, so that a schedule shows what was asked for;
but each table in it once, in one spelling.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, TypeAlias, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, false, func, literal, or_, select
from sqlalchemy.orm import Session

from stocktake.catalog.listing import ANY, Moment, TableFilter
from stocktake.db.clock import UtcDateTime
from stocktake.db.models import Schedule, Table
from stocktake.errors import ValidationError, did_you_mean
from stocktake.limits import MAX_STALE_SECONDS
from stocktake.schema.diff import ChangeClass
from stocktake.schema.folding import fold
from stocktake.schema.formats import TableFormat
from stocktake.states import TableState

#: More ids than this in one selector are refused: name them by a glob instead.
MAX_IDS: Final = 10_000
#: Those that a list of tables has, too.
_LISTED: Final = frozenset(
    {"search", "state", "format", "error_code", "last_change", "has_overrides", "schedule"}
)
_FILTERS: Final = _LISTED | {"name_glob", "stale_for_seconds"}
_KNOWN: Final = _FILTERS | {"tables", "all"}
_KINDS: Final = (
    'Give exactly one of {"tables": [ids]}, {"all": true}, or a filter of '
    f"{', '.join(sorted(_FILTERS))}."
)
_IDS_AT_ONCE: Final = 500
#: Each word of a search is a condition of the query, of which a database bears some hundreds.
MAX_SEARCH: Final = 200
W = TypeVar("W", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """A checked selector. None in `ids` means all tables that pass the filters.

    Attributes:
        name_glob: ``*`` and ``?``, over the whole name, letter case ignored.
        stale_for_seconds: only tables whose last good refresh is at least this old, or missing.
        wanted: the other filters, as a list of tables has them.
    """

    ids: tuple[UUID, ...] | None = None
    name_glob: str | None = None
    stale_for_seconds: float | None = None
    wanted: TableFilter = ANY


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
        stale_for_seconds=_age(raw, attr),
        wanted=TableFilter(
            search=_text(raw, "search", attr),
            state=_member(raw, "state", TableState, attr),
            format=_member(raw, "format", TableFormat, attr),
            error_code=_text(raw, "error_code", attr),
            last_change=_member(raw, "last_change", ChangeClass, attr),
            has_overrides=_flag(raw, "has_overrides", attr),
            schedule=None
            if "schedule" not in raw
            else _id(raw["schedule"], _at(attr, "schedule"), "schedule"),
        ),
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


def _id(value: Any, attr: str, of: str = "table") -> UUID:
    try:
        return UUID(value)
    except (ValueError, AttributeError, TypeError) as exc:
        raise ValidationError(f"{str(value)[:64]!r} is not a {of} id.", attr=attr) from exc


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


def _member(raw: dict[str, Any], field: str, words: type[W], attr: str | None) -> W | None:
    if field not in raw:
        return None
    if not isinstance(raw[field], str) or raw[field] not in set(words):
        known = ", ".join(words)
        raise ValidationError(f'"{field}" must be one of {known}.', attr=_at(attr, field))
    return words(raw[field])


def _text(raw: dict[str, Any], field: str, attr: str | None) -> str | None:
    value = raw.get(field)
    if field in raw and not (isinstance(value, str) and 0 < len(value) <= MAX_SEARCH):
        raise ValidationError(
            f'"{field}" must be a string of 1 to {MAX_SEARCH} characters.', attr=_at(attr, field)
        )
    return value


def _flag(raw: dict[str, Any], field: str, attr: str | None) -> bool | None:
    value = raw.get(field)
    if field in raw and not isinstance(value, bool):
        raise ValidationError(f'"{field}" must be true or false.', attr=_at(attr, field))
    return value


def _age(raw: dict[str, Any], attr: str | None) -> float | None:
    if "stale_for_seconds" not in raw:
        return None
    value = raw["stale_for_seconds"]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= MAX_STALE_SECONDS:
        raise ValidationError(
            f'"stale_for_seconds" must be a number from 0 to {MAX_STALE_SECONDS}.',
            attr=_at(attr, "stale_for_seconds"),
        )
    return float(value)


def require_known_ids(
    session: Session, project_id: int, selector: Selector, *, attr: str | None = None
) -> None:
    """Refuse a selector that names a table or a schedule which this project does not have.

    Raises:
        ValidationError: naming the first unknown id; another tenant's table is unknown as well.
    """
    ids = selector.ids or ()
    for start in range(0, len(ids), _IDS_AT_ONCE):
        part = ids[start : start + _IDS_AT_ONCE]
        known = set(session.scalars(live(project_id).where(Table.id.in_(part))))
        for missing in (each for each in part if each not in known):
            raise ValidationError(
                f"Table {missing} does not exist in this project.", attr=_at(attr, "tables")
            )
    if (schedule := selector.wanted.schedule) is not None:
        mine = Schedule.id == schedule, Schedule.project_id == project_id
        if session.scalar(select(Schedule.id).where(*mine)) is None:
            raise ValidationError(
                f"Schedule {schedule} does not exist in this project.", attr=_at(attr, "schedule")
            )


#: Which of the live tables may be taken at all.
Eligible: TypeAlias = ColumnElement[bool]
#: Left out are sourced ones, and those for uploads of which none was accepted yet: there is nothing
#: to read.
REFRESHABLE: Final[Eligible] = and_(
    Table.external_data_source.is_(None),
    or_(
        Table.managed.is_(False),
        Table.upload_id.is_not(None),
        Table.last_refreshed_at.is_not(None),
    ),
)


def select_tables(
    session: Session,
    project_id: int,
    selector: Selector,
    *,
    after: UUID | None,
    limit: int,
    eligible: Eligible = REFRESHABLE,
) -> Selected:
    """Return the next tables of a selection, in order of id and locked.

    Tables are locked before their jobs, everywhere, so that two writers cannot deadlock.

    Args:
        after: the cursor of the chunk before; None for the first.
        limit: how many tables to look at.
    """
    if selector.ids is not None:
        rest = [each for each in sorted(selector.ids) if after is None or each > after]
        part = rest[:limit]
        named = live(project_id).where(eligible, Table.id.in_(part))
        found = session.scalars(_in_order(named)).all()
        # The last that was looked at, live or not: the next chunk begins behind it.
        return Selected(ids=found, cursor=part[-1] if len(rest) > limit else None)
    conditions = _conditions(session, project_id, selector)
    statement = live(project_id).where(eligible, *conditions)
    if after is not None:
        statement = statement.where(Table.id > after)
    found = session.scalars(_in_order(statement).limit(limit)).all()
    return Selected(ids=found, cursor=found[-1] if len(found) == limit else None)


def count_tables(
    session: Session, project_id: int, selector: Selector, eligible: Eligible = REFRESHABLE
) -> int:
    """Return how many tables a selection means now."""
    if selector.ids is not None:
        parts = (
            selector.ids[start : start + _IDS_AT_ONCE]
            for start in range(0, len(selector.ids), _IDS_AT_ONCE)
        )
        mine = live(project_id).where(eligible)
        return sum(_count(session, mine.where(Table.id.in_(part))) for part in parts)
    conditions = _conditions(session, project_id, selector)
    return _count(session, live(project_id).where(eligible, *conditions))


def _count(session: Session, tables: Select[UUID]) -> int:
    return session.scalar(tables.with_only_columns(func.count())) or 0


def live(project_id: int) -> Select[UUID]:
    """Return a statement for the ids of the project's tables that are not deleted."""
    # As the index of live names has it, a fifth as long as the one of lists: `is_(False)` would not
    # use that, and to count all tables takes a third.
    return select(Table.id).where(Table.project_id == project_id, Table.deleted == false())


def _in_order(tables: Select[UUID]) -> Select[UUID]:
    # FOR NO KEY UPDATE, as in `tables.locked`.
    return tables.order_by(Table.id).with_for_update(key_share=True)


def conditions_of(
    session: Session, project_id: int, wanted: TableFilter, moment: Moment
) -> list[ColumnElement[bool]]:
    """Return what a statement over `Table` asks for these tables, those of a schedule too: as many
    as its selector names, and none where there is no such schedule."""
    found = wanted.conditions(moment)
    if wanted.schedule is None:
        return found
    mine = Schedule.id == wanted.schedule, Schedule.project_id == project_id
    raw = session.scalars(select(Schedule.selector).where(*mine)).one_or_none()
    if raw is None:
        return [false()]
    selector = parse_selector(raw)
    if selector.ids is not None:
        return [*found, Table.id.in_(selector.ids)]
    # Of no other schedule: `services.schedules` refuses that.
    return [*found, *_own(selector, moment), *selector.wanted.conditions(moment)]


def _conditions(session: Session, project_id: int, selector: Selector) -> list[ColumnElement[bool]]:
    moment = Moment.of(session, project_id)
    wanted = conditions_of(session, project_id, selector.wanted, moment)
    return [*_own(selector, moment), *wanted]


def _own(selector: Selector, moment: Moment) -> list[ColumnElement[bool]]:
    """Return the conditions that no list has."""
    found: list[ColumnElement[bool]] = []
    if selector.name_glob is not None:
        found.append(Table.folded_name.like(_like(fold(selector.name_glob)), escape="\\"))
    if selector.stale_for_seconds is not None:
        # As a value: PostgreSQL looks into no index for a time that is another for each row.
        before = moment.at - timedelta(seconds=selector.stale_for_seconds)
        stale = Table.last_refreshed_at <= literal(before, UtcDateTime())
        found.append(or_(Table.last_refreshed_at.is_(None), stale))
    return found


def _like(glob: str) -> str:
    r"""Return the glob as a LIKE pattern with a backslash as escape.

    >>> _like("sales_*.?")
    'sales\\_%._'
    """
    escaped = {"\\": "\\\\", "%": "\\%", "_": "\\_", "*": "%", "?": "_"}
    return "".join(escaped.get(each, each) for each in glob)
