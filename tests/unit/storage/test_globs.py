"""The glob language of URL patterns."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.errors import LimitExceededError
from stocktake.storage.places.globs import (
    check_size,
    decode,
    escape,
    is_glob,
    literal,
    literal_prefix,
    matcher,
    naming,
)


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
        ("{a,**}/c", "c"),
        ("{a,**}/c", "x/y/c"),
        ("{a,b/**/}c", "b/x/c"),
        ("{**/,b}c", "x/y/c"),
        ("{**/,b}c", "c"),
        ("x/{**/a,b}", "x/a"),
        ("{a?,*}{b,}", "ab"),
        ("r[1]*.csv", "r[1]x.csv"),
        ("p[0-9]", "p[0-9]"),
        ("p{open*", "p{openx"),
        ("p{a,{b,c}}", "p{a,c}"),
        ("é?{ü,x}*", "éäüß"),
        ("p{open", "p{open"),
        ("a.b", "a.b"),
        ("line*", "line\nbreak"),
        ("d/year=*/**", "d/year=1/x/y"),
    ],
)
def test_pattern_matches(pattern: str, key: str) -> None:
    assert matcher(pattern)(key)


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
        ("p[0-9]*", "p5"),
        ("{a,**}/c", "xc"),
        ("x/{y**/a,b}", "x/a"),
        ("é?", "éäü"),
        ("a*", "a/"),
        ("a*b", "ab/b"),
        ("ab*ba", "aba"),
        ("a.b", "axb"),
        ("a*a", "a"),
        ("line*", "line\n/x"),
    ],
)
def test_pattern_does_not_match(pattern: str, key: str) -> None:
    assert not matcher(pattern)(key)


@pytest.mark.parametrize(
    "pattern",
    [
        "{1..10001}",
        "{0..999999999999}",
        "{1..6000}/{1..6000}.csv",
        "{1..999}*?" * 12,
        "{9999999..1}",
    ],
)
def test_braces_that_stand_for_too_much_are_refused(pattern: str) -> None:
    for refuses in (check_size, matcher):
        with pytest.raises(LimitExceededError, match="alternatives"):
            refuses(pattern)


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [
        ("a/b.csv", "a/b.csv"),
        ("a/b*.csv", "a/b"),
        ("a/{b,c}", "a/"),
        ("a/{b", "a/{b"),
        ("a/[bc]", "a/[bc]"),
        ("a/[bc]/**", "a/[bc]/"),
    ],
)
def test_literal_prefix_ends_before_the_first_wildcard(pattern: str, prefix: str) -> None:
    assert literal_prefix(pattern) == prefix
    assert is_glob(pattern) is (prefix != pattern)


@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1))
def test_item_5_any_key_can_be_named_by_a_pattern(key: str) -> None:
    assert not is_glob(escape(key))
    assert literal_prefix(escape(key)) == literal(escape(key)) == key
    assert matcher(escape(key))(key)
    assert not matcher(escape(key))(f"{key}x")
    assert matcher(f"{escape(key)}*")(f"{key}x")


@given(st.text(alphabet=st.sampled_from("*?{},[]\\.19a/%é"), min_size=1))
def test_item_5_a_percent_encoded_character_of_a_pattern_is_itself(key: str) -> None:
    assert literal(decode(quote(key, safe="/"))) == key
    assert not is_glob(decode(quote(key, safe="/")))


@pytest.mark.parametrize(
    ("written", "key", "others"),
    [
        ("a%2A*.csv", "a*b.csv", ["ab.csv"]),
        ("{a%2Cb,c}", "a,b", ["a", "b"]),
        ("{a%7Db,c}", "a}b", ["a}", "b"]),
        ("{%7Ba,c}?", "{ax", ["ax"]),
        ("%7b1..3%7d*", "{1..3}", ["1", "2"]),
        ("a%3F?", "a?b", ["abb"]),
        ("%5C*", "\\a", ["*", "\\*/"]),
        ("{a,,b}c", "c", [",c"]),
        ("{,a}c", "c", [",c"]),
        ("report[1].csv", "report[1].csv", ["report1.csv"]),
        ("r[0-9]*.csv", "r[0-9]x.csv", ["r1x.csv"]),
    ],
)
def test_item_5_what_is_encoded_and_what_is_not_stand_side_by_side(
    written: str, key: str, others: list[str]
) -> None:
    matches = matcher(decode(written))
    assert matches(key)
    assert not any(map(matches, others))


PARTS = st.sampled_from(
    ["*", "**", "**/", "/", "?", "a", "b", "[", "{a,b}", "{a*b,b}", "{1..3}", "2"]
)


@given(st.lists(PARTS, max_size=6).map("".join), st.text(alphabet="ab/2[", max_size=7))
def test_a_pattern_means_what_its_characters_say(pattern: str, key: str) -> None:
    assert matcher(pattern)(key) is slow_match(spelled_out(pattern), key)


def spelled_out(pattern: str) -> list[str]:
    """The pattern's alternatives, multiplied out: few enough here."""
    start = pattern.find("{")
    if start < 0:
        return [pattern]
    end = pattern.index("}", start)
    body = {"1..3": "1,2,3"}.get(pattern[start + 1 : end], pattern[start + 1 : end])
    plain = [f"{pattern[:start]}{each}{pattern[end + 1 :]}" for each in body.split(",")]
    return [one for each in plain for one in spelled_out(each)]


