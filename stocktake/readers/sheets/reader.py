"""Workbooks: one sheet of each file is the table, its header the columns' names."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Final

import pyarrow as pa
import python_calamine as calamine

from stocktake.errors import EmptySourceError, InvalidSourceError, SourceNotFoundError, did_you_mean
from stocktake.readers.column_names import unique_names
from stocktake.readers.files.budget import Budget
from stocktake.readers.files.foreign import HEAD_BYTES, unlike
from stocktake.readers.files.listing import list_files, relative_name
from stocktake.readers.files.rows import count
from stocktake.readers.files.schemas import FileSchema, Opened, fetch_head, read_schemas
from stocktake.readers.limits import check_columns, check_names, exceeded
from stocktake.readers.sheets import guard
from stocktake.readers.sheets.cells import EMPTY, array_of, spelled, type_of
from stocktake.readers.sheets.compound import COMPOUND
from stocktake.readers.sheets.reach import Reach
from stocktake.readers.source import Introspection, Limits, Progress, Source
from stocktake.schema.columns import Column
from stocktake.schema.warnings import ReadWarning, WarningCode

_BATCH_ROWS: Final = 8_192
#: By its name, for no module has it.
_PANIC: Final = "PanicException"
#: A workbook takes many times its size: one at a time.
_one_at_a_time: Final = Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sheet:
    """A sheet as a table.

    Attributes:
        names: of the columns, each once.
        columns: their cells, in the rows below the header.
    """

    names: Sequence[str]
    columns: Sequence[Sequence[Any]]
    warnings: tuple[ReadWarning, ...]


def read(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """Read the sheets of a source's files in full and unite their columns.

    Args:
        source: a key or a glob of workbooks; `sheet` and `header_row` among its options.
        limits: the sample's budget; a workbook may have `max_bytes`.

    Raises:
        JobError: see `read_schemas` and `guard.check`; what is wrong with a sheet names the file.
    """
    return read_schemas(source, limits, progress, fetch=fetch_head, describe=_describe)


def read_all(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """Read as `read` does; more there is not to read.

    Raises:
        JobError: what `read` raises.
    """
    return count(read, batches, source, limits, progress)


def batches(
    source: Source, limits: Limits, progress: Progress
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield all rows of all files, each batch with its file's name. A whole sheet is in memory.

    Raises:
        JobError: what `read` raises.
    """
    files = [file for file in list_files(source, limits).files if file.size > 0]
    for done, file in enumerate(files):
        progress("read", done, len(files))
        name = relative_name(source, file.path)
        opened = Opened(
            source=source,
            chunk=fetch_head(source, file.path),
            name=name,
            limits=limits,
            budget=Budget(limits),
        )
        for batch in _batches(_sheet(opened)):
            progress("read", done, len(files))
            yield name, batch


