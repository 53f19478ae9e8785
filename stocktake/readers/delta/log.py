"""Reads of the files of one `_delta_log` folder, under a budget."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from threading import Lock
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
from stocktake.readers.delta.listing import Hint, Listing
from stocktake.readers.delta.numbers import MOST
from stocktake.readers.limits import exceeded
from stocktake.readers.source import Coverage, Limits, Progress
from stocktake.storage.stores.opening import ObjectInfo, ObjectStore

#: Reads handed to the store at once. At the end of each such group the store's threads run dry,
#: and a cancel is seen.
_GROUP: Final = 4096
#: Names in the answer to one request for a listing, of most stores.
_PAGE: Final = 1000
#: A larger JSON file is read as a stream, so that a commit of a million files stays small.
_WHOLE_BYTES: Final = 8 * 1024 * 1024
#: Why a file that nobody needs is passed over. Some stores say 403 of one that is not there.
_NOT_TO_BE_HAD: Final = (AccessDeniedError, ArchivedSourceError, SourceNotFoundError)
_CHECKPOINT_ADVICE: Final = "Write a checkpoint of the table"

#: What a file says, if anything; or the error, where another file can say it instead.
Answer = Actions | Checksum | InvalidSourceError | None
Read = Callable[[], Answer]
Said = TypeVar("Said")


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
        self._lock = Lock()

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

    def begin(self) -> tuple[Hint | None, Listing | None]:
        """Read the hint; of a store that is far away, in the same breath the first page of the
        listing.

        Returns:
            The hint, and the listing where that page was all of it. Raises what `list_from` does.
        """
        if self.store.is_local:
            return self.hint(), None
        calls: list[Callable[[], Hint | Listing | None]] = [self.hint, self._short_listing]
        hint, listing = self.store.map(lambda call: call(), calls)
        return (
            hint if isinstance(hint, Hint) else None,
            listing if isinstance(listing, Listing) else None,
        )

    def _short_listing(self) -> Listing | None:
        """Return the listing from the first version on; None where it is longer than a page."""
        try:
            listing = self._listing(
                self.path(f"{0:020}"), fewer_than=min(_PAGE, self.limits.max_listed)
            )
        except (_OutOfOrderError, _LongerError):
            return None
        return self._believable(listing)

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
        return self._believable(listing)

    def _believable(self, listing: Listing) -> Listing:
        if (listing.head or 0) > MOST and (newest := listing.newest_file()):
            raise InvalidSourceError(
                f"The Delta log has the file {self.shown(newest)}; versions end at {MOST}.",
                hint="Remove the named file if it is none of the log's, then refresh again.",
                file=self.shown(newest),
            )
        return listing

    def _listing(
        self, after: str, *, anywhere: bool = False, fewer_than: int | None = None
    ) -> Listing:
        listing, last, self._listed = Listing(), "", 0
        found = self.store.list(self._folder, start_after=None if anywhere else after)
        for count, info in enumerate(found, 1):
            # Before the next is asked for, which would be a further request.
            if count == fewer_than:
                raise _LongerError
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
        """Count what is read against the budget; threads may call it.

        Raises:
            LimitExceededError: `max_log_bytes` or `max_seconds` is used up.
        """
        with self._lock:
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

    def run(self, reads: Sequence[Callable[[], Said]], *, at_once: int = _GROUP) -> list[Said]:
        """Make many reads at a time; answers in their order.

        Args:
            at_once: reads of which the next begin when the last of them has ended.
        """
        answers: list[Said] = []
        for start in range(0, len(reads), at_once):
            answers += self.store.map(self._timely, reads[start : start + at_once])
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


class _LongerError(Exception):
    """A listing is longer than what was asked for."""
