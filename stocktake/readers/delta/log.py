"""The files of one `_delta_log` folder: their names, their listing, and reads under a budget."""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from stocktake.errors import (
    AccessDeniedError,
    ArchivedSourceError,
    InvalidSourceError,
    SourceChangedError,
    SourceNotFoundError,
)
from stocktake.readers.delta.actions import Actions, parse_lines
from stocktake.readers.delta.checksum import Checksum
from stocktake.readers.delta.numbers import MOST, version_number, whole_number
from stocktake.readers.limits import exceeded
from stocktake.readers.source import Coverage, Limits, Progress
from stocktake.storage.stores.opening import ObjectInfo, ObjectStore

_COMMIT: Final = re.compile(r"([0-9]{20})\.json")
_CHECKSUM: Final = re.compile(r"([0-9]{20})\.crc")
#: Of several parts, of V2 with a UUID, and classic (Delta protocol, "Checkpoints").
_CHECKPOINT: Final = re.compile(
    r"([0-9]{20})\.checkpoint\."
    r"(?:(?P<part>[0-9]{10})\.(?P<parts>[0-9]{10})\.parquet|[0-9a-fA-F-]{36}\.(?:json|parquet)|parquet)"
)
#: Reads handed to the store at once. At the end of each such group the store's threads run dry,
#: and a cancel is seen.
_GROUP: Final = 4096
#: A larger JSON file is read as a stream, so that a commit of a million files stays small.
_WHOLE_BYTES: Final = 8 * 1024 * 1024
#: A hint is believed up to here: each part that it claims is a request, and its end is held.
_MAX_PARTS: Final = 128
#: Why a file that nobody needs is passed over. Some stores say 403 of one that is not there.
_NOT_TO_BE_HAD: Final = (AccessDeniedError, ArchivedSourceError, SourceNotFoundError)
_CHECKPOINT_ADVICE: Final = "Write a checkpoint of the table"