def _batches(sheet: _Sheet) -> Iterator[pa.RecordBatch]:
    types = [type_of(cells) for cells in sheet.columns]
    height = len(sheet.columns[0])
    for start in range(0, height, _BATCH_ROWS):
        arrays = [
            array_of(cells[start : start + _BATCH_ROWS], type_)
            for cells, type_ in zip(sheet.columns, types, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, names=list(sheet.names))


def _describe(file: Opened) -> FileSchema:
    with _one_at_a_time:
        sheet = _sheet(file)
        columns = tuple(
            Column.of(name, type_of(cells))
            for name, cells in zip(sheet.names, sheet.columns, strict=True)
        )
        return FileSchema(columns=columns, row_count=len(sheet.columns[0]), warnings=sheet.warnings)


def _sheet(file: Opened) -> _Sheet:
    head = file.chunk.data
    if not head.startswith((guard.ZIP, COMPOUND)):
        raise unlike(file.source.format, file.name, head[:HEAD_BYTES])
    _check_size(file)
    data = head + (file.range(len(head), file.size - len(head)) if file.size > len(head) else b"")
    checked = guard.check(data, file)
    del data
    try:
        with calamine.CalamineWorkbook.from_filelike(io.BytesIO(checked.data)) as workbook:
            name = _chosen(workbook.sheet_names, file)
            reach = checked.reach(name, workbook.sheet_names)
            del checked
            cells = workbook.get_sheet_by_name(name)
            check_columns(cells.width, file.limits, where="The sheet", file=file.name)
            guard.check_cells(cells.total_height * cells.total_width, file)
            start = cells.start or (0, 0)
            rows = cells.to_python(skip_empty_area=True)
    except calamine.PasswordError as exc:
        raise guard.locked(file) from exc
    # what it raises on a file of another kind are plain errors of reading
    except (calamine.CalamineError, OSError, ValueError, IndexError) as exc:
        raise guard.invalid(file, str(exc)[:200] or type(exc).__name__) from exc
    except BaseException as exc:
        # a panic of Rust's, which is no Exception
        if type(exc).__name__ != _PANIC:
            raise
        raise guard.invalid(file, str(exc)[:200]) from exc
    table = _table(rows, start[0], file)
    if reach.first_error is None:
        return table
    return replace(table, warnings=(*table.warnings, _errors(name, reach, file)))


def _check_size(file: Opened) -> None:
    if file.size > file.limits.max_bytes:
        raise exceeded(
            file.limits,
            "max_bytes",
            f'The workbook "{file.name}" has {file.size:,} bytes, and is read whole',
            advice="Write it as CSV or Parquet",
            file=file.name,
        )


def _chosen(names: Sequence[str], file: Opened) -> str:
    wanted = file.source.options.get("sheet")
    if not names:
        raise EmptySourceError("The workbook has no sheet.", file=file.name)
    if wanted is None:
        return names[0]
    if wanted not in names:
        raise SourceNotFoundError(
            f'The workbook "{file.name}" has no sheet {wanted!r}; {did_you_mean(wanted, names)}',
            code="sheet_not_found",
            hint="Set the option sheet to the name of one that it has.",
            file=file.name,
        )
    return str(wanted)


def _table(rows: list[list[Any]], first: int, file: Opened) -> _Sheet:
    """Take the header off the rows.

    Args:
        first: the number of the first row, counted from 0.
    """
    wanted = file.source.options.get("header_row")
    at = 0 if wanted is None else wanted - 1 - first
    header = rows[at] if wanted != 0 and 0 <= at < len(rows) else []
    if wanted and not header:
        raise InvalidSourceError(
            f'The sheet of "{file.name}" has no row {wanted:,} that could name its columns: its '
            f"rows are {first + 1:,} to {first + len(rows):,}.",
            hint="Correct the option header_row.",
            file=file.name,
        )
    below = rows[at + 1 :] if header else rows
    cells = [*zip(*below, strict=True)] if below else [()] * len(header)
    written = [spelled(cell).strip() for cell in header] or [""] * len(cells)
    # A column of nothing, as formats and titles leave it.
    kept = [n for n, name in enumerate(written) if name or any(c != EMPTY for c in cells[n])]
    if not kept:
        raise EmptySourceError(file=file.name)
    names = unique_names([written[n] for n in kept])
    check_names(names, file.limits, where=f"The header of {file.name}", file=file.name)
    renamed = header and names != [written[n] for n in kept]
    return _Sheet(
        names=names,
        columns=[cells[n] for n in kept],
        warnings=(_renamed(file),) if renamed else (),
    )


def _renamed(file: Opened) -> ReadWarning:
    return ReadWarning(
        code=WarningCode.RENAMED_COLUMNS,
        sentence="Columns without a name are called by their places, and of those that share one "
        "each after the first has a number behind it. If another row names the columns, set the "
        "option header_row.",
        file=file.name,
    )


def _errors(sheet: str, reach: Reach, file: Opened) -> ReadWarning:
    row, column = reach.first_error or (0, 0)
    place = f"{_letters(column)}{row + 1}"
    said = "One cell" if reach.errors == 1 else f"{reach.errors:,} cells"
    which = f", {place}," if reach.errors == 1 else f", the first of them {place},"
    return ReadWarning(
        code=WarningCode.ERROR_CELLS,
        sentence=f"{said} of the sheet {sheet[:100]!r}{which} "
        f"{'holds' if reach.errors == 1 else 'hold'} an error such as #DIV/0! or #N/A: read as "
        "null.",
        file=file.name,
    )


def _letters(column: int) -> str:
    """Return a column as spreadsheets call it.

    >>> _letters(0), _letters(25), _letters(26)
    ('A', 'Z', 'AA')
    """
    before, letter = divmod(column, 26)
    return (_letters(before - 1) if before else "") + chr(ord("A") + letter)
