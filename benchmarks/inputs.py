"""The generated inputs of the readers' benchmark: what each is, made once and kept in a cache."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import inputs_delta, inputs_files, inputs_iceberg

#: Raised whenever a generator below writes something else, so that an old cache is not used.
_GENERATION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One generated source.

    Attributes:
        name: also the folder in the cache and the key prefix in the bucket.
        what: for people.
        format: as `peers.Place` has it.
        pattern: what to read below the folder: empty for a table's root, else a key or a glob.
        make: writes it into a folder.
        on_s3: whether it is read through S3 too; the chart's middle points are not.
        quick: whether a quick run has it.
    """

    name: str
    what: str
    format: str
    make: Callable[[Path], None]
    pattern: str = ""
    on_s3: bool = True
    quick: bool = False


INPUTS: Final[Sequence[Input]] = (
    Input(
        name="log_1k",
        what="Delta, 1,000 commits, no checkpoint",
        format="delta",
        make=lambda folder: inputs_delta.commits(folder, 1_000),
        quick=True,
    ),
    Input(
        name="log_5k",
        what="Delta, 5,000 commits, no checkpoint",
        format="delta",
        make=lambda folder: inputs_delta.commits(folder, 5_000),
        on_s3=False,
    ),
    Input(
        name="log_20k",
        what="Delta, 20,000 commits, no checkpoint",
        format="delta",
        make=lambda folder: inputs_delta.commits(folder, 20_000),
    ),
    Input(
        name="log_10k_checkpoints",
        what="Delta, 10,000 commits, checkpoint every 100",
        format="delta",
        make=lambda folder: inputs_delta.checkpointed(folder, 10_000, range(100, 10_000, 100)),
        quick=True,
    ),
    Input(
        name="log_100k_checkpoint",
        what="Delta, 100,000 commits, checkpoint at 99,950",
        format="delta",
        make=lambda folder: inputs_delta.checkpointed(folder, 100_000, [99_950]),
    ),
    Input(
        name="files_100",
        what="Delta, 100 files in the checkpoint, 50 commits after",
        format="delta",
        make=lambda folder: inputs_delta.many_files(folder, 100),
        quick=True,
    ),
    Input(
        name="files_10k",
        what="Delta, 10,000 files in the checkpoint, 50 commits after",
        format="delta",
        make=lambda folder: inputs_delta.many_files(folder, 10_000),
        on_s3=False,
    ),
    Input(
        name="files_1m",
        what="Delta, 1,000,000 files in the checkpoint, 50 commits after",
        format="delta",
        make=lambda folder: inputs_delta.many_files(folder, 1_000_000),
    ),
    Input(
        name="files_1m_v2",
        what="Delta, 1,000,000 files in a V2 checkpoint with sidecars, 50 commits after",
        format="delta",
        make=lambda folder: inputs_delta.many_files_in_sidecars(folder, 1_000_000),
    ),
    Input(
        name="iceberg_100",
        what="Iceberg, 50 columns, 100 snapshots",
        format="iceberg",
        make=lambda folder: inputs_iceberg.committed(folder, 100, kept=100),
        quick=True,
    ),
    Input(
        name="iceberg_10k",
        what="Iceberg, 50 columns, 10,000 snapshots",
        format="iceberg",
        make=lambda folder: inputs_iceberg.committed(folder, 10_000, kept=2),
    ),
    Input(
        name="parquet_one",
        what="Parquet, one file of 20 columns",
        format="parquet",
        pattern="one.parquet",
        make=inputs_files.parquet_one,
        quick=True,
    ),
    Input(
        name="parquet_200",
        what="Parquet, 200 files with a growing schema",
        format="parquet",
        pattern="part-*.parquet",
        make=inputs_files.parquet_growing,
        quick=True,
    ),
    Input(
        name="parquet_5k_groups",
        what="Parquet, 5,000 row groups of 90 columns",
        format="parquet",
        pattern="groups.parquet",
        make=inputs_files.parquet_many_row_groups,
    ),
    Input(
        name="orc_200",
        what="ORC, 200 files with a growing schema",
        format="orc",
        pattern="part-*.orc",
        make=inputs_files.orc_growing,
        quick=True,
    ),
    Input(
        name="arrow_200",
        what="Arrow, 200 files with a growing schema",
        format="arrow",
        pattern="part-*.arrow",
        make=inputs_files.arrow_growing,
        quick=True,
    ),
    Input(
        name="avro_200",
        what="Avro, 200 files with a growing schema",
        format="avro",
        pattern="part-*.avro",
        make=inputs_files.avro_growing,
        quick=True,
    ),
    Input(
        name="xlsx_one",
        what="Excel, one sheet of 20,000 rows",
        format="excel",
        pattern="book.xlsx",
        make=inputs_files.xlsx_one,
        on_s3=False,
        quick=True,
    ),
    Input(
        name="ods_one",
        what="OpenDocument, one sheet of 20,000 rows",
        format="ods",
        pattern="book.ods",
        make=inputs_files.ods_one,
        on_s3=False,
    ),
    Input(
        name="csv_one",
        what="CSV, one file of 100 MB",
        format="csv",
        pattern="big.csv",
        make=inputs_files.csv_one,
        quick=True,
    ),
    Input(
        name="csv_50",
        what="CSV, 50 files of 20 KB",
        format="csv",
        pattern="part-*.csv",
        make=inputs_files.csv_many,
    ),
    Input(
        name="csv_gz",
        what="CSV, one gzip file of 100 MB before compression",
        format="csv",
        pattern="big.csv.gz",
        make=inputs_files.csv_gzip,
    ),
    Input(
        name="json_one",
        what="JSON lines, one file of 100 MB",
        format="json",
        pattern="big.jsonl",
        make=inputs_files.json_one,
        quick=True,
    ),
)


def made(cache: Path, each: Input) -> Path:
    """Return the input's folder, written now if it is not there. One left half-written has no other
    name than its temporary one, so it is never taken for whole."""
    folder = cache / f"inputs-{_GENERATION}" / each.name
    if not folder.exists():
        unfinished = folder.with_name(f"{each.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        each.make(unfinished)
        unfinished.rename(folder)
    return folder
