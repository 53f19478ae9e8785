"""The policies of docs/stores.md, word for word, with moto: it keeps to actions and resources.

It does not look at the condition on a listing's prefix, and wants the right to delete for the
bucket itself, so that nothing can be removed there with a policy that is right for AWS.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from stocktake.errors import AccessDeniedError
from stocktake.storage.managed import storage_at
from stocktake.storage.stores.exclusive import require_exclusive_put
from stocktake.storage.stores.opening import Credential
from tests.stores.matrix import PAGE
from tests.stores.scenarios import COLUMNS, CSV, names
from tests.stores.servers import Moto
from tests.stores.tested import MotoKind, Place


@pytest.fixture(scope="module")
def moto() -> Iterator[Moto]:
    server = Moto().start()
    yield server
    server.stop()


def _written(bucket: str) -> list[dict[str, Any]]:
    [policy] = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.S)
    statements: list[dict[str, Any]] = json.loads(policy.replace("BUCKET", bucket))["Statement"]
    return statements


def test_a_source_is_read_with_the_least_policy_and_nothing_beside_it(moto: Moto) -> None:
    store = MotoKind(moto)
    place = Place(store=store, bucket=store.bucket("least-source"))
    for folder in ("orders", "salaries"):
        place.put(f"{folder}/1.csv", CSV)
    key, secret = moto.make_user("least-source", *_written(place.bucket))
    keys = Credential(access_key=key, access_secret=secret)
    for pattern in ("orders/*.csv", "orders/1.csv"):
        assert names(place.read(pattern, credential=keys)) == COLUMNS
    with pytest.raises(AccessDeniedError):
        place.read("salaries/1.csv", credential=keys)


def test_managed_storage_works_with_the_least_policy(moto: Moto) -> None:
    bucket = MotoKind(moto).bucket("least-managed")
    listing, reading = json.loads(json.dumps(_written(bucket)).replace("orders/", "managed/"))
    more = re.search(r"below `managed/` .*? beside", PAGE.read_text())
    assert more is not None
    reading["Action"] = ["s3:GetObject", *re.findall(r"`(s3:\w+)`", more[0])]
    key, secret = moto.make_user("least-managed", listing, reading)
    storage = storage_at(
        f"s3://{bucket}/managed",
        access_key=key,
        access_secret=secret,
        endpoint=moto.endpoint,
        region=moto.region,
    )
    require_exclusive_put(storage)
    uri, options = storage.delta_root(1, "orders")
    for number in range(2):
        rows = pa.table({"id": [number]})
        write_deltalake(uri, rows, mode="append", storage_options=options)
    assert DeltaTable(uri, storage_options=options).to_pyarrow_table().num_rows == 2
