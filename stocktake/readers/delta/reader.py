"""Read a Delta table's schema and version off its log, in as few round trips as can be.

Cold, three: `_last_checkpoint`; a listing from there with the checkpoint's footer; the commits
after it with the few bytes of the checkpoint that the schema needs. Warm, one: a listing from the
version that is known. Versions are never guessed at: they are listed, and must have no gap.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Self

from stocktake.errors import InvalidSourceError, SourceNotFoundError, UnsupportedError
from stocktake.readers.delta.actions import Actions, Metadata, TableProtocol, merged
from stocktake.readers.delta.checkpoint import TAIL_BYTES, OpenCheckpoint, Tails
from stocktake.readers.delta.count import count
from stocktake.readers.delta.log import Answer, Checkpoint, DeltaLog, Hint, Listing, Read
from stocktake.readers.delta.types import columns_of
from stocktake.readers.limits import check_size
from stocktake.readers.source import Introspection, Limits, Progress, Source
from stocktake.storage.places.globs import literal
from stocktake.storage.stores.opening import Chunk, ObjectInfo

#: Reader features that leave the schema readable (Delta protocol, "Table Features").
READABLE_FEATURES: Final = frozenset(
    {
        "columnMapping",
        "deletionVectors",
        "timestampNtz",
        "typeWidening",
        "typeWidening-preview",
        "v2Checkpoint",
        "vacuumProtocolCheck",
        "variantShredding",
        "variantShredding-preview",
        "variantType",
        "variantType-preview",
    }
)
_CATALOG_FEATURES: Final = frozenset({"catalogManaged", "catalogOwned", "catalogOwned-preview"})
_MAX_READER_VERSION: Final = 3

#: The table's option that asks for rows, files and bytes where the log does not tell them in a
#: few bytes.
COUNT_OPTION: Final = "delta_count"

#: With more new commits than this a newer checkpoint is looked for instead.
_MAX_CATCH_UP: Final = 64
#: A checksum file below this holds counts alone; Delta before 3.0 wrote about 92 bytes.
_MIN_FULL_CHECKSUM_BYTES: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a table is at one version.

    Attributes:
        etag: of that version's commit.
        counted: whether its files were counted; they need not tell their rows.
    """

    version: int
    etag: str
    actions: Actions
    counted: bool = False

    @classmethod
    def from_state(cls, source: Source) -> Self | None:
        """Read the state of an earlier read; None for one of another reader, or a broken one."""
        state = source.state
        if state is None or state.get("reader_version") != source.format.facts.reader_version:
            return None
        try:
            return cls(
                version=int(state["version"]),
                etag=str(state["etag"]),
                counted=state.get("counted") is True,
                actions=Actions(
                    protocol=TableProtocol.of(state["protocol"], "the state"),
                    metadata=Metadata.of(state["metadata"], "the state"),
                    row_count=state.get("row_count"),
                    size_bytes=state.get("size_bytes"),
                    file_count=state.get("file_count"),
                ),
            )
        except (KeyError, TypeError, ValueError, InvalidSourceError):
            return None

    def as_state(self, source: Source) -> dict[str, Any]:
        """Return the JSON to hand back next time."""
        protocol, metadata = self.actions.protocol, self.actions.metadata
        return {
            "reader_version": source.format.facts.reader_version,
            "version": self.version,
            "etag": self.etag,
            "protocol": protocol.as_action() if protocol else None,
            "metadata": metadata.as_action() if metadata else None,
            "row_count": self.actions.row_count,
            "size_bytes": self.actions.size_bytes,
            "file_count": self.actions.file_count,
            "counted": self.counted,
        }

    @property
    def tells_counts(self) -> bool:
        """Whether a count would tell nothing new."""
        return self.counted or None not in (self.actions.row_count, self.actions.file_count)


