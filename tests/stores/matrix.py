"""Write the tables of docs/stores.md: `python -m tests.stores.matrix [RESULTS.xml]`.

That of providers comes from `stocktake.storage.places.known_stores`; that of what was tried from
RESULTS.xml, which pytest's ``--junitxml`` wrote.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from stocktake.storage.places.known_stores import KNOWN_STORES
from tests.stores.scenarios import READING
from tests.stores.test_stores import MANAGING, STORES

PAGE: Final = Path(__file__).parents[2] / "docs" / "stores.md"
SCENARIOS: Final = (*READING, *MANAGING)
RESULTS: Final = "what was tried"
PROVIDERS: Final = "the providers"
_CASE: Final = re.compile(rf"test_store\[({'|'.join(map(re.escape, STORES))})-(.*)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one scenario in one store.

    Attributes:
        sign: as the matrix shows it.
        note: why, where it is no plain success.
    """

    sign: str
    note: str | None = None


NOT_RUN: Final = Outcome(sign="not run")
Results = Mapping[tuple[str, str], Outcome]


def read_results(text: str) -> dict[tuple[str, str], Outcome]:
    """The outcomes in a JUnit report, by store and scenario.

    A store that could not be run is not in it.
    """
    found = {}
    for case in ET.fromstring(text).iter("testcase"):
        if match := _CASE.fullmatch(case.get("name", "")):
            outcome = _outcome(case)
            if outcome is not None:
                found[match[1], match[2]] = outcome
    return found


def _outcome(case: ET.Element) -> Outcome | None:
    if case.find("failure") is not None or case.find("error") is not None:
        return Outcome(sign="**fails**")
    skipped = case.find("skipped")
    if skipped is None:
        said = case.find("properties/property[@name='said']")
        return Outcome(sign="yes" if said is None else str(said.get("value")))
    why = skipped.get("message", "")
    if skipped.get("type") == "pytest.xfail":
        return Outcome(sign="no", note=why)
    if why.startswith("not offered: "):
        return Outcome(sign="-", note=why.removeprefix("not offered: "))
    return None


def table(results: Results) -> str:
    """The matrix in Markdown, with its notes below."""
    notes: dict[str, int] = {}
    lines = [
        "| | " + " | ".join(STORES) + " |",
        "|---|" + "---|" * len(STORES),
    ]
    for scenario in SCENARIOS:
        outcomes = (results.get((store, scenario), NOT_RUN) for store in STORES)
        cells = (_cell(outcome, notes) for outcome in outcomes)
        lines.append(f"| {scenario} | " + " | ".join(cells) + " |")
    told = [f"{number}. {note}" for note, number in notes.items()]
    return "\n".join([*lines, "", *told]) + "\n"


def _cell(outcome: Outcome, notes: dict[str, int]) -> str:
    if outcome.note is None:
        return outcome.sign
    number = notes.setdefault(outcome.note, len(notes) + 1)
    return f"{outcome.sign} ({number})"


def providers() -> str:
    """Every store that is known by name, in Markdown."""
    lines = ["| store | URL | credential | know |", "|---|---|---|---|"]
    for store in KNOWN_STORES:
        known = f"{store.note} ([its page]({store.source}))".strip()
        lines.append(f"| {store.name} | `{store.example}` | {store.keys} | {known} |")
    return "\n".join(lines) + "\n"


def put_into(page: str, what: str, written: str) -> str:
    """The page with this table between its two marks."""
    begin, end = _marks(what)
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{written}\n{end}{after}"


def between(page: str, what: str) -> str:
    """What stands between a table's two marks."""
    begin, end = _marks(what)
    return page.partition(begin)[2].partition(end)[0].strip() + "\n"


def _marks(what: str) -> tuple[str, str]:
    begin = f"<!-- {what}: python -m tests.stores.matrix writes this -->\n"
    return begin, f"<!-- end of {what} -->\n"


def missing(results: Results) -> list[str]:
    """Stores of which nothing was run."""
    ran = {store for store, _ in results}
    return [store for store in STORES if store not in ran]


def main(reports: Iterable[str]) -> int:
    page = put_into(PAGE.read_text(), PROVIDERS, providers())
    results: dict[tuple[str, str], Outcome] = {}
    for report in reports:
        results |= read_results(Path(report).read_text())
    if left_out := missing(results):
        sys.stdout.write(f"The matrix stays as it is: not run were {', '.join(left_out)}.\n")
    else:
        page = put_into(page, RESULTS, table(results))
    PAGE.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
