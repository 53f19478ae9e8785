"""The matrix of docs/stores.md is what the suite wrote, for all that the suite asks now."""

import pytest

from tests.stores.exceptions import EXCEPTIONS
from tests.stores.matrix import (
    PAGE,
    PROVIDERS,
    RESULTS,
    SCENARIOS,
    STORES,
    Outcome,
    between,
    missing,
    providers,
    put_into,
    read_results,
    table,
)

REPORT = """<testsuites><testsuite>
<testcase name="test_store[moto-wrong key]"/>
<testcase name="test_store[fake-gcs-server-public]"/>
<testcase name="test_store[moto-two appends at once]"><properties>
<property name="said" value="refused"/></properties></testcase>
<testcase name="test_store[s3rver-23 odd keys]">
<skipped type="pytest.xfail" message="it loses a plus"/></testcase>
<testcase name="test_store[s3rver-archived]">
<skipped type="pytest.skip" message="not offered: no archive tier"/></testcase>
<testcase name="test_store[Azurite-public]">
<skipped type="pytest.skip" message="Azurite is not installed: run `make tools`"/></testcase>
<testcase name="test_store[rclone-public]"><failure message="x"/></testcase>
</testsuite></testsuites>"""


def test_each_outcome_of_a_report_is_told_apart() -> None:
    assert read_results(REPORT) == {
        ("moto", "wrong key"): Outcome(sign="yes"),
        ("fake-gcs-server", "public"): Outcome(sign="yes"),
        ("moto", "two appends at once"): Outcome(sign="refused"),
        ("s3rver", "23 odd keys"): Outcome(sign="no", note="it loses a plus"),
        ("s3rver", "archived"): Outcome(sign="-", note="no archive tier"),
        ("rclone", "public"): Outcome(sign="**fails**"),
    }


def test_a_reason_is_told_once_below_the_matrix() -> None:
    results = {(store, each): Outcome(sign="yes") for store in STORES for each in SCENARIOS}
    results |= {(store, "archived"): Outcome(sign="-", note="no tier") for store in STORES}
    written = table(results)
    assert written.count("no tier") == 1
    assert "| archived | " + " | ".join(["- (1)"] * len(STORES)) + " |" in written
    assert missing(results) == []
    del results["moto", "archived"]
    assert "| - (1) | not run | - (1) |" in table(results)
    assert missing({("moto", "public"): Outcome(sign="yes")}) == [
        store for store in STORES if store != "moto"
    ]


def test_the_page_keeps_what_stands_around_a_table() -> None:
    page = put_into(put_into(PAGE.read_text(), RESULTS, "first\n"), RESULTS, "second\n")
    assert between(page, RESULTS) == "second\n"
    assert page.partition("<!--")[0] == PAGE.read_text().partition("<!--")[0]
    assert page.rpartition("-->")[2] == PAGE.read_text().rpartition("-->")[2]


@pytest.mark.parametrize("named", [*STORES, *SCENARIOS, *dict.fromkeys(EXCEPTIONS.values())])
def test_the_page_has_every_store_scenario_and_fault(named: str) -> None:
    assert named in between(PAGE.read_text(), RESULTS), "run `make stores`, commit docs/stores.md"


def test_nothing_fails_on_the_page() -> None:
    assert "fails" not in between(PAGE.read_text(), RESULTS)


def test_the_page_has_the_providers_as_the_guard_knows_them() -> None:
    written = between(PAGE.read_text(), PROVIDERS)
    assert written == providers(), "run `python -m tests.stores.matrix`, commit docs/stores.md"
