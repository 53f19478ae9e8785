"""The soak: its plan is its seed's, and a short one passes."""

import subprocess
import sys

import pytest

from tests.faults.load import Customers, plan_faults, plan_requests

NAMES = ["one", "two", "three", "four"]


def test_a_seed_plans_the_same_requests_and_faults_again() -> None:
    weights = Customers.weights
    assert plan_requests(7, 60, weights) == plan_requests(7, 60, weights)
    assert plan_requests(7, 60, weights) != plan_requests(8, 60, weights)
    assert plan_faults(7, 60, NAMES) == plan_faults(7, 60, NAMES[::-1])
    assert plan_faults(7, 60, NAMES) != plan_faults(8, 60, NAMES)


def test_every_fault_comes_before_one_comes_again() -> None:
    names = [each.name for each in plan_faults(7, 600, NAMES)]
    assert len(names) > 3 * len(NAMES)
    for begin in range(0, len(names) - len(NAMES), len(NAMES)):
        assert sorted(names[begin : begin + len(NAMES)]) == sorted(NAMES)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_short_soak_passes(database: str) -> None:
    command = [sys.executable, "-m", "tests.faults.soak", "--seconds", "20", "--seed", "3"]
    done = subprocess.run(
        [*command, "--database", database], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("PASS\n")