def read(source: Source, limits: Limits, progress: Progress) -> Introspection:
    """Read the table at `source.path` (its root folder) just far enough to know its columns.

    Args:
        source: a Delta table; its `state` makes an unchanged table cost one listing.
        limits: `max_listed`, `max_log_bytes`, `max_seconds`, `max_columns`, `max_nesting`,
            `max_line_bytes` and `max_footer_bytes` hold, all of them hard.
        progress: told how many log files were listed and read.

    Raises:
        SourceNotFoundError: the folder holds no Delta log.
        InvalidSourceError: a gap, a corrupt commit, no schema, a file outside the folder.
        UnsupportedError: `unsupported_reader_feature`, `unsupported_type`.
        DuplicateColumnError: two columns of one name.
        LimitExceededError: a budget ran out.
    """
    log = DeltaLog(source.store, literal(source.path), limits, progress)
    wanted = source.options.get(COUNT_OPTION) is True
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


def _counted(log: DeltaLog, listing: Listing, snapshot: Snapshot) -> Snapshot:
    try:
        counts = count(log, listing)
    except InvalidSourceError:
        counts = count(log, log.list_from())  # an older checkpoint may do
    actions = replace(
        snapshot.actions,
        row_count=counts.rows,
        size_bytes=counts.size_bytes,
        file_count=counts.files,
    )
    return replace(snapshot, actions=actions, counted=True)


def _unchanged(source: Source, log: DeltaLog, known: Snapshot) -> Introspection:
    return Introspection(
        columns=(),
        source_version=known.version,
        row_count=known.actions.row_count,
        size_bytes=known.actions.size_bytes,
        file_count=known.actions.file_count,
        state=known.as_state(source),
        coverage=log.coverage(unchanged=True),
    )


def _introspection(source: Source, log: DeltaLog, snapshot: Snapshot) -> Introspection:
    protocol, metadata = snapshot.actions.protocol, snapshot.actions.metadata
    if protocol is None or metadata is None:
        missing = "metaData" if metadata is None else "protocol"
        raise InvalidSourceError(
            f"The Delta log has no {missing} action up to version {snapshot.version}; "
            "a table's first commit carries one."
        )
    features = (*protocol.reader_features, *protocol.writer_features)
    # The state keeps these lists.
    check_size(sum(map(len, features)), log.limits, what="The list of the table's Delta features")
    _require_readable(protocol)
    return Introspection(
        columns=columns_of(metadata.schema_string, metadata.partition_columns, log.limits),
        source_version=snapshot.version,
        row_count=snapshot.actions.row_count,
        size_bytes=snapshot.actions.size_bytes,
        file_count=snapshot.actions.file_count,
        state=snapshot.as_state(source),
        coverage=log.coverage(),
    )


def _require_readable(protocol: TableProtocol) -> None:
    if catalog := _CATALOG_FEATURES & {*protocol.reader_features, *protocol.writer_features}:
        raise _unsupported(
            f"The table is managed by a catalog ({', '.join(sorted(catalog))}): its newest commits "
            "may be there and not in the log."
        )
    if protocol.reader_version > _MAX_READER_VERSION:
        raise _unsupported(
            f"The table asks for Delta reader version {protocol.reader_version}; "
            f"this reader knows versions up to {_MAX_READER_VERSION}."
        )
    # Reader features exist in version 3 only (Delta protocol, "Delta Table Specification").
    unknown = sorted(set(protocol.reader_features) - READABLE_FEATURES)
    if unknown and protocol.reader_version == _MAX_READER_VERSION:
        raise _unsupported(
            f"The table needs Delta reader features that this reader lacks: {', '.join(unknown)}."
        )


def _unsupported(detail: str) -> UnsupportedError:
    return UnsupportedError(detail, code="unsupported_reader_feature")


def _caught_up(log: DeltaLog, listing: Listing, known: Snapshot) -> Snapshot | None:
    """Return the known snapshot with the commits since; None where starting afresh is cheaper."""
    head = known.version if listing.head is None else listing.head
    if head - known.version > _MAX_CATCH_UP or listing.gap(known.version):
        return None
    _, newer = _read_after(log, listing, known.version, [])
    return _snapshot(listing, known.actions.then(newer))


