"""The published figures: ``published.jsonl``, and the README and the chart that show them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks import chart, report
from benchmarks.catalogue import BENCHMARKS
from benchmarks.inputs import INPUTS
from benchmarks.readers_figures import Measured
from benchmarks.readers_table import table
from benchmarks.results import Record, merged, read

_HERE: Final = Path(__file__).parent
_CHART: Final = "readers.png"
READERS: Final = "readers"
SERVICE: Final = "the service"


def publish(new: Sequence[Record], folder: Path = _HERE) -> None:
    """Put what was measured into the README; all other figures stay, with their own conditions.

    Args:
        folder: where the published records, the README and the chart are.
    """
    kept = folder / "published.jsonl"
    records = sorted(merged(read(kept) if kept.exists() else [], new), key=_order)
    _replace(kept, "".join(f"{each.line()}\n" for each in records))
    page = folder / "README.md"
    _replace(page, with_figures(page.read_text(), records))
    if any(each.rows for each in new):
        chart.draw(_measured(records), folder / _CHART, caption=_caption(records))


def _order(record: Record) -> tuple[int, bool, int]:
    """Sort as a whole run measures; what is no more in the catalogue comes last."""
    names = [*BENCHMARKS, record.benchmark]
    inputs = [*(each.name for each in INPUTS), *(row["input"] for row in record.rows), ""]
    first = record.rows[0]["input"] if record.rows else ""
    return names.index(record.benchmark), record.database != "sqlite", inputs.index(first)


def with_figures(page: str, records: Sequence[Record]) -> str:
    """Return the page with the figures of these records; a part of which there are none stays."""
    service = [each for each in records if each.benchmark != READERS]
    readers = [each for each in records if each.benchmark == READERS]
    if service:
        page = report.with_section(page, SERVICE, report.text(service))
    if readers:
        page = report.with_section(page, READERS, _readers_text(readers))
    return page


def _readers_text(records: Sequence[Record]) -> str:
    picture = f"![Time and memory of the readers]({_CHART})"
    return "\n\n".join([picture, table(_measured(records)), report.text(records)])


def _measured(records: Sequence[Record]) -> list[Measured]:
    return [Measured.from_dict(dict(row)) for record in records for row in record.rows]


def _caption(records: Sequence[Record]) -> str:
    newest = max((each.facts for each in records if each.rows), key=lambda it: it["measured"])
    return f"{newest['machine']}; load {newest['load']}; {newest['measured']} UTC"


def _replace(path: Path, content: str) -> None:
    """Replace the file, whole or not at all."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.write_text(content)
    unfinished.replace(path)
