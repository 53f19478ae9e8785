"""Loads into a managed table of a folder, with what a worker's child is handed but for the job."""

from pathlib import Path
from uuid import UUID, uuid4

from stocktake.db.session import Database
from stocktake.jobs.arguments import IngestArguments, Mode, Target
from stocktake.jobs.leases import Claim
from stocktake.parts import ProcessParts
from stocktake.readers import introspect, read_all
from stocktake.readers.source import Source, no_progress
from stocktake.runs.attempt import Attempt
from stocktake.runs.load import load_rows
from stocktake.runs.load_plan import Load
from stocktake.runs.managed_table import ManagedTable
from stocktake.schema.formats import TableFormat
from stocktake.settings import Settings
from stocktake.states import JobKind
from stocktake.storage.stores.opening import LocalObjects

_FORMATS = {
    ".csv": TableFormat.CSV_WITH_NAMES,
    ".jsonl": TableFormat.JSON_EACH_ROW,
    ".parquet": TableFormat.PARQUET,
}


def attempt_in(folder: Path, *, retain_commits: int = 1000) -> Attempt:
    """Return an attempt at a load of its own into the one table of the folder."""
    chosen = Settings(
        database_url=f"sqlite:///{folder}/none.db", data_dir=folder, retain_commits=retain_commits
    )
    claim = Claim(
        job_id=uuid4(),
        kind=JobKind.INGEST_FILE,
        attempt=1,
        max_attempts=1,
        generation=1,
        project_id=1,
        table_id=UUID(int=1),
        batch_id=None,
        upload_id=uuid4(),
        arguments=IngestArguments(
            format=TableFormat.PARQUET, target=Target.DELTA, mode=Mode.APPEND
        ).as_dict(),
        worker="",
    )
    process = ProcessParts.of(chosen, Database(chosen.database_url))
    return Attempt(claim=claim, process=process, progress=no_progress)


def load(file: Path, folder: Path, *, retain_commits: int = 1000) -> None:
    """Append a file's rows, as `runs/ingest_file.py` does."""
    attempt = attempt_in(folder, retain_commits=retain_commits)
    source = Source(store=LocalObjects(file.parent), path=file.name, format=_FORMATS[file.suffix])
    read = read_all if source.format.facts.inferred else introspect
    upload = read(source, attempt.limits, attempt.progress)
    load_rows(
        Load(
            attempt=attempt,
            source=source,
            columns=upload.columns,
            month_first=upload.month_first,
            managed=ManagedTable.of(attempt),
            replaces=False,
            key=(),
            partition_by=(),
            overrides={},
            declared=(),
        )
    )
