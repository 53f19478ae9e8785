"""A shop's warehouse: a running stack whose tables have grown, broken and waited."""

import csv
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import write_deltalake

from servers.service import Up
from tests.support.commands import stocktake
from tests.support.stack import wait_until

_CITIES = ("Lisbon", "Oslo", "Kraków", "Nairobi", "Osaka", "Quito")
#: Tables with little to tell, so that a list is one.
_PLAIN = (
    "carriers", "coupons", "exchange_rates", "invoices", "newsletter_opens", "page_views",
    "price_history", "product_reviews", "returns", "search_terms", "stock_levels", "suppliers",
    "support_tickets", "tax_rules", "warehouses",
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Shop:
    """A stack with data in it.

    Attributes:
        ids: of things that pages are about, by the names that paths have for them.
        more: addresses of further states of pages, below the project.
    """

    up: Up
    api: httpx.Client
    ids: dict[str, str] = field(default_factory=dict)
    more: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """An API key that may do everything."""
        return self.up.client_settings()["API_KEY"]

    @property
    def database_url(self) -> str:
        """The stack's database."""
        return f"sqlite:///{self.up.data_dir}/stocktake.db"

    def path(self, name: str) -> str:
        """A page's address: of a route, or of a state that `more` names."""
        if name.startswith("/p/"):
            return name.format(project_id=1, **self.ids)
        return f"/p/1/{self.more.get(name, name).format(**self.ids)}"

    def reader_key(self) -> str:
        """A new API key that may only look."""
        command = ("keys", "create", "--project", "1", "--scopes", "warehouse_table:read")
        settings = {"DATABASE_URL": self.database_url}
        made = stocktake(*command, folder=self.up.folder, settings=settings)
        return next(word for word in made.stdout.split() if word.startswith("stk_"))

    def asked(self, method: str, path: str, **request: Any) -> Any:
        """What the API answers; while it is busy it is asked again, as it says."""
        answers: list[httpx.Response] = []

        def answered() -> bool:
            answers.append(self.api.request(method, path, **request))
            return answers[-1].status_code != httpx.codes.SERVICE_UNAVAILABLE

        wait_until(answered, f"an answer to {method} {path}")
        assert answers[-1].is_success, f"{method} {path}: {answers[-1].text}"
        return answers[-1].json() if answers[-1].content else None

    def add(self, name: str, kind: str, pattern: str) -> str:
        """Register a table, which is read soon; its id."""
        body = {"name": name, "format": kind, "url_pattern": f"file://{self.up.sources}/{pattern}"}
        return str(self.asked("POST", "warehouse_tables/", json=body)["id"])

    def refresh(self, table: str) -> str:
        """Refresh a table and wait for the end; the job's id."""
        self.wait_for_jobs()
        job = self.asked("POST", f"warehouse_tables/{table}/refresh_schema/")["id"]
        self.wait_for_jobs()
        return str(job)

    def wait_for_jobs(self) -> None:
        """Wait until no job is under way."""

        def undone() -> list[Any]:
            found: list[Any] = []
            for state in ("queued", "running"):
                found += self.asked("GET", "jobs/", params={"state": state})["results"]
            return found

        wait_until(lambda: not undone(), "the end of all jobs", undone)

    def folder(self, name: str) -> Path:
        """A folder of a table's files."""
        made = self.up.sources / name
        made.mkdir(exist_ok=True)
        return made


@contextmanager
def opened(folder: Path) -> Iterator[Shop]:
    """Start a stack of `stocktake up`, without limits and without data."""
    up = Up(folder)
    up.settings |= {"RATE_LIMIT_PER_MINUTE": "0", "RATE_LIMIT_PER_HOUR": "0"}
    with up:
        headers = {"Authorization": f"Bearer {up.client_settings()['API_KEY']}"}
        base = f"{up.url}/api/projects/@current/"
        with httpx.Client(base_url=base, headers=headers, timeout=60) as api:
            yield Shop(up=up, api=api)


def fill(shop: Shop) -> None:
    """Fill the stack, and note what pages can be about."""
    _grow_orders(shop)
    _hold_payments_back(shop)
    _break_some(shop)
    for name in _PLAIN:
        _write_csv(shop.folder(name) / "part-0.csv", ("id", "name", "updated_at"))
        shop.add(name, "CSVWithNames", f"{name}/*.csv")
    _plan(shop)
    _read_all(shop)
    _look_at_rows(shop)


def _grow_orders(shop: Shop) -> None:
    folder = shop.folder("orders")
    _write_parquet(folder / "2026-10.parquet", {"order_id": pa.int64(), "total": pa.float64()})
    _write_parquet(
        folder / "2026-11.parquet",
        {"order_id": pa.int64(), "total": pa.float64(), "city": pa.string()},
    )
    table = shop.ids["table_id"] = shop.add("orders", "Parquet", "orders/*.parquet")
    shop.wait_for_jobs()
    wider = {"order_id": pa.int64(), "total": pa.float64(), "city": pa.string()}
    _write_parquet(folder / "2026-12.parquet", {**wider, "coupon": pa.string()})
    shop.ids["job_id"] = shop.refresh(table)
    events = shop.folder("events") / "clicks.jsonl"
    lines = ({"user": at, "page": "/shop", "at": "2026-11-02T10:00:00Z"} for at in range(50))
    events.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    shop.add("events", "JSONEachRow", "events/*.jsonl")
    customers = str(shop.folder("customers"))
    write_deltalake(customers, pa.table({"customer_id": [1, 2, 3], "city": list(_CITIES[:3])}))
    shop.add("customers", "Delta", "customers")


def _hold_payments_back(shop: Shop) -> None:
    """Let two tables change so that somebody has to decide."""
    for name, folder in (("payments", "payments"), ("shipments", "shipments")):
        path = str(shop.folder(folder))
        write_deltalake(
            path, pa.table({"id": [1, 2], "amount": [5, 7], "currency": ["EUR", "JPY"]})
        )
        table = shop.add(name, "Delta", folder)
        shop.wait_for_jobs()
        shop.asked("PATCH", f"warehouse_tables/{table}/", json={"change_policy": "manual"})
        newer = pa.table({"id": [3], "amount": ["7.50"], "method": ["card"], "city": [_CITIES[0]]})
        write_deltalake(path, newer, mode="overwrite", schema_mode="overwrite")
        shop.refresh(table)
    changes = shop.asked("GET", "changes/", params={"state": "pending"})["results"]
    assert len(changes) == 2, changes
    shop.ids["change_id"], other = (str(each["id"]) for each in changes)
    shop.more["a change to decide"] = f"changes/{other}"


def _break_some(shop: Shop) -> None:
    gone = shop.folder("sessions")
    _write_csv(gone / "a.csv", ("id", "name", "updated_at"))
    table = shop.add("sessions", "CSVWithNames", "sessions/*.csv")
    shop.wait_for_jobs()
    shutil.rmtree(gone)
    shop.more["a job that failed"] = f"jobs/{shop.refresh(table)}"
    shop.more["a table that fails"] = f"tables/{table}"
    for name in ("refunds", "gift_cards"):
        folder = shop.folder(name)
        (folder / "part-0.parquet").write_bytes(b"PAR1 cut off on the way")
        shop.add(name, "Parquet", f"{name}/*.parquet")


def _plan(shop: Shop) -> None:
    for name, cron, selector in (
        ("Every morning", "15 5 * * *", {"all": True}),
        ("Orders, hourly", "5 * * * *", {"search": "order"}),
    ):
        body = {"name": name, "cron": cron, "timezone": "Europe/Lisbon", "selector": selector}
        made = shop.asked("POST", "schedules/", json=body)
        shop.ids["schedule_id"] = str(made["id"])
    shop.asked("PATCH", f"schedules/{shop.ids['schedule_id']}/", json={"paused": True})


def fail_a_schedule(shop: Shop) -> None:
    """Wait until the clock has fired one whose tables cannot be read: up to a minute."""
    body = {"name": "Refunds, before opening", "cron": "* * * * *", "selector": {"search": "refu"}}
    made = shop.asked("POST", "schedules/", json=body)["id"]
    started = {"schedule": made}

    def batches() -> Any:
        return shop.asked("GET", "batches/", params=started)["results"]

    wait_until(lambda: bool(batches()), "the fire of a schedule", batches)
    shop.asked("PATCH", f"schedules/{made}/", json={"cron": "0 4 * * *"})
    shop.wait_for_jobs()


def _look_at_rows(shop: Shop) -> None:
    """Have the first rows of a file read; they are shown for ten minutes."""
    shop.asked("PATCH", "", json={"row_previews": True})
    table = shop.ids["table_id"]
    job = shop.asked("POST", f"warehouse_tables/{table}/preview/", json={})["id"]
    shop.wait_for_jobs()
    shop.more["rows of a file"] = f"tables/{table}/data?job={job}"


def _read_all(shop: Shop) -> None:
    body = {"action": "refresh", "selector": {"all": True}}
    batch = shop.asked("POST", "batches/", json=body)
    shop.ids["batch_id"] = str(batch["id"])
    shop.wait_for_jobs()


def _write_parquet(file: Path, columns: dict[str, pa.DataType]) -> None:
    texts = [_CITIES[at % len(_CITIES)] for at in range(200)]
    values = {
        name: texts
        if kind == pa.string()
        else [at + 0.5 * (kind == pa.float64()) for at in range(200)]
        for name, kind in columns.items()
    }
    pq.write_table(pa.table(values, schema=pa.schema(list(columns.items()))), file)


def _write_csv(file: Path, names: tuple[str, ...]) -> None:
    with file.open("w", encoding="utf-8", newline="") as opened_file:
        writer = csv.writer(opened_file)
        writer.writerow(names)
        for at in range(40):
            writer.writerow((at, _CITIES[at % len(_CITIES)], f"2026-11-{at % 28 + 1:02} 08:30:00"))
