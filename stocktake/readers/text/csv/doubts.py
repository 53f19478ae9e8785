"""What a CSV's first lines say against the dialect that it was read with.

ClickHouse's own dialect stays the answer: the delimiters here are as likely to be of a text, and to
it single quotes are characters like others.
"""

from collections.abc import Sequence
from typing import Any, Final

from stocktake.readers.text.csv.dialect import Dialect
from stocktake.schema.warnings import ReadWarning, WarningCode

#: Delimiters that are never found, for they are found in texts as well.
_RARE: Final = ("^", "~", ":")
_LINES: Final = 100


def doubts(
    options: dict[str, Any], lines: Sequence[str], head: Sequence[str], dialect: Dialect, path: str
) -> list[ReadWarning]:
    """Return a warning where the file seems to have another delimiter or other quotes.

    Args:
        options: what they name is in no doubt.
        lines: the first ones, from the header on.
        head: the first record, quotes included.
    """
    found = list[str]()
    shown = [line for line in lines[:_LINES] if line.strip()]
    if len(head) == 1 and len(shown) > 1 and not options.get("csv_delimiter"):
        found += [
            f"{path} was read as one column, though each of its first {len(shown)} lines has "
            f"{shown[0].count(mark)} of {mark!r}; options.csv_delimiter says that they split it."
            for mark in _RARE
            if mark in shown[0] and len({line.count(mark) for line in shown}) == 1
        ]
    if dialect.quote == '"' and not options.get("csv_quote") and all(map(_in_quotes, head)):
        found.append(
            f"All names in the header of {path} stand in single quotes, which were read as a part "
            "of them, as ClickHouse does; options.csv_quote says that they are quotes."
        )
    return [
        ReadWarning(code=WarningCode.DIALECT_UNSURE, sentence=sentence, file=path)
        for sentence in found
    ]


def _in_quotes(name: str) -> bool:
    return len(name) > 2 and name.startswith("'") and name.endswith("'")
