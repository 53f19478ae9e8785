"""Stores that speak TLS: a redirect leads nowhere, not even to another port, and nothing is sent
in clear.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from obstore.exceptions import GenericError
from obstore.store import S3Store

from servers.certificates import Certificate
from servers.seaweedfs import SeaweedFS
from stocktake.errors import StorageUnavailableError, UrlRefusedError
from stocktake.storage.managed import storage_at
from stocktake.storage.places.urls import parse
from stocktake.storage.stores.clients import build_client
from stocktake.storage.stores.egress import route
from stocktake.storage.stores.opening import ObjectStore, open_source
from stocktake.storage.stores.protocol import Credential
from stocktake.storage.stores.store_errors import from_store
from tests.security.service import Service, running
from tests.security.tripwire import Tripwire
from tests.support.hostile_store import FOUND, Answer, Hostile, hostile

KEYS = Credential(access_key="AK", access_secret="c2VjcmV0")

#: Where a store sends its client, by a word in the key: the port is that of another store.
ELSEWHERE = {
    "port": "https://127.0.0.1:{port}/bucket/k",
    "clear": "http://127.0.0.1:{port}/bucket/k",
    "name": "https://localhost:{port}/bucket/k",
    "metadata": "https://169.254.169.254/latest/meta-data/",
}
STATUSES = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A store that redirects as its keys say, and the one on another port that it may name.

    The second has a certificate that is as good, and whatever it is asked for.
    """

    lying: Hostile
    other: Hostile

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody goes to the other store meanwhile, and somebody to this one."""
        before, asked = self.other.connections, len(self.lying.seen)
        yield
        assert self.other.connections == before
        assert len(self.lying.seen) > asked

    def store(self, key: str) -> ObjectStore:
        return open_source(parse(f"{self.lying.endpoint}/bucket/{key}"), KEYS)[0]


@pytest.fixture(scope="module")
def certificate(s3: SeaweedFS) -> Certificate:
    return s3.certificate


@pytest.fixture(autouse=True)
def trust(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate is good for what this process builds."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.authority))


@pytest.fixture(scope="module")
def pair(certificate: Certificate) -> Iterator[Pair]:
    with hostile(lambda _: FOUND, certificate.context()) as other:

        def answer(target: str) -> Answer:
            """As the key says. A client that was sent elsewhere and asks here is sent on, so
            that no answer of this store's is taken for the other's."""
            for word, url in ELSEWHERE.items():
                for status in STATUSES:
                    if f"{status}-{word}" in target:
                        return status, b"", {"Location": url.format(port=other.server_port)}
            return 302, b"", {"Location": target}

        with hostile(answer, certificate.context()) as lying:
            yield Pair(lying=lying, other=other)


def test_the_other_store_would_have_been_believed(certificate: Certificate) -> None:
    """Else it would prove nothing that nobody went there."""
    with hostile(lambda _: FOUND, certificate.context()) as other:
        store = open_source(parse(f"{other.endpoint}/bucket/k"), KEYS)[0]
        assert store.get("k").data == b"bytes"
        assert other.connections == 1


@pytest.mark.parametrize(
    ("status", "word"),
    [
        *((status, "port") for status in STATUSES),
        *((302, other) for other in ELSEWHERE if other != "port"),
    ],
)
def test_a_redirect_ends_at_the_store(pair: Pair, status: int, word: str) -> None:
    key = f"{status}-{word}/k"
    store = pair.store(key)
    for read in (
        lambda: store.get(key),
        lambda: store.get(key, start=1, length=2),
        lambda: store.get_tail(key, 2),
        lambda: list(store.stream(key)),
        lambda: list(store.list(key)),
        lambda: store.map(store.get, [key]),
    ):
        with pair.alone(), pytest.raises(UrlRefusedError):
            read()


def test_a_redirect_of_managed_storage_takes_the_delta_writer_nowhere(pair: Pair) -> None:
    import pyarrow as pa
    from deltalake import write_deltalake

    managed = storage_at(
        "s3://bucket/307-port",
        access_key="AK",
        access_secret="SK",
        endpoint=pair.lying.endpoint,
    )
    uri, options = managed.delta_root(1, "0190")
    with pair.alone(), pytest.raises(OSError, match="_delta_log"):
        write_deltalake(uri, pa.table({"id": [1]}), storage_options=options)


@pytest.mark.parametrize("word", ["port", "clear"])
def test_a_known_stores_redirect_to_another_host_ends_nowhere(
    pair: Pair, certificate: Certificate, word: str
) -> None:
    """What such a store's client is given, for a host that stands in for its name."""
    way = route("https://s3.eu-west-1.amazonaws.com", allow_http=False)
    before = pair.other.connections
    with hostile(lambda _: (302, b"", {"Location": elsewhere}), certificate.context()) as store:
        elsewhere = ELSEWHERE[word].format(port=pair.other.server_port)
        elsewhere = elsewhere.replace("127.0.0.1", "localhost")
        client = S3Store(
            "bucket",
            endpoint=store.endpoint,
            skip_signature=True,
            client_options={
                "allow_http": way.allow_http,
                "proxy_url": way.proxy_url,
                "proxy_excludes": "127.0.0.1",
            },
            retry_config={"max_retries": 0},
        )
        with pytest.raises(GenericError) as caught:
            client.get("k")
        assert len(store.seen) == 1
    assert from_store(caught.value, "k").code == "url_refused"
    assert pair.other.connections == before


