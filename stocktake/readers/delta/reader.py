"""Read a Delta table's schema and version off its log, in as few round trips as can be.

Cold, two: `_last_checkpoint` with the first page of a listing; where that was all of it, the
checkpoint's end with the commits after it. Of a large checkpoint the few bytes that the schema
needs are a third. Of a longer log three: those two requests; a listing from the hinted checkpoint
on with that one's end; the commits after it with those few bytes. Warm, one: a listing from the
version that is known. Versions are never guessed at: they are listed, and must have no gap.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final

from stocktake.errors import (
    AccessDeniedError,
    InvalidSourceError,
    SourceChangedError,
    SourceNotFoundError,
)
from stocktake.readers.delta import data_files
from stocktake.readers.delta.actions import Actions, CommitId, Metadata, TableProtocol, merged
from stocktake.readers.delta.blame import Told, newest, origins_of
from stocktake.readers.delta.checkpoint import TAIL_BYTES, OpenCheckpoint, Tails
from stocktake.readers.delta.checksum import Checksum
from stocktake.readers.delta.count import count
from stocktake.readers.delta.features import require_readable
from stocktake.readers.delta.listing import Checkpoint, Hint, Listing
from stocktake.readers.delta.log import Answer, DeltaLog, Read
from stocktake.readers.delta.snapshot import Snapshot
from stocktake.readers.delta.totals import UNKNOWN
from stocktake.readers.delta.types import columns_of
from stocktake.readers.limits import check_size
from stocktake.readers.source import DataFile, Introspection, Limits, Progress, Source, no_progress
from stocktake.schema.columns import Column
from stocktake.schema.origin import Place
from stocktake.storage.places.globs import literal
from stocktake.storage.stores.opening import Chunk, ObjectInfo

#: The table's option that asks for rows, files and bytes where the log does not tell them in a
#: few bytes.
COUNT_OPTION: Final = "delta_count"

#: With more new commits than this a newer checkpoint is looked for instead.
_MAX_CATCH_UP: Final = 64
#: A checksum file beyond this is not read: its list of files is a log of its own.
_MAX_CHECKSUM_BYTES: Final = 8 * 1024 * 1024


def read(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """Read the table at `source.path` (its root folder) just far enough to know its columns.

    Args:
        source: a Delta table; its `state` makes an unchanged table cost one listing.
        limits: `max_listed`, `max_log_bytes`, `max_seconds`, `max_columns`, `max_nesting`,
            `max_line_bytes` and `max_footer_bytes` hold, all of them hard.
        progress: told how many log files were listed and read.

    Raises:
        SourceNotFoundError: the folder holds no Delta log.
        InvalidSourceError: a gap, a corrupt commit, no schema, a version beyond Delta's.
        UnsupportedError: `unsupported_reader_feature`, `unsupported_type`.
        DuplicateColumnError: two columns of one name.
        LimitExceededError: a budget ran out.
    """
    log = DeltaLog(source.store, literal(source.path), limits, progress)
    wanted = _wants_counts(source)
    known = Snapshot.from_state(source)
    if known is not None:
        # The known version is listed too: a table that was dropped and made anew has another ETag
        # there.
        listing = log.list_from(known.version)
        if listing.etag(known.version) == known.etag:
            if listing.head == known.version and (known.tells_counts or not wanted):
                return _unchanged(source, log, known)
            # New commits do not tell how much there was before: for a count all is read afresh.
            newer = _caught_up(log, listing, known)
            if newer is not None and (newer.tells_counts or not wanted):
                return _introspection(source, log, newer)
    snapshot, listing = _afresh(log)
    if wanted and not snapshot.tells_counts:
        # What cannot be read is said before a count is taken for nothing.
        _introspection(source, log, snapshot)
        snapshot = _counted(log, listing, snapshot)
    return _introspection(source, log, snapshot)


def probe(source: Source, limits: Limits) -> Introspection | None:
    """Return the answer of the last read where a listing tells that the version is still that one,
    under the same ETag; None where it does not, or nothing is remembered.

    Raises:
        JobError: the listing failed, or is longer than `max_listed`.
    """
    known = Snapshot.from_state(source)
    if known is None or (_wants_counts(source) and not known.tells_counts):
        return None
    log = DeltaLog(source.store, literal(source.path), limits, no_progress)
    listing = log.list_from(known.version)
    same = listing.head == known.version and listing.etag(known.version) == known.etag
    return _unchanged(source, log, known) if same else None


def data_file(source: Source, name: str | None, limits: Limits, progress: Progress) -> DataFile:
    """Return one of the files of the current version: see `data_files.data_file`. Takes and raises
    what `read` does, too."""
    log = DeltaLog(source.store, literal(source.path), limits, progress)
    snapshot, listing = _afresh(log)
    require_readable(snapshot.protocol)
    return data_files.data_file(log, listing, snapshot.metadata, name)


def _counted(log: DeltaLog, listing: Listing, snapshot: Snapshot) -> Snapshot:
    try:
        totals = count(log, listing)
    except InvalidSourceError:
        # an older checkpoint may do
        whole = log.list_from()
        try:
            totals = count(log, replace(whole, unfit=listing.unfit))
        except InvalidSourceError:
            _require_settled(log, whole)
            raise
    return replace(snapshot, totals=totals, counted=True)


def _unchanged(source: Source, log: DeltaLog, known: Snapshot) -> Introspection:
    return _found(source, log, known, columns=(), unchanged=True)


def _introspection(source: Source, log: DeltaLog, snapshot: Snapshot) -> Introspection:
    protocol, metadata = snapshot.protocol, snapshot.metadata
    features = (*protocol.reader_features, *protocol.writer_features)
    # The state keeps these lists.
    what = "The list of the table's Delta features"
    check_size(sum(map(len, features)), log.limits, what=what, file=protocol.file)
    require_readable(protocol)
    columns = columns_of(
        metadata.schema_string, metadata.partition_columns, log.limits, file=metadata.file
    )
    found = _found(source, log, snapshot, columns=columns)
    origins = origins_of(snapshot.told, snapshot.written, columns, continues=snapshot.continues)
    return replace(found, origins=origins)


def _found(
    source: Source,
    log: DeltaLog,
    snapshot: Snapshot,
    *,
    columns: tuple[Column, ...],
    unchanged: bool = False,
) -> Introspection:
    return Introspection(
        columns=columns,
        source_version=snapshot.version,
        row_count=snapshot.totals.row_count,
        size_bytes=snapshot.totals.size_bytes,
        file_count=snapshot.totals.file_count,
        state=snapshot.as_state(source),
        coverage=log.coverage(unchanged=unchanged),
        warnings=tuple(snapshot.warnings(counted=_wants_counts(source))),
    )


def _wants_counts(source: Source) -> bool:
    return source.options.get(COUNT_OPTION) is True


def _caught_up(log: DeltaLog, listing: Listing, known: Snapshot) -> Snapshot | None:
    """Return the known snapshot with the commits since; None where starting afresh is cheaper."""
    head = known.version if listing.head is None else listing.head
    if head - known.version > _MAX_CATCH_UP or listing.gap(known.version):
        return None
    tail = _read_after(log, listing, known.version, [])
    actions = known.actions()
    snapshot = _snapshot(log, listing, actions.then(tail.actions), tail)
    before = _before(actions, known.version)
    return replace(snapshot, told=newest((*before, *snapshot.told)), continues=True)


def _afresh(log: DeltaLog) -> tuple[Snapshot, Listing]:
    hint, whole = log.begin()
    if whole is not None:
        return _from_whole_listing(log, whole)
    if hint is not None:
        listing, tails = _listing_with_tails(log, hint)
        base = next(listing.checkpoints(), None)
        # A hint is believed only where a complete checkpoint and all commits behind it are there;
        # whatever it got wrong, the whole listing decides.
        if base is not None and listing.gap(base.version) is None:
            snapshot = _from_base(log, listing, base, tails)
            if isinstance(snapshot, Snapshot):
                return snapshot, listing
    return _from_whole_listing(log, log.list_from())


def _listing_with_tails(log: DeltaLog, hint: Hint) -> tuple[Listing, Tails]:
    """List the log from the hinted checkpoint, and fetch that one's ends in the same breath."""
    names = [name for name in hint.names if name.endswith(".parquet")]
    calls: list[Callable[[], Listing | Chunk | None]] = [partial(log.list_from, hint.version)]
    calls += [partial(_tail, log, log.path(name)) for name in names]
    answers = log.store.map(lambda call: call(), calls)
    listing = next(each for each in answers if isinstance(each, Listing))
    found = {each.info.path: each for each in answers if isinstance(each, Chunk)}
    log.charge(files=len(found), size_bytes=sum(tail.cost_bytes for tail in found.values()))
    return listing, found


