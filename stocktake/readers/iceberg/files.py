"""The metadata files of one Iceberg table: their names, their listing, a bounded read of one."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from stocktake.errors import InvalidSourceError, SourceNotFoundError
from stocktake.readers.files.folders import table_at
from stocktake.readers.files.foreign import mismatch
from stocktake.readers.files.listing import rewritten
from stocktake.readers.limits import exceeded
from stocktake.readers.source import Coverage, Limits, Progress, Source
from stocktake.readers.text.compression import decompress
from stocktake.readers.text.detection import detect
from stocktake.schema.warnings import ReadWarning, WarningCode
from stocktake.storage.places.globs import literal
from stocktake.storage.stores.opening import ObjectInfo

#: As a catalog names them (`00003-<uuid>`), and as a file system without one does (`v3`); what has
#: no number is what a writer left of a commit. Compressed ones have ".gz" before or behind. Names
#: that begin with a dot or an underscore are hidden ones, as everywhere.
_NAME: Final = re.compile(
    r"(?:v?(?P<number>[0-9]{1,20})(?:-[^/]*)?|[^/._][^/]*)(?:\.gz)?\.metadata\.json(?:\.gz)?"
)
_ENDINGS: Final = (".metadata.json", ".metadata.json.gz")
_MOST_NUMBER: Final = 2**63 - 1


class Named(NamedTuple):
    """A metadata file.

    Attributes:
        number: that its name begins with; -1 where there is none.
        info: as it was listed.
    """

    number: int
    info: ObjectInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The metadata file that is read.

    Attributes:
        name: below the folder.
        number: that its name begins with; None where there is none.
        warnings: why another one may have been meant.
    """

    name: str
    number: int | None
    info: ObjectInfo
    warnings: tuple[ReadWarning, ...] = ()


