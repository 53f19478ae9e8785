"""The options of a table, for the description; `stocktake.services.options` checks the values."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, create_model

from stocktake.schema.formats import OPTIONS
from stocktake.schema.options import Option


class _Options(BaseModel):
    """How to read a table's files. A key that is not among them is refused."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"csv_delimiter": ";", "csv_null_values": ["NA"]}, {"public": True}]
        },
    )


def _field(option: Option) -> Any:
    described = Field(
        None,
        # the field itself has an underscore, for a model has methods such as `validate`
        alias=option.name,
        description=option.description,
        max_length=option.max_length,
        ge=option.minimum,
    )
    return option.type | None, described


TableOptions: Final = create_model(
    "TableOptions",
    __base__=_Options,
    __doc__=_Options.__doc__,
    **{f"{option.name}_": _field(option) for option in OPTIONS.values()},
)
