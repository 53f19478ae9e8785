"""The locks pin every package by its hashes, and the audit of them tells what it knows."""

import re
import runpy
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]
LOCKS: Final = ("requirements.lock", "requirements-service.lock")
TODAY: Final = date(2026, 11, 23)
#: As pip-audit writes it.
REPORT: Final[dict[str, Any]] = {
    "dependencies": [
        {"name": "clean", "version": "1.0", "vulns": []},
        {
            "name": "holed",
            "version": "2.0",
            "vulns": [
                {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2.1"]},
                {"id": "PYSEC-2", "aliases": [], "fix_versions": []},
            ],
        },
        {"name": "unknown", "skip_reason": "Dependency not found on PyPI"},
    ],
    "fixes": [],
}


def pins(lock: str) -> dict[str, list[str]]:
    """The hashes of each pinned package of a lock."""
    entries = re.split(r"\n(?=\S)", (ROOT / lock).read_text().replace("\\\n", " "))
    found = {}
    for entry in filter(None, entries):
        pin = re.match(r"([A-Za-z0-9_.-]+)(?:\[[^]]*\])?==\S+", entry)
        assert pin, f"{lock} holds a line that pins no version: {entry[:80]}"
        found[pin[1]] = re.findall(r"--hash=sha256:[0-9a-f]{64}\b", entry)
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash(lock: str) -> None:
    hashes = pins(lock)
    assert len(hashes) > 50
    assert [name for name, each in hashes.items() if not each] == []


def test_the_service_runs_on_a_part_of_what_is_tested() -> None:
    everything, service = pins(LOCKS[0]), pins(LOCKS[1])
    assert service.items() <= everything.items()
    assert {"pytest", "schemathesis", "pip-audit"} <= everything.keys() - service.keys()


@pytest.fixture(scope="module")
def audit() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(ROOT / ".ci" / "audit.py")))


def test_each_vulnerability_is_told_with_its_version(audit: SimpleNamespace) -> None:
    assert audit.findings(REPORT, {}, TODAY) == [
        "holed 2.0: PYSEC-1, mended in 2.1",
        "holed 2.0: PYSEC-2, not mended yet",
    ]
    assert audit.unasked(REPORT) == ["unknown"]


@pytest.mark.parametrize("name", ["PYSEC-1", "CVE-1"])
def test_an_advisory_is_ignored_until_its_day(audit: SimpleNamespace, name: str) -> None:
    ignored = {name: audit.Ignored(reason="no such call here", until=TODAY)}
    assert len(audit.findings(REPORT, ignored, TODAY - timedelta(days=1))) == 1
    assert len(audit.findings(REPORT, ignored, TODAY)) == 2


def test_every_ignored_advisory_says_why(audit: SimpleNamespace) -> None:
    assert all(each.reason for each in audit.IGNORED.values())
