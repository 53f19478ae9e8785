"""What is different between two versions of a table, where that is much."""

from collections.abc import Callable
from uuid import UUID

import httpx

from stocktake.db.session import Database
from stocktake.schema.columns import Column
from tests.integration.api.console.conftest import text_of
from tests.integration.api.console.test_pages import MOST_BYTES
from tests.integration.api.test_changes import settle

MakeTable = Callable[..., UUID]


def test_a_long_comparison_is_paged_in_its_own_part(
    browser: httpx.Client, client: httpx.Client, make_table: MakeTable, database: Database
) -> None:
    old = [Column.of(f"c{at:03}" + "<" * 10_000, "Int64") for at in range(130)]
    table = make_table(
        "wide", columns=[each.as_dict() for each in old], schema_version=1, change_policy="manual"
    )
    settle(database, table, tuple(Column.of(each.name, "String") for each in old))
    change = client.get("changes/").json()["results"][0]["id"]
    assert client.post(f"changes/{change}/decide/", json={"accept": "all"}).is_success
    first = browser.get(f"tables/{table}/history")
    assert "40 of 130</span>" in text_of(first)
    assert len(first.content) < MOST_BYTES
    assert 'aria-label="Parts of the differences"' in first.text
    assert f"/tables/{table}/history?line=40" in first.text
    last = text_of(browser.get(f"tables/{table}/history?line=120"))
    assert "c129" in last
    assert "c060" not in last
    assert last.count("<li>") == 10 + text_of(browser.get("health")).count("<li>")
