"""The command line: what it prints, keeps and publishes, and its exit status."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import publish
from benchmarks.catalogue import Benchmark
from benchmarks.figures import Figure
from benchmarks.publish import READERS, SERVICE, with_figures
from benchmarks.results import Record, read
from tests.unit.benchmarks import fakes

MARKERS = (
    "<!-- begin: {0}, written by `python -m benchmarks --write-readme` -->\n<!-- end: {0} -->\n"
)


@pytest.fixture(autouse=True)
def handler_of_sigterm() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"works": True, "raises": False}
    found = {
        name: Benchmark(function=f"{fakes.HERE}:{name}", question="?", by_database=by_database)
        for name, by_database in names.items()
    }
    monkeypatch.setattr(command, "BENCHMARKS", found)


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "README.md").write_text(MARKERS.format(SERVICE) + MARKERS.format(READERS))
    real = publish.publish
    monkeypatch.setattr(command, "publish", lambda records: real(records, tmp_path))
    return tmp_path / "README.md"


def figures_of(shown: str) -> list[str]:
    """The names and databases in the tables, in their order."""
    rows = [row.split("|")[1:3] for row in shown.splitlines() if row.startswith("| ")]
    cells = [" on ".join(cell.strip() for cell in row if cell.strip()) for row in rows]
    return [each for each in cells if not each.startswith(("figure", "---"))]


def test_all_run_on_both_databases_and_the_status_tells_of_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.jsonl"

    assert command.main(["--results", str(file)]) == 1

    shown = capsys.readouterr()
    assert figures_of(shown.out) == [
        "first on sqlite on SQLite",
        "second on sqlite on SQLite",
        "first on postgresql on PostgreSQL",
        "second on postgresql on PostgreSQL",
        "before the error",
    ]
    assert "- raises: RuntimeError: the workers are gone" in shown.out
    assert "FAILED: RuntimeError: the workers are gone" in shown.err
    assert len(read(file)) == 6


def test_the_status_is_0_where_all_was_measured(tmp_path: Path) -> None:
    asked = ["--only", "works", "--database", "postgresql"]
    asked += ["--results", str(tmp_path / "run.jsonl")]

    assert command.main(asked) == 0


def test_what_an_earlier_run_has_kept_is_published_and_the_rest_stays(
    tmp_path: Path, page: Path
) -> None:
    first, second = str(tmp_path / "1.jsonl"), str(tmp_path / "2.jsonl")
    command.main(["--database", "sqlite", "--results", first, "--write-readme"])
    published = page.read_text()
    command.main(["--only", "works", "--database", "postgresql", "--results", second])

    assert command.main(["--read", second, "--write-readme"]) == 0

    assert figures_of(published) == [
        "first on sqlite on SQLite",
        "second on sqlite on SQLite",
        "before the error",
    ]
    assert sorted(figures_of(page.read_text())) == sorted(
        [
            *figures_of(published),
            "first on postgresql on PostgreSQL",
            "second on postgresql on PostgreSQL",
        ]
    )


def test_a_run_that_is_ended_has_shown_and_published_what_it_measured(
    tmp_path: Path, page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = command._show

    def show(record: object) -> None:
        real(record)  # type: ignore[arg-type]
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(command, "_show", show)

    with pytest.raises(SystemExit):
        command.main(["--results", str(tmp_path / "run.jsonl"), "--write-readme"])

    assert figures_of(capsys.readouterr().out) == ["first on sqlite on SQLite"]
    assert figures_of(page.read_text()) == ["first on sqlite on SQLite"]


@pytest.mark.parametrize("flags", [["--quick"], ["--peer", "ours"]])
def test_a_run_that_is_not_whole_is_not_published(
    flags: list[str], tmp_path: Path, page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = page.read_text()
    file = str(tmp_path / "run.jsonl")

    for asked in ([*flags, "--write-readme"], ["--read", file, "--write-readme"]):
        with pytest.raises(SystemExit, match="2"):
            command.main(asked)
        command.main([*flags, "--only", "works", "--database", "sqlite", "--results", file])

    assert "is not for the README" in capsys.readouterr().err
    assert page.read_text() == before


def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(["--read", "nowhere.jsonl"])

    assert "nowhere.jsonl: there is no such file" in capsys.readouterr().err


def test_the_help_tells_every_benchmark_and_what_it_answers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="0"):
        command.main(["--help"])

    assert "  works       ?\n  raises      ?\n" in capsys.readouterr().out


def test_published_figures_stand_as_a_whole_run_measures_them() -> None:
    facts = dict.fromkeys(("run", "run as", "machine", "disk", "versions", "measured", "load"), "")
    order = [("start", "sqlite"), ("start", "postgresql"), ("ready", None), ("accept", "sqlite")]
    figure = Figure(name="f", value=1.0, unit="s")
    records = [
        Record(benchmark=name, database=database, facts=facts, figures=(figure,))
        for name, database in reversed(order)
    ]
    inputs = ["json_one", "log_1k"]
    records += [
        Record(benchmark="readers", database=None, facts=facts, rows=({"input": name},))
        for name in inputs
    ]

    found = sorted(records, key=publish._order)

    assert [(each.benchmark, each.database) for each in found[:4]] == [
        ("ready", None),
        ("accept", "sqlite"),
        ("start", "sqlite"),
        ("start", "postgresql"),
    ]
    assert [each.rows[0]["input"] for each in found[4:]] == ["log_1k", "json_one"]


def test_the_readme_shows_the_published_figures_and_no_others() -> None:
    folder = Path(publish.__file__).parent
    page = (folder / "README.md").read_text()

    assert with_figures(page, read(folder / "published.jsonl")) == page