class MetadataFolder:
    """Finds and reads a metadata file of one table, and counts and bounds what it reads."""

    def __init__(self, source: Source, limits: Limits, progress: Progress) -> None:
        self._source = source
        self._limits = limits
        self._progress = progress
        root = literal(source.path).strip("/")
        self._root = f"{root}/" if root else ""
        self._deadline = time.monotonic() + limits.max_seconds
        self._listed = self._files = self._bytes = 0

    def newest(self) -> Chosen:
        """List the folder: the file of the highest number, and of several of one number the newest.

        Raises:
            SourceNotFoundError: there is none.
            FormatMismatchError: there is none, and the folder is the root of another table.
            LimitExceededError: more files than `max_listed`, or `max_seconds` is used up.
        """
        found = [*self._named()]
        if not found:
            raise self._missing()
        first, *others = sorted(found, key=_rank, reverse=True)
        warnings = [] if not others else _doubts(first, others)
        return self._chosen(first, tuple(warnings))

    def named(self, name: str) -> Chosen:
        """Ask for the file that `options.metadata_file` names.

        Raises:
            SourceNotFoundError: it is not there.
        """
        path = f"{self._folder}{name}"
        try:
            info = self._source.store.get(path, length=0).info
        except SourceNotFoundError as exc:
            if exc.code != SourceNotFoundError.default_code:
                raise
            # Without a `file`: that is what was asked for, and no file that went while it was read.
            raise SourceNotFoundError(
                f"The table has no file metadata/{name}, which options.metadata_file names.",
                hint="Correct the option, or clear it to read the newest metadata file.",
            ) from exc
        self._listed = 1
        match = _NAME.fullmatch(name)
        return self._chosen(Named(_number(match), info), ())

    def read(self, chosen: Chosen) -> str:
        """Return a metadata file's text, decompressed where it is.

        Raises:
            InvalidSourceError: it is empty, corrupt, or no UTF-8.
            LimitExceededError: more bytes than `max_metadata_bytes`, or `max_decompression_ratio`.
            SourceChangedError: it is not the file that was listed.
        """
        self._progress("reading the metadata", 0, 1)
        shown = shown_name(chosen.name)
        self._check_bytes(chosen.info.size, shown)
        # One more than there was: a file may have grown since it was listed.
        chunk = self._source.store.get(chosen.info.path, length=chosen.info.size + 1)
        self._files, self._bytes = 1, self._bytes + chunk.cost_bytes
        if chunk.info.size != chosen.info.size:
            raise rewritten(shown)
        try:
            return str(self._plain(chunk.data, shown), "utf-8")
        except UnicodeDecodeError as exc:
            raise InvalidSourceError(f"{shown} is not UTF-8.", file=shown) from exc

    def coverage(self, *, unchanged: bool = False) -> Coverage:
        """Return what was read so far."""
        return Coverage(
            files_matched=self._listed,
            files_read=self._files,
            bytes_read=self._bytes,
            unchanged=unchanged,
        )

    @property
    def _folder(self) -> str:
        return f"{self._root}metadata/"

    def _chosen(self, named: Named, warnings: tuple[ReadWarning, ...]) -> Chosen:
        number = named.number if 0 <= named.number <= _MOST_NUMBER else None
        name = named.info.path.removeprefix(self._folder)
        return Chosen(name=name, number=number, info=named.info, warnings=warnings)

    def _named(self) -> Iterator[Named]:
        folder = self._folder
        for info in self._source.store.list(folder):
            self._listed += 1
            self._check_listed()
            # most files are manifests
            if not info.path.endswith(_ENDINGS):
                continue
            if match := _NAME.fullmatch(info.path.removeprefix(folder)):
                yield Named(_number(match), info)

    def _missing(self) -> Exception:
        if other := table_at(self._source):
            return mismatch(self._source.path, self._source.format.value, f"a table of {other}")
        return SourceNotFoundError(
            "The folder has no Iceberg metadata: there is no *.metadata.json in metadata below it.",
            hint="Point the URL pattern at the table's root folder, the one that holds `metadata`. "
            "A table whose catalog keeps the metadata elsewhere cannot be read by its root.",
        )

    def _plain(self, data: bytes, shown: str) -> bytes:
        if not data.strip(b"\0"):
            raise InvalidSourceError(
                f"{shown} is empty.",
                hint="Restore the file, or name an older one by options.metadata_file.",
                file=shown,
            )
        if detect(data[:16]) != "gz":
            return data
        pieces, size = [], 0
        for piece in decompress([data], "gz", limits=self._limits, file=shown, whole=True):
            size += len(piece)
            self._check_bytes(size, shown)
            pieces.append(piece)
        return b"".join(pieces)

    def _check_bytes(self, size: int, shown: str) -> None:
        if size > self._limits.max_metadata_bytes:
            raise exceeded(
                self._limits,
                "max_metadata_bytes",
                f"{shown} has {size:,} bytes or more",
                advice="Expire snapshots of the table",
                file=shown,
            )

    def _check_listed(self) -> None:
        if self._listed > self._limits.max_listed:
            raise exceeded(
                self._limits,
                "max_listed",
                f"The table's metadata folder lists {self._listed:,} files or more",
                advice="Expire snapshots of the table, or name a file by options.metadata_file",
            )
        if self._listed % 1000 == 0:
            self._progress("listing the metadata", self._listed, None)
            if time.monotonic() > self._deadline:
                raise exceeded(
                    self._limits,
                    "max_seconds",
                    "Listing the table's metadata folder took longer than "
                    f"{self._limits.max_seconds:g} seconds",
                    advice="Expire snapshots of the table, or name a file by options.metadata_file",
                )


def shown_name(name: str) -> str:
    """Return a metadata file's name below the table's root, for messages."""
    return f"metadata/{name}"


def _number(match: re.Match[str] | None) -> int:
    return int(match["number"]) if match and match["number"] else -1


def _rank(named: Named) -> tuple[int, float, str]:
    return named.number, named.info.modified_at.timestamp(), named.info.path


def _doubts(chosen: Named, others: list[Named]) -> Iterator[ReadWarning]:
    """Yield why another file may have been meant: only a catalog knows for sure."""
    same = [each for each in others if each.number == chosen.number]
    newer = [each for each in others if each.info.modified_at > chosen.info.modified_at]
    name = chosen.info.path.rpartition("/")[2]
    if same:
        yield _doubt(
            f"{len(same) + 1:,} metadata files have one number, and the newest of them, {name}, "
            "was read.",
            chosen,
        )
    elif newer:
        other = max(newer, key=lambda each: each.info.modified_at).info.path.rpartition("/")[2]
        yield _doubt(
            f"{name}, of the highest number, was read, though {other} was written later.", chosen
        )


def _doubt(sentence: str, chosen: Named) -> ReadWarning:
    return ReadWarning(
        code=WarningCode.METADATA_UNSURE,
        sentence=f"{sentence} options.metadata_file names another one.",
        file=shown_name(chosen.info.path.rpartition("/")[2]),
    )