def _tail(log: DeltaLog, path: str) -> Chunk | None:
    # The hint may name a checkpoint that is gone.
    try:
        return log.store.get_tail(path, TAIL_BYTES)
    except (AccessDeniedError, SourceNotFoundError):
        return None


def _from_whole_listing(log: DeltaLog, listing: Listing) -> tuple[Snapshot, Listing]:
    """Start from the newest checkpoint that can be read and has every commit after it, else from
    the first commit."""
    if listing.head is None:
        raise SourceNotFoundError(
            "The folder has no Delta log: there is no commit in _delta_log below it."
        )
    unreadable: InvalidSourceError | None = None
    for base in (*listing.checkpoints(), None):
        if gap := listing.gap(base.version if base else -1):
            if unreadable and (rescued := _from_checksum(log, listing)):
                return replace(rescued, passed_over=unreadable.file), listing
            _require_settled(log, listing)
            # A checkpoint that could not be read is what is wrong: commits before it may be gone.
            raise unreadable or gap
        snapshot = _from_base(log, listing, base, {})
        if isinstance(snapshot, Snapshot):
            passed_over = unreadable.file if unreadable else None
            return replace(snapshot, passed_over=passed_over), listing
        unreadable = unreadable or snapshot
        if base is not None:
            listing.unfit.append(base)
    raise AssertionError("a log without a base has no gap and no checkpoint to fail")


