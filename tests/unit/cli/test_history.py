"""What `tables diff`, `history` and `show` say of who brought what, within 80 columns."""

from typing import Any

from rich.cells import cell_len

from cli.output import describe_camps, describe_diff, describe_place, describe_presence

LONG = "region=eu-central-1/year=2026/month=11/day=27/part-00017-of-00200.snappy.parquet"


def place(file: str | None = None, **more: Any) -> dict[str, Any]:
    plain = {"file": file, "version": None, "snapshot": None, "at": None, "exact": True}
    return plain | more


def camp(type_: str, files: int, first: str, newest: str) -> dict[str, Any]:
    return {"type": type_, "files": files, "first": place(first), "newest": place(newest)}


CAMPS = [
    camp("Nullable(Int64)", 11, "2026/11/16.parquet", "2026/11/26.parquet"),
    camp("Nullable(Float64)", 1, "2026/11/27.parquet", "2026/11/27.parquet"),
]


def origin(**more: Any) -> dict[str, Any]:
    at = "2026-11-27T10:00:00+00:00"
    found = {
        "brought_by": place("2026/11/27.parquet", at=at),
        "files": 1,
        "of_files": 12,
        "sampled": False,
        "camps": [],
    }
    return found | more


def test_a_diff_says_which_file_brought_a_column_and_how_many_have_it() -> None:
    added = {"name": "note", "type": "Nullable(String)", "origin": origin()}
    assert describe_diff({"added": [added]}) == [
        "+ note  Nullable(String)",
        "    by 2026/11/27.parquet, 2026-11-27 10:00:00Z",
        "    in 1 of 12 files",
    ]


def test_a_diff_says_which_files_have_which_type() -> None:
    changed = {"name": "price", "from": "Nullable(Int64)", "to": "Nullable(Float64)"}
    assert describe_diff({"changed": [changed | {"origin": origin(camps=CAMPS)}]}) == [
        "~ price  Nullable(Int64) → Nullable(Float64)",
        "    by 2026/11/27.parquet, 2026-11-27 10:00:00Z",
        "    Nullable(Int64) in 11 files: 2026/11/16.parquet … 2026/11/26.parquet",
        "    Nullable(Float64) in 1 file: 2026/11/27.parquet",
    ]


def test_a_diff_of_an_earlier_release_has_no_origins() -> None:
    assert describe_diff({"added": [{"name": "a", "type": "Date"}]}) == ["+ a  Date"]


def test_a_version_that_is_not_exact_says_so() -> None:
    assert describe_place(place(version=7, exact=False)) == "version 7, or before"
    assert describe_place(place(snapshot="8123")) == "snapshot 8123"


def test_a_sample_says_that_it_is_one() -> None:
    assert describe_presence(origin(sampled=True)) == "in 1 of 12 read files"


def test_long_names_keep_a_line_within_80_columns() -> None:
    at = "2026-11-27T10:00:00+00:00"
    camps = [camp(f"Array(Tuple({'x' * 90}))", 9_999, LONG, LONG[::-1])]
    long = origin(camps=camps, brought_by=place(LONG, at=at, exact=False))
    lines = describe_diff({"added": [{"name": "a", "type": "Date", "origin": long}]})
    assert max(map(cell_len, [*lines, *(f"  {line}" for line in describe_camps(camps))])) <= 80
    assert "parquet" in lines[1]


def test_types_that_would_read_alike_when_short_are_told_in_full() -> None:
    place = {"file": "a.parquet"}
    types = [f"Tuple(a Nullable({inner}), b Nullable(String))" for inner in ("Int64", "Float64")]
    camps = [{"type": each, "files": 1, "first": place, "newest": place} for each in types]
    assert describe_camps(camps) == [f"{each} in 1 file: a.parquet" for each in types]
