"""What Stocktake has to know of the format Lines.

Every process imports this module when it starts: nothing but the standard library and
`stocktake.schema` belongs here.
"""

from stocktake.schema.facts import Facts
from stocktake.schema.options import Option


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 100


LINES = Facts(
    title="Lines",
    reader="stocktake_lines.reader",
    reader_version=1,
    options=(
        Option(
            name="lines_column",
            holds=_is_name,
            expected="a string of up to 100 characters",
            type=str,
            description="Of a table of lines: what its column is called.",
        ),
    ),
    extensions=("lines",),
    uploadable=True,
    file_format="lines",
)
