"""The options of a table, for the description; `stocktake.services.options` checks the values."""

from typing import Any, Final


def _flag(description: str) -> dict[str, Any]:
    return {"type": ["boolean", "null"], "description": description}


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": ["string", "null"], "description": description} | more


OPTIONS_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "public": _flag("Read the source unsigned, so that it needs no credential."),
        "validate": _flag(
            "False leaves out the read of all the data that follows the refresh of a text table "
            "and sets `schema_valid`."
        ),
        "delta_count": _flag(
            "True: each refresh that finds a new version of a Delta table counts its live files, "
            "bytes and rows, which reads the paths and statistics in its checkpoint. Otherwise "
            "they are known only where the log's checksum file tells them."
        ),
        "csv_delimiter": _text("One character; found out if left out.", maxLength=1),
        "csv_quote": _text("One character.", maxLength=1),
        "csv_header": _flag("Whether the first line names the columns; the format decides if not."),
        "csv_null_values": {
            "type": ["array", "null"],
            "items": {"type": "string"},
            "description": "Unquoted fields that stand for null.",
        },
        "csv_allow_double_quotes": _flag("False: quotes mean nothing."),
        "encoding": _text("Of a text table, for example `latin-1`; found out if left out."),
        "compression": _text(
            "Of a text table: `none`, `gzip`, `zstd`, `xz`, `lz4` or `bz2`; found out if left out."
        ),
        "sample_bytes": {
            "type": ["integer", "null"],
            "minimum": 1,
            "description": (
                "How many bytes of each file of a text table a refresh samples; of a compressed "
                "file also how much text."
            ),
        },
    },
    "additionalProperties": False,
    "examples": [{"csv_delimiter": ";", "csv_null_values": ["NA"]}, {"public": True}],
}
