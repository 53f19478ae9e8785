"""LocalObjects: a folder behaves as a bucket does, and nothing outside it can be read."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stocktake.errors import AccessDeniedError, SourceNotFoundError, UrlRefusedError
from stocktake.storage.stores.local import LocalObjects


def write(root: Path, *keys: str, data: bytes = b"0123456789") -> None:
    for key in keys:
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def keys(root: Path, prefix: str, start_after: str | None = None) -> list[str]:
    return [info.path for info in LocalObjects(root).list(prefix, start_after=start_after)]


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [(0, None, b"0123456789"), (2, 3, b"234"), (8, 10, b"89"), (10, 5, b""), (20, None, b"")],
)
def test_get_cuts_at_the_end_of_the_file(
    tmp_path: Path, start: int, length: int | None, expected: bytes
) -> None:
    write(tmp_path, "a")
    chunk = LocalObjects(tmp_path).get("a", start=start, length=length)
    assert chunk.data == expected
    assert chunk.info.size == 10


def test_tail_is_all_where_there_is_less(tmp_path: Path) -> None:
    write(tmp_path, "a")
    assert LocalObjects(tmp_path).get_tail("a", 4).data == b"6789"
    assert LocalObjects(tmp_path).get_tail("a", 40).data == b"0123456789"


def test_stream_gives_chunks_of_the_asked_size(tmp_path: Path) -> None:
    write(tmp_path, "a")
    assert list(LocalObjects(tmp_path).stream("a", chunk_bytes=4)) == [b"0123", b"4567", b"89"]


def test_etag_changes_with_the_bytes(tmp_path: Path) -> None:
    write(tmp_path, "a")
    before = LocalObjects(tmp_path).get("a").info.etag
    write(tmp_path, "new", data=b"9876543210")
    os.replace(tmp_path / "new", tmp_path / "a")
    assert LocalObjects(tmp_path).get("a").info.etag != before


def test_listing_is_in_the_order_of_keys_not_of_folders(tmp_path: Path) -> None:
    write(tmp_path, "a/x", "a-b/x", "a.csv", "ab", "z")
    assert keys(tmp_path, "") == ["a-b/x", "a.csv", "a/x", "ab", "z"]


def test_prefix_is_compared_by_character(tmp_path: Path) -> None:
    write(tmp_path, "t/part-1", "t/part-2/x", "t/other", "u/part-1")
    assert keys(tmp_path, "t/part-") == ["t/part-1", "t/part-2/x"]


NAMES = st.text(alphabet="ab-./0", min_size=1, max_size=6).filter(
    lambda key: all(part not in ("", ".", "..") for part in key.split("/"))
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=st.sets(NAMES, max_size=8), prefix=st.text("ab-/", max_size=3), after=NAMES)
def test_listing_equals_the_filtered_sorted_set(
    tmp_path_factory: pytest.TempPathFactory, wanted: set[str], prefix: str, after: str
) -> None:
    root = tmp_path_factory.mktemp("root")
    for key in sorted(wanted):
        try:
            write(root, key)
        except OSError:  # "a" and "a/b" cannot both be files
            wanted = wanted - {key}
    if prefix.startswith("/") or "//" in prefix:
        return
    expected = sorted(key for key in wanted if key.startswith(prefix) and key > after)
    assert keys(root, prefix, after) == expected


def test_missing_folder_lists_nothing(tmp_path: Path) -> None:
    assert keys(tmp_path / "absent", "x/") == []


def test_missing_file_and_folder_are_not_found(tmp_path: Path) -> None:
    write(tmp_path, "folder/file")
    for path in ("absent", "folder", "folder/file/below", ""):
        with pytest.raises(SourceNotFoundError) as caught:
            LocalObjects(tmp_path).get(path)
        assert "bucket" not in caught.value.detail + caught.value.hint


@pytest.mark.parametrize("path", ["../secret", "a/../../secret", "/etc/passwd", "a\0b"])
def test_path_that_climbs_out_is_refused(tmp_path: Path, path: str) -> None:
    write(tmp_path, "secret", "root/a/x")
    with pytest.raises(UrlRefusedError):
        LocalObjects(tmp_path / "root").get(path)


def test_link_out_of_the_root_is_neither_read_nor_listed(tmp_path: Path) -> None:
    write(tmp_path, "secret", "outside/file", "root/a")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "root" / "folder").symlink_to(tmp_path / "outside")
    assert keys(tmp_path / "root", "") == ["a"]
    for path in ("link", "folder/file"):
        with pytest.raises(UrlRefusedError) as caught:
            LocalObjects(tmp_path / "root").get(path)
        assert "TRUSTED_ENDPOINTS" not in caught.value.hint
    with pytest.raises(UrlRefusedError):
        keys(tmp_path / "root", "folder/")


def test_link_inside_the_root_is_followed(tmp_path: Path) -> None:
    write(tmp_path, "data/v1")
    (tmp_path / "current").symlink_to(tmp_path / "data" / "v1")
    assert LocalObjects(tmp_path).get("current").data == b"0123456789"
    assert keys(tmp_path, "") == ["current", "data/v1"]


def test_links_that_form_a_loop_end(tmp_path: Path) -> None:
    write(tmp_path, "a/x")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    assert keys(tmp_path, "") == ["a/x"]


def test_pipe_is_refused_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UrlRefusedError):
        LocalObjects(tmp_path).get("pipe")
    assert keys(tmp_path, "") == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything; run as an ordinary user")
def test_unreadable_file_is_access_denied(tmp_path: Path) -> None:
    write(tmp_path, "a")
    (tmp_path / "a").chmod(0)
    with pytest.raises(AccessDeniedError):
        LocalObjects(tmp_path).get("a")


def test_map_keeps_the_order(tmp_path: Path) -> None:
    assert LocalObjects(tmp_path).map(str, range(100)) == [str(n) for n in range(100)]
