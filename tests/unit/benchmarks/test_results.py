"""Records in a file, merged figure by figure."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.figures import Target, distributed, ratio
from benchmarks.results import Record, append, merged, read

OLD = {"run": "2026-11-23 07:00", "measured": "2026-11-23 07:29", "load": "1.7 to 1.9"}
NEW = {"run": "2026-11-29 02:00", "measured": "2026-11-29 02:10", "load": "8.1 to 9.0"}
QUIET = distributed("quiet", [1.0, 2.0, 4.0], "ms", Target(bound=20.0))
BUSY = distributed("busy", [3.0], "ms")


def record(*figures: Any, facts: dict[str, str] = NEW, **more: Any) -> Record:
    said = {"benchmark": "accept", "database": "sqlite", "facts": facts}
    return Record(**said | more, figures=figures)  # type: ignore[arg-type]


def names(records: list[Record]) -> list[tuple[str, list[str]]]:
    return [(each.facts["run"], [it.name for it in each.figures]) for each in records]


def test_records_survive_their_file(tmp_path: Path) -> None:
    rows = [{"input": "log_1k", "warm_seconds": 0.5}]
    written = [
        record(QUIET, ratio("b : q", 3.0, 2.0), conditions=("one",), rows=rows),
        record(failure="it is broken", trace="line 1"),
    ]
    for each in written:
        append(tmp_path / "new folder" / "run.jsonl", each)

    found = read(tmp_path / "new folder" / "run.jsonl")

    assert [each.line() for each in found] == [each.line() for each in written]
    assert found[0].figures[0] == QUIET


def test_a_line_that_was_cut_off_is_no_record(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    append(file, record(QUIET))
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:-1])

    assert names(read(file)) == [(NEW["run"], ["quiet"])]


def test_a_line_that_was_cut_off_does_not_spoil_the_next_one(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    append(file, record(QUIET))
    file.write_bytes(file.read_bytes() + b'{"benchmark": "acc')

    append(file, record(BUSY))

    assert names(read(file)) == [(NEW["run"], ["quiet"]), (NEW["run"], ["busy"])]


def test_a_whole_line_that_is_no_record_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    append(file, record(QUIET))
    file.write_text(file.read_text() + '{"figures": [{}]}\n')

    with pytest.raises(ValueError, match=r"run\.jsonl, line 2: not a record"):
        read(file)


def test_a_figure_is_replaced_alone_and_those_beside_it_keep_their_conditions() -> None:
    old = record(QUIET, BUSY, facts=OLD, conditions=("of old",))

    found = merged([old], [record(BUSY, conditions=("of new",))])

    assert names(found) == [(OLD["run"], ["quiet"]), (NEW["run"], ["busy"])]
    assert found[0].conditions == ("of old",)


def test_the_other_database_and_other_benchmarks_are_left() -> None:
    others = [record(QUIET, database="postgresql"), record(QUIET, benchmark="broker")]

    assert merged(others, [record(QUIET)]) == [*others, record(QUIET)]


def test_a_record_of_which_nothing_is_left_goes() -> None:
    assert names(merged([record(QUIET, facts=OLD)], [record(QUIET)])) == [(NEW["run"], ["quiet"])]


def test_a_failure_replaces_nothing_and_is_not_published() -> None:
    old = record(QUIET, facts=OLD)

    assert merged([old], [record(failure="it is broken")]) == [old]


def test_rows_are_replaced_by_those_of_their_input() -> None:
    def rows(facts: dict[str, str], *inputs: str) -> Record:
        return record(facts=facts, rows=tuple({"input": name} for name in inputs), database=None)

    found = merged([rows(OLD, "csv", "json")], [rows(NEW, "json")])

    assert [(each.facts["run"], list(each.rows)) for each in found] == [
        (OLD["run"], [{"input": "csv"}]),
        (NEW["run"], [{"input": "json"}]),
    ]
