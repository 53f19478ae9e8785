"""JSONEachRow: one object a line, objects one after the other, or one array of objects."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from stocktake.errors import InvalidSourceError
from stocktake.readers.limits import check_columns, check_fields, check_names, too_deep
from stocktake.readers.source import Introspection, Limits, Progress, Source, Validation
from stocktake.readers.text.date_order import DateOrders
from stocktake.readers.text.decoding import Text
from stocktake.readers.text.json.mixed import MixedKeys
from stocktake.readers.text.json.objects import Objects, Record
from stocktake.readers.text.json.patterns import Shape
from stocktake.readers.text.records import BLOCK_CELLS, Counted, Records, Values
from stocktake.readers.text.sampling import Inferred, Rules, read_samples, read_whole
from stocktake.readers.text.validating import Checked, Finding, validate_files
from stocktake.readers.text.values.checks import fits_json
from stocktake.readers.text.values.dates import STRING
from stocktake.readers.text.values.json_values import holds, infer_json
from stocktake.readers.text.values.kinds import (
    Array,
    Kind,
    NestingError,
    Tuple,
    count_fields,
    describe,
    join_json,
)
from stocktake.schema.columns import Column
from stocktake.schema.types import Type
from stocktake.schema.warnings import ReadWarning

#: Objects that are decoded to learn their shape; that must be stepped over for a trial to pay;
#: that are decoded between two trials at most.
_LEARNT_FROM: Final = 16
_WORTH_A_TRIAL: Final = 32
_LONGEST_WAIT: Final = 4_096

#: Of `records`.
VALUES: Final = Values.DECODED


def read(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """Infer the columns from samples of the newest files.

    Args:
        source: its options `encoding`, `compression` and `sample_bytes` win over what the
            bytes suggest.

    Raises:
        InvalidSourceError: a value is no object, cut off, or has a key twice; with the line.
        LimitExceededError: too many columns, too deep, too long.
        FormatMismatchError: a file is no JSON.
        JobError: any other, as `stocktake.errors` draws them.
    """
    rules = Rules(infer=partial(_infer, source, limits), unite=_unite)
    return read_samples(source, limits, progress, rules)


def validate(
    source: Source, columns: tuple[Column, ...], limits: Limits, progress: Progress
) -> Validation:
    """Hold every value of every file to its column's type. Raises what `read` raises."""
    orders = DateOrders(source.options.get("date_order"))
    check = partial(_check, source, limits, orders)
    return validate_files(source, columns, limits, progress, check)


