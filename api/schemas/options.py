"""The options of a table, for the description; `stocktake.services.options` checks the values."""

from pydantic import BaseModel, ConfigDict, Field


class TableOptions(BaseModel):
    """How to read a table's files. A key that is not among them is refused."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"csv_delimiter": ";", "csv_null_values": ["NA"]}, {"public": True}]
        },
    )

    public: bool | None = Field(
        None, description="Read the source unsigned, so that it needs no credential."
    )
    validate_: bool | None = Field(
        None,
        alias="validate",
        description="False leaves out the read of all the data that follows the refresh of a text "
        "table and sets `schema_valid`.",
    )
    delta_count: bool | None = Field(
        None,
        description="True: each refresh that finds a new version of a Delta table counts its live "
        "files, bytes and rows, which reads the paths and statistics in its checkpoint. Otherwise "
        "they are known only where the log's checksum file tells them.",
    )
    csv_delimiter: str | None = Field(
        None, max_length=1, description="One character; found out if left out."
    )
    csv_quote: str | None = Field(None, max_length=1, description="One character.")
    csv_header: bool | None = Field(
        None, description="Whether the first line names the columns; the format decides if not."
    )
    csv_null_values: list[str] | None = Field(
        None, description="Unquoted fields that stand for null."
    )
    csv_allow_double_quotes: bool | None = Field(None, description="False: quotes mean nothing.")
    encoding: str | None = Field(
        None, description="Of a text table, for example `latin-1`; found out if left out."
    )
    compression: str | None = Field(
        None,
        description="Of a text table: `none`, `gzip`, `zstd`, `xz`, `lz4` or `bz2`; found out if "
        "left out.",
    )
    sample_bytes: int | None = Field(
        None,
        ge=1,
        description="How many bytes of each file of a text table a refresh samples; of a "
        "compressed file also how much text.",
    )
