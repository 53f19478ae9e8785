"""Which of a table's schema versions was live at a time, or when a file was first seen.

Answered from what is stored: a request never reads a source. What a version's time is, is when it
was stored.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final
from uuid import UUID

from sqlalchemy import Text, cast, select

from stocktake.db.clock import now
from stocktake.db.models import SchemaVersion, Table
from stocktake.errors import NotFoundError, ValidationError
from stocktake.schema.origin import cut_name
from stocktake.schema.stored_origins import StoredOrigins
from stocktake.services import table_views
from stocktake.services.context import Context

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
#: A plus sign that a client did not escape comes as a space.
_UNESCAPED: Final = re.compile(r" (?=[0-9]{2}:?[0-9]{2}$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSchema:
    """A schema version, and until when it was the table's.

    Attributes:
        live_until: when the next one was stored; None for the present one.
    """

    version: SchemaVersion
    live_until: datetime | None


def live_schema(
    context: Context, table_id: UUID, *, as_of: str | None = None, for_file: str | None = None
) -> LiveSchema:
    """Return the version that was live then; without a question the present one.

    Args:
        as_of: a date, whose first moment in UTC counts, or a time with its zone.
        for_file: a file's name, as origins and diffs tell it.

    Raises:
        NotFoundError: no such live table in this project, or none of its files that is remembered.
        ValidationError: no such time, one to come, one before the first version, or both asked.
    """
    table = table_views.get_view(context, table_id, columns=False).table
    if as_of is not None and for_file is not None:
        raise ValidationError("Ask by as_of or by for_file, not by both.", attr="for_file")
    if for_file is not None:
        number = _number_for(context, table, for_file)
    elif as_of is not None:
        number = _number_at(context, table, _asked(context, as_of))
    else:
        number = table.schema_version
    return _live(context, table, number)


def _live(context: Context, table: Table, number: int) -> LiveSchema:
    mine = SchemaVersion.table_id == table.id
    version = context.session.scalar(
        select(SchemaVersion).where(mine, SchemaVersion.number == number)
    )
    if version is None:
        raise NotFoundError("The table has no schema yet: its source was not read.")
    following = select(SchemaVersion.created_at).where(mine, SchemaVersion.number == number + 1)
    return LiveSchema(version=version, live_until=context.session.scalar(following))


def _asked(context: Context, text: str) -> datetime:
    moment = _moment(text)
    present: datetime = context.session.execute(select(now())).scalar_one()
    if moment > present:
        raise ValidationError(
            f"{_shown(moment)} has not come yet; no schema of then is known.", attr="as_of"
        )
    return moment


def _moment(text: str) -> datetime:
    try:
        if _DATE.fullmatch(text):
            return datetime.combine(date.fromisoformat(text), time(), tzinfo=UTC)
        moment = datetime.fromisoformat(_UNESCAPED.sub("+", text))
        if moment.tzinfo is None:
            raise ValidationError(
                "as_of has a time without a zone. Write it with one, as in "
                "2026-11-01T10:00:00Z, or write a date alone.",
                attr="as_of",
            )
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValidationError(
            "as_of is no date and no time. Write 2026-11-01 for the beginning of that day in UTC, "
            "or a time with its zone, as in 2026-11-01T10:00:00Z.",
            attr="as_of",
        ) from None


def _number_at(context: Context, table: Table, moment: datetime) -> int:
    mine = SchemaVersion.table_id == table.id
    number = context.session.scalar(
        select(SchemaVersion.number)
        .where(mine, SchemaVersion.created_at <= moment)
        .order_by(SchemaVersion.number.desc())
        .limit(1)
    )
    if number is not None:
        return number
    first = context.session.scalar(
        select(SchemaVersion.created_at).where(mine).order_by(SchemaVersion.number).limit(1)
    )
    if first is None:
        raise NotFoundError("The table has no schema yet: its source was not read.")
    raise ValidationError(
        f"Nothing is known of {_shown(moment)}: the table's first schema was stored at "
        f"{_shown(first)}. Ask for that time or a later one.",
        attr="as_of",
    )


def _number_for(context: Context, table: Table, file: str) -> int:
    """Return the version that the file brought, or that was live when it was written."""
    name = cut_name(file)
    named = f'"file": {json.dumps(name)}'
    mine = SchemaVersion.table_id == table.id
    brought = context.session.scalar(
        select(SchemaVersion.number)
        .where(mine, cast(SchemaVersion.diff, Text).contains(named, autoescape=True))
        .order_by(SchemaVersion.number)
        .limit(1)
    )
    if brought is not None:
        return brought
    stored = context.session.scalar(select(Table.origins).where(Table.id == table.id))
    place = StoredOrigins(stored).place_of(name)
    if place is None or place.at is None:
        raise NotFoundError(
            f'No file "{name}" is remembered. Remembered are the first and the newest file of each '
            "column, and the files that brought a change, as `origin` names them. Ask by as_of for "
            "the time at which the file was written.",
            code="file_not_known",
        )
    found = context.session.scalar(
        select(SchemaVersion.number)
        .where(mine, SchemaVersion.created_at <= place.at)
        .order_by(SchemaVersion.number.desc())
        .limit(1)
    )
    # One that is older than all that is known was first seen by the first read.
    return found or 1


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