def _afresh(log: DeltaLog) -> tuple[Snapshot, Listing]:
    hint = log.hint()
    if hint is not None:
        listing, tails = _listing_with_tails(log, hint)
        base = next(listing.checkpoints(), None)
        # A hint is believed only where a complete checkpoint and all commits behind it are there;
        # whatever it got wrong, the whole listing decides.
        if base is not None and listing.gap(base.version) is None:
            snapshot = _from_base(log, listing, base, tails)
            if isinstance(snapshot, Snapshot):
                return snapshot, listing
    return _from_whole_listing(log)


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
    except SourceNotFoundError:
        return None


def _from_whole_listing(log: DeltaLog) -> tuple[Snapshot, Listing]:
    """Start from the newest checkpoint that can be read and has every commit after it, else from
    the first commit."""
    listing = log.list_from(0)
    if listing.head is None:
        raise SourceNotFoundError(
            "The folder has no Delta log: there is no commit in _delta_log below it."
        )
    unreadable: InvalidSourceError | None = None
    for base in (*listing.checkpoints(), None):
        if gap := listing.gap(base.version if base else -1):
            # A checkpoint that could not be read is what is wrong: commits before it may be gone.
            raise unreadable or gap
        snapshot = _from_base(log, listing, base, {})
        if isinstance(snapshot, Snapshot):
            return snapshot, listing
        unreadable = unreadable or snapshot
    raise AssertionError("a log without a base has no gap and no checkpoint to fail")


def _from_base(
    log: DeltaLog, listing: Listing, base: Checkpoint | None, tails: Tails
) -> Snapshot | InvalidSourceError:
    """Return the table from a checkpoint or from the first commit on, or why that checkpoint cannot
    be read. What is wrong with a commit is raised: no other base would mend it."""
    if snapshot := _from_checksum(log, listing):
        return snapshot
    if base is None:
        return _snapshot(listing, _read_after(log, listing, -1, [])[1])
    try:
        checkpoint = OpenCheckpoint.of(log, base, tails)
        reads = checkpoint.reads()
    except InvalidSourceError as exc:
        return exc
    answers, newer = _read_after(log, listing, base.version, reads)
    try:
        return _snapshot(listing, checkpoint.actions(answers).then(newer))
    except InvalidSourceError as exc:
        return exc


def _from_checksum(log: DeltaLog, listing: Listing) -> Snapshot | None:
    """Return the table off the checksum file at the head, where it is there and says all."""
    checksum = _checksum(listing)
    if checksum is None or not _is_full(checksum):
        return None
    log.charge(files=1, size_bytes=checksum.size)
    actions = log.checksum(checksum)
    return _snapshot(listing, actions) if actions.protocol and actions.metadata else None


def _read_after(
    log: DeltaLog, listing: Listing, version: int, base_reads: Sequence[Read]
) -> tuple[Sequence[Answer], Actions]:
    """Read all commits after a version at once, and with them what the base needs.

    Returns:
        The base's answers, and the commits' actions as one.
    """
    tail = listing.tail(version)
    files = [info for stretch in tail for info in stretch.files]
    reads: list[Read] = [*base_reads, *(partial(log.stretch, stretch) for stretch in tail)]
    # Last, since counts are the newest action's, and these are the head's.
    if checksum := _checksum(listing):
        files.append(checksum)
        reads.append(partial(log.checksum, checksum))
    log.charge(files=len(files), size_bytes=sum(info.size for info in files))
    answers = log.run(reads)
    newer = merged(each for each in answers[len(base_reads) :] if isinstance(each, Actions))
    return answers[: len(base_reads)], newer


def _snapshot(listing: Listing, actions: Actions) -> Snapshot:
    head = listing.head or 0
    return Snapshot(version=head, etag=listing.etag(head) or "", actions=actions)


def _checksum(listing: Listing) -> ObjectInfo | None:
    return None if listing.head is None else listing.checksums.get(listing.head)


def _is_full(checksum: ObjectInfo) -> bool:
    return checksum.size >= _MIN_FULL_CHECKSUM_BYTES
