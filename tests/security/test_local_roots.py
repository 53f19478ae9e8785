"""What is swapped under a local root after its check: links lead nowhere, pipes stop nobody."""

import ctypes
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from stocktake.errors import JobError, SourceNotFoundError, UrlRefusedError
from stocktake.storage.places.guard import GuardPolicy, recheck
from stocktake.storage.stores.beneath import Folder
from stocktake.storage.stores.local import LocalObjects
from stocktake.storage.stores.opening import open_source
from stocktake.storage.stores.protocol import ObjectStore

SECRET: Final = b"another's secret"
OURS: Final = b"ours"
_RENAME_EXCHANGE: Final = 2
_AT_FDCWD: Final = -100
_READS: Final = 400


class Ground:
    """A local root with a table of each shape in it, and what must not be read from there."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.private = self.root / "private"
        self.outside = folder / "outside"
        for place in (self.root / "shop" / "table", self.root / "shop" / "other"):
            self._fill(place, OURS)
        for place in (self.private, self.outside):
            self._fill(place, SECRET)
            self._fill(place / "table", SECRET)
        self.policy = GuardPolicy(
            allowed_schemes=frozenset({"file"}),
            local_roots=(self.root,),
            private_folders=(self.private,),
        )

    def _fill(self, folder: Path, data: bytes) -> None:
        (folder / "log").mkdir(parents=True)
        (folder / "a.csv").write_bytes(data)
        (folder / "log" / "0.json").write_bytes(data)

    def checked(self, pattern: str) -> Callable[[], tuple[ObjectStore, str]]:
        """Pass the guard now, and open later."""
        location = recheck(f"file://{self.root}/{pattern}", self.policy)
        return lambda: open_source(location)

    def swap(self, name: str, target: Path) -> None:
        """Put a link where a file or folder of the root was."""
        (self.root / name).rename(self.root / "gone")
        (self.root / name).symlink_to(target)


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


def _all_of(store: ObjectStore, path: str) -> set[bytes]:
    """All that can be read there, however it is named; a refusal gives nothing."""
    found: set[bytes] = set()
    listed: list[str] = []
    with suppress(JobError):
        listed = [info.path for info in store.list(path.partition("*")[0])]
    inside = [f"{path}/a.csv", f"{path}/log/0.json", "a.csv", "log/0.json"]
    for key in [path, *inside, *listed]:
        for read in (
            lambda key: store.get(key).data,
            lambda key: store.get_tail(key, 100).data,
            lambda key: b"".join(store.stream(key)),
        ):
            try:
                found.add(read(key))
            except (SourceNotFoundError, UrlRefusedError):
                continue
    return found


PATTERNS: Final = ["shop/table", "shop/table/a.csv", "shop/table/*.csv", "shop/table/**"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_each_shape_of_table_is_read_where_nothing_was_swapped(
    pattern: str, ground: Ground
) -> None:
    assert _all_of(*ground.checked(pattern)()) == {OURS}


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("name", ["shop", "shop/table", "shop/table/a.csv", "shop/table/log"])
@pytest.mark.parametrize("place", ["outside", "private"])
@pytest.mark.parametrize("when", ["before it is opened", "before it is read", "between reads"])
def test_a_link_that_was_swapped_in_leads_nowhere(
    pattern: str, name: str, place: str, when: str, ground: Ground
) -> None:
    target = getattr(ground, place) / {"shop": ".", "shop/table": "."}.get(
        name, name.rpartition("/")[2]
    )
    opening = ground.checked(pattern)
    if when == "before it is opened":
        ground.swap(name, target)
    store, path = opening()
    if when == "between reads":
        _all_of(store, path)
    if when != "before it is opened":
        ground.swap(name, target)
    assert SECRET not in _all_of(store, path)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_link_that_comes_between_look_and_open_is_not_followed(
    kind: str, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalObjects(ground.root / "shop" / "table")
    status = Folder.status
    swapped = {
        "file": ("a.csv", "shop/table/a.csv", ground.outside / "a.csv"),
        "folder": ("log/0.json", "shop/table/log", ground.outside / "log"),
    }
    key, name, target = swapped[kind]
    waiting = [name]

    def swapping(folder: Folder, looked_at: str) -> os.stat_result:
        seen = status(folder, looked_at)
        if waiting and looked_at == name.rpartition("/")[2]:
            ground.swap(waiting.pop(), target)
        return seen

    monkeypatch.setattr(Folder, "status", swapping)
    with pytest.raises(SourceNotFoundError):
        store.get(key)
    assert not waiting


def _exchange(one: Path, other: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    if libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE):
        raise OSError(ctypes.get_errno(), "renameat2")


@contextmanager
def _exchanging(one: Path, other: Path) -> Iterator[list[int]]:
    """Swap the two over and over meanwhile; how often, at the end."""
    stop, count = threading.Event(), [0]

    def swap() -> None:
        while not stop.is_set() and count[0] < 1_000_000:
            _exchange(one, other)
            count[0] += 1

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield count
    finally:
        stop.set()
        thread.join()


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "renameat2"), reason="needs glibc on Linux")
@pytest.mark.parametrize("name", ["shop", "shop/table", "shop/table/log", "shop/table/a.csv"])
def test_no_race_reads_another_file(name: str, ground: Ground) -> None:
    secret = ground.outside / ("" if name in ("shop", "shop/table") else name.rpartition("/")[2])
    link = ground.root / "link"
    link.symlink_to(secret)
    read: set[bytes] = set()
    with _exchanging(ground.root / name, link) as swaps:
        for _ in range(_READS):
            for pattern, key in (("shop/table", "table/log/0.json"), ("shop/table/*.csv", "a.csv")):
                try:
                    store, _ = ground.checked(pattern)()
                    list(store.list(""))
                    read.add(store.get(key).data)
                except (SourceNotFoundError, UrlRefusedError):
                    continue
    assert swaps[0] > 0
    assert SECRET not in read


# --- links --------------------------------------------------------------------------------

OUT: Final = [
    "../secret",
    "../../../../../../../../etc/passwd",
    "table/../../secret",
    "{outside}/a.csv",
    "{outside}/../outside/a.csv",
    "{root}/../outside/a.csv",
    "{root}x/a.csv",
    "/proc/self/root/etc/passwd",
    "/proc/self/cwd",
    "/proc/self/fd/0",
    "/proc/self/exe",
    "/dev/zero",
    "/dev/stdin",
    "//",
]


@pytest.mark.parametrize("target", OUT)
def test_a_link_out_of_the_folder_is_refused_and_not_listed(target: str, ground: Ground) -> None:
    root = ground.root / "shop"
    (ground.root / "secret").write_bytes(SECRET)
    (root / "link").symlink_to(target.format(outside=ground.outside, root=root))
    (root / "folder").symlink_to(ground.outside)
    (root / "chain").symlink_to("link")
    (root / "up").symlink_to("..")
    store = LocalObjects(root)
    for key in ("link", "chain", "folder/a.csv", "up/secret", "up/../secret"):
        with pytest.raises(UrlRefusedError):
            store.get(key)
    assert not {"link", "chain", "folder", "up"} & {info.path for info in store.list("")}


@pytest.mark.parametrize(
    "target",
    [
        "table/a.csv",
        "./table/../other/../table/a.csv",
        "{root}/table/a.csv",
        "{root}//table/./a.csv",
        "../shop/table/a.csv",
        "{alias}/shop/table/a.csv",
        "chained",
    ],
)
def test_a_link_that_stays_in_the_folder_is_followed(target: str, ground: Ground) -> None:
    root = ground.root / "shop"
    (root / "chained").symlink_to(root / "inside")
    (root / "inside").symlink_to("table/a.csv")
    alias = ground.outside / "alias"
    alias.symlink_to(ground.root)
    (root / "link").symlink_to(target.format(root=root, alias=alias))
    (root / "folder").symlink_to("table")
    store = LocalObjects(root)
    assert store.get("link").data == store.get("folder/a.csv").data == OURS
    assert {"link", "table/a.csv"} <= {info.path for info in store.list("")}


@pytest.mark.parametrize(
    "target", ["../../private/a.csv", "../other/a.csv", "{root}/private/a.csv"]
)
def test_a_link_out_of_the_table_is_refused_beside_our_own_folder_too(
    target: str, ground: Ground
) -> None:
    """Its parent is the operator's, and may hold the service's keys and database."""
    link = ground.root / "shop" / "table" / "log" / "1.json"
    link.symlink_to(Path("..") / target.format(root=ground.root))
    store, path = ground.checked("shop/table")()
    with pytest.raises(UrlRefusedError):
        store.get(f"{path}/log/1.json")
    with pytest.raises(UrlRefusedError):
        store.get("other/a.csv")
    assert {info.path for info in store.list("")} == {"table/a.csv", "table/log/0.json"}


def _read(ground: Ground, pattern: str) -> bytes:
    store, path = ground.checked(pattern)()
    return store.get(path).data


def test_links_that_go_round_end(ground: Ground) -> None:
    root = ground.root / "shop"
    (root / "one").symlink_to("two")
    (root / "two").symlink_to("one")
    (root / "deep").symlink_to("deep/deep")
    for key in ("one", "deep", "one/a.csv"):
        with pytest.raises(SourceNotFoundError):
            LocalObjects(root).get(key)
        with pytest.raises((SourceNotFoundError, UrlRefusedError)):
            _read(ground, f"shop/{key}")


def test_what_is_mounted_below_a_root_belongs_to_it() -> None:
    """The operator mounts, nobody else can. /proc is such a place on every Linux."""
    if not Path("/proc/sys/kernel/ostype").exists():
        pytest.skip("needs /proc")
    store = LocalObjects(Path("/"))
    assert b"".join(store.stream("proc/sys/kernel/ostype")) == b"Linux\n"
    with pytest.raises(UrlRefusedError):
        LocalObjects(Path("/"), only="proc").get("etc/passwd")


# --- what is no file ------------------------------------------------------------------------


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


def _device(path: Path) -> None:
    try:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root makes devices, and not in every container")


@pytest.mark.parametrize("make", [_pipe, _socket, _device])
@pytest.mark.parametrize("by", ["name", "link"])
def test_no_pipe_socket_or_device_is_opened(
    make: Callable[[Path], None], by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "name")
    (tmp_path / "link").symlink_to("name")
    monkeypatch.setattr(Folder, "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(UrlRefusedError, match="pipe, socket or device"):
        LocalObjects(tmp_path).get(by)
    assert list(LocalObjects(tmp_path).list("")) == []


def test_a_pipe_that_comes_between_look_and_open_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, status = tmp_path / "a", Folder.status
    file.write_bytes(OURS)

    def swapping(folder: Folder, name: str) -> os.stat_result:
        seen = status(folder, name)
        file.unlink()
        os.mkfifo(file)
        return seen

    monkeypatch.setattr(Folder, "status", swapping)
    with pytest.raises(UrlRefusedError, match="pipe, socket or device"):
        LocalObjects(tmp_path).get("a")


def test_folders_are_closed_when_the_store_goes(ground: Ground) -> None:
    def descriptors() -> int:
        # Of folders alone: other tests leave others, which go when they are collected.
        return sum(map(is_folder, os.listdir("/dev/fd")))

    def is_folder(number: str) -> bool:
        with suppress(OSError):  # of the listing itself
            return stat.S_ISDIR(os.fstat(int(number)).st_mode)
        return False

    for number in range(200):
        (ground.root / "shop" / str(number)).mkdir()
        (ground.root / "shop" / str(number) / "a").write_bytes(OURS)
    before = descriptors()
    store = LocalObjects(ground.root / "shop")
    for number in range(200):
        store.get(f"{number}/a")
    assert descriptors() - before < 100
    del store
    assert descriptors() == before
