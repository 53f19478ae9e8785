"""The full read of a text source: every file, in constant memory, against the given columns."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from stocktake.errors import EmptySourceError
from stocktake.readers.files.budget import Budget
from stocktake.readers.files.state import conclude
from stocktake.readers.source import ColumnCheck, Limits, Progress, Source, Validation
from stocktake.readers.text.decoding import Text, stream_text
from stocktake.readers.text.sampling import list_text_files, telling
from stocktake.schema.columns import Column
from stocktake.schema.types import Type


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The first value of a file that does not fit.

    Attributes:
        line: counted from 1.
        found: what stood there, in a word.
    """

    line: int
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One file that was read to its end.

    Attributes:
        rows: how many it has.
        findings: by column, for those that do not hold.
    """

    rows: int
    findings: dict[str, Finding]


#: Checks one file against the types, by column name; None where it holds no data at all.
CheckFile = Callable[[Text, dict[str, Type]], Checked | None]


def validate_files(
    source: Source,
    columns: tuple[Column, ...],
    limits: Limits,
    progress: Progress,
    check_file: CheckFile,
) -> Validation:
    """Check each file in the order of the paths, so that the first fault is the same each time.

    A column of the path (a partition) has no value in the file and counts as valid.

    Raises:
        EmptySourceError: no file holds data.
        JobError: a terminal one for a file that breaks the format, or the store's own.
    """
    listing = list_text_files(source, limits)
    files = sorted(listing.files, key=lambda file: file.path)
    pending = {column.name: column.type for column in columns if not column.partition}
    failed: dict[str, ColumnCheck] = {}
    rows, seen_any = 0, False
    for done, file in enumerate(files):
        tell = partial(progress, "validate", done, len(files))
        text = stream_text(source, file, limits)
        checked = check_file(replace(text, chunks=telling(text.chunks, tell)), pending)
        if checked is None:
            continue
        rows, seen_any = rows + checked.rows, True
        for name, finding in checked.findings.items():
            del pending[name]
            failed[name] = ColumnCheck(
                name=name, valid=False, file=file.path, line=finding.line, found=finding.found
            )
    progress("validate", len(files), len(files))
    if not seen_any:
        raise EmptySourceError(file=files[0].path)
    checks = tuple(failed.get(c.name) or ColumnCheck(name=c.name, valid=True) for c in columns)
    state = conclude(
        source, listing, columns, budget=Budget(limits), limits=limits, row_count=rows
    ).state
    return Validation(checks=checks, row_count=rows, size_bytes=listing.size_bytes, state=state)
