"""The second oracle: read with the types that we store, ClickHouse gives back what the file says.

`SELECT * FROM file(path, format, '<our columns>')` runs over the whole file, and each value is held
against what an independent reader takes from the same bytes: Python's csv and json for texts.
"""

import ast
import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from stocktake.schema.columns import Column
from stocktake.schema.types import Type
from tests.support.oracle import ask_why

#: How an answer is written, so that it can be compared. Nothing here changes what is read.
_WRITTEN: Final = {
    "output_format_json_quote_64bit_integers": 1,
    "output_format_json_quote_denormals": 1,
    "output_format_json_quote_decimals": 1,
    "session_timezone": "'UTC'",
    # Of several threads the rows come in any order.
    "max_threads": 1,
}


class Number(str):
    """A number of JSON as it is spelled."""

    __slots__ = ()


@dataclass(frozen=True)
class Stored:
    """A file and the columns that are stored for it.

    Attributes:
        data: the file's bytes, or where it is.
        said: what an independent reader takes from it, by row and in the columns' order.
        settings: of ClickHouse, those that docs/types.md names for such a file.
    """

    format: str
    data: bytes | Path
    columns: Sequence[Column]
    said: Sequence[Sequence[Any]]
    settings: dict[str, Any] = field(default_factory=dict)


def csv_said(data: bytes, columns: Sequence[Column], **dialect: Any) -> list[list[str | None]]:
    """The texts of a CSV with a header, by the standard library."""
    rows = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), **dialect)
    next(rows)
    return [[_null(cell) for cell in row[: len(columns)]] for row in rows if row]


def _null(cell: str) -> str | None:
    return None if cell == r"\N" else cell


def json_said(data: bytes, columns: Sequence[Column]) -> list[list[Any]]:
    """The values of JSON objects, one after the other or in one array, by the standard library."""
    decoder = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=Number)
    text, at, found = data.decode("utf-8-sig").strip(), 0, []
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        found += value if isinstance(value, list) else [value]
        at += len(text[at:]) - len(text[at:].lstrip(" \r\n\t,"))
    return [[record.get(column.name) for column in columns] for record in found]


def losses(cases: Sequence[Stored], folder: Path) -> list[str | None]:
    """What each file loses first when ClickHouse reads it with its columns; None for nothing."""
    answers = ask_why([_query(case, folder, number) for number, case in enumerate(cases)])
    return [loss(case, answer) for case, answer in zip(cases, answers, strict=True)]


def _query(case: Stored, folder: Path, number: int) -> str:
    path = case.data
    if isinstance(path, bytes):
        path = folder / f"stored_{number}"
        path.write_bytes(case.data)  # type: ignore[arg-type]  # it is bytes here
    columns = [(column.name, column.clickhouse) for column in case.columns]
    return read_query(path, case.format, columns, case.settings)


def read_query(
    path: Path,
    table_format: str,
    columns: Iterable[Sequence[str]],
    settings: dict[str, Any] | None = None,
) -> str:
    """The query that reads a file with columns, each a name and a type."""
    pairs = ((name.replace("\\", r"\\").replace("`", r"\`"), type_) for name, type_ in columns)
    structure = ", ".join(f"`{name}` {type_}" for name, type_ in pairs)
    quoted = structure.replace("\\", r"\\").replace("'", r"\'")
    listed = ", ".join(f"{name}={value}" for name, value in (_WRITTEN | (settings or {})).items())
    return f"SELECT * FROM file('{path}', '{table_format}', '{quoted}') SETTINGS {listed}"


def loss(case: Stored, answer: list[list[Any]] | dict[str, str]) -> str | None:
    """What the rows of the answer lose first."""
    if isinstance(answer, dict):
        return f"it fails: {answer['error']}"
    if len(answer) != len(case.said):
        return f"{len(answer)} rows instead of {len(case.said)}"
    for at, column in enumerate(case.columns):
        said, back = ([row[at] for row in rows] for rows in (case.said, answer))
        if lost := first_loss(column.type, said, back):
            return f"{column.name} {column.clickhouse}: {lost}"
    return None


def first_loss(type_: Type, said: Iterable[Any], back: Iterable[Any]) -> str | None:
    """The first value of a column that did not come back. Its dates are of one order, and those of
    each field of a tuple: it is found as a column of its own."""
    pairs = list(zip(said, back, strict=True))
    rows = [(s, b) for s, b in pairs if isinstance(s, dict) and isinstance(b, dict)]
    if type_.name == "Tuple" and rows and len(rows) == len(pairs):
        fields = {each.name: each.type for each in type_.fields or ()}
        if unknown := next((s for s, _ in rows if not s.keys() <= fields.keys()), None):
            return f"{unknown!r} has other fields"
        found = (
            first_loss(inner, (s.get(name) for s, _ in rows), (b.get(name) for _, b in rows))
            for name, inner in fields.items()
        )
        return next((each for each in found if each is not None), None)
    lost = None
    for day_first in (True, False):
        lost = next((f"{s!r} -> {b!r}" for s, b in pairs if not same(type_, s, b, day_first)), None)
        if lost is None:
            return None
    return lost


