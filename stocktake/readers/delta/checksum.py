"""The version checksum file, `<version>.crc`: how much a table holds, where nothing speaks
against it.

The log says the same, and decides: this file is optional, its writer is not the commit's, and it
stays where a commit is taken back and written anew.
"""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from stocktake.errors import InvalidSourceError
from stocktake.readers.delta.actions import Actions, CommitId, Metadata, Said, TableProtocol
from stocktake.readers.delta.numbers import whole_number
from stocktake.readers.delta.totals import Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum:
    """What a checksum file says.

    Attributes:
        file: its name below the table's root.
        modified_at: aware UTC.
        commit: which writing of the version it is of, as far as its writer told.
    """

    file: str
    modified_at: datetime
    totals: Totals
    commit: CommitId
    protocol: TableProtocol | None = None
    metadata: Metadata | None = None

    @classmethod
    def parse(cls, data: bytes, file: str, modified_at: datetime) -> Self | None:
        """Read the file; one that is corrupt, in whatever, says nothing at all."""
        try:
            fields = json.loads(data)
            protocol, metadata = fields.get("protocol"), fields.get("metadata")
            checksum = cls(
                file=file,
                modified_at=modified_at,
                totals=_totals(fields),
                commit=CommitId(
                    transaction=fields.get("txnId"), timestamp=fields.get("inCommitTimestampOpt")
                ),
                protocol=None
                if protocol is None
                else TableProtocol.of(Said(action=protocol, file=file)),
                metadata=None
                if metadata is None
                else Metadata.of(Said(action=metadata, file=file)),
            )
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            return None
        except InvalidSourceError:  # of one of its two actions
            return None
        return checksum

    def contradicts(
        self, commit: CommitId | None, protocol: TableProtocol, metadata: Metadata
    ) -> bool:
        """Return whether it says something else than the log: another schema, or another writing
        of the version.

        Args:
            commit: the version's, as its `commitInfo` has it.
        """
        return (
            self._same_commit(commit) is False
            or self.metadata not in (None, metadata)
            or (self.protocol is not None and _asked(self.protocol) != _asked(protocol))
        )

    def is_of(self, commit: CommitId | None, committed_at: datetime) -> bool:
        """Return whether it was written for this writing of the version, and not for one that was
        taken back: by what both have of a transaction, else by which file is older.

        Args:
            commit: the version's, as its `commitInfo` has it.
            committed_at: when that file was written.
        """
        same = self._same_commit(commit)
        return self.modified_at >= committed_at if same is None else same

    def _same_commit(self, commit: CommitId | None) -> bool | None:
        told = commit or CommitId()
        pairs = (
            (told.transaction, self.commit.transaction),
            (told.timestamp, self.commit.timestamp),
        )
        return next((ours == theirs for ours, theirs in pairs if None not in (ours, theirs)), None)

    def actions(self) -> Actions:
        """Return the two actions, as far as it has them."""
        return Actions(
            protocol=self.protocol.said() if self.protocol else None,
            metadata=self.metadata.said() if self.metadata else None,
        )


def _asked(protocol: TableProtocol) -> tuple[int, set[str], set[str]]:
    return (
        protocol.reader_version,
        set(protocol.reader_features),
        set(protocol.writer_features),
    )


def _totals(fields: dict[str, Any]) -> Totals:
    claimed = Totals(
        size_bytes=_count(fields, "tableSizeBytes"), file_count=_count(fields, "numFiles")
    )
    files = fields.get("allFiles")
    if not isinstance(files, list) or len(files) != claimed.file_count:
        return claimed
    # Listed or not, the files are as many and as large; only the list tells their rows.
    listed = Totals.summed(map(Totals.of_add, files))
    return replace(claimed, row_count=listed.row_count, elsewhere_count=listed.elsewhere_count)


def _count(fields: dict[str, Any], name: str) -> int | None:
    if (claimed := fields.get(name)) is None:
        return None
    if (count := whole_number(claimed)) is None:
        raise ValueError(f"{name} is no count")
    return count