def _require_settled(log: DeltaLog, listing: Listing) -> None:
    """Tell a gap of the log from one of its listing, which takes a while: a commit that is written
    where it has passed is not in it, and the next commit may be.

    Raises:
        SourceChangedError: another listing has other files up to that head.
    """
    again = log.list_from()
    head = listing.head or 0
    commits = {version: info for version, info in again.commits.items() if version <= head}
    if (commits, again.checkpoint_files) != (listing.commits, listing.checkpoint_files):
        raise SourceChangedError("The Delta log was rewritten while it was being listed.")


def _from_base(
    log: DeltaLog, listing: Listing, base: Checkpoint | None, tails: Tails
) -> Snapshot | InvalidSourceError:
    """Return the table from a checkpoint or from the first commit on, or why that checkpoint cannot
    be read. What is wrong with a commit is raised: no other base would mend it."""
    if base is None:
        tail = _read_after(log, listing, -1, [])
        return _snapshot(log, listing, tail.actions, tail, listing.commits[0])
    try:
        checkpoint = OpenCheckpoint.of(log, base, tails)
        reads = checkpoint.reads()
    except InvalidSourceError as exc:
        return exc
    tail = _read_after(log, listing, base.version, reads)
    tail.actions.require_complete()
    try:
        actions = checkpoint.actions(tail.answers)
        snapshot = _snapshot(log, listing, actions.then(tail.actions), tail, base.files[0])
    except InvalidSourceError as exc:
        return exc
    before = _before(actions, base.version, base.files[0].modified_at)
    return replace(snapshot, told=newest((*before, *snapshot.told)))


def _before(actions: Actions, version: int, at: datetime | None = None) -> tuple[Told, ...]:
    """Return the schema of a base: that version has it, and earlier ones may."""
    if actions.metadata is None:
        return ()
    return (Told(place=Place(version=version, at=at, exact=False), said=actions.metadata),)