def same(type_: Type, said: Any, back: Any, day_first: bool = True) -> bool:
    """Whether a value came back."""
    if type_.name in ("Array", "Map", "Tuple"):
        return _same_nested(type_, said, back, day_first)
    if said is None or back is None:
        # a field without quotes and without a letter is a null
        return back is None and said in (None, "")
    if type_.name == "Dynamic":
        return _same_dynamic(said, back)
    if isinstance(said, bool):
        return back in (said, str(said).lower(), str(int(said)))
    if type_.name in ("Date", "Date32", "DateTime", "DateTime64"):
        return isinstance(said, str) and _moment(said, day_first) == _moment(back, day_first)
    if type_.name == "String":
        return _same_text(said, back)
    if type_.name == "Bool":
        return said.strip().lower() == str(back).lower()
    if "Int" in type_.name:
        return str(back) == str(said).strip(" \t")
    return _same_number(str(said).strip(" \t"), back)


def _same_text(said: Any, back: str) -> bool:
    if isinstance(said, list | dict):
        return bool(said == json.loads(back, parse_float=Number, parse_int=Number))
    # To ClickHouse and to us blanks around a field without quotes count for nothing.
    return back in (said, said.strip(" \t"))


def _same_number(said: str, back: Any) -> bool:
    if (number := float(back)) != number or abs(number) == float("inf"):
        return said.lower().replace("inity", "").lstrip("+-") == str(back).lstrip("-")
    # `007` is a code as a rule, whatever the others of its column are
    if re.match(r"[+-]?0[0-9]", said):
        return False
    value = Decimal(said)
    if value == Decimal(repr(number)):
        return value.is_signed() == Decimal(repr(number)).is_signed()
    # a double that was printed with more digits than tell it from others
    digits = len(value.normalize().as_tuple().digits)
    return Decimal(f"{Decimal(number):.{digits - 1}E}") == value


def _same_dynamic(said: Any, back: Any) -> bool:
    if isinstance(said, list | dict) and isinstance(back, str):
        # what is empty has no type, and comes back as it is written
        return bool(said == json.loads(back, parse_float=Number, parse_int=Number))
    if isinstance(said, list):
        return isinstance(back, list) and all(map(_same_dynamic, said, back))
    if isinstance(said, dict):
        return isinstance(back, dict) and all(_same_dynamic(said[k], back.get(k)) for k in said)
    if isinstance(said, Number):
        return str(back) == said or _same_number(said, back)
    if isinstance(said, bool):
        return back in (said, int(said), str(int(said)), str(said).lower())
    return said == back or (isinstance(said, str) and _moment(said, True) == _moment(back, True))


def _same_nested(type_: Type, said: Any, back: Any, day_first: bool) -> bool:
    # Neither an Array nor a Map can be null: ClickHouse makes an empty one of it.
    if said in (None, ""):
        return not back
    if isinstance(said, str):
        said = ast.literal_eval(re.sub(r"\bNULL\b", "None", re.sub(r"\btrue\b", "True", said)))
    if type_.name == "Array":
        inner = type_.inner[0]
        return len(said) == len(back) and all(
            same(inner, s, b, day_first) for s, b in zip(said, back, strict=True)
        )
    if type_.name == "Map":
        return said.keys() == back.keys() and all(
            same(type_.inner[1], said[key], back[key], day_first) for key in said
        )
    fields = {each.name: each.type for each in type_.fields or ()}
    return said.keys() <= fields.keys() and all(
        same(fields[name], said.get(name), (back or {}).get(name), day_first) for name in fields
    )


# --- dates, by strptime -------------------------------------------------------------------

_DAYS: Final = ("%Y-%m-%d", "%Y/%m/%d", "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%b %d %Y", "%B %d %Y")
_DAY_FIRST: Final = ("%d/%m/%Y", "%d-%m-%Y")
_MONTH_FIRST: Final = ("%m/%d/%Y", "%m-%d-%Y")
_CLOCKS: Final = ("", " %H:%M:%S", " %H:%M", " %I:%M %p", " %I:%M:%S %p", " %H")
_ZONE: Final = re.compile(r" ?(Z|UTC|GMT|MSK|MSD|[+-]\d\d:?\d\d)$")
_HOURS: Final = {"MSK": timedelta(hours=3), "MSD": timedelta(hours=4)}


def _moment(text: str, day_first: bool) -> tuple[datetime, int] | str:
    """The moment in UTC and its nanoseconds; the text itself where it is none."""
    plain, offset = text.strip(), timedelta()
    if zone := _ZONE.search(plain[8:]):
        plain = plain[: -len(zone[0])]
        offset = _HOURS.get(zone[1]) or _offset(zone[1])
    plain, _, fraction = plain.partition(".")
    plain = re.sub(r"^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? ", "", plain.replace("T", " "))
    plain = re.sub(r" +", " ", plain.replace(",", " "))
    for day in (*_DAYS, *(_DAY_FIRST if day_first else _MONTH_FIRST)):
        for clock in _CLOCKS:
            try:
                found = datetime.strptime(plain, day + clock).replace(tzinfo=UTC)
            except ValueError:
                continue
            return found - offset, int(f"{fraction:0<9}" or 0)
    return text


def _offset(zone: str) -> timedelta:
    digits = zone.replace(":", "")
    if not digits[1:].isdigit():
        return timedelta()
    found = timedelta(hours=int(digits[1:3]), minutes=int(digits[3:5]))
    return -found if digits[0] == "-" else found
