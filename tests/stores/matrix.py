"""Write the suite's results into docs/stores.md: `python -m tests.stores.matrix RESULTS.xml`.

Args:
    RESULTS.xml: what pytest's ``--junitxml`` wrote; the newer of two results of a cell wins.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from tests.stores.scenarios import READING
from tests.stores.test_stores import MANAGING, STORES

PAGE: Final = Path(__file__).parents[2] / "docs" / "stores.md"
SCENARIOS: Final = (*READING, *MANAGING)
BEGIN, END = "<!-- the suite's results: make stores -->\n", "<!-- end of the results -->\n"
_CASE: Final = re.compile(r"test_store\[(.+?)-(.*)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one scenario in one store.

    Attributes:
        sign: as the matrix shows it.
        note: why, where it is no plain success.
    """

    sign: str
    note: str | None = None


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
        cells = (_cell(results[store, scenario], notes) for store in STORES)
        lines.append(f"| {scenario} | " + " | ".join(cells) + " |")
    told = [f"{number}. {note}" for note, number in notes.items()]
    return "\n".join([*lines, "", *told]) + "\n"


def _cell(outcome: Outcome, notes: dict[str, int]) -> str:
    if outcome.note is None:
        return outcome.sign
    number = notes.setdefault(outcome.note, len(notes) + 1)
    return f"{outcome.sign} ({number})"


def put_into(page: str, written: str) -> str:
    """The page with this table between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{written}\n{END}{after}"


def missing(results: Results) -> list[str]:
    """Stores of which something was not run."""
    return [store for store in STORES if any((store, each) not in results for each in SCENARIOS)]


def main(reports: Iterable[str]) -> int:
    results: dict[tuple[str, str], Outcome] = {}
    for report in reports:
        results |= read_results(Path(report).read_text())
    if left_out := missing(results):
        sys.stdout.write(f"The matrix stays as it is: {', '.join(left_out)} were not run whole.\n")
        return 0
    PAGE.write_text(put_into(PAGE.read_text(), table(results)))
    sys.stdout.write(f"Wrote {len(results)} results into {PAGE.name}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
