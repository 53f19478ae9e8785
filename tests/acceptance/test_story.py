"""Two writers who disagree: from blame to a pending change, a decision and its undoing.

Over HTTP, by the command line and by the client, on real files in a real store; web and worker are
processes of their own.
"""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs
from typer.testing import CliRunner, Result

from cli import app
from servers.seaweedfs import SeaweedFS
from servers.service import Worker
from stocktake.client import Client, ConflictError
from tests.support.harness import Stack

Write = Callable[..., None]
LIVE = {"id": "Nullable(Int64)", "price": "Nullable(Int64)"}


@pytest.fixture
def extra_settings(extra_settings: dict[str, str], s3: SeaweedFS) -> dict[str, str]:
    """The service trusts the store."""
    return extra_settings | {"TRUSTED_ENDPOINTS": s3.endpoint}


@pytest.fixture
def api(stack: Stack, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client of the running service, whom commands ask as well."""
    web, key = stack.start_web(), stack.make_key()
    monkeypatch.setenv("STOCKTAKE_URL", web.url)
    monkeypatch.setenv("STOCKTAKE_API_KEY", key)
    monkeypatch.delenv("STOCKTAKE_PROJECT_ID", raising=False)
    with Client() as opened:
        yield opened


@pytest.fixture
def client(api: Client) -> Iterator[httpx.Client]:
    """Bare HTTP, below the project."""
    headers = {"Authorization": f"Bearer {api.address.api_key}"}
    with httpx.Client(base_url=api.address.base_url, headers=headers, timeout=90) as opened:
        yield opened


def run(*arguments: str, status: int = 0) -> Result:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == status, (done.output, done.exception)
    return done


@pytest.fixture
def write(s3: SeaweedFS, bucket: str) -> Write:
    """Put a Parquet file of one row into the bucket, as one of the writers does."""
    store = fs.S3FileSystem(
        access_key=s3.access_key,
        secret_key=s3.secret_key,
        endpoint_override=s3.endpoint,
        region=s3.region,
    )

    def put(name: str, **columns: Any) -> None:
        row = pa.table({column: [value] for column, value in columns.items()})
        pq.write_table(row, f"{bucket}/{name}", filesystem=store)

    return put


@pytest.fixture
def orders(client: httpx.Client, s3: SeaweedFS, bucket: str, write: Write) -> str:
    """The table, read once, when there was but one writer; new columns alone go live."""
    write("shop-1.parquet", id=1, price=5)
    body = {
        "name": "orders",
        "format": "Parquet",
        "url_pattern": s3.url(bucket, "*.parquet"),
        "credential": {
            "access_key": s3.access_key,
            "access_secret": s3.secret_key,
        },
        "change_policy": "additive_only",
    }
    answer = client.post("warehouse_tables/", json=body, headers={"Prefer": "wait=20"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def live(client: httpx.Client, table: str) -> dict[str, str]:
    """The columns that readers see."""
    number = client.get(f"warehouse_tables/{table}/").json()["schema_version"]
    version = client.get(f"warehouse_tables/{table}/schema_versions/{number}/").json()
    return {column["name"]: column["clickhouse"] for column in version["columns"]}


def refresh(client: httpx.Client, table: str) -> dict[str, Any]:
    path = f"warehouse_tables/{table}/refresh_schema/"
    job = client.post(path, headers={"Prefer": "wait=20"}).json()
    assert job["state"] == "succeeded", job
    result: dict[str, Any] = job["result"]
    return result


def test_the_story_over_http(client: httpx.Client, orders: str, write: Write) -> None:
    write("till-1.parquet", id=2, price="five", note="by hand")
    result = refresh(client, orders)

    # what went live, and what waits
    assert (result["change"], result["pending_change"]["change"]) == ("additive", "breaking")
    assert live(client, orders) == LIVE | {"note": "Nullable(String)"}

    # who brought it
    (note,) = result["diff"]["added"]
    assert note["origin"]["brought_by"]["file"] == "till-1.parquet"
    assert (note["origin"]["files"], note["origin"]["of_files"]) == (1, 2)
    change = client.get(f"changes/{result['pending_change']['id']}/").json()
    (part,) = change["parts"]
    assert {camp["type"]: camp["first"]["file"] for camp in part["origin"]["camps"]} == {
        "Nullable(Int64)": "shop-1.parquet",
        "Nullable(String)": "till-1.parquet",
    }

    # the decision, and its undoing
    path = f"changes/{change['id']}/"
    decided = client.post(f"{path}decide/", json={"columns": {"price": "accept"}}).json()
    assert (decided["state"], decided["applied_as_version"]) == ("decided", 3)
    assert live(client, orders)["price"] == "Nullable(String)"
    # who brought what was accepted is told as of what goes live by itself
    version = client.get(f"warehouse_tables/{orders}/schema_versions/3/diff/").json()
    (price,) = version["diff"]["changed"]
    assert price["origin"]["brought_by"]["file"] == "till-1.parquet"
    assert len(price["origin"]["camps"]) == 2
    (part,) = client.get(path).json()["parts"]
    assert part["origin"]["first"]["file"] == "shop-1.parquet"
    assert client.post(f"{path}undo/").json()["undecided"] == 1
    assert live(client, orders) == LIVE | {"note": "Nullable(String)"}
    entries = client.get("audit_log/").json()["results"]
    done = [entry["action"] for entry in entries if entry["action"].startswith("change.")]
    assert done == ["change.undo", "change.decide"]


def test_the_story_by_the_command_line(client: httpx.Client, orders: str, write: Write) -> None:
    write("till-1.parquet", id=2, price="five", note="by hand")
    planned = run("plan", "orders", status=4).stdout
    assert "orders: breaking; what is not additive would wait (policy additive_only)\n" in planned
    assert live(client, orders) == LIVE

    unknown = run("tables", "history", "orders", "--for-file", "till-9.parquet", status=1)
    assert 'No file "till-9.parquet" is remembered.' in str(unknown.exception)
    unknown = run("tables", "diff", "orders", "9", status=1)
    assert "`stocktake tables history orders`" in str(unknown.exception)

    read = run("refresh", "orders", "--wait").stdout
    assert "  + note  Nullable(String)\n      by till-1.parquet, " in read
    assert "orders: A change waits (breaking): stocktake changes show orders\n" in read
    shown = run("tables", "show", "orders").stdout
    assert "note\tNullable(String)\tyes\t1 of 2\ttill-1.parquet\n" in shown
    assert "A change waits (breaking): stocktake changes show orders\n" in shown
    blamed = run("changes", "show", "orders").stdout
    assert "  Nullable(Int64) in 1 file: shop-1.parquet\n" in blamed
    assert "  Nullable(String) in 1 file: till-1.parquet\n" in blamed

    run("changes", "pin", "orders", "price")
    assert "A change waits" not in run("tables", "show", "orders").stdout
    assert run("plan", "orders").stdout.endswith("0 would change, 0 failed. Nothing was changed.\n")
    assert "1 wait again" in run("changes", "undo", "orders").stdout
    assert "applied as version 3" in run("changes", "accept", "orders", "--all").stdout
    assert live(client, orders)["price"] == "Nullable(String)"


def test_the_story_by_the_client(
    api: Client, client: httpx.Client, orders: str, write: Write
) -> None:
    write("till-1.parquet", id=2, price="five")
    assert api.tables.plan("orders").result.waits == "breaking"
    waiting = api.tables.refresh("orders", wait=True).result.pending_change
    change = api.changes.latest("orders")
    assert (waiting.id, api.tables.get("orders").pending_change.id) == (change.id, change.id)
    (part,) = change.parts
    assert [camp["first"]["file"] for camp in part.origin["camps"]] == [
        "shop-1.parquet",
        "till-1.parquet",
    ]

    # a newer read brings more, and the old change is no longer to be decided
    write("till-2.parquet", id="three", price="six")
    api.tables.refresh("orders", wait=True)
    with pytest.raises(ConflictError) as refused:
        api.changes.accept(change)
    assert refused.value.code == "change_replaced"
    newer = api.changes.latest("orders")
    assert api.changes.get(change).replaced_by == newer.id

    half = api.changes.reject(newer, ["id"])
    assert (half.state, half.undecided) == ("pending", 1)
    assert api.changes.accept(newer, ["price"]).state == "decided"
    assert live(client, orders) == LIVE | {"price": "Nullable(String)"}
    assert api.changes.undo(newer).undecided == 1
    assert live(client, orders) == LIVE
    assert [each.state for each in api.changes.list(table="orders")] == ["pending", "replaced"]
    assert api.changes.decide(newer, {"price": "pin"}).state == "decided"
    assert api.tables.plan("orders").result.change == "none"
