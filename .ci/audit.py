"""Audit the locked packages against the known vulnerabilities (pip-audit, PyPI's advisories).

Fails where one is found. Where the advisories cannot be had it says so and does not fail: what
cannot be asked is not known to be bad. An audit that asks nothing looks clean, so one package with
a known vulnerability is asked for first, and has to be found.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

#: It has several, the first of them CVE-2021-33503.
CANARY: Final = "urllib3==1.26.4"
#: The others are parts of it.
LOCK: Final = Path("requirements.lock")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """An advisory that does not concern us.

    Attributes:
        until: looked at again from this day on.
    """

    reason: str
    until: date


#: By the advisory's id.
IGNORED: Final[dict[str, Ignored]] = {}


class UnreachableError(Exception):
    """The advisories cannot be had; the message says why."""


def findings(report: dict[str, Any], ignored: dict[str, Ignored], today: date) -> list[str]:
    """Return a line for each known vulnerability of a report of pip-audit, but for the ignored
    ones.
    """
    return [
        f"{package['name']} {package['version']}: {each['id']}, {_mended(each['fix_versions'])}"
        for package in report["dependencies"]
        for each in package.get("vulns", ())
        if not any(
            ignored[name].until > today for name in {each["id"], *each["aliases"]} & ignored.keys()
        )
    ]


def unasked(report: dict[str, Any]) -> list[str]:
    """Return the packages that pip-audit found no advisories for, none meaning that it could not
    ask.
    """
    return [each["name"] for each in report["dependencies"] if "skip_reason" in each]


def _mended(versions: Sequence[str]) -> str:
    return f"mended in {', '.join(versions)}" if versions else "not mended yet"


def ask(requirements: Path) -> dict[str, Any]:
    """Return the report on a file of pinned requirements.

    Raises:
        UnreachableError: there is none.
    """
    command = [
        *(sys.executable, "-m", "pip_audit", "--requirement", str(requirements)),
        *("--disable-pip", "--no-deps", "--format", "json", "--progress-spinner", "off"),
        *("--timeout", "15"),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        report: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired as exc:
        raise UnreachableError("no answer within ten minutes") from exc
    except ValueError as exc:
        raise UnreachableError(done.stderr.strip().rpartition("\n")[2]) from exc
    return report


def require_answers() -> None:
    """Ask for the canary.

    Raises:
        UnreachableError: nothing is known of it, so nothing would be known of anything.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "canary.txt"
        file.write_text(f"{CANARY}\n")
        if not findings(ask(file), {}, date.min):
            raise UnreachableError(f"it tells nothing of {CANARY}, which has vulnerabilities")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main() -> int:
    """Return the exit status: 1 where a vulnerability is known."""
    try:
        require_answers()
        report = ask(LOCK)
    except UnreachableError as exc:
        _say(f"NOT AUDITED: the advisories cannot be had ({exc}).")
        return 0
    found = findings(report, IGNORED, datetime.now(UTC).date())
    for line in found:
        _say(f"VULNERABLE: {line}")
    if left := unasked(report):
        _say(f"NOT AUDITED: {', '.join(left)}")
    _say(f"audited {LOCK}: {len(found)} known vulnerabilities")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
