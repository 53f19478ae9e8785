"""The files of one `_delta_log` folder: their names, their listing, and reads under a budget."""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from stocktake.errors import InvalidSourceError, SourceChangedError, SourceNotFoundError
from stocktake.readers.delta.actions import NOTHING, Actions, merged, parse_checksum, parse_lines
from stocktake.readers.limits import exceeded
from stocktake.readers.source import Coverage, Limits, Progress
from stocktake.storage.stores.opening import ObjectInfo, ObjectStore

_COMMIT: Final = re.compile(r"(\d{20})\.json")
_CHECKSUM: Final = re.compile(r"(\d{20})\.crc")
_COMPACTED: Final = re.compile(r"(\d{20})\.(\d{20})\.compacted\.json")
#: Of several parts, of V2 with a UUID, and classic (Delta protocol, "Checkpoints").
_CHECKPOINT: Final = re.compile(
    r"(\d{20})\.checkpoint\."
    r"(?:(?P<part>\d{10})\.(?P<parts>\d{10})\.parquet|[0-9a-fA-F-]{36}\.(?:json|parquet)|parquet)"
)
#: Reads handed to the store at once. At the end of each such group the store's threads run dry,
#: and a cancel is seen.
_GROUP: Final = 4096
#: A larger JSON file is read as a stream, so that a commit of a million files stays small.
_WHOLE_BYTES: Final = 8 * 1024 * 1024
#: A hint is believed up to here: each part that it claims is a request.
_MAX_PARTS: Final = 10_000
_CHECKPOINT_ADVICE: Final = "Write a checkpoint of the table"

