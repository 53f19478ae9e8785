"""A certificate that is not believed is told as what it is by all who meet it; nothing is sent."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from cli.doctor.stores import look_at_stores
from servers.certificates import make_certificate
from stocktake.errors import JobError
from stocktake.runs import managed_table
from stocktake.settings import Settings
from stocktake.storage.managed import ManagedStorage, storage_at
from stocktake.storage.places.urls import parse
from stocktake.storage.stores.certificates import certificate_error
from stocktake.storage.stores.opening import open_source
from stocktake.storage.stores.protocol import Credential
from tests.support.hostile_store import FOUND, Hostile, hostile

KEYS = Credential(access_key="AK", access_secret="c2VjcmV0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with a server's certificate, and the words that tell it."""

    words: str
    host: str = "127.0.0.1"
    days: tuple[int, int] = (-1, 1)
    trusted: bool = True
    tls: bool = True


FAULTS = {
    "unknown": Fault(
        words="The certificate of 127.0.0.1 is not signed by anyone this machine trusts.",
        trusted=False,
    ),
    "expired": Fault(words="The certificate of 127.0.0.1 has expired.", days=(-3, -2)),
    "early": Fault(words="The certificate of 127.0.0.1 is not valid yet.", days=(2, 3)),
    "name": Fault(words="The certificate of localhost is for another name.", host="localhost"),
    "no tls": Fault(words="127.0.0.1 does not speak TLS at this port.", tls=False),
}


@contextmanager
def faulty(fault: Fault, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hostile]:
    certificate = make_certificate(folder, days=fault.days)
    if fault.trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.authority))
    else:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with hostile(lambda _: FOUND, certificate.context() if fault.tls else None) as server:
        yield server


def read(endpoint: str) -> None:
    open_source(parse(f"{endpoint}/bucket/k"), KEYS)[0].get("k")


def listing(endpoint: str) -> None:
    list(open_source(parse(f"{endpoint}/bucket/k"), KEYS)[0].list("k"))


def read_azure(endpoint: str) -> None:
    from stocktake.storage.places.guard import GuardPolicy, check

    location = check(f"{endpoint}/a/c/k", GuardPolicy(trusted_endpoints=(f"azure+{endpoint}",)))
    account = Credential(access_key="a", access_secret="c2VjcmV0")
    open_source(location, account)[0].get("k")


def managed(endpoint: str) -> ManagedStorage:
    return storage_at(
        "s3://bucket/x", access_key="AK", access_secret="SK", endpoint=endpoint, region="r1"
    )


def upload(endpoint: str) -> None:
    async def send() -> None:
        sink = managed(endpoint).open_upload("k")
        await sink.write(b"bytes")
        await sink.finish()

    asyncio.run(send())


def write_delta(endpoint: str) -> None:
    from deltalake import write_deltalake

    uri, options = managed(endpoint).delta_root(1, "t")
    with managed_table.mapped():
        write_deltalake(uri, pa.table({"id": [1]}), storage_options=options)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("use", [read, listing, read_azure, upload, write_delta])
def test_each_use_tells_the_same(
    use: Callable[[str], None], fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = FAULTS[fault]
    with faulty(wrong, tmp_path, monkeypatch) as server:
        with pytest.raises(JobError) as caught:
            use(f"https://{wrong.host}:{server.server_port}")
        assert server.connections
        assert server.seen == []
    assert caught.value.detail == wrong.words
    assert (caught.value.code, caught.value.retryable) == ("certificate_refused", True)
    assert caught.value.hint


@pytest.mark.parametrize("fault", FAULTS)
def test_doctor_tells_it_of_managed_storage_and_of_endpoints(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = FAULTS[fault]
    with faulty(wrong, tmp_path, monkeypatch) as server:
        endpoint = f"https://{wrong.host}:{server.server_port}"
        settings = Settings(
            managed_storage_url="s3://bucket/x",
            managed_storage_endpoint=endpoint,
            managed_storage_access_key="AK",
            managed_storage_access_secret="SK",
            trusted_endpoints=(endpoint,),
        )
        found = [finding for finding in look_at_stores(settings) if wrong.words in str(finding)]
    assert len(found) >= 2, found


def test_a_trusted_authority_is_trusted_by_doctor_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty(Fault(words=""), tmp_path, monkeypatch) as server:
        [*_, finding] = look_at_stores(
            Settings(data_dir=tmp_path, trusted_endpoints=(server.endpoint,))
        )
    assert "answers from here (200)" in str(finding)


@pytest.mark.parametrize("entry", ["https://x.corp:99999", "https://a.{bucket}.corp"])
def test_doctor_tells_of_an_entry_that_trusts_nobody(entry: str, tmp_path: Path) -> None:
    [*_, finding] = look_at_stores(Settings(data_dir=tmp_path, trusted_endpoints=(entry,)))
    assert "trusts nobody" in str(finding)


@pytest.mark.parametrize(
    "text",
    [
        "Error performing GET https://b.example/InvalidCertificate/UnknownIssuer in 1ms",
        "tcp connect error: Connection refused",
        "https://b.example/x?invalid%20peer%20certificate",
        "",
    ],
)
def test_nothing_else_is_taken_for_one(text: str) -> None:
    assert certificate_error(text) is None
