"""What `stocktake doctor` makes of answers that a test cannot have from a real part."""

import resource
from datetime import timedelta
from pathlib import Path

import pytest

from cli.doctor import machine, processes, show, stores
from cli.doctor.findings import Area, Verdict
from stocktake import __version__
from stocktake.jobs.doorbell import WorkerAnswer
from stocktake.monitoring.workers import Workers
from stocktake.settings import Settings

GIB = 1024**3


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [
        (0.1, Verdict.OK),
        (-3, Verdict.WARNING),
        (59, Verdict.WARNING),
        (-86_400, Verdict.FAILED),
        (61, Verdict.FAILED),
    ],
)
def test_a_clock_that_is_off_is_told_by_how_much(seconds: float, verdict: Verdict) -> None:
    finding = processes.judge_skew(timedelta(seconds=seconds))
    assert finding.verdict is verdict
    if verdict is not Verdict.OK:
        direction = "ahead of" if seconds > 0 else "behind"
        assert f"{abs(seconds):.1f} s {direction} the database" in finding.found


def _workers(versions: dict[str, str]) -> Workers:
    return Workers([WorkerAnswer(node=node, version=it) for node, it in versions.items()])


def test_a_worker_of_another_release_is_named() -> None:
    finding = processes.judge_versions(_workers({"a@x": __version__, "b@y": "0.0.9"}))
    assert finding.verdict is Verdict.WARNING
    assert finding.found == "b@y runs 0.0.9"
    assert processes.judge_versions(_workers({"a@x": __version__})).verdict is Verdict.OK


def test_a_package_that_is_missing_or_of_another_version_is_named() -> None:
    finding = machine.judge_packages(["no-such-package>=1", "pytest<1", "pytest>=2"])
    assert finding.verdict is Verdict.FAILED
    assert "no-such-package is missing" in finding.found
    assert "wanted <1" in finding.found
    # Of extras nobody asked for, nothing is wanted.
    extra = "no-such-package; extra == 'demo'"
    assert machine.judge_packages(["pytest>=2", extra]).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("total", "verdict"),
    [(1 * GIB, Verdict.FAILED), (3 * GIB, Verdict.WARNING), (4 * GIB, Verdict.OK)],
)
def test_reads_that_the_kernel_would_end_first_are_told(total: int, verdict: Verdict) -> None:
    settings = Settings(job_memory_limit_bytes=2 * GIB, worker_concurrency=1, worker_reserve=1)
    assert machine.judge_memory(settings, total).verdict is verdict


def test_a_full_disk_is_told_where_the_folder_is_not_there_yet(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "yet"
    assert machine.judge_disk(folder, least_bytes=0).verdict is Verdict.OK
    assert machine.judge_disk(folder, least_bytes=1 << 62).verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("lease", "heartbeat", "verdict"),
    [(6, 2, Verdict.OK), (5, 2, Verdict.FAILED), (721, 2, Verdict.FAILED)],
)
def test_a_lease_outlasts_heartbeats_and_ends_before_redelivery(
    lease: float, heartbeat: float, verdict: Verdict
) -> None:
    settings = Settings(
        lease_seconds=lease, heartbeat_seconds=heartbeat, job_time_limit_seconds=300
    )
    assert machine.judge_leases(settings).verdict is verdict


def test_no_limit_of_open_files_is_fine() -> None:
    assert machine.judge_files(resource.RLIM_INFINITY).verdict is Verdict.OK
    assert machine.judge_files(1023).verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("revision", "verdict"),
    [
        (None, Verdict.FAILED),
        ("0001", Verdict.FAILED),
        ("0002", Verdict.OK),
        ("0003", Verdict.WARNING),
    ],
)
def test_a_revision_behind_must_be_mended_and_one_ahead_is_a_deploy(
    revision: str | None, verdict: Verdict
) -> None:
    assert stores.judge_revision(revision, "0002").verdict is verdict


def test_a_postgresql_that_is_too_old_is_told() -> None:
    on = dict.fromkeys(("fsync", "full_page_writes", "synchronous_commit"), "on")
    found = list(stores.judge_durability({"server_version": "12.3", **on}))
    assert [each.verdict for each in found] == [Verdict.FAILED, Verdict.OK]
    (fine,) = stores.judge_durability({"server_version": "18.1 (Debian)", **on})
    assert fine.verdict is Verdict.OK


def test_an_sqlite_without_wal_is_told() -> None:
    (finding,) = stores.judge_durability({"journal_mode": "delete", "synchronous": "2"})
    assert finding.verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("version", "failed"), [("5.0.7", True), ("6.2.0", False), ("7.4.1", False)]
)
def test_a_redis_that_is_too_old_is_told(version: str, failed: bool) -> None:
    info = {"redis_version": version, "maxmemory_policy": "noeviction", "aof_enabled": 1}
    verdicts = [each.verdict for each in stores.judge_broker(info, "here:1")]
    assert (Verdict.FAILED in verdicts) is failed


def test_a_machine_that_keeps_nothing_needs_no_disk() -> None:
    elsewhere = Settings(
        database_url="postgresql+psycopg://db.example/stocktake",
        managed_storage_url="s3://bucket",
        data_dir=Path("/proc"),
    )
    for settings, verdict in (
        (elsewhere, Verdict.OK),
        (elsewhere.model_copy(update={"managed_storage_url": None}), Verdict.FAILED),
        (elsewhere.model_copy(update={"database_url": "sqlite:///a.db"}), Verdict.FAILED),
    ):
        [disk] = [each for each in machine.look_at_limits(settings) if each.check == "disk"]
        assert disk.verdict is verdict


def test_what_is_piped_has_a_line_for_each_finding_and_no_padding(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = [Area("broker").ok("answers", "yes"), Area("store").failed("read", "no\x1b", "mend it")]

    show(found)

    assert capsys.readouterr().out.splitlines() == [
        "broker\tok\tanswers\tyes\t",
        "store\tfailed\tread\tno\ufffd\tmend it",
        "1 of 2 checks failed.",
    ]