def test_connections_are_kept(certificate: Certificate) -> None:
    """Mostly: one is free for the next request a moment after its answer was read."""
    with hostile(lambda _: FOUND, certificate.context()) as server:
        store = open_source(parse(f"{server.endpoint}/bucket/k"), KEYS)[0]
        assert {store.get("k").data for _ in range(50)} == {b"bytes"}
        assert len(server.seen) == 50
        assert server.connections < 25


def test_nothing_is_sent_before_the_handshake() -> None:
    with Tripwire() as tripwire:
        store = open_source(parse(f"https://127.0.0.1:{tripwire.port}/bucket/k"), KEYS)[0]
        with pytest.raises(StorageUnavailableError):
            store.get("k")
    assert tripwire.heard
    assert {first[:2] for first in tripwire.heard} == {b"\x16\x03"}  # a handshake, of any TLS


def test_a_certificate_of_an_unknown_authority_is_not_believed(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with hostile(lambda _: FOUND, certificate.context()) as server:
        with pytest.raises(StorageUnavailableError):
            open_source(parse(f"{server.endpoint}/bucket/k"), KEYS)[0].get("k")
        assert server.connections
        assert server.seen == []


def test_a_certificate_of_another_host_is_not_believed(certificate: Certificate) -> None:
    with hostile(lambda _: FOUND, certificate.context()) as server:
        url = f"https://localhost:{server.server_port}/bucket/k"
        with pytest.raises(StorageUnavailableError):
            open_source(parse(url), KEYS)[0].get("k")
        assert server.connections
        assert server.seen == []


def test_the_store_sees_the_host_of_the_url(certificate: Certificate) -> None:
    """It is signed, and it is all that a server goes by."""
    with hostile(lambda _: FOUND, certificate.context()) as server:
        client = build_client(
            parse(f"{server.endpoint}/bucket/k"), KEYS, public=False, allow_http=False
        )
        client.get("k")
        [(_, headers)] = server.seen
    assert headers["host"] == f"127.0.0.1:{server.server_port}"
    assert "SignedHeaders=host;" in headers["authorization"]


# --- through the service --------------------------------------------------------------------


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory,
    migrated_sqlite_file: Path,
    s3: SeaweedFS,
    certificate: Certificate,
    pair: Pair,
) -> Iterator[Service]:
    """All its storage speaks TLS; the jobs run in a worker's children, which are forked."""
    with running(
        tmp_path_factory.mktemp("service"),
        migrated_sqlite_file,
        variables={"SSL_CERT_FILE": str(certificate.authority)},
        TRUSTED_ENDPOINTS=f"{pair.lying.endpoint},{s3.tls_endpoint}",
        MANAGED_STORAGE_URL=f"s3://{s3.bucket()}/managed",
        MANAGED_STORAGE_ENDPOINT=s3.tls_endpoint,
        MANAGED_STORAGE_REGION=s3.region,
        MANAGED_STORAGE_ACCESS_KEY=s3.access_key,
        MANAGED_STORAGE_ACCESS_SECRET=s3.secret_key,
    ) as service:
        yield service


@pytest.mark.parametrize("status", STATUSES)
def test_a_job_is_not_led_to_another_port(service: Service, pair: Pair, status: int) -> None:
    with pair.alone():
        job = service.register(
            name=f"lured-{status}",
            format="CSVWithNames",
            url_pattern=f"{pair.lying.endpoint}/bucket/{status}-port/a.csv",
            credential={"access_key": "AK", "access_secret": "SK"},
        )
    assert (job["state"], job["attempt"]) == ("failed", 1)
    assert job["error"]["code"] == "url_refused"


def test_a_table_is_read(service: Service, s3: SeaweedFS) -> None:
    keys = Credential(access_key=s3.access_key, access_secret=s3.secret_key)
    bucket = s3.bucket()
    plain = build_client(parse(s3.url(bucket, "k")), keys, public=False, allow_http=True)
    plain.put("orders/a.csv", b"id,name\n1,x\n")
    job = service.register(
        name="orders",
        format="CSVWithNames",
        url_pattern=f"{s3.tls_endpoint}/{bucket}/orders/*.csv",
        credential={"access_key": s3.access_key, "access_secret": s3.secret_key},
    )
    assert job["state"] == "succeeded", job["error"]


@pytest.mark.parametrize("target", ["file", "delta"])
def test_an_upload_is_kept_and_read(service: Service, target: str) -> None:
    """As the table's file; or by the Delta writer, in a table of our own."""
    answer = service.client.post(
        "warehouse_tables/file/",
        files={"file": ("a.csv", b"id,name\n1,x\n")},
        data={"name": f"kept_{target}", "format": "CSVWithNames", "target": target},
    )
    job = service.ended(answer.headers["location"])
    assert job["state"] == "succeeded", job["error"]
