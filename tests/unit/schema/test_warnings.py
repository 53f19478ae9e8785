"""Warnings stay few and short, whatever a source holds."""

from stocktake.schema.warnings import MAX_WARNINGS, ReadWarning, WarningCode, bounded


def a_warning(number: int, sentence: str = "something") -> ReadWarning:
    return ReadWarning(
        code=WarningCode.MORE_WARNINGS, sentence=sentence, file=f"{number}.csv", line=number
    )


def test_a_warning_comes_back_as_it_was_stored() -> None:
    assert ReadWarning.from_dict(a_warning(3).as_dict()) == a_warning(3)


def test_a_long_sentence_is_cut() -> None:
    assert a_warning(1, "x" * 500).as_dict()["sentence"] == "x" * 500
    assert a_warning(1, "x" * 501).as_dict()["sentence"] == "x" * 499 + "…"


def test_the_same_is_said_once() -> None:
    assert bounded([a_warning(1), a_warning(2), a_warning(1)]) == (a_warning(1), a_warning(2))


def test_as_many_as_are_kept_are_kept() -> None:
    found = tuple(map(a_warning, range(MAX_WARNINGS)))
    assert bounded(found) == found


def test_those_beyond_are_counted() -> None:
    kept = bounded(map(a_warning, range(MAX_WARNINGS + 5)))
    assert len(kept) == MAX_WARNINGS
    assert kept[-1].sentence == "There are 6 more warnings."
