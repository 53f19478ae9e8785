"""The formats of tables, each declared once: its name, its reader, and how its files are known.

All that differs between formats outside of their readers is derived from here: what the API and the
command line take, what may be uploaded, which tables are validated. A new format is one member and
one folder under `stocktake/readers/`; `docs/ARCHITECTURE.md` shows it.
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Self

from stocktake.schema import options
from stocktake.schema.options import Option


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a format without reading anything.

    Attributes:
        title: what people call it, for messages.
        reader: the module that reads it; `stocktake.readers.registry` says what it offers.
        reader_version: part of every stored source state. Whoever changes what the reader answers
            raises it: states that another version wrote are ignored, and those tables are read
            afresh; tables of other formats are not.
        inferred: whether the types are inferred from values, so that only a full read proves
            them; otherwise the files carry them.
        folder: what lies in the root folder that names a table; empty for a format of files, which
            a pattern matches.
        folder_file: what the names of files in it are like that prove such a table, where others
            have a folder of that name too; None where the folder alone proves it.
        options: those that its reader looks at, beside the ones of every table.
        extensions: what its files' names end in, without the dot.
        magic: a file's first bytes, where it has some that no text has.
        uploadable: whether an uploaded file may be a table's content, or be loaded from.
        file_format: what `upload_file/` calls it; empty where it has no name there.
        takes_rows: whether rows of uploads may be loaded into a managed table of this format.
    """

    title: str
    reader: str
    reader_version: int
    inferred: bool = False
    folder: str = ""
    folder_file: re.Pattern[str] | None = None
    options: tuple[Option, ...] = ()
    extensions: tuple[str, ...] = ()
    magic: bytes = b""
    uploadable: bool = False
    file_format: str = ""
    takes_rows: bool = False

    def is_proved_by(self, name: str) -> bool:
        """Return whether a file of this name in a folder that is called `folder` makes the folder
        above that a table's root."""
        return self.folder_file is None or self.folder_file.fullmatch(name) is not None


_CSV: Final = Facts(
    title="CSV",
    reader="stocktake.readers.text.csv.reader",
    reader_version=3,
    inferred=True,
    options=(*options.TEXT, *options.CSV),
    extensions=("csv",),
    uploadable=True,
)
_PARQUET: Final = Facts(
    title="Parquet",
    reader="stocktake.readers.parquet.reader",
    reader_version=3,
    extensions=("parquet",),
    magic=b"PAR1",
    uploadable=True,
    file_format="parquet",
)
_ORC: Final = Facts(
    title="ORC",
    reader="stocktake.readers.orc.reader",
    reader_version=1,
    extensions=("orc",),
    magic=b"ORC",
    uploadable=True,
    file_format="orc",
)
_ARROW: Final = Facts(
    title="Arrow",
    reader="stocktake.readers.arrow.file",
    reader_version=1,
    extensions=("arrow", "feather"),
    magic=b"ARROW1",
    uploadable=True,
    file_format="arrow",
)
_ARROW_STREAM: Final = Facts(
    title="Arrow stream",
    reader="stocktake.readers.arrow.stream",
    reader_version=1,
    extensions=("arrows",),
    uploadable=True,
    file_format="arrow_stream",
)
_AVRO: Final = Facts(
    title="Avro",
    reader="stocktake.readers.avro.reader",
    reader_version=1,
    extensions=("avro",),
    magic=b"Obj\x01",
    uploadable=True,
    file_format="avro",
)
_EXCEL: Final = Facts(
    title="Excel",
    reader="stocktake.readers.sheets.reader",
    reader_version=1,
    options=options.SHEETS,
    extensions=("xlsx", "xlsm", "xlsb", "xls"),
    uploadable=True,
    file_format="xlsx",
)
_ODS: Final = replace(_EXCEL, title="OpenDocument", extensions=("ods",), file_format="ods")
_JSON: Final = Facts(
    title="JSON",
    reader="stocktake.readers.text.json.reader",
    reader_version=4,
    inferred=True,
    options=options.TEXT,
    extensions=("json", "jsonl", "ndjson"),
    uploadable=True,
    file_format="json",
)
_DELTA: Final = Facts(
    title="Delta",
    reader="stocktake.readers.delta.reader",
    reader_version=3,
    folder="_delta_log",
    options=options.DELTA,
    takes_rows=True,
)


_ICEBERG: Final = Facts(
    title="Iceberg",
    reader="stocktake.readers.iceberg.reader",
    reader_version=1,
    folder="metadata",
    folder_file=re.compile(
        r"(?:v[0-9]+|[0-9]{5,}-[0-9A-Fa-f-]{36})(?:\.gz)?\.metadata\.json(?:\.gz)?"
    ),
    options=options.ICEBERG,
)


class TableFormat(StrEnum):
    """The formats of PostHog's ``warehouse_tables``, spelled as it spells them, and those that we
    have beside them, spelled as ClickHouse does."""

    facts: Facts

    CSV = "CSV", _CSV
    CSV_WITH_NAMES = "CSVWithNames", replace(_CSV, file_format="csv")
    PARQUET = "Parquet", _PARQUET
    JSON_EACH_ROW = "JSONEachRow", _JSON
    DELTA = "Delta", _DELTA
    DELTA_S3_WRAPPER = "DeltaS3Wrapper", _DELTA
    ICEBERG = "Iceberg", _ICEBERG
    ORC = "ORC", _ORC
    ARROW = "Arrow", _ARROW
    ARROW_STREAM = "ArrowStream", _ARROW_STREAM
    AVRO = "Avro", _AVRO
    EXCEL = "Excel", _EXCEL
    ODS = "ODS", _ODS

    # Exactly one; a star because mypy takes a look-up, `TableFormat("CSV")`, for a call of this.
    def __new__(cls, name: str, *facts: Facts) -> Self:
        """Make a text of the name that knows the format's facts."""
        member = str.__new__(cls, name)
        member._value_ = name
        (member.facts,) = facts
        return member

    @property
    def is_folder(self) -> bool:
        """Whether a table is named by its root folder, and not by a pattern of files."""
        return bool(self.facts.folder)


#: What uploads with ``target=delta`` are loaded into.
MANAGED: Final = TableFormat.DELTA
#: What a managed table may be that rows were loaded into.
TAKING_ROWS: Final = tuple(each.value for each in TableFormat if each.facts.takes_rows)
#: What `upload_file/` and `create_from_upload/` call the formats.
FILE_FORMATS: Final = MappingProxyType(
    {name: each for name, each in sorted((f.facts.file_format, f) for f in TableFormat) if name}
)
#: By the ending of a file's name, what `upload_file/` calls it.
FILE_FORMAT_OF: Final = MappingProxyType(
    {ending: name for name, each in FILE_FORMATS.items() for ending in each.facts.extensions}
)
#: What an uploaded file may be.
UPLOADABLE: Final = tuple(sorted(each for each in TableFormat if each.facts.uploadable))
#: All options by their name.
OPTIONS: Final = MappingProxyType(
    {
        option.name: option
        for each in (options.COMMON, *(each.facts.options for each in TableFormat))
        for option in each
    }
)