def read_all(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """Infer the columns from all of every file. Raises what `read` raises."""
    rules = Rules(infer=partial(_infer, source, limits), unite=_unite)
    return read_whole(source, limits, progress, rules)


def records(source: Source, limits: Limits, text: Text, names: Sequence[str]) -> Iterator[Records]:
    """Yield the objects of one file: decoded JSON values, whose numbers know their spelling. Raises
    what `read` raises."""
    counted = Counted(text.chunks)
    counted_text = replace(text, chunks=counted)
    most, chunks = max(1, BLOCK_CELLS // max(1, len(names))), 0
    block: list[Record] = []
    try:
        for record in Objects(counted_text, limits, source.format.value, spelled=True):
            # Cells bound the values of a block, and the chunk that they came from bounds their
            # bytes.
            if block and (counted.count != chunks or len(block) >= most):
                yield _records(block, names)
                block = []
            chunks = counted.count
            block.append(record)
    except InvalidSourceError:
        # What stands before the broken line is whole: a preview shows it.
        if block:
            yield _records(block, names)
        raise
    if block:
        yield _records(block, names)


def _records(block: list[Record], names: Sequence[str]) -> Records:
    values = {name: [record.value.get(name) for record in block] for name in names}
    return Records([record.line for record in block], values)


# --- types --------------------------------------------------------------------------------


def _infer(source: Source, limits: Limits, text: Text) -> Inferred | None:
    kinds: dict[str, Kind] = {}
    rows = nested = 0
    objects = Objects(text, limits, source.format.value)
    trials, mixed = _Trials(), MixedKeys(text.path)
    for record in objects:
        rows += 1
        mixed.line = record.line
        for name, value in record.value.items():
            if name not in kinds or not holds(kinds[name], value):
                nested += _add(kinds, name, value, mixed, text.path, record.line, limits)
                where = f"{text.path}, line {record.line},"
                check_fields(len(kinds) + nested, limits, where=where, file=text.path)
        if trials.is_due(record.value):
            count = objects.skip(trials.shape, kinds)
            trials.note(count)
            rows += count
    if not kinds and not mixed.warnings:
        return None
    return Inferred(kinds=kinds, rows=rows, warnings=mixed.warnings)


def _unite(name: str, a: Kind, b: Kind, file: str, warnings: list[ReadWarning]) -> Kind:
    mixed = MixedKeys(file)
    joined = join_json(a, b, mixed, (name,))
    warnings += mixed.warnings
    return joined


class _Trials:
    """When to try to step over objects: the seldomer, the less there is to gain."""

    def __init__(self) -> None:
        self.shape = Shape()
        self._wait = self._left = _LEARNT_FROM

    def is_due(self, value: dict[str, Any]) -> bool:
        """Return whether to try after this object."""
        if self._left <= _LEARNT_FROM:
            self.shape.learn(value)
        self._left -= 1
        return self._left <= 0

    def note(self, count: int) -> None:
        """Record how many objects the last trial skipped."""
        self._wait = 1 if count >= _WORTH_A_TRIAL else min(2 * self._wait, _LONGEST_WAIT)
        self._left = self._wait


def _add(
    kinds: dict[str, Kind],
    name: str,
    value: Any,
    mixed: MixedKeys,
    path: str,
    line: int,
    limits: Limits,
) -> int:
    """Join a value's kind to its column's; how many nested fields are new."""
    if not name:
        mixed.leave_out()
        return 0
    before = kinds.get(name)
    # Once it is known that a text holds numbers or objects as well, no value tells more.
    if before == STRING and (isinstance(value, str) or mixed.has(name)):
        return 0
    known = count_fields(before)
    try:
        kind = infer_json(value, levels=limits.max_nesting, mixed=mixed, keys=(name,))
    except NestingError as exc:
        raise too_deep(path, line, limits) from exc
    check_names(list(_all_names({name: kind})), limits, where=f"{path}, line {line}", file=path)
    kinds[name] = joined = join_json(before, kind, mixed, (name,))
    check_columns(len(kinds), limits, where=f"{path}, line {line},", file=path)
    return count_fields(joined) - known


def _all_names(kinds: dict[str, Kind]) -> Iterator[str]:
    for name, kind in kinds.items():
        yield name
        inner = kind
        while isinstance(inner, Array):
            inner = inner.element
        if isinstance(inner, Tuple):
            yield from _all_names(inner.fields)


# --- validation ---------------------------------------------------------------------------


def _check(
    source: Source, limits: Limits, orders: DateOrders, text: Text, types: dict[str, Type]
) -> Checked | None:
    checks = {
        name: orders.held(name, type_, fits_json(type_))
        for name, type_ in types.items()
        # ClickHouse reads any value into a String as it is written
        if type_.name != STRING
    }
    # A file of `{}` alone has rows and no column: it counts as empty.
    rows, findings, seen_key = 0, dict[str, Finding](), False
    for record in Objects(text, limits, source.format.value):
        rows += 1
        seen_key = seen_key or bool(record.value)
        get = record.value.get
        misfits = [name for name, fits in checks.items() if not fits(get(name))]
        for name in misfits:
            del checks[name]
            found = _describe(record.value[name], text.path, record.line, limits)
            findings[name] = Finding(line=record.line, found=found)
    return Checked(rows=rows, findings=findings) if seen_key else None


def _describe(value: Any, path: str, line: int, limits: Limits) -> str:
    try:
        return describe(infer_json(value, levels=limits.max_nesting))
    except NestingError as exc:
        raise too_deep(path, line, limits) from exc
