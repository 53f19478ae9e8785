"""The replay of a Delta log from its newest commit back to a checkpoint: which files are live.

Of a checkpoint's `add` actions only the columns that are asked for are read, in batches. What is in
memory is what the commits after it name, and one batch.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any, ClassVar, Final, TypeVar
from urllib.parse import unquote

import pyarrow as pa

from stocktake.errors import InvalidSourceError, LimitExceededError
from stocktake.readers.delta.actions import parsed
from stocktake.readers.delta.adds import Adds, Seen
from stocktake.readers.delta.listing import Checkpoint, Listing
from stocktake.readers.delta.log import DeltaLog
from stocktake.readers.delta.paths import Key, canonical, vector_id
from stocktake.storage.stores.opening import ObjectInfo
from stocktake.storage.stores.protocol import MAX_KEY_BYTES

#: Data files that the commits after the checkpoint may name: some 300 bytes of memory each.
MAX_TAIL_FILES: Final = 500_000
#: Commits whose actions are in memory at a time, beside what they add up to.
_GROUP: Final = 512
#: Parquet files of a checkpoint that are read at a time: of each some 15 MiB are in memory.
_FILES: Final = 8
#: What no name of a sidecar has, and no store is asked for.
_ODD: Final = re.compile(r"[/\\\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    """What one file of the log names: data files by their keys and what is kept of them, and
    sidecars."""

    added: list[tuple[Key, Any]] = field(default_factory=list)
    removed: list[Key] = field(default_factory=list)
    sidecars: list[str] = field(default_factory=list)


class Replay(ABC):
    """One replay of a log. What is kept of a live file is what who derives it says.

    Attributes:
        columns: of a checkpoint's `add` actions, beside what tells one file from another.
    """

    columns: ClassVar[tuple[str, ...]] = ()

    def __init__(self, log: DeltaLog) -> None:
        self._log = log
        self._seen: set[Key] = set()
        self._named = 0
        self._lock = Lock()

    @abstractmethod
    def keep(self, add: dict[str, Any]) -> Any:
        """Return what is kept of an `add` action of a commit."""

    @abstractmethod
    def take(self, live: list[Any]) -> None:
        """Take what was kept of a commit's live files; commits come newest first."""

    @abstractmethod
    def take_batch(self, live: pa.StructArray) -> None:
        """Take `add` actions of live files of the checkpoint."""

    @property
    def ended(self) -> bool:
        """Whether older commits, and the checkpoint, need not be read."""
        return False

    def run(self, listing: Listing, base: Checkpoint | None) -> None:
        """Replay the log, from the listing's head on."""
        first = base.version + 1 if base else 0
        versions = range(listing.head or 0, first - 1, -1)
        commits = [listing.commits[version] for version in versions]
        for start in range(0, len(commits), _GROUP):
            group = commits[start : start + _GROUP]
            self._log.charge(files=len(group), size_bytes=sum(info.size for info in group))
            for named in self._log.run([partial(self._file, info) for info in group]):
                self._take(named)
                if self.ended:
                    return
        if base is not None:
            self._checkpoint(base)

    def _take(self, named: _Named) -> None:
        """Hand on what no newer commit has said something of."""
        live = []
        for key, holds in named.added:
            if key not in self._seen:
                self._seen.add(key)
                live.append(holds)
        self.take(live)
        self._seen.update(named.removed)

    def _file(self, info: ObjectInfo) -> _Named:
        """Return what a commit, or a checkpoint of JSON lines, names."""
        named, shown = _Named(), self._log.shown(info)
        for action in parsed(self._log.raw_lines(info), shown):
            if (add := action.get("add")) is not None:
                named.added.append((_key(add), self.keep(add)))
                self._bound()
            if (remove := action.get("remove")) is not None:
                named.removed.append(_key(remove))
                self._bound()
            if (sidecar := action.get("sidecar")) is not None:
                named.sidecars.append(_sidecar(sidecar, shown))
        return named

    def _bound(self) -> None:
        # Many threads read here, and while they read: one commit of millions must end early.
        with self._lock:
            self._named += 1
        if self._named > MAX_TAIL_FILES:
            raise LimitExceededError(
                f"The Delta log names more than {MAX_TAIL_FILES:,} files after its newest "
                "checkpoint, which is too many to read.",
                hint="Write a checkpoint of the table, or leave `delta_count` out. No setting "
                "raises this.",
            )

    def _checkpoint(self, base: Checkpoint) -> None:
        sidecars: list[str] = []
        for info in base.files:
            if info.path.endswith(".json"):
                self._log.charge(files=1, size_bytes=info.size)
                named = self._file(info)
                self._take(named)
                sidecars += named.sidecars
        parts = [info.path for info in base.files if info.path.endswith(".parquet")]
        sidecars += self._parquet(parts)
        # A sidecar has data files alone and lists no further ones (Delta protocol, "Sidecar
        # Files").
        self._parquet([self._log.path(f"_sidecars/{name}") for name in sidecars])

    def _parquet(self, paths: Sequence[str]) -> list[str]:
        """Read Parquet files of the checkpoint; the names of the sidecars that they list."""
        seen = Seen(self._seen)
        files = [Adds(self._log, path, seen, self.columns) for path in paths]
        self._log.run([partial(file.read, self._take_one) for file in files], at_once=_FILES)
        return [_sidecar({"path": n}, file.shown) for file in files for n in file.sidecars]

    def _take_one(self, live: pa.StructArray) -> None:
        # Many threads read here: what they find is added up by one at a time.
        with self._lock:
            self.take_batch(live)


