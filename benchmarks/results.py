"""What was measured, as lines of JSON in a file: written as it comes, merged to be published."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, as_dict, from_dict


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One part of a benchmark: what it found, or why it failed.

    Attributes:
        database: None where it does not matter.
        facts: the conditions of the run, and of this part: when it was `measured`, and the `load`.
        rows: single measurements for a table of their own.
        failure: the reason; None for a part that was measured.
    """

    benchmark: str
    database: str | None
    facts: Mapping[str, str]
    figures: Sequence[Figure] = field(default=())
    conditions: Sequence[str] = field(default=())
    rows: Sequence[Mapping[str, Any]] = field(default=())
    failure: str | None = None
    trace: str = ""

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.benchmark} on {self.database}" if self.database else self.benchmark

    def line(self) -> str:
        """Write it as one line of JSON."""
        return json.dumps(asdict(self) | {"figures": [as_dict(each) for each in self.figures]})


def append(file: Path, record: Record) -> None:
    """Add the record to the file, and have it on the disk before returning."""
    file.parent.mkdir(parents=True, exist_ok=True)
    whole = b"".join(_whole_lines(file)) if file.exists() else b""
    with file.open("ab") as stream:
        stream.truncate(len(whole))  # what a killed run has cut off would spoil this line too
        stream.write(record.line().encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def read(file: Path) -> list[Record]:
    """Return all records of the file; a last line that a killed run has cut off is none.

    Raises:
        OSError: the file cannot be read.
        ValueError: a whole line is no record.
    """
    return [_parsed(file, number, each) for number, each in enumerate(_whole_lines(file), 1)]


def _whole_lines(file: Path) -> list[bytes]:
    with file.open("rb") as stream:
        return [line for line in stream if line.endswith(b"\n")]


def _parsed(file: Path, number: int, line: bytes) -> Record:
    try:
        stored = json.loads(line)
        figures = tuple(from_dict(each) for each in stored.pop("figures"))
        return Record(**stored, figures=figures)
    except (ValueError, KeyError, TypeError) as exc:
        raise ValueError(f"{file}, line {number}: not a record of a benchmark ({exc})") from exc


def merged(old: Iterable[Record], new: Sequence[Record]) -> list[Record]:
    """Return the old records without what the new ones have measured anew, then the new ones.

    A figure is replaced alone: those beside it keep their date and their conditions. Failures
    have measured nothing, and are left out.
    """
    kept = [*old]
    for record in new:
        kept = [left for each in kept if (left := _without(each, record))] + [record]
    return [each for each in kept if each.failure is None]


def _without(old: Record, new: Record) -> Record | None:
    """Return the record without it; None where nothing is left."""
    if (old.benchmark, old.database) != (new.benchmark, new.database):
        return old
    again = {each.name for each in new.figures}
    inputs = {each["input"] for each in new.rows}
    figures = tuple(each for each in old.figures if each.name not in again)
    rows = tuple(each for each in old.rows if each["input"] not in inputs)
    return replace(old, figures=figures, rows=rows) if figures or rows else None
