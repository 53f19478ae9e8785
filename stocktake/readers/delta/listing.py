"""What the files of a `_delta_log` folder are by their names: commits, checksums, checkpoints, and
the checkpoint that its hint names."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from stocktake.errors import InvalidSourceError
from stocktake.readers.delta.numbers import version_number, whole_number
from stocktake.storage.stores.opening import ObjectInfo

_COMMIT: Final = re.compile(r"([0-9]{20})\.json")
_CHECKSUM: Final = re.compile(r"([0-9]{20})\.crc")
#: Of several parts, of V2 with a UUID, and classic (Delta protocol, "Checkpoints").
_CHECKPOINT: Final = re.compile(
    r"([0-9]{20})\.checkpoint\."
    r"(?:(?P<part>[0-9]{10})\.(?P<parts>[0-9]{10})\.parquet|[0-9a-fA-F-]{36}\.(?:json|parquet)|parquet)"
)
#: A hint is believed up to here: each part that it claims is a request, and its end is held.
_MAX_PARTS: Final = 128


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
