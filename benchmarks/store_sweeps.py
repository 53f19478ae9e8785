"""Jobs a second over S3 at 30 ms a request: what a sweep looks at waits for the network, all of it
at once."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final
from uuid import UUID

from obstore.store import S3Store

from benchmarks.delay_proxy import DelayProxy
from benchmarks.deployment import Deployment, deployed
from benchmarks.figures import Figure, Outcome, Target, ratio
from benchmarks.options import Options
from benchmarks.peers import REGION
from benchmarks.sources import delta_tables
from benchmarks.throughput import SWEPT, in_turns, jobs_per_second, measured_worker
from servers.seaweedfs import SeaweedFS
from servers.service import Worker
from stocktake.catalog.credentials import seal
from stocktake.db.models import StoredCredential, Table, new_id
from stocktake.schema.formats import TableFormat
from stocktake.security.encryption import AccessPair, Keyring

_TABLES: Final = 1000
_DELAY_SECONDS: Final = 0.03
_AT_ONCE: Final = 16
#: The issue's.
_TARGET: Final = Target(bound=1.3, lower_is_better=False)


def measure(options: Options) -> Iterator[Outcome]:
    """Refresh unchanged tables of a store in bulk, and publish as many no-ops, in turns."""
    count = options.sized(_TABLES)
    with (
        SeaweedFS() as store,
        DelayProxy(int(store.endpoint.rpartition(":")[2]), _DELAY_SECONDS) as proxy,
        deployed(options, TRUSTED_ENDPOINTS=proxy.endpoint) as deployment,
    ):
        bucket = store.bucket()
        delta_tables(deployment.sources, count)
        _upload(store, bucket, deployment.sources)
        urls = [f"{proxy.endpoint}/{bucket}/delta_{number}" for number in range(count)]
        _give_keys(deployment, deployment.register(urls, TableFormat.DELTA), store)
        with measured_worker(deployment, "workers", events=True):
            jobs_per_second(deployment, count)  # nothing is remembered of them yet
        proxy.traffic()
        jobs, noops = in_turns(deployment, count, events=True)
        requests = proxy.traffic().requests / (2 * count)
    yield Outcome(
        figures=[
            Figure(name="jobs, unchanged tables over S3", value=jobs, unit="/s"),
            Figure(name="no-op tasks beside them", value=noops, unit="/s"),
            ratio("jobs : no-ops, over S3", jobs, noops, _TARGET),
            Figure(name="requests to the store, an unchanged table", value=requests, unit=""),
        ],
        conditions=[
            f"{count} Delta tables of one commit in SeaweedFS, behind a proxy that adds "
            f"{_DELAY_SECONDS * 1000:g} ms to each request; one worker of {Worker.concurrency} "
            f"children, task events on, {SWEPT} jobs to a sweep; store and proxy run on the "
            "same cores; each rate is the mean of two runs, jobs and no-ops in turns"
        ],
    )


def _upload(store: SeaweedFS, bucket: str, folder: Path) -> None:
    target = S3Store(
        bucket,
        endpoint=store.endpoint,
        access_key_id=store.access_key,
        secret_access_key=store.secret_key,
        region=REGION,
        client_options={"allow_http": True},
    )
    files = [path for path in folder.rglob("*") if path.is_file()]
    keys = [path.relative_to(folder).as_posix() for path in files]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(target.put, keys, files))


def _give_keys(deployment: Deployment, table_ids: Sequence[UUID], store: SeaweedFS) -> None:
    """Seal the store's keys for each table, as the API would have."""
    keyring = Keyring([deployment.settings["SECRET_KEYS"]])
    pair = AccessPair(access_key=store.access_key, access_secret=store.secret_key)
    with deployment.database.write() as session:
        for table_id in table_ids:
            row = StoredCredential(id=new_id(), project_id=deployment.project_id)
            seal(keyring, row, pair)
            session.add(row)
            session.flush()
            session.get_one(Table, table_id).credential_id = row.id
