"""The glob language of URL patterns."""

import pytest

from stocktake.errors import LimitExceededError
from stocktake.storage.globs import glob_regex, is_glob, literal_prefix


@pytest.mark.parametrize(
    ("pattern", "key"),
    [
        ("a/*.csv", "a/b.csv"),
        ("a/*.csv", "a/.csv"),
        ("*b*b*", "abb"),
        ("a*b*c", "aXbYbZc"),
        ("a?c", "abc"),
        ("**", "a/b/c"),
        ("**/c", "c"),
        ("**/c", "a/b/c"),
        ("a/**/c", "a/c"),
        ("a/**/c", "a/b/b/c"),
        ("a/**/b*/**/c.csv", "a/x/bb/y/z/c.csv"),
        ("a/**.csv", "a/b/c.csv"),
        ("**a*b", "a/ab"),
        ("a/**/*.{csv,csv.gz}", "a/b/c.csv.gz"),
        ("{a,ab}*b", "ab"),
        ("*{ab,a}*b", "ab"),
        ("x{1..3}", "x2"),
        ("x{08..11}", "x09"),
        ("x{3..1}", "x3"),
        ("{a*,b?}/c", "b1/c"),
        ("p[0-9]", "p5"),
        ("p[!0-9]", "px"),
        ("p[z-a]", "p[z-a]"),
        ("p{open", "p{open"),
        ("a.b", "a.b"),
        ("line*", "line\nbreak"),
        ("d/year=*/**", "d/year=1/x/y"),
    ],
)
def test_pattern_matches(pattern: str, key: str) -> None:
    assert glob_regex(pattern).fullmatch(key)


@pytest.mark.parametrize(
    ("pattern", "key"),
    [
        ("a/*.csv", "a/b/c.csv"),
        ("a/*.csv", "a/b.csv.gz"),
        ("a?c", "a/c"),
        ("a/**/c", "a/bc"),
        ("**/c", "a/bc"),
        ("x{1..3}", "x4"),
        ("x{08..11}", "x8"),
        ("p[!0-9]", "p/"),
        ("a.b", "axb"),
        ("a*a", "a"),
        ("line*", "line\n/x"),
    ],
)
def test_pattern_does_not_match(pattern: str, key: str) -> None:
    assert not glob_regex(pattern).fullmatch(key)


@pytest.mark.parametrize("pattern", ["{1..10001}", "{0..999999999999}", "{*,?,a*}" * 12])
def test_braces_that_stand_for_too_much_are_refused(pattern: str) -> None:
    with pytest.raises(LimitExceededError, match="alternatives"):
        glob_regex(pattern)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "pattern", ["*a" * 100 + "b", "**a" * 100 + "b", "**/" * 50 + "b", "**/a*" * 60 + "/b"]
)
def test_hostile_pattern_ends_soon(pattern: str) -> None:
    assert not glob_regex(pattern).fullmatch("a" * 1000 + "c")
    assert not glob_regex(pattern).fullmatch("a/" * 500 + "c")


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [
        ("a/b.csv", "a/b.csv"),
        ("a/b*.csv", "a/b"),
        ("a/{b,c}", "a/"),
        ("a/{b", "a/{b"),
        ("a/[bc]", "a/"),
    ],
)
def test_literal_prefix_ends_before_the_first_wildcard(pattern: str, prefix: str) -> None:
    assert literal_prefix(pattern) == prefix
    assert is_glob(pattern) is (prefix != pattern)
