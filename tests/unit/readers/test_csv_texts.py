"""The texts of a column's fields, made at once, are those of its fields one by one."""

from hypothesis import given, settings
from hypothesis import strategies as st

from stocktake.readers.text.csv import reader
from stocktake.readers.text.csv.dialect import Dialect

BITS = st.sampled_from(["a", '"', "'", " ", "\t", "\0", ";", "\\N", "NA", "\u00e9"])
FIELDS = st.lists(BITS, max_size=4).map("".join)
NULLS = frozenset({"", r"\N"})


@settings(deadline=None)
@given(
    raws=st.lists(FIELDS, min_size=1, max_size=4),
    quote=st.sampled_from(['"', "'", ""]),
    delimiter=st.sampled_from(",;\t"),
    nulls=st.sampled_from([NULLS, NULLS | {"NA", '""'}]),
)
def test_they_are_alike(raws: list[str], quote: str, delimiter: str, nulls: frozenset[str]) -> None:
    dialect = Dialect(delimiter=delimiter, quote=quote, nulls=nulls)
    assert reader._texts(raws, dialect) == [
        None if dialect.strip(raw) in nulls else dialect.unquote(raw)[0] for raw in raws
    ]
