"""The locks pin every package by its hashes, today and in a year; the audit tells what it knows."""

import hashlib
import re
import runpy
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from packaging.requirements import Requirement

ROOT: Final = Path(__file__).parents[2]
#: The others are parts of the first.
LOCKS: Final = (
    "requirements.lock",
    "requirements-service.lock",
    "requirements-demo.lock",
    "requirements-build.lock",
)
#: `make setup` fetches it, by the hash in tests/oldest-pip.lock.
OLDEST_PIP: Final = Path(sys.prefix) / "oldest-pip"
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


def entries(lock: str) -> Iterator[tuple[Requirement, list[str]]]:
    """Each requirement of a lock with its hashes."""
    for entry in re.split(r"\n(?=\S)", (ROOT / lock).read_text().replace("\\\n", " ")):
        requirement, *hashes = re.split(r"\s+--hash=sha256:", entry.strip())
        yield Requirement(requirement), hashes


def pins(lock: str) -> dict[str, str]:
    """The line of each requirement of a lock, by the names of the packages."""
    return {requirement.name: str(requirement) for requirement, _ in entries(lock)}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_pins_one_version_by_its_hashes(lock: str) -> None:
    for requirement, hashes in entries(lock):
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"[0-9a-f]{64}", each) for each in hashes), requirement


@pytest.mark.parametrize("lock", LOCKS[1:])
def test_the_smaller_locks_are_parts_of_what_is_tested(lock: str) -> None:
    everything, part = pins(LOCKS[0]), pins(lock)
    assert part.keys() <= everything.keys()
    # An extra that only the tests ask for is no other version.
    assert {name: re.sub(r"\[.*]", "", line) for name, line in part.items()}.items() <= {
        name: re.sub(r"\[.*]", "", line) for name, line in everything.items()
    }.items()


def test_the_demo_needs_none_of_the_tests_packages() -> None:
    heavy = {"chdb", "polars", "duckdb", "schemathesis", "pytest", "mypy", "matplotlib"}
    assert heavy <= pins(LOCKS[0]).keys()
    assert not heavy & pins("requirements-demo.lock").keys()


class Index:
    """A folder of wheels: what a lock pins, and newer releases of all of it that it does not."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, name: str, version: str) -> str:
        """Write a wheel that holds nothing but what the installed package asks for.

        Returns:
            its hash.
        """
        told = metadata.metadata(name)
        kept = ("Requires-Python", "Requires-Dist", "Provides-Extra")
        head = {"Metadata-Version": "2.1", "Name": name, "Version": version}
        lines = [f"{key}: {value}" for key, value in head.items()]
        lines += [f"{key}: {value}" for key, value in told.items() if key in kept]
        stem = f"{name.replace('-', '_')}-{version}"
        wheel = self._folder / f"{stem}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as file:
            file.writestr(f"{stem}.dist-info/METADATA", "\n".join(lines) + "\n")
            file.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            file.writestr(f"{stem}.dist-info/RECORD", "")
        return hashlib.sha256(wheel.read_bytes()).hexdigest()

    def add_newer(self, name: str, version: str) -> None:
        """Write the two releases that a year may bring: one that every range takes, and a leap."""
        base = re.sub(r"\.post\d+$", "", version)
        self.add(name, f"{base}.post999")
        self.add(name, "9999.0")


def resolve(lock: Path, index: Path) -> subprocess.CompletedProcess[str]:
    """What the oldest pip makes of a lock, dependencies and all."""
    (pip,) = OLDEST_PIP.glob("pip-*.whl")
    command = [
        *(sys.executable, f"{pip}/pip", "--isolated", "--disable-pip-version-check", "install"),
        *("--dry-run", "--ignore-installed", "--no-index", "--find-links", str(index)),
        *("--require-hashes", "--requirement", str(lock)),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def a_year_later(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The folder of the index, and the hash there of each package that this Python is given."""
    folder = tmp_path_factory.mktemp("index")
    index, hashes = Index(folder), {}
    for requirement in installed_here(LOCKS[0]):
        version = str(requirement.specifier).removeprefix("==")
        hashes[requirement.name] = index.add(requirement.name, version)
        index.add_newer(requirement.name, version)
    return folder, hashes


def installed_here(lock: str) -> Iterator[Requirement]:
    """The requirements of a lock that this Python is given."""
    for requirement, _ in entries(lock):
        if requirement.marker is None or requirement.marker.evaluate():
            yield requirement


def as_in_the_index(lock: str, hashes: dict[str, str]) -> list[str]:
    """A lock as it stands, with the hashes that its packages have in the index of the test."""
    return [f"{each} --hash=sha256:{hashes[each.name]}" for each in installed_here(lock)]


@pytest.mark.parametrize(
    "lock", [LOCKS[0], *(pytest.param(lock, marks=pytest.mark.thorough) for lock in LOCKS[1:])]
)
def test_the_oldest_pip_resolves_a_lock_among_newer_releases(
    lock: str, a_year_later: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    index, hashes = a_year_later
    file = tmp_path / lock
    file.write_text("\n".join(as_in_the_index(lock, hashes)))
    done = resolve(file, index)
    assert done.returncode == 0, done.stderr
    assert "9999" not in done.stdout
    assert "post999" not in done.stdout


@pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="no pip for it is that old; Python 3.11 to 3.13 run this"
)
def test_a_lock_without_extras_is_what_an_old_pip_refuses(
    a_year_later: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    """The test above can fail: so did the lock once that named `coverage` without `[toml]`."""
    index, hashes = a_year_later
    asking = r"(pytest-cov|coverage|pytest|pluggy|iniconfig|packaging|pygments)\b(\[toml\])?=="
    lines = [each for each in as_in_the_index(LOCKS[0], hashes) if re.match(asking, each)]
    file = tmp_path / "requirements.lock"
    file.write_text("\n".join(lines))
    assert resolve(file, index).returncode == 0
    file.write_text("\n".join(lines).replace("[toml]", ""))
    done = resolve(file, index)
    assert done.returncode == 1
    assert "must have their versions pinned" in done.stderr


def test_nothing_is_installed_but_what_the_locks_pin() -> None:
    """No recipe lets pip look for, or build, anything of its own choice."""
    recipes = [*(ROOT / "Makefile").read_text().splitlines()]
    recipes += (ROOT / "Dockerfile").read_text().replace("\\\n", "").splitlines()
    recipes = [part for line in recipes for part in line.split("&&")]
    pip = r"\bpip (--python \S+ )?(install|wheel|download)\b"
    installs = [line for line in recipes if re.search(pip, line)]
    assert len(installs) >= 6
    for line in installs:
        assert "--no-deps" in line, line
    (command,) = (each for each in recipes if each.startswith("INSTALL ="))
    assert "--no-deps" in command
    from_locks = [line for line in recipes if re.search(r"-r \S+", line)]
    assert all("--require-hashes" in line for line in from_locks)


def test_what_is_installed_asks_for_nothing_else() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


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
