"""What may be said about an uploaded file: its name, its format, and what it is to become."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeVar

from stocktake.errors import PayloadTooLargeError, ValidationError, did_you_mean
from stocktake.jobs.arguments import IngestArguments, Mode, Target
from stocktake.schema.formats import FILE_FORMAT_OF, FILE_FORMATS, UPLOADABLE, TableFormat
from stocktake.schema.numbers import decimal_digits
from stocktake.schema.types import Type
from stocktake.schema.wire_names import OVERRIDE_WORDS, override_type
from stocktake.services import words
from stocktake.services.options import check_options

NO_FILE: Final = "No file provided"
ONE_FILE: Final = "Upload one file per request."
BAD_FORMAT: Final = f"Invalid format. Must be one of: {', '.join(sorted(TableFormat))}"
_TITLES: Final = " or ".join(
    ", ".join(sorted({each.facts.title for each in UPLOADABLE})).rsplit(", ", 1)
)
NO_DELTA_FILE: Final = (
    f"One file is no Delta table. Upload a file of {_TITLES}, with target=delta to load its rows "
    "into a managed Delta table."
)
BAD_FILENAME: Final = "Invalid filename"
BAD_FILE_FORMAT: Final = f"Invalid format. Must be one of: {', '.join(FILE_FORMATS)}"
CONNECT_BUCKET: Final = (
    "For larger files, connect the bucket they live in as a self-managed source instead."
)
MAX_FILENAME_LENGTH: Final = 255
#: Of a merge: what it costs grows with more than the square of them, a thousand take ten seconds.
MAX_KEY_COLUMNS: Final = 64

_MAX_COLUMN_LENGTH: Final = 1_000
#: Of a decimal; beyond them its texts would be kept, and nothing would hold them to be numbers.
_DELTA_DIGITS: Final = 38
#: How much of a client's own words an error repeats.
_SHOWN: Final = 100

Choice = TypeVar("Choice", bound=StrEnum)

_UNSAFE = re.compile(r"[^a-zA-Z0-9._-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileForm:
    """What a checked upload is for."""

    name: str
    format: TableFormat
    target: Target = Target.FILE
    mode: Mode | None = None
    key: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False

    @property
    def arguments(self) -> IngestArguments:
        """What the upload's job needs to know of it."""
        return IngestArguments(
            format=self.format,
            target=self.target,
            mode=self.mode,
            key=self.key,
            options=self.options,
            types=self.types,
        )


def clean_filename(filename: str) -> str:
    r"""Return the file's name without its path and with unsafe characters replaced; it names
    nothing in storage, it is for people. An empty text where no name is left that may be used.

    >>> clean_filename("../my orders.csv"), clean_filename("C:\\data\\x.csv")
    ('my_orders.csv', 'x.csv')
    >>> clean_filename(".env"), clean_filename("dir/")
    ('', '')
    """
    last = re.split(r"[/\\]", filename)[-1]
    cleaned = _UNSAFE.sub("_", last)
    usable = cleaned and not cleaned.startswith(".") and len(cleaned) <= MAX_FILENAME_LENGTH
    return cleaned if usable else ""


def stem(filename: str) -> str:
    """Return what a cleaned file name begins with, as a table's name. PostHog takes the whole of
    it, extension included, which no table name may have.

    >>> stem("orders.csv"), stem("eu-orders.2024.csv.gz"), stem("2024.csv")
    ('orders', 'eu_orders', '_2024')
    """
    word = re.sub(r"\W", "_", filename.partition(".")[0], flags=re.ASCII)
    return f"_{word}" if word[:1].isdigit() else word


def check_form(filename: str | None, fields: dict[str, str]) -> FileForm:
    """Return the form beside the file of `file/`, checked in PostHog's order.

    Args:
        filename: the cleaned name; None where no file was sent.
        fields: ``name``, ``format``, ``target``, ``mode``, ``key``, ``options``, ``columns``
            and ``dry_run``, where they were sent.

    Raises:
        ValidationError: with PostHog's sentence.
    """
    if filename is None:
        raise refusal(NO_FILE, "file")
    format_ = _file_format(fields.get("format") or TableFormat.CSV_WITH_NAMES)
    if "name" in fields or filename:
        name = words.require_identifier(fields.get("name", stem(filename)))
    if not filename:
        raise refusal(BAD_FILENAME, "file")
    target = _choice(Target, "target", fields.get("target") or Target.FILE)
    mode = _choice(Mode, "mode", fields["mode"]) if fields.get("mode") else None
    if target is Target.FILE and mode in (Mode.APPEND, Mode.MERGE):
        raise refusal(f"mode={mode} needs target=delta.", "mode")
    key = _key(fields.get("key", ""), mode)
    return FileForm(
        name=name,
        format=format_,
        target=target,
        mode=(mode or Mode.APPEND) if target is Target.DELTA else None,
        key=key,
        options=_options(fields.get("options", ""), format_),
        types=_types(fields.get("columns", ""), target),
        dry_run=_flag("dry_run", fields.get("dry_run") or "false"),
    )


def _flag(attr: str, sent: str) -> bool:
    word = sent.strip().lower()
    if word not in ("true", "false"):
        raise refusal(f"{attr} must be true or false.", attr)
    return word == "true"


