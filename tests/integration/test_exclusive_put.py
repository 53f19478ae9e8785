"""Managed Delta is kept in no bucket that would lose a commit, and the bucket is asked first."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from servers.seaweedfs import SeaweedFS
from stocktake.errors import AccessDeniedError, JobError, StorageThrottledError, UnsupportedError
from stocktake.storage.managed import ManagedStorage, storage_at
from stocktake.storage.stores.exclusive import exclusive_put_holds, require_exclusive_put
from tests.stores.servers import HttpStore, make_bucket
from tests.support.hostile_store import Answer, Hostile, hostile

MADE: Answer = (200, b"", {"ETag": '"x"'})
EXISTS: Answer = (412, b"<Error><Code>PreconditionFailed</Code></Error>", {})


def storage_in(store: HttpStore | SeaweedFS, bucket: str) -> ManagedStorage:
    return storage_at(
        f"s3://{bucket}/managed",
        access_key=store.access_key,
        access_secret=store.secret_key,
        endpoint=store.endpoint,
        region=store.region,
    )


Script = Callable[[Callable[[int, int], Answer]], tuple[ManagedStorage, Hostile]]


@pytest.fixture
def scripted() -> Iterator[Script]:
    """Managed storage whose store answers the n-th write to its m-th key as a function says."""
    writes: Counter[str] = Counter()
    with hostile(lambda target: MADE) as server:

        def script(answer: Callable[[int, int], Answer]) -> tuple[ManagedStorage, Hostile]:
            def answered(target: str) -> Answer:
                writes[target] += 1
                return answer(list(writes).index(target), writes[target])

            server.answer = answered
            storage = storage_at(
                "s3://bucket", access_key="AK", access_secret="SK", endpoint=server.endpoint
            )
            return storage, server

        yield script


def test_a_store_with_conditional_writes_keeps_managed_delta(s3: SeaweedFS) -> None:
    storage = storage_in(s3, s3.bucket())
    require_exclusive_put(storage)
    assert list(storage.store().list("")) == []  # nothing of the question is left


def test_a_real_store_that_ignores_the_header_is_refused(rclone: HttpStore) -> None:
    make_bucket(rclone, "ignores")
    storage = storage_in(rclone, "ignores")
    with pytest.raises(UnsupportedError, match="lose one of two commits") as caught:
        require_exclusive_put(storage)
    assert (caught.value.code, caught.value.retryable) == ("unsupported_store", False)
    assert "target=delta" in caught.value.hint
    assert list(storage.store().list("")) == []


def test_a_store_that_looks_first_and_writes_later_is_refused(scripted: Script) -> None:
    """One writer after the other is told apart; of some that come at once two succeed."""

    def answer(key: int, write: int) -> Answer:
        return MADE if write <= (1 if key < 2 else 2) else EXISTS

    storage, server = scripted(answer)
    assert not exclusive_put_holds(storage)
    conditions = {
        headers.get("if-none-match") for target, headers in server.seen if "?delete" not in target
    }
    assert conditions == {"*"}, server.seen


def test_a_store_without_the_header_is_refused(scripted: Script) -> None:
    unknown: Answer = (501, b"<Error><Code>NotImplemented</Code></Error>", {})
    storage, _ = scripted(lambda key, write: unknown)
    assert not exclusive_put_holds(storage)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((403, b"<Error><Code>AccessDenied</Code></Error>", {}), AccessDeniedError),
        ((429, b"<Error><Code>SlowDown</Code></Error>", {}), StorageThrottledError),
    ],
)
def test_a_store_that_does_not_say_is_asked_again(
    scripted: Script, answer: Answer, error: type[JobError]
) -> None:
    now: list[Answer] = [answer]
    storage, _ = scripted(lambda key, write: now[0] if now else (MADE if write == 1 else EXISTS))
    with pytest.raises(error):
        require_exclusive_put(storage)
    now.clear()
    require_exclusive_put(storage)


def test_each_bucket_is_asked_once_by_a_process(scripted: Script) -> None:
    storage, server = scripted(lambda key, write: MADE if write == 1 else EXISTS)
    require_exclusive_put(storage)
    asked = len(server.seen)
    require_exclusive_put(storage)
    assert 0 < asked == len(server.seen)


def test_a_folder_is_not_asked(tmp_path: Path) -> None:
    require_exclusive_put(storage_at(str(tmp_path / "managed")))
    assert list(tmp_path.iterdir()) == []
