"""The formats of tables, each declared once: its name, its reader, and how its files are known.

All that differs between formats outside of their readers is derived from here: what the API and the
command line take, what may be uploaded, which tables are validated. A new format is one member and
one folder under `stocktake/readers/`; `docs/ARCHITECTURE.md` shows it.
"""

import re
from dataclasses import replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Self

from stocktake.schema import options
from stocktake.schema.facts import Facts as Facts  # noqa: PLC0414 - what a format is declared with
from stocktake.schema.installed import installed

_CSV: Final = Facts(
    title="CSV",
    reader="stocktake.readers.text.csv.reader",
    reader_version=4,
    inferred=True,
    options=(*options.TEXT, *options.CSV),
    extensions=("csv",),
    uploadable=True,
)
_PARQUET: Final = Facts(
    title="Parquet",
    reader="stocktake.readers.parquet.reader",
    reader_version=4,
    extensions=("parquet",),
    magic=b"PAR1",
    uploadable=True,
    file_format="parquet",
)
_ORC: Final = Facts(
    title="ORC",
    reader="stocktake.readers.orc.reader",
    reader_version=2,
    extensions=("orc",),
    magic=b"ORC",
    uploadable=True,
    file_format="orc",
)
_ARROW: Final = Facts(
    title="Arrow",
    reader="stocktake.readers.arrow.file",
    reader_version=2,
    extensions=("arrow", "feather"),
    magic=b"ARROW1",
    uploadable=True,
    file_format="arrow",
)
_ARROW_STREAM: Final = Facts(
    title="Arrow stream",
    reader="stocktake.readers.arrow.stream",
    reader_version=2,
    extensions=("arrows",),
    uploadable=True,
    file_format="arrow_stream",
)
_AVRO: Final = Facts(
    title="Avro",
    reader="stocktake.readers.avro.reader",
    reader_version=2,
    extensions=("avro",),
    magic=b"Obj\x01",
    uploadable=True,
    file_format="avro",
)
_EXCEL: Final = Facts(
    title="Excel",
    reader="stocktake.readers.sheets.reader",
    reader_version=2,
    options=options.SHEETS,
    extensions=("xlsx", "xlsm", "xlsb", "xls"),
    uploadable=True,
    file_format="xlsx",
)
_ODS: Final = replace(_EXCEL, title="OpenDocument", extensions=("ods",), file_format="ods")
_JSON: Final = Facts(
    title="JSON",
    reader="stocktake.readers.text.json.reader",
    reader_version=5,
    inferred=True,
    options=options.TEXT,
    extensions=("json", "jsonl", "ndjson"),
    uploadable=True,
    file_format="json",
)
_DELTA: Final = Facts(
    title="Delta",
    reader="stocktake.readers.delta.reader",
    reader_version=4,
    folder="_delta_log",
    options=options.DELTA,
    takes_rows=True,
)


_ICEBERG: Final = Facts(
    title="Iceberg",
    reader="stocktake.readers.iceberg.reader",
    reader_version=2,
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
    # Those of other packages: members as ours are, so that nothing else tells them apart.
    _ignore_ = "name facts_of members"
    members = vars()
    for name, facts_of in installed([each for each in members.values() if type(each) is tuple]):
        members[name] = name, facts_of

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


def format_of_file(name: str) -> TableFormat | None:
    """Return the format that the ending of a file's name tells, behind one of a compression too;
    None where it does not.

    >>> format_of_file("orders/*.csv.gz"), format_of_file("orders")
    (<TableFormat.CSV_WITH_NAMES: 'CSVWithNames'>, None)
    """
    endings = name.rpartition("/")[2].lower().split(".")[:0:-1]
    known = (FILE_FORMAT_OF[each] for each in endings if each in FILE_FORMAT_OF)
    return next((FILE_FORMATS[each] for each in known), None)