def _options(sent: str, format_: TableFormat) -> dict[str, Any]:
    options = check_options(_object(sent, "options", '{"csv_delimiter": ";"}'))
    known = {option.name for option in format_.facts.options}
    for name in options:
        if name not in known:
            raise refusal(
                f"Option {name!r} says nothing about {format_} files; "
                + (did_you_mean(name, known) if known else "they have none."),
                "options",
            )
    return options


def _types(sent: str, target: Target) -> dict[str, str]:
    types = _object(sent, "columns", '{"zip": "string"}')
    for name, word in types.items():
        words.check_text(name, "columns", max_length=_MAX_COLUMN_LENGTH)
        type_ = override_type(word) if isinstance(word, str) else None
        shown = (word if isinstance(word, str) else json.dumps(word))[:_SHOWN]
        cannot = f"Column {name[:_SHOWN]!r} cannot be {shown!r}"
        if type_ is None:
            raise refusal(f"{cannot}; {did_you_mean(shown, OVERRIDE_WORDS)}", "columns")
        if target is Target.DELTA and _is_long_decimal(type_):
            raise refusal(
                f"{cannot}: Delta's decimals have {_DELTA_DIGITS} digits at most. A string keeps "
                "all of them.",
                "columns",
            )
    return types


def _is_long_decimal(type_: Type) -> bool:
    return type_.name == "Decimal" and decimal_digits(type_)[0] > _DELTA_DIGITS


def _object(sent: str, attr: str, example: str) -> dict[str, Any]:
    """Return a field that is a JSON object; what the database cannot hold is none."""
    if not sent.strip():
        return {}
    try:
        found = json.loads(sent, parse_constant=_no_constant)
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise refusal(f"{attr} must be a JSON object, such as {example}.", attr)
    return found


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _key(sent: str, mode: Mode | None) -> tuple[str, ...]:
    key = tuple(dict.fromkeys(name for each in sent.split(",") if (name := each.strip())))
    if mode is Mode.MERGE and not key:
        raise refusal("mode=merge needs key: the columns that tell a row, as in key=id.", "key")
    if len(key) > MAX_KEY_COLUMNS:
        raise refusal(f"key names {len(key):,} columns; {MAX_KEY_COLUMNS} are allowed.", "key")
    if key and mode is not Mode.MERGE:
        raise refusal("key needs mode=merge.", "key")
    for name in key:
        words.check_text(name, "key", max_length=_MAX_COLUMN_LENGTH)
    return key


def too_large(max_bytes: int) -> ValidationError:
    """Return the refusal of a file over the cap by `file/`, in PostHog's words."""
    return refusal(f"File size exceeds maximum allowed size of {_limit(max_bytes)}", "file")


def upload_too_large(max_bytes: int) -> ValidationError:
    """Return the refusal of a file over the cap by `upload_file/`, in PostHog's words."""
    return refusal(
        f"File size exceeds the maximum of {_limit(max_bytes)}. {CONNECT_BUCKET}", "file"
    )


def body_too_large(max_bytes: int) -> PayloadTooLargeError:
    """Return the refusal of a body that no file under the cap can make, in PostHog's words."""
    return PayloadTooLargeError(
        f"Upload exceeds the maximum of {_limit(max_bytes)}. {CONNECT_BUCKET}",
        legacy_message=True,
    )


def _limit(max_bytes: int) -> str:
    return f"{max_bytes // 1024**2}MB" if max_bytes >= 1024**2 else f"{max_bytes} bytes"


def check_upload(filename: str | None, fields: dict[str, str]) -> str:
    """Return the form beside the file of `upload_file/`: the ``file_format``, as sent or by the
    name, checked in PostHog's order.

    Args:
        filename: the cleaned name; None where no file was sent.

    Raises:
        ValidationError: no file, a name that cannot be used, or neither says one of `FILE_FORMATS`.
    """
    if filename is None:
        raise refusal(NO_FILE, "file")
    sent = fields.get("file_format")
    named = None if sent is None else known_format(sent)
    if not filename:
        raise refusal(BAD_FILENAME, "file")
    extension = filename.rpartition(".")[2].lower()
    return named or known_format(FILE_FORMAT_OF.get(extension, extension))


def known_format(value: str) -> str:
    """Return a ``file_format`` of `FILE_FORMATS`, in any letter case.

    Raises:
        ValidationError: another one.
    """
    named = value.strip().lower()
    if named not in FILE_FORMATS:
        raise refusal(BAD_FILE_FORMAT, "file_format")
    return named


def refusal(sentence: str, attr: str) -> ValidationError:
    """Return a refusal in both of PostHog's shapes."""
    return ValidationError(sentence, attr=attr, legacy_message=True)


def _file_format(value: str) -> TableFormat:
    if value not in set(TableFormat):
        raise refusal(BAD_FORMAT, "format")
    format_ = TableFormat(value)
    if not format_.facts.uploadable:
        raise refusal(NO_DELTA_FILE, "format")
    return format_


def _choice(kind: type[Choice], attr: str, value: str) -> Choice:
    if value not in set(kind):
        raise refusal(f"Invalid {attr}. Must be one of: {', '.join(kind)}", attr)
    return kind(value)
