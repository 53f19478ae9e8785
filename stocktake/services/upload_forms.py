"""What may be said about an uploaded file: its name, its format, and what it is to become."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeVar

from stocktake.errors import PayloadTooLargeError, ValidationError, did_you_mean, meant
from stocktake.jobs.arguments import IngestArguments, Mode, Target
from stocktake.schema.formats import (
    FILE_FORMAT_OF,
    FILE_FORMATS,
    UPLOADABLE,
    TableFormat,
    format_of_file,
)
from stocktake.schema.numbers import is_beyond_delta
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
#: The fields beside the file of `file/` that PostHog has, and ours.
POSTHOG_FIELDS: Final = frozenset({"file", "name", "format"})
OWN_FIELDS: Final = frozenset(
    {"target", "mode", "key", "partition_by", "columns", "options", "dry_run", "replace_source"}
)
#: Of a merge: what it costs grows with more than the square of them, a thousand take ten seconds.
MAX_KEY_COLUMNS: Final = 64

_OPTIONS_EXAMPLE: Final = '{"csv_delimiter": ";"}'
_TYPES_EXAMPLE: Final = '{"zip": "string"}'
#: By more of them a table is in crumbs.
_MAX_PARTITION_COLUMNS: Final = 8
_FILE_FORMAT: Final = "file_format"
_MAX_COLUMN_LENGTH: Final = 1_000
#: How much of a client's own words an error repeats.
_SHOWN: Final = 100

Choice = TypeVar("Choice", bound=StrEnum)

_UNSAFE = re.compile(r"[^a-zA-Z0-9._-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileForm:
    """What a checked upload is for.

    Attributes:
        replace_source: whether it may take the place of files of the user's own that the table
            reads. PostHog's clients, who say nothing of it, have it so.
    """

    name: str
    format: TableFormat
    target: Target = Target.FILE
    mode: Mode | None = None
    key: tuple[str, ...] = ()
    partition_by: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False
    replace_source: bool = True

    @property
    def arguments(self) -> IngestArguments:
        """What the upload's job needs to know of it."""
        return IngestArguments(
            format=self.format,
            target=self.target,
            mode=self.mode,
            key=self.key,
            partition_by=self.partition_by,
            options=self.options,
            types=self.types,
            replace_source=self.replace_source,
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
        fields: those of `POSTHOG_FIELDS` and `OWN_FIELDS` that were sent, beside the file.

    Raises:
        ValidationError: with PostHog's sentence.
    """
    if filename is None:
        raise refusal(NO_FILE, "file")
    require_known(fields)
    # PostHog takes what says nothing for CSV. A name that tells another format is never that.
    by_name = format_of_file(filename) or TableFormat.CSV_WITH_NAMES
    format_ = uploadable(fields.get("format") or by_name)
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
        partition_by=_partition_by(fields.get("partition_by", ""), target),
        options=check_file_options(
            _object(fields.get("options", ""), "options", _OPTIONS_EXAMPLE), format_
        ),
        types=check_types(_object(fields.get("columns", ""), "columns", _TYPES_EXAMPLE), target),
        dry_run=_flag("dry_run", fields.get("dry_run", "false")),
        replace_source=_replace_source(fields.get("replace_source", ""), target),
    )


def require_known(sent: Mapping[str, Any]) -> None:
    """Refuse fields that would be passed over although they say what is to be done.

    PostHog passes over what it does not know, and so do we; but `dryrun=true` that loads is worse
    than a refusal. A name near one of ours is refused in any form, and every unknown name in a form
    that speaks of what PostHog has not.

    Raises:
        ValidationError: naming the field, and the one that was meant.
    """
    known = POSTHOG_FIELDS | OWN_FIELDS
    is_ours = any(sent.get(name) for name in OWN_FIELDS)
    for name in sent:
        if name not in known and (is_ours or meant(name, known)):
            shown, near = name[:_SHOWN], meant(name, known)
            told = f"did you mean {near!r}?" if near else did_you_mean(shown, known)
            raise refusal(f"The field {shown!r} is not known; {told}", shown)


def _flag(attr: str, sent: str) -> bool:
    word = sent.strip().lower()
    if word not in ("true", "false"):
        raise refusal(f"{attr} must be true or false.", attr)
    return word == "true"


def options_of(sent: str, format_: TableFormat) -> dict[str, Any]:
    """Return the options by which a file is read, as a form holds them.

    Raises:
        ValidationError: they are no JSON object, or say nothing about the format.
    """
    return check_file_options(_object(sent, "options", _OPTIONS_EXAMPLE), format_)


def check_file_options(sent: Any, format_: TableFormat) -> dict[str, Any]:
    """Return the options by which a file is read.

    Raises:
        ValidationError: no object, or an option that its format has not.
    """
    options = check_options(_require_object(sent, "options", _OPTIONS_EXAMPLE))
    known = {option.name for option in format_.facts.options}
    for name in options:
        if name not in known:
            raise refusal(
                f"Option {name!r} says nothing about {format_} files; "
                + (did_you_mean(name, known) if known else "they have none."),
                "options",
            )
    return options


def check_types(sent: Any, target: Target) -> dict[str, str]:
    """Return the types of columns, in the words of `update_schema`.

    Raises:
        ValidationError: no object, or a type that is none.
    """
    types = _require_object(sent, "columns", _TYPES_EXAMPLE)
    for name, word in types.items():
        words.check_text(name, "columns", max_length=_MAX_COLUMN_LENGTH)
        type_ = override_type(word) if isinstance(word, str) else None
        shown = (word if isinstance(word, str) else json.dumps(word))[:_SHOWN]
        cannot = f"Column {name[:_SHOWN]!r} cannot be {shown!r}"
        if type_ is None:
            raise refusal(f"{cannot}; {did_you_mean(shown, OVERRIDE_WORDS)}", "columns")
        if target is Target.DELTA and is_beyond_delta(type_):
            raise refusal(f"{cannot}: {words.LONG_DECIMAL}", "columns")
    return types


def _object(sent: str, attr: str, example: str) -> dict[str, Any]:
    """Return a field that is a JSON object; what the database cannot hold is none."""
    if not sent.strip():
        return {}
    try:
        found = json.loads(sent, parse_constant=_no_constant)
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        found = None
    return _require_object(found, attr, example)


def _require_object(found: Any, attr: str, example: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise refusal(f"{attr} must be a JSON object, such as {example}.", attr)
    return found


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _replace_source(sent: str, target: Target) -> bool:
    if sent and target is not Target.FILE:
        raise refusal("replace_source needs target=file.", "replace_source")
    return _flag("replace_source", sent or "true")


def _key(sent: str, mode: Mode | None) -> tuple[str, ...]:
    key = _names(sent, "key", MAX_KEY_COLUMNS)
    if mode is Mode.MERGE and not key:
        raise refusal("mode=merge needs key: the columns that tell a row, as in key=id.", "key")
    if key and mode is not Mode.MERGE:
        raise refusal("key needs mode=merge.", "key")
    return key


def _partition_by(sent: str, target: Target) -> tuple[str, ...]:
    columns = _names(sent, "partition_by", _MAX_PARTITION_COLUMNS)
    if columns and target is not Target.DELTA:
        raise refusal("partition_by needs target=delta.", "partition_by")
    return columns


def _names(sent: str, attr: str, most: int) -> tuple[str, ...]:
    """Return the columns that a field names, with commas between them."""
    names = tuple(dict.fromkeys(name for each in sent.split(",") if (name := each.strip())))
    if len(names) > most:
        raise refusal(f"{attr} names {len(names):,} columns; {most} are allowed.", attr)
    for name in names:
        words.check_text(name, attr, max_length=_MAX_COLUMN_LENGTH)
    return names


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
        ValidationError: no file, a name that cannot be used, or neither says one of `FILE_FORMATS`;
            or a field that must not be passed over.
    """
    if filename is None:
        raise refusal(NO_FILE, "file")
    for name in fields:
        if name in OWN_FIELDS:
            raise refusal(f"{name} is sent with `create_from_upload`, and not here.", name)
        if name != _FILE_FORMAT and meant(name, (_FILE_FORMAT,)):
            shown = name[:_SHOWN]
            raise refusal(
                f"The field {shown!r} is not known; did you mean {_FILE_FORMAT!r}?", shown
            )
    sent = fields.get(_FILE_FORMAT)
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
        raise refusal(BAD_FILE_FORMAT, _FILE_FORMAT)
    return named


def refusal(sentence: str, attr: str) -> ValidationError:
    """Return a refusal in both of PostHog's shapes."""
    return ValidationError(sentence, attr=attr, legacy_message=True)


def uploadable(value: str) -> TableFormat:
    """Return the format of a file that may be sent.

    Raises:
        ValidationError: another one.
    """
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
