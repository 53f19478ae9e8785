"""What one read of a source may take: each bound and its default. And how old it may be."""

from dataclasses import dataclass
from typing import Final

#: The longest age of a read that is asked for: ten years.
MAX_STALE_SECONDS: Final = 10 * 366 * 86_400


# Without slots: a setting takes its default from the class.
@dataclass(frozen=True, kw_only=True)
class Limits:
    """The budget of one read, each part of which a setting ``inference_*`` sets.

    Exceeding a hard one is ``limit_exceeded``; the sample's budgets
    end the sample and are reported in `Coverage.truncated`.

    Attributes:
        max_files: files read for the schema (the sample's budget).
        max_bytes: bytes read for the schema, before decompression (the sample's budget).
        max_seconds: time spent reading for the schema (the sample's budget).
        max_listed: objects a listing may return (hard).
        max_columns: columns a source may have (hard).
        max_fields: fields of all columns, those nested in them included (hard).
        max_nesting: depth of nested types (hard).
        max_name_length: characters of the name of a column or of a nested field (hard).
        max_schema_bytes: bytes that a table's columns take in the database (hard).
        max_line_bytes: longest CSV or JSON line (hard).
        max_footer_bytes: largest footer, header or schema of a file that carries its types (hard).
        max_metadata_bytes: largest metadata file of an Iceberg table, decompressed (hard).
        max_log_bytes: bytes of a Delta log that one read may take (hard).
        max_decompression_ratio: bytes out for each byte in (hard, after the first 1 MiB; of a block
            of Avro or a batch of Arrow, which may have eight times `max_bytes` at most, after
            `max_bytes`).
    """

    max_files: int = 200
    max_bytes: int = 64 * 1024**2
    max_seconds: float = 60.0
    max_listed: int = 1_000_000
    max_columns: int = 10_000
    max_fields: int = 50_000
    max_nesting: int = 100
    max_name_length: int = 1_000
    max_schema_bytes: int = 4 * 1024**2
    max_line_bytes: int = 16 * 1024**2
    max_footer_bytes: int = 128 * 1024**2
    max_metadata_bytes: int = 64 * 1024**2
    max_log_bytes: int = 2 * 1024 * 1024**2
    max_decompression_ratio: int = 200
