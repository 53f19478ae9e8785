"""Every page that the source or another page names is in the repository."""

import re
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).parents[2]
_PACKAGES = ("api", "benchmarks", "examples", "stocktake", "tasks", "tests", "workers")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
_PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]*)`")
_NAMED = re.compile(r"(?<![\w/.-])((?:[\w.-]+/)*[\w-]+\.md)\b")


def _files(pattern: str) -> list[Path]:
    found = [*ROOT.glob(pattern), *ROOT.glob(f"docs/**/{pattern}")]
    return found + [path for name in _PACKAGES for path in ROOT.glob(f"{name}/**/{pattern}")]


def _is_there(beside: Path, name: str) -> bool:
    return any((folder / name).exists() for folder in (beside.parent, ROOT, ROOT / "docs"))


def test_every_page_that_is_named_exists() -> None:
    files = [*_files("*.py"), *_files("*.md"), *ROOT.glob("*.toml"), *ROOT.glob("Dockerfile")]
    missing = [
        f"{file.relative_to(ROOT)}: {name}"
        for file in files
        for name in _NAMED.findall(file.read_text())
        if not _is_there(file, name)
    ]
    assert len(files) > 100
    assert missing == []


def test_every_link_of_a_page_leads_somewhere() -> None:
    missing = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in _files("*.md")
        for target in _LINK.findall(page.read_text())
        if "://" not in target and not (page.parent / unquote(target)).exists()
    ]
    assert missing == []


def test_security_page_names_what_is_there_and_a_test_for_each_rule() -> None:
    """Paths from the root on; every attack is named somewhere."""
    rows = [
        [_PATH.findall(cell) for cell in line.strip("|").split("|")]
        for line in (ROOT / "SECURITY.md").read_text().splitlines()
        if line.startswith("|") and "/" in line
    ]
    named = {name for row in rows for cell in row[1:] for name in cell}
    assert sorted(name for name in named if not (ROOT / name).exists()) == []
    assert all(code and shown for _, code, shown in rows)
    assert all(name.startswith(("tests/", ".ci/")) for *_, shown in rows for name in shown)
    attacks = {f"tests/security/{file.name}" for file in ROOT.glob("tests/security/test_*.py")}
    assert attacks - named == set()