def _from_checksum(log: DeltaLog, listing: Listing) -> Snapshot | None:
    """Return the table off the checksum file at the head, where no checkpoint can be read and the
    commits before are gone; None where it lacks something, or the commits that are left have
    another schema."""
    version = listing.head or 0
    if version not in listing.commits or version not in listing.checksums:
        return None
    while version - 1 in listing.commits:
        version -= 1
    tail = _read_after(log, listing, version - 1, [])
    if tail.checksum is None:
        return None
    before = _before(tail.checksum.actions(), listing.head or 0)
    actions = tail.checksum.actions().then(tail.actions)
    if actions.protocol is None or actions.metadata is None:
        return None
    snapshot = _snapshot(log, listing, actions, tail, listing.commits[version])
    if snapshot.totals == UNKNOWN:
        return None
    return replace(snapshot, told=snapshot.told or before)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tail:
    """What the commits after some version say, and what was read beside them.

    Attributes:
        answers: of the base's reads.
        actions: of all commits, as one.
        head: of the newest commit alone.
        checksum: of the head.
        told: the schemas in the commits.
    """

    answers: Sequence[Answer]
    actions: Actions
    head: Actions
    checksum: Checksum | None
    told: tuple[Told, ...]


def _read_after(log: DeltaLog, listing: Listing, version: int, base_reads: Sequence[Read]) -> _Tail:
    """Read all commits after a version at once, and with them what the base needs."""
    commits = listing.tail(version)
    files = [*commits]
    reads: list[Read] = [*base_reads, *(partial(log.lines, info) for info in commits)]
    checksum = listing.checksums.get(listing.head or 0)
    if checksum is not None and checksum.size <= _MAX_CHECKSUM_BYTES:
        files.append(checksum)
        reads.append(partial(log.checksum, checksum))
    log.charge(files=len(files), size_bytes=sum(info.size for info in files))
    answers = log.run(reads)
    after = answers[len(base_reads) :]
    said = [each for each in after if isinstance(each, Actions)]
    return _Tail(
        answers=answers[: len(base_reads)],
        actions=merged(said),
        head=said[-1] if said else Actions(),
        checksum=next((each for each in after if isinstance(each, Checksum)), None),
        told=_told(version + 1, commits, after),
    )


def _told(
    version: int, commits: Sequence[ObjectInfo], answers: Sequence[Answer]
) -> tuple[Told, ...]:
    """Return the schemas that commits have, from that of a version on."""
    return newest(
        [
            Told(place=_place(number, info, said.commit), said=said.metadata)
            for number, (info, said) in enumerate(zip(commits, answers, strict=False), version)
            if isinstance(said, Actions) and said.metadata is not None
        ]
    )


def _place(version: int, info: ObjectInfo | None, commit: CommitId | None) -> Place:
    at = commit.written_at if commit else None
    if at is None and info is not None:
        at = info.modified_at
    return Place(version=version, at=at)


def _snapshot(
    log: DeltaLog,
    listing: Listing,
    actions: Actions,
    tail: _Tail,
    origin: ObjectInfo | None = None,
) -> Snapshot:
    """Return the table at the head.

    Args:
        origin: the file that the log was read from on, where it was read from some file on.

    Raises:
        InvalidSourceError: an action is missing or incomplete.
    """
    head = listing.head or 0
    if actions.metadata is None or actions.protocol is None:
        kind = "metaData" if actions.metadata is None else "protocol"
        raise _lacking(kind, head, log, origin)
    snapshot = Snapshot(
        version=head,
        etag=listing.etag(head) or "",
        protocol=TableProtocol.of(actions.protocol),
        metadata=Metadata.of(actions.metadata),
        told=tail.told,
        written=_place(head, listing.newest_file(), tail.head.commit),
    )
    checksum, written = tail.checksum, listing.newest_file()
    if checksum is None or written is None:
        return snapshot
    if checksum.contradicts(tail.head.commit, snapshot.protocol, snapshot.metadata):
        return replace(snapshot, disbelieved=checksum.file)
    if checksum.is_of(tail.head.commit, written.modified_at):
        return replace(snapshot, totals=checksum.totals)
    return snapshot


def _lacking(kind: str, head: int, log: DeltaLog, origin: ObjectInfo | None) -> InvalidSourceError:
    said = f"The Delta log has no {kind} action up to version {head}"
    if origin is None:
        return InvalidSourceError(f"{said}.", hint=f"Write the table's {kind} in a new commit.")
    shown = log.shown(origin)
    what = "has none" if origin.size else "is empty"
    return InvalidSourceError(
        f"{said}: {shown}, from where it is read, {what}.",
        hint=f"Restore {shown}, or write the table's {kind} in a new commit.",
        file=shown,
    )
