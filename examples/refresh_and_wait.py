r"""Register a table, refresh it, wait for the job and print what changed.

    STOCKTAKE_API_KEY=$(cat .stocktake/api_key) \
        python examples/refresh_and_wait.py orders Delta file:///path/orders

A bucket's keys are taken from ACCESS_KEY and ACCESS_SECRET. Needs only httpx.
"""

import argparse
import os
import sys

import httpx


def table_id(api: httpx.Client, name: str, format_: str, url: str) -> str:
    """Return the table of this name; register and read it once where there is none."""
    for table in api.get("warehouse_tables/", params={"search": name}).json()["results"]:
        if table["name"] == name:
            return str(table["id"])
    body = {"name": name, "format": format_, "url_pattern": url}
    if key := os.environ.get("ACCESS_KEY"):
        body["credential"] = {"access_key": key, "access_secret": os.environ["ACCESS_SECRET"]}
    # Waits for the first read: 201 with the columns, or 400 with what is wrong and no table.
    made = api.post("warehouse_tables/", json=body, headers={"Prefer": "wait=30"})
    if made.status_code == 400:
        sys.exit(f"not registered: {made.json()['detail']}")
    print(f"registered, {len(made.raise_for_status().json()['columns'])} columns")
    return str(made.json()["id"])


def refresh(api: httpx.Client, table: str) -> dict:
    """Have the columns read again, and the job once it has ended."""
    job = api.post(f"warehouse_tables/{table}/refresh_schema/").raise_for_status().json()
    while not job["done"]:
        # A long poll: it returns at the job's end, or after 20 s with the job as it is.
        job = api.get(f"jobs/{job['id']}/", params={"wait": 20}).raise_for_status().json()
    return job


def main(name: str, format_: str, url: str) -> None:
    """Return the columns, brought up to date; status 1 and the reason where they cannot be."""
    server = os.environ.get("STOCKTAKE_URL", "http://127.0.0.1:8000")
    key = {"Authorization": f"Bearer {os.environ['STOCKTAKE_API_KEY']}"}
    base = f"{server}/api/projects/@current/"
    try:
        with httpx.Client(base_url=base, headers=key, timeout=60) as api:
            job = refresh(api, table_id(api, name, format_, url))
    except httpx.HTTPStatusError as exc:
        sys.exit(f"{server} answers {exc.response.status_code}: {exc.response.text}")
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        sys.exit(f"{server} does not answer ({exc}). Is it running? STOCKTAKE_URL says where.")
    if job["state"] != "succeeded":
        error = job["error"] or {"detail": "", "hint": ""}
        sys.exit(f"{job['state']}: {error['detail']} {error['hint'] or ''}")
    print(f"{job['result']['change']}, {job['result']['columns']} columns")
    for column in job["result"]["diff"]["added"]:
        print(f"+ {column['name']}  {column['type']}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="of the table, as it is or will be registered")
    parser.add_argument("format", help="such as Delta, Parquet or CSVWithNames")
    parser.add_argument("url", help="of its files")
    given = parser.parse_args()
    if not os.environ.get("STOCKTAKE_API_KEY"):
        parser.error("set STOCKTAKE_API_KEY; a stack of `stocktake up` keeps one in its folder")
    main(given.name, given.format, given.url)
