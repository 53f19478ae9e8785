"""Alerts, dashboard and units speak of what there is."""

import configparser
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES: Any = yaml.safe_load((DEPLOY / "prometheus" / "stocktake.rules.yml").read_text())
BOARD: Any = json.loads((DEPLOY / "grafana" / "stocktake.json").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
EXPRESSIONS = [rule["expr"] for rule in ALERTS] + [
    target["expr"] for panel in BOARD["panels"] for target in panel["targets"]
]
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_it_asks_for_metrics_that_there_are(expression: str) -> None:
    page = (DEPLOY.parent / "docs" / "metrics.md").read_text()
    known = set(re.findall(r"^\| `(stocktake_\w+)`", page, re.MULTILINE))
    asked = set(re.findall(r"\bstocktake_\w+", expression))
    assert asked or "up{" in expression
    assert {re.sub(r"_bucket$", "", each) for each in asked} <= known
    assert expression.count("(") == expression.count(")")


def test_an_alert_says_what_it_means() -> None:
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS)
    for rule in ALERTS:
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_prometheus_loads_the_rules() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    assert config["rule_files"] == ["stocktake.rules.yml"]


def test_panels_lie_beside_each_other() -> None:
    places = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in BOARD["panels"]
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_runs_what_the_procfile_runs(unit: Path) -> None:
    parsed = configparser.RawConfigParser(strict=False)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]  # typeshed has it as a method
    parsed.read(unit)
    lines = (DEPLOY.parent / "Procfile").read_text().splitlines()
    commands = dict(line.split(": exec ", 1) for line in lines)
    command = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", commands[unit.stem.removeprefix("stocktake-")])
    started = parsed["Service"]["ExecStart"].replace("%%", "%").replace("--pidfile= ", "")
    assert started == f"/opt/stocktake/bin/{command}"
    assert int(parsed["Service"]["TimeoutStopSec"]) >= 20
    assert parsed["Service"]["KillMode"] == "mixed"