#: What a file says, if anything; or the error, where another file can say it instead.
Answer = Actions | Checksum | InvalidSourceError | None
Read = Callable[[], Answer]
Said = TypeVar("Said")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """What `_last_checkpoint` says: the version and the file names of a checkpoint."""

    version: int
    names: tuple[str, ...]

    @classmethod
    def parse(cls, data: bytes) -> "Hint | None":
        """Read the file; None where it is corrupt, since a listing finds the checkpoint too."""
        try:
            fields = json.loads(data)
            version, parts = version_number(fields["version"]), whole_number(fields.get("parts"))
            path = (fields.get("v2Checkpoint") or {}).get("path")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        if version is None:
            return None
        # A name of the log's folder, or nothing: a path could lead out of it.
        if isinstance(path, str) and _CHECKPOINT.fullmatch(path):
            return cls(version=version, names=(path,))
        if parts and parts > _MAX_PARTS:
            return cls(version=version, names=())  # the listing tells whether they are there
        if parts:
            numbers = (f"{part:010}.{parts:010}" for part in range(1, parts + 1))
            names = (f"{version:020}.checkpoint.{each}.parquet" for each in numbers)
            return cls(version=version, names=tuple(names))
        return cls(version=version, names=(f"{version:020}.checkpoint.parquet",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A checkpoint with all of its parts."""

    version: int
    files: tuple[ObjectInfo, ...]


@dataclass(slots=True, kw_only=True)
class Listing:
    """The versioned files of a log, from some version on.

    Compacted files are none of them: the commits that they stand for are there as well and decide,
    and one whose writer died would hide them.

    Attributes:
        unfit: checkpoints that were found to be damaged, or to lack the table's schema.
    """

    commits: dict[int, ObjectInfo] = field(default_factory=dict)
    checksums: dict[int, ObjectInfo] = field(default_factory=dict)
    checkpoint_files: dict[int, dict[str, ObjectInfo]] = field(default_factory=dict)
    unfit: list[Checkpoint] = field(default_factory=list)

    def add(self, info: ObjectInfo, name: str) -> None:
        """Put an object under what its name says; others are none of the log's."""
        if match := _COMMIT.fullmatch(name):
            self.commits[int(match[1])] = info
        elif match := _CHECKSUM.fullmatch(name):
            self.checksums[int(match[1])] = info
        elif match := _CHECKPOINT.fullmatch(name):
            self.checkpoint_files.setdefault(int(match[1]), {})[name] = info

    @property
    def head(self) -> int | None:
        """The newest version that a commit or a whole checkpoint speaks of, one that cannot be read
        too: answering with an older one would be stale without an error."""
        checkpoint = next(self.checkpoints(), None)
        versions = [*self.commits, *([checkpoint.version] if checkpoint else ())]
        return max(versions, default=None)

    def checkpoints(self) -> Iterator[Checkpoint]:
        """Yield the complete ones, newest first; of one version there may be several."""
        for version in sorted(self.checkpoint_files, reverse=True):
            for files in _complete(self.checkpoint_files[version]):
                yield Checkpoint(version=version, files=files)

    def newest_file(self) -> ObjectInfo | None:
        """Return the commit of the newest version, or a file of its checkpoint."""
        if (head := self.head) is None:
            return None
        return self.commits.get(head) or next(self.checkpoints()).files[0]

    def etag(self, version: int) -> str | None:
        """Return the ETag of a version's commit, or of its checkpoint where the commit is gone."""
        files = self.checkpoint_files.get(version, {})
        info = self.commits.get(version) or files.get(min(files, default=""))
        return info.etag if info else None

    def gap(self, after: int) -> InvalidSourceError | None:
        """Return the error for the first commits that are missing between `after` and the head."""
        head = self.head if self.head is not None else after
        # One odd name can make the head any number of twenty digits. So versions are made as they
        # are looked for, and the first that is missing ends that.
        versions = (version for version in range(after + 1, head + 1))
        first = next((version for version in versions if version not in self.commits), None)
        if first is None:
            return None
        found = min((v for v in self.commits if v > first), default=None)
        last = head if found is None else found - 1
        return InvalidSourceError(
            f"The Delta log has a gap: {_span(first, last)} missing, the newest version is {head}, "
            f"and no readable checkpoint covers the gap.",
            hint="Restore the missing commits, or write a checkpoint of the table.",
        )

    def tail(self, after: int) -> list[ObjectInfo]:
        """Return the commits after a version, oldest first. Nothing is missing there (`gap`)."""
        return [self.commits[version] for version in range(after + 1, (self.head or 0) + 1)]


class DeltaLog:
    """Reads files of one log, and counts and bounds what it reads."""

    def __init__(self, store: ObjectStore, root: str, limits: Limits, progress: Progress) -> None:
        root = root.strip("/")
        self.store = store
        self.limits = limits
        self._folder = f"{root}/_delta_log/" if root else "_delta_log/"
        self._progress = progress
        self._deadline = time.monotonic() + limits.max_seconds
        self._listed = self._files = self._bytes = 0

    def path(self, name: str) -> str:
        """Return the key of a file of the log."""
        return self._folder + name

    def hint(self) -> Hint | None:
        """Read `_last_checkpoint`; None where it is missing or of no use."""
        try:
            # It has some hundred bytes; the bound is for one that has not.
            chunk = self.store.get(self.path("_last_checkpoint"), length=_WHOLE_BYTES)
        except _NOT_TO_BE_HAD as exc:
            # A bucket that is not there, or a key that no store knows, has a code of its own.
            if exc.code != type(exc).default_code:
                raise
            return None
        self.charge(files=1, size_bytes=len(chunk.data))
        return Hint.parse(chunk.data)

    def list_from(self, version: int = 0) -> Listing:
        """List the log from a version on, sidecars and folders below it left out.

        Raises:
            InvalidSourceError: a version that is no number of Delta's.
            LimitExceededError: more files than `max_listed`.
        """
        # The digits alone sort before every file of that version, so that all of them are listed.
        after = self.path(f"{version:020}")
        try:
            listing = self._listing(after)
        except _OutOfOrderError:
            # Such a store need not begin where it is asked to, either.
            listing = self._listing(after, anywhere=True)
        if (listing.head or 0) > MOST and (newest := listing.newest_file()):
            raise InvalidSourceError(
                f"The Delta log has the file {self.shown(newest)}; versions end at {MOST}.",
                hint="Remove the named file if it is none of the log's, then refresh again.",
                file=self.shown(newest),
            )
        return listing

    def _listing(self, after: str, *, anywhere: bool = False) -> Listing:
        listing, last, self._listed = Listing(), "", 0
        found = self.store.list(self._folder, start_after=None if anywhere else after)
        for count, info in enumerate(found, 1):
            if count % 1000 == 0:
                self._progress("listing the log", count, None)
                self._check_time()
            name = self._name(info)
            if info.path < last and not anywhere:
                raise _OutOfOrderError
            last = info.path
            if not name[:1].isdigit():
                # After the digits come `_sidecars/` and the like, in any number.
                if self.store.ordered:
                    break
                continue
            if info.path > after:
                listing.add(info, name)
                self._listed += 1
                self._check_listed(self._listed)
        return listing

    def charge(self, *, files: int, size_bytes: int) -> None:
        """Count what is about to be read against the budget.

        Raises:
            LimitExceededError: `max_log_bytes` or `max_seconds` is used up.
        """
        self._files += files
        self._bytes += size_bytes
        if self._bytes > self.limits.max_log_bytes:
            raise exceeded(
                self.limits,
                "max_log_bytes",
                f"Reading the Delta log takes {self._bytes:,} bytes or more",
                advice=_CHECKPOINT_ADVICE,
            )
        self._check_time()

    def run(self, reads: Sequence[Callable[[], Said]]) -> list[Said]:
        """Make many reads at a time; answers in their order."""
        answers: list[Said] = []
        for start in range(0, len(reads), _GROUP):
            answers += self.store.map(self._timely, reads[start : start + _GROUP])
            self._progress("reading the log", len(answers), len(reads))
        return answers

    def _timely(self, read: Callable[[], Said]) -> Said:
        self._check_time()
        return read()

    def lines(self, info: ObjectInfo) -> Actions:
        """Read a file of JSON lines."""
        return parse_lines(self.raw_lines(info), self.shown(info))

    def checksum(self, info: ObjectInfo) -> Checksum | None:
        """Read a version checksum file; None for one that is corrupt or not to be had."""
        try:
            data = self.store.get(info.path, length=_WHOLE_BYTES).data
        except _NOT_TO_BE_HAD:
            return None
        return Checksum.parse(data, self.shown(info), info.modified_at)

    def shown(self, info: ObjectInfo) -> str:
        """Return a file's name below the table's root, for messages."""
        return f"_delta_log/{self._name(info)}"

    def _name(self, info: ObjectInfo) -> str:
        # What lies in a folder below the log keeps that folder, and so is no file of the log.
        return info.path.removeprefix(self._folder)

    def coverage(self, *, unchanged: bool = False) -> Coverage:
        """Return what was read so far."""
        return Coverage(
            files_matched=self._listed,
            files_read=self._files,
            bytes_read=self._bytes,
            unchanged=unchanged,
        )

    def raw_lines(self, info: ObjectInfo) -> Iterator[bytes]:
        """Yield the lines of a file, in constant memory where it is a large one.

        Raises:
            LimitExceededError: a line of more than `max_line_bytes`.
        """
        # A file within the bound of a line has no line beyond it: none is measured.
        if info.size <= min(_WHOLE_BYTES, self.limits.max_line_bytes):
            chunk = self.store.get(info.path)
            self.require(info, chunk.info)
            yield from chunk.data.split(b"\n")
            return
        rest, size = b"", 0
        for block in self.store.stream(info.path):
            size += len(block)
            *whole, rest = (rest + block).split(b"\n")
            # The rest as well, or a line without end would be held until it is all there.
            for line in (*whole, rest):
                self._check_line(line, info)
            yield from whole
        self.require(info, replace(info, size=size))
        yield rest

    def require(self, known: ObjectInfo, read: ObjectInfo) -> None:
        """Refuse what was read of another file than the one that is known: files of a log never
        change, so the table was made anew. A listing may spell an ETag as no other answer does.

        Raises:
            SourceChangedError: they differ.
        """
        if known.size != read.size:
            shown = self.shown(known)
            raise SourceChangedError(
                f'The file "{shown}" was rewritten while the log was being read.', file=shown
            )

    def _check_line(self, line: bytes, info: ObjectInfo) -> None:
        if len(line) > self.limits.max_line_bytes:
            raise exceeded(
                self.limits,
                "max_line_bytes",
                f"{self.shown(info)} has a line of {len(line):,} bytes or more",
                advice="Write a checkpoint, so that the commit need not be read",
                file=self.shown(info),
            )

    def _check_listed(self, listed: int) -> None:
        if listed > self.limits.max_listed:
            raise exceeded(
                self.limits,
                "max_listed",
                f"The Delta log lists {listed:,} files or more",
                advice="Write a checkpoint and let old log files expire",
            )

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise exceeded(
                self.limits,
                "max_seconds",
                f"Reading the Delta log took longer than {self.limits.max_seconds:g} seconds",
                advice=_CHECKPOINT_ADVICE,
            )


class _OutOfOrderError(Exception):
    """A listing was not in the order of its keys."""


def _complete(files: dict[str, ObjectInfo]) -> list[tuple[ObjectInfo, ...]]:
    """Return the complete checkpoints among a version's files, each with all of its parts."""
    # A writer may die with some parts written, so only a checkpoint with all of them counts (Delta
    # protocol, "Checkpoints"). Parts of another count are of another one.
    whole, parts = list[tuple[ObjectInfo, ...]](), dict[int, list[ObjectInfo]]()
    for name in sorted(files):
        match = _CHECKPOINT.fullmatch(name)
        if not match or not match["parts"]:
            whole.append((files[name],))
        elif 0 < int(match["part"]) <= int(match["parts"]):
            parts.setdefault(int(match["parts"]), []).append(files[name])
    return [*whole, *(tuple(group) for count, group in parts.items() if len(group) == count)]


def _span(first: int, last: int) -> str:
    return f"version {first} is" if first == last else f"versions {first} to {last} are"