#: What a file says; or the error, where another file can say it instead.
Answer = Actions | InvalidSourceError
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
            version, parts = int(fields["version"]), fields.get("parts")
            path = (fields.get("v2Checkpoint") or {}).get("path")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        # A version has twenty digits in a file's name.
        if not 0 <= version < 10**20:
            return None
        # A name of the log's folder, or nothing: a path could lead out of it.
        if isinstance(path, str) and _CHECKPOINT.fullmatch(path):
            return cls(version=version, names=(path,))
        if isinstance(parts, int) and 0 < parts <= _MAX_PARTS:
            numbers = (f"{part:010}.{parts:010}" for part in range(1, parts + 1))
            names = (f"{version:020}.checkpoint.{each}.parquet" for each in numbers)
            return cls(version=version, names=tuple(names))
        return cls(version=version, names=(f"{version:020}.checkpoint.parquet",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A checkpoint with all of its parts."""

    version: int
    files: tuple[ObjectInfo, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Commits to apply one after the other, and the compacted file that stands for them."""

    commits: tuple[ObjectInfo, ...]
    compacted: ObjectInfo | None = None

    @property
    def files(self) -> tuple[ObjectInfo, ...]:
        """What is read in the good case."""
        return (self.compacted,) if self.compacted else self.commits


@dataclass(slots=True, kw_only=True)
class Listing:
    """The versioned files of a log, from some version on."""

    commits: dict[int, ObjectInfo] = field(default_factory=dict)
    checksums: dict[int, ObjectInfo] = field(default_factory=dict)
    compacted: dict[int, dict[int, ObjectInfo]] = field(default_factory=dict)
    checkpoint_files: dict[int, list[ObjectInfo]] = field(default_factory=dict)

    def add(self, info: ObjectInfo, name: str) -> None:
        """Put an object under what its name says; others are none of the log's."""
        if match := _COMMIT.fullmatch(name):
            self.commits[int(match[1])] = info
        elif match := _CHECKSUM.fullmatch(name):
            self.checksums[int(match[1])] = info
        elif match := _COMPACTED.fullmatch(name):
            self.compacted.setdefault(int(match[1]), {})[int(match[2])] = info
        elif match := _CHECKPOINT.fullmatch(name):
            self.checkpoint_files.setdefault(int(match[1]), []).append(info)

    @property
    def head(self) -> int | None:
        """The newest version that any file speaks of, a checkpoint that cannot be read too:
        answering with an older one would be stale without an error."""
        return max([*self.commits, *self.checkpoint_files], default=None)

    def checkpoints(self) -> Iterator[Checkpoint]:
        """Yield the complete ones, newest first."""
        for version in sorted(self.checkpoint_files, reverse=True):
            if files := _complete(self.checkpoint_files[version]):
                yield Checkpoint(version=version, files=files)

    def etag(self, version: int) -> str | None:
        """Return the ETag of a version's commit, or of its checkpoint where the commit is gone."""
        files = self.checkpoint_files.get(version, ())
        info = self.commits.get(version) or next(iter(files), None)
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

    def tail(self, after: int) -> list[Stretch]:
        """Return the commits after a version, as the longest compacted files and what they leave.
        Nothing is missing there (`gap`)."""
        head, version, stretches = self.head or 0, after + 1, list[Stretch]()
        while version <= head:
            if version not in self.compacted:
                stretches.append(Stretch(commits=(self.commits[version],)))
                version += 1
                continue
            ends = [end for end in self.compacted[version] if version < end <= head]
            end = max(ends, default=version)
            # They go along, to be read where the compacted file is corrupt.
            commits = tuple(self.commits[each] for each in range(version, end + 1))
            compacted = self.compacted[version][end] if ends else None
            stretches.append(Stretch(commits=commits, compacted=compacted))
            version = end + 1
        return stretches


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
        except SourceNotFoundError as exc:
            # A bucket that is not there has a code of its own, and is no missing hint.
            if exc.code != SourceNotFoundError.default_code:
                raise
            return None
        self.charge(files=1, size_bytes=len(chunk.data))
        return Hint.parse(chunk.data)

    def list_from(self, version: int = 0) -> Listing:
        """List the log from a version on, sidecars and folders below it left out.

        Raises:
            LimitExceededError: more files than `max_listed`.
        """
        listing, self._listed = Listing(), 0
        # The digits alone sort before every file of that version, so that all of them are listed.
        after = self.path(f"{version:020}")
        for info in self.store.list(self._folder, start_after=after):
            # Keys ascend: after the digits come `_sidecars/` and the like, in any number.
            name = _name(info)
            if not name[:1].isdigit():
                break
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

    def stretch(self, stretch: Stretch) -> Actions:
        """Read a stretch of commits: the compacted file, or each commit where that is corrupt."""
        if stretch.compacted:
            try:
                return self.lines(stretch.compacted)
            except InvalidSourceError:
                pass  # the commits are still there, and decide
        return merged(map(self.lines, stretch.commits))

    def lines(self, info: ObjectInfo) -> Actions:
        """Read a file of JSON lines."""
        return parse_lines(self.raw_lines(info), self.shown(info))

    def checksum(self, info: ObjectInfo) -> Actions:
        """Read a version checksum file; one that has gone says nothing."""
        try:
            return parse_checksum(self.store.get(info.path).data, self.shown(info))
        except SourceNotFoundError:
            return NOTHING

    def shown(self, info: ObjectInfo) -> str:
        """Return a file's name below the table's root, for messages."""
        return f"_delta_log/{_name(info)}"

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
        if listed % 1000 == 0:
            self._progress("listing the log", listed, None)
            self._check_time()

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise exceeded(
                self.limits,
                "max_seconds",
                f"Reading the Delta log took longer than {self.limits.max_seconds:g} seconds",
                advice=_CHECKPOINT_ADVICE,
            )


def _name(info: ObjectInfo) -> str:
    # At the root of a bucket no slash stands before the folder.
    return info.path.rpartition("/_delta_log/")[2].removeprefix("_delta_log/")


def _complete(files: list[ObjectInfo]) -> tuple[ObjectInfo, ...]:
    """Return one complete checkpoint out of a version's files: whole ones before parts."""
    # A writer may die with some parts written, so only a checkpoint with all of them counts (Delta
    # protocol, "Checkpoints"). Parts of another count are of another one.
    parts: dict[int, list[ObjectInfo]] = {}
    for info in files:
        match = _CHECKPOINT.fullmatch(_name(info))
        if match and match["parts"]:
            parts.setdefault(int(match["parts"]), []).append(info)
        else:
            return (info,)
    return next((tuple(group) for count, group in parts.items() if len(group) == count), ())


def _span(first: int, last: int) -> str:
    return f"version {first} is" if first == last else f"versions {first} to {last} are"
