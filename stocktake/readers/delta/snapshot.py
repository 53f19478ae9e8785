"""What a Delta table is at one version, and how that is kept from one read to the next."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from stocktake.errors import InvalidSourceError
from stocktake.readers.delta.actions import Actions, Metadata, Said, TableProtocol
from stocktake.readers.delta.blame import Told
from stocktake.readers.delta.totals import UNKNOWN, Totals
from stocktake.readers.source import Source
from stocktake.schema.origin import Place
from stocktake.schema.warnings import ReadWarning, WarningCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a table is at one version.

    Attributes:
        etag: of that version's commit.
        counted: whether its files were counted; they need not tell their rows.
        passed_over: a checkpoint's file that could not be read.
        disbelieved: the checksum file of the version that says something else than its log.
        told: the schemas that this read met, oldest first; no part of a state.
        written: the version, and when it was written; no part of a state.
        continues: whether `told` begins with what was known; no part of a state.
    """

    version: int
    etag: str
    protocol: TableProtocol
    metadata: Metadata
    totals: Totals = UNKNOWN
    counted: bool = False
    passed_over: str | None = None
    disbelieved: str | None = None
    told: tuple[Told, ...] = field(default=(), compare=False)
    written: Place = field(default=Place(), compare=False)
    continues: bool = field(default=False, compare=False)

    @classmethod
    def from_state(cls, source: Source) -> Self | None:
        """Read the state of an earlier read; None for one of another reader, or a broken one."""
        state = source.state
        if state is None or state.get("reader_version") != source.format.facts.reader_version:
            return None
        try:
            protocol, metadata = Said(**state["protocol"]), Said(**state["metadata"])
            return cls(
                version=int(state["version"]),
                etag=str(state["etag"]),
                counted=state.get("counted") is True,
                passed_over=state.get("passed_over"),
                disbelieved=state.get("disbelieved"),
                protocol=TableProtocol.of(protocol),
                metadata=Metadata.of(metadata),
                totals=Totals(
                    row_count=state.get("row_count"),
                    size_bytes=state.get("size_bytes"),
                    file_count=state.get("file_count"),
                    elsewhere_count=state.get("elsewhere_count"),
                ),
            )
        except (KeyError, TypeError, ValueError, InvalidSourceError):
            return None

    def as_state(self, source: Source) -> dict[str, Any]:
        """Return the JSON to hand back next time."""
        protocol, metadata, totals = self.protocol.said(), self.metadata.said(), self.totals
        return {
            "reader_version": source.format.facts.reader_version,
            "version": self.version,
            "etag": self.etag,
            "protocol": {"action": protocol.action, "file": protocol.file},
            "metadata": {"action": metadata.action, "file": metadata.file},
            "row_count": totals.row_count,
            "size_bytes": totals.size_bytes,
            "file_count": totals.file_count,
            "elsewhere_count": totals.elsewhere_count,
            "counted": self.counted,
            "passed_over": self.passed_over,
            "disbelieved": self.disbelieved,
        }

    def actions(self) -> Actions:
        """Return the two actions, for newer ones to follow."""
        return Actions(protocol=self.protocol.said(), metadata=self.metadata.said())

    @property
    def tells_counts(self) -> bool:
        """Whether a count would tell nothing new."""
        return self.counted or None not in (self.totals.row_count, self.totals.file_count)

    def warnings(self, *, counted: bool) -> Iterator[ReadWarning]:
        """Yield what there is to say of the table.

        Args:
            counted: whether a count was asked for.
        """
        if self.passed_over:
            yield ReadWarning(
                code=WarningCode.CHECKPOINT_PASSED_OVER,
                sentence="The checkpoint cannot be read; another one, or the commits, were read "
                "in its place. Write a checkpoint of the table before they expire.",
                file=self.passed_over,
            )
        if self.disbelieved:
            yield ReadWarning(
                code=WarningCode.CHECKSUM_DISBELIEVED,
                sentence=f"The checksum file of version {self.version} says something else than "
                "the log, which was believed; rows, files and bytes were not taken from it.",
                file=self.disbelieved,
            )
        if counted and self.totals.elsewhere_count:
            yield ReadWarning(
                code=WarningCode.FILES_ELSEWHERE,
                sentence=f"{self.totals.elsewhere_count:,} of the table's "
                f"{self.totals.file_count or 0:,} files have absolute paths, as in a shallow "
                "clone. They are counted as the log says; whether they are there was not seen.",
            )