def slow_match(patterns: list[str], key: str) -> bool:
    return any(walks(pattern, key, at_folder=True) for pattern in patterns)


def walks(pattern: str, key: str, *, at_folder: bool) -> bool:
    """The definition, tried in all ways."""
    if not pattern:
        return not key
    stars = len(pattern) - len(pattern.lstrip("*"))
    rest = pattern[max(stars, 1) :]
    if stars > 1 and at_folder and rest.startswith("/"):
        ends = [0, *(at + 1 for at, c in enumerate(key) if c == "/")]
        return any(walks(rest[1:], key[end:], at_folder=True) for end in ends)
    if stars:
        most = len(key) if stars > 1 else len(key.partition("/")[0])
        return any(walks(rest, key[end:], at_folder=False) for end in range(most + 1))
    fits = key[:1] == pattern[0] or (pattern[0] == "?" and key[:1] not in ("", "/"))
    return fits and walks(rest, key[1:], at_folder=pattern[0] == "/")


# --- hidden names -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "key"),
    [
        ("d/*", "d/a"),
        ("d/*", "d/a_b.c"),
        ("d/**/*.csv", "d/_day=1/a.csv"),
        ("d/**", "d/_k=_v/a"),
        ("d/*", "d/_a=b.csv"),
        # what stands before the first wildcard is spelt
        ("_staging/*.csv", "_staging/a.csv"),
        (".cache/d/**", ".cache/d/e/a"),
        ("d/_*.csv", "d/_a.csv"),
        ("d/.*", "d/.a"),
        ("d/**/_a/*", "d/x/_a/b"),
        ("**/_a/**/c", "_a/c"),
        ("d/{a,_b}*", "d/_bc"),
        ("d/{*,_b}", "d/_b"),
        ("d/{x/_a,y}*", "d/x/_ab"),
        ("d/*/_{a,b}", "d/e/_a"),
        ("*/%2Ea/*", "d/.a/b"),
        ("**", "a/b.c/d_"),
    ],
)
def test_a_name_that_the_pattern_spells_is_meant(pattern: str, key: str) -> None:
    assert matcher(decode(pattern))(key)
    assert naming(decode(pattern))(key)


@pytest.mark.parametrize(
    ("pattern", "key"),
    [
        ("d/*", "d/_SUCCESS"),
        ("d/*", "d/.part-0.csv.crc"),
        ("*", "_metadata"),
        ("**", ".DS_Store"),
        ("d/**", "d/._a.csv"),
        ("d/**/*.csv", "d/_temporary/0/a.csv"),
        ("d/**/*.csv", "d/.a=1/b.csv"),
        ("d/*/*.csv", "d/_a/b.csv"),
        ("d/*_a", "d/_a"),
        ("d/?a", "d/_a"),
        ("d/**_a", "d/_a"),
        ("d/**_a", "d/b/_a"),
        ("d/{*,b}", "d/_b"),
        # a name is spelt where it stands and nowhere else
        ("d/_*/*", "d/_a/_SUCCESS"),
        ("_a/**", "_a/b/_a"),
        ("d/**/_a/*", "d/_x/_a/b"),
    ],
)
def test_no_wildcard_begins_a_hidden_name(pattern: str, key: str) -> None:
    assert matcher(pattern)(key)
    assert not naming(pattern)(key)


@given(
    st.lists(PARTS | st.sampled_from("_."), max_size=6).map("".join), st.text("ab/_.=", max_size=8)
)
def test_a_key_without_hidden_names_is_meant_by_whatever_matches(pattern: str, key: str) -> None:
    hidden = any(
        name.startswith(".") or (name.startswith("_") and "=" not in name)
        for name in key.split("/")
    )
    if matcher(pattern)(key) and not hidden:
        assert naming(pattern)(key)
    if matcher("**")(key):
        assert naming("**")(key) is not hidden
