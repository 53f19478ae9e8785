"""Opening what a location names: a local folder or a bucket, behind one small protocol."""

import os
from pathlib import Path

from stocktake.storage.places.globs import escape, is_glob, literal, split_folder
from stocktake.storage.places.urls import Location
from stocktake.storage.stores.egress import route
from stocktake.storage.stores.keys import AccountKey, SharedAccess, azure_secret
from stocktake.storage.stores.local import LocalObjects
from stocktake.storage.stores.protocol import (
    MAX_RETRIES,
    RETRY_SECONDS,
    Answer,
    Chunk,
    Credential,
    Item,
    ObjectInfo,
    ObjectStore,
)

__all__ = [
    "Answer",
    "Chunk",
    "Credential",
    "Item",
    "LocalObjects",
    "ObjectInfo",
    "ObjectStore",
    "delta_storage_options",
    "open_source",
    "open_store",
    "split_root",
]


def open_source(
    location: Location, credential: Credential | None = None, *, public: bool = False
) -> tuple[ObjectStore, str]:
    """Return the store that a guarded location lies in, and the pattern or Delta root in it.

    Args:
        location: as `stocktake.storage.places.guard.recheck` returned it just now.
        credential: decrypted; None for a file or a public source.
        public: whether the source is read unsigned; the credential is then not used.
    """
    if location.provider == "file":
        folder, path = split_root(location)
        return _local(location, folder, path), path
    allow_http = location.scheme == "http"  # the guard let it through, so it is trusted
    store = open_store(location, credential, public=public, allow_http=allow_http)
    return store, location.pattern.rstrip("/")


def open_store(
    location: Location, credential: Credential | None, *, public: bool, allow_http: bool
) -> ObjectStore:
    """Return the store that a guarded location lies in. Nothing is connected to before the first
    read.

    Args:
        location: where; its key is used for a file only, to find the folder.
        credential: decrypted; None for a file or a public source.
        public: whether the source is read unsigned; the credential is then not used.
        allow_http: whether the endpoint may be plain http: a trusted one only.
    """
    if location.provider == "file":
        return _local(location, *split_root(location))
    from stocktake.storage.stores.remote import RemoteObjects  # late: a local read loads no obstore

    return RemoteObjects(location, credential, public=public, allow_http=allow_http)


def split_root(location: Location) -> tuple[Path, str]:
    """Return the folder that a local source is in, and the pattern of the path in it.

    For a glob the folder is the one before the first glob character; for a file or a Delta table
    it is the parent of what the path, symlinks resolved, names.
    """
    if is_glob(location.pattern):
        folder, pattern = split_folder(location.pattern)
        return Path(location.local_path or os.path.realpath(folder)), pattern
    resolved = Path(location.local_path or os.path.realpath(location.key))
    return resolved.parent, escape(resolved.name)


def _local(location: Location, folder: Path, path: str) -> LocalObjects:
    beneath = Path(location.local_root) if location.local_root else None
    if is_glob(location.pattern):
        return LocalObjects(folder, beneath=beneath, resolved=True)
    # The root itself was named: nothing is above it that may be looked into.
    if beneath is not None and not folder.is_relative_to(beneath):
        beneath = folder
    return LocalObjects(folder, beneath=beneath, only=literal(path), resolved=True)


_RETRY = {"max_retries": f"{MAX_RETRIES}", "retry_timeout": f"{RETRY_SECONDS}s"}


def delta_storage_options(
    location: Location, credential: Credential | None
) -> tuple[str, dict[str, str]]:
    """Return the table URI and options with which the deltalake package writes to managed storage.

    Args:
        location: managed storage, with the Delta root as its key.
        credential: managed storage's own; None for a local folder.
    """
    key = location.key.strip("/")
    if location.provider == "file" or credential is None:
        return location.key.rstrip("/"), {}
    if location.provider == "azure":
        return f"az://{location.bucket}/{key}", _azure_options(location, credential)
    return f"s3://{location.bucket}/{key}", _s3_options(location, credential)


def _azure_options(location: Location, credential: Credential) -> dict[str, str]:
    way = route(
        location.endpoint or f"https://{location.host}", allow_http=location.scheme == "http"
    )
    return {
        **_RETRY,
        **_azure_secret_options(location, credential),
        "azure_storage_account_name": location.account or credential.access_key,
        "azure_storage_endpoint": way.endpoint,
        "allow_http": str(way.allow_http).lower(),
        "proxy_url": way.proxy_url,
        "proxy_excludes": way.proxy_excludes,
    }


def _azure_secret_options(location: Location, credential: Credential) -> dict[str, str]:
    match azure_secret(credential, location.account):
        case AccountKey(key=key):
            return {"azure_storage_account_key": key}
        case SharedAccess(token=token):
            return {"azure_storage_sas_token": token}
        case client:
            from stocktake.storage.stores.entra import EntraToken  # late: it loads an HTTP client

            return {"azure_storage_token": EntraToken(client, location.host)()["token"]}


def _s3_options(location: Location, credential: Credential) -> dict[str, str]:
    options = {
        **_RETRY,
        "AWS_ACCESS_KEY_ID": credential.access_key,
        "AWS_SECRET_ACCESS_KEY": credential.access_secret,
        "AWS_REGION": location.signing_region,
        "AWS_ALLOW_HTTP": "false",
        # Without it two writers may both believe that they made the same version.
        "aws_conditional_put": "etag",
    }
    if location.endpoint is not None:
        way = route(location.endpoint, allow_http=location.scheme == "http")
        options["AWS_ENDPOINT_URL"] = way.endpoint
        options["AWS_ALLOW_HTTP"] = str(way.allow_http).lower()
        options["AWS_VIRTUAL_HOSTED_STYLE_REQUEST"] = "false"
        options["proxy_url"], options["proxy_excludes"] = way.proxy_url, way.proxy_excludes
    return options
