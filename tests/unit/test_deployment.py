"""The files that an operator copies agree with the code and with each other."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from stocktake.settings import Settings

ROOT = Path(__file__).parents[2]
#: Flower reads its own variable, so that the password is on no command line.
ELSEWHERE = {"STOCKTAKE_FLOWER_BASIC_AUTH"}
SECRETS = {
    "STOCKTAKE_SECRET_KEYS",
    "STOCKTAKE_METRICS_TOKEN",
    "POSTGRES_PASSWORD",
    "VALKEY_PASSWORD",
    "STORE_ACCESS_KEY",
    "STORE_ACCESS_SECRET",
    "FLOWER_BASIC_AUTH",
}


def _read(name: str) -> str:
    return (ROOT / name).read_text()


def _services() -> dict[str, dict[str, object]]:
    services: dict[str, dict[str, object]] = yaml.safe_load(_read("docker-compose.yml"))["services"]
    return services


def _procfile() -> dict[str, str]:
    return dict(line.split(": ", 1) for line in _read("Procfile").splitlines() if line)


def test_env_example_names_every_setting_and_no_other() -> None:
    named = set(re.findall(r"^(?:# )?(STOCKTAKE_[A-Z_]+)=", _read(".env.example"), re.MULTILINE))
    settings = {f"STOCKTAKE_{name.upper()}" for name in Settings.model_fields}
    assert named == settings - ELSEWHERE


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_secret_has_no_default(name: str) -> None:
    assert re.search(rf"^{name}=$", _read(".env.example"), re.MULTILINE)
    uses = re.findall(rf"\$\{{{name}\b[^}}]*\}}", _read("docker-compose.yml"))
    assert uses
    assert all(use.startswith(f"${{{name}:?") for use in uses)


def test_compose_opens_ports_on_this_machine_only() -> None:
    published = [port for each in _services().values() for port in each.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_what_env_example_names_reaches_every_process_of_ours() -> None:
    """But Flower, which needs two settings and so is given no other secret."""
    ours = {name: each for name, each in _services().items() if "build" in each}
    assert ours.keys() == {"web", "worker", "clock", "flower", "migrate"}
    flower = ours.pop("flower")
    assert flower["env_file"] == []
    assert flower["environment"].keys() == {"STOCKTAKE_BROKER_URL", "FLOWER_BASIC_AUTH"}
    for service in ours.values():
        assert service["env_file"] == [{"path": ".env", "required": False}]
        # What .env says for a process on this machine must not move one in a container.
        pinned = {"HOST": "0.0.0.0", "PORT": 8000, "DATA_DIR": "/var/lib/stocktake"}
        for name, value in pinned.items():
            assert service["environment"][f"STOCKTAKE_{name}"] == value


def test_worker_and_clock_run_the_same_command_everywhere() -> None:
    for name in ("worker", "clock"):
        command = _procfile()[name].removeprefix("exec ")
        assert str(_services()[name]["command"]).startswith(command)


def test_image_and_procfile_serve_the_same_app() -> None:
    assert _procfile()["web"] == "exec python -m api"
    assert 'CMD ["python", "-m", "api"]' in _read("Dockerfile")


def test_image_is_built_from_nothing_that_docker_is_not_given() -> None:
    given = {line.removeprefix("!") for line in _read(".dockerignore").splitlines()}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", _read("Dockerfile"), re.MULTILINE)
    files = {name for line in copied for name in line.split() if name != "."}
    assert files
    assert files <= given


def test_a_package_index_is_given_links_that_lead_somewhere() -> None:
    project = tomllib.loads(_read("pyproject.toml"))
    (rule,) = project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]
    home = project["project"]["urls"]["Homepage"]
    assert rule["replacement"].startswith(f"]({home}/")
    assert all(url.startswith(home) for url in project["project"]["urls"].values())
    page = re.sub(rule["pattern"], rule["replacement"], _read("README.md"))
    targets = re.findall(r"\]\(([^)]+)\)", page)
    assert len(targets) > 10
    assert [each for each in targets if not each.startswith(("https://", "#"))] == []
