"""Which tables a reader of schemas can read, by the features that their protocol names."""

from collections.abc import Collection
from typing import Final

from stocktake.errors import UnsupportedError
from stocktake.readers.delta.actions import TableProtocol

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
#: With these the newest commits may be elsewhere than in the log.
_CATALOG_FEATURES: Final = frozenset(
    {
        "catalogManaged",
        "catalogOwned",
        "catalogOwned-preview",
        "coordinatedCommits",
        "coordinatedCommits-preview",
    }
)
_MAX_READER_VERSION: Final = 3
#: Of names that a table's features are told by.
_MOST_SHOWN: Final = 10


def require_readable(protocol: TableProtocol) -> None:
    """Refuse a table whose schema cannot be read.

    Raises:
        UnsupportedError: `unsupported_reader_feature`, listing what stands in the way.
    """
    if catalog := _CATALOG_FEATURES & {*protocol.reader_features, *protocol.writer_features}:
        raise _unsupported(
            protocol,
            f"The table's commits are managed by a catalog or a coordinator "
            f"({_listed(catalog)}): the newest may be there and not in the log.",
            hint="Let that write all commits into the log and drop the feature, or name a copy of "
            "the table.",
        )
    if protocol.reader_version > _MAX_READER_VERSION:
        raise _unsupported(
            protocol,
            f"The table asks for Delta reader version {protocol.reader_version}; "
            f"this reader knows versions up to {_MAX_READER_VERSION}.",
        )
    # Reader features exist in version 3 only (Delta protocol, "Delta Table Specification").
    unknown = set(protocol.reader_features) - READABLE_FEATURES
    if unknown and protocol.reader_version == _MAX_READER_VERSION:
        raise _unsupported(
            protocol,
            f"The table needs Delta reader features that this reader lacks: {_listed(unknown)}.",
        )


def _listed(features: Collection[str]) -> str:
    shown = ", ".join(name[:80] for name in sorted(features)[:_MOST_SHOWN])
    more = len(features) - _MOST_SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown


def _unsupported(protocol: TableProtocol, detail: str, hint: str | None = None) -> UnsupportedError:
    return UnsupportedError(
        detail, code="unsupported_reader_feature", hint=hint, file=protocol.file
    )