Replayed = TypeVar("Replayed", bound=Replay)


def replayed(log: DeltaLog, listing: Listing, start: Callable[[DeltaLog], Replayed]) -> Replayed:
    """Replay a log from the listing's head on.

    Args:
        log: what it has read so far counts against the budget too.
        listing: of the whole log, or from a checkpoint on.
        start: makes a replay; asked anew for each checkpoint that is tried.

    Raises:
        LimitExceededError: `max_log_bytes` or `max_seconds` is used up, or the commits name more
            than `MAX_TAIL_FILES`.
        InvalidSourceError: there is no checkpoint that can be read, and not every commit.
    """
    unreadable: InvalidSourceError | None = None
    # What has no schema of the table need not have its files either.
    fit = (each for each in listing.checkpoints() if each not in listing.unfit)
    for base in (*fit, None):
        if gap := listing.gap(base.version if base else -1):
            raise unreadable or gap
        replay = start(log)
        try:
            replay.run(listing, base)
        except InvalidSourceError as exc:
            unreadable = unreadable or exc
            continue
        return replay
    raise unreadable or AssertionError("a log without a base has no gap")


def _key(action: dict[str, Any]) -> Key:
    """Return how the protocol tells data files apart: by path, and by deletion vector."""
    vector = action.get("deletionVector")
    if not isinstance(vector, dict):
        return canonical(action["path"]), ""
    return canonical(action["path"]), vector_id(
        vector.get("storageType"), vector.get("pathOrInlineDv"), vector.get("offset")
    )


def _sidecar(action: object, file: str) -> str:
    """Return the name of a sidecar: a file of the folder that is theirs, and nothing else."""
    path = action.get("path") if isinstance(action, dict) else None
    name = unquote(path) if isinstance(path, str) else ""
    # The protocol asks writers for the bare name, and allows a whole URI ("Sidecar File
    # Information"): of that folder too, so that its last part is all there is to know.
    name = name.rpartition("/_delta_log/_sidecars/")[2]
    plain = bool(name) and not _ODD.search(name) and not name.startswith(".")
    if not plain or len(name) > MAX_KEY_BYTES:
        raise InvalidSourceError(
            f"{file} names a sidecar that is no file of _delta_log/_sidecars.", file=file
        )
    return name
