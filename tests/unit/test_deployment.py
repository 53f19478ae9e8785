"""The files that an operator copies agree with the code and with each other."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from stocktake.security.encryption import Keyring
from stocktake.settings import Settings

ROOT = Path(__file__).parents[2]
SECRETS = {
    "STOCKTAKE_SECRET_KEYS",
    "STOCKTAKE_METRICS_TOKEN",
    "STOCKTAKE_MANAGED_STORAGE_ACCESS_SECRET",
    "POSTGRES_PASSWORD",
    "VALKEY_PASSWORD",
    "STORE_ACCESS_KEY",
    "STORE_ACCESS_SECRET",
    "FLOWER_BASIC_AUTH",
}


def _read(name: str) -> str:
    return (ROOT / name).read_text()


def _services() -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = yaml.safe_load(_read("docker-compose.yml"))["services"]
    return services


def _procfile() -> dict[str, str]:
    return dict(line.split(": ", 1) for line in _read("Procfile").splitlines() if line)


def test_env_example_names_every_setting_and_no_other() -> None:
    named = set(re.findall(r"^(?:# )?(STOCKTAKE_[A-Z_]+)=", _read(".env.example"), re.MULTILINE))
    settings = {f"STOCKTAKE_{name.upper()}" for name in Settings.model_fields}
    assert named == settings


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_secret_has_no_default(name: str) -> None:
    assert re.search(rf"^(?:# )?{name}=$", _read(".env.example"), re.MULTILINE)
    uses = re.findall(rf"\$\{{{name}\b[^A-Z]", _read("docker-compose.yml"))
    assert uses
    # What may be somebody else's is taken from .env and is blank otherwise.
    assert all(use.endswith(("?", ":")) for use in uses)


def test_compose_opens_ports_on_this_machine_only() -> None:
    published = [str(port) for each in _services().values() for port in each.get("ports", [])]
    assert published
    assert all(re.match(r"\$\{[A-Z_]+:-127\.0\.0\.1:\d+\}:\d+$", port) for port in published)


#: What each process of ours is given of the secrets, beside the database, the broker and the store.
OWN = {
    "web": {"STOCKTAKE_SECRET_KEYS", "STOCKTAKE_METRICS_TOKEN"},
    "worker": {"STOCKTAKE_SECRET_KEYS"},
    "clock": set(),
    "migrate": {"STOCKTAKE_SECRET_KEYS"},
    "flower": {"FLOWER_BASIC_AUTH"},
}


def test_each_process_is_given_its_own_secrets() -> None:
    """`.env` comes along whole, so a secret is blank where it is not the process's own."""
    ours = {name: each for name, each in _services().items() if "build" in each}
    assert ours.keys() == OWN.keys()
    shared = {"STOCKTAKE_MANAGED_STORAGE_ACCESS_SECRET"}
    for name, service in ours.items():
        environment: Any = service["environment"]
        if name == "flower":
            assert service["env_file"] == []
            assert environment.keys() == {"STOCKTAKE_BROKER_URL", "FLOWER_BASIC_AUTH"}
            continue
        assert service["env_file"] == [{"path": ".env", "required": False}]
        blank = {each for each, value in environment.items() if value == ""}
        assert blank >= SECRETS - shared - OWN[name]
        assert not blank & OWN[name]


def test_what_env_says_of_this_machine_moves_nothing_in_a_container() -> None:
    pinned = {"HOST": "0.0.0.0", "PORT": 8000, "DATA_DIR": "/var/lib/stocktake"}
    for name in OWN.keys() - {"flower"}:
        environment: Any = _services()[name]["environment"]
        assert pinned == {each: environment[f"STOCKTAKE_{each}"] for each in pinned}


def test_every_container_is_held_short() -> None:
    for name, service in _services().items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is True, name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        assert {"mem_limit", "pids_limit"} <= service.keys(), name


def test_the_store_is_reached_by_who_has_its_keys_alone() -> None:
    """Its gRPC cannot be bound apart from S3, and some of it asks for no key."""
    document: Any = yaml.safe_load(_read("docker-compose.yml"))
    services = document["services"]
    assert services["store"]["networks"] == ["store"]
    assert document["networks"]["store"]["internal"] is True
    beside = {name for name, each in services.items() if "store" in each.get("networks", [])}
    assert beside - {"store"} == {"web", "worker", "clock"}
    assert "WEED_JWT_FILER_SIGNING_KEY" in services["store"]["environment"]


def test_make_env_draws_every_secret_once_and_for_its_owner(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    make = [str(ROOT / "deploy" / "make-env"), str(file)]
    subprocess.run(make, check=True, capture_output=True)
    assert file.stat().st_mode & 0o777 == 0o600
    written = dict(
        line.split("=", 1) for line in file.read_text().splitlines() if re.match("[A-Z]", line)
    )
    drawn = SECRETS - {"STOCKTAKE_MANAGED_STORAGE_ACCESS_SECRET"}
    assert drawn <= written.keys()
    assert len({written[name] for name in drawn}) == len(drawn)
    assert Keyring([written["STOCKTAKE_SECRET_KEYS"]]).first == "k1"
    again = subprocess.run(make, check=False, capture_output=True, text=True)
    assert again.returncode == 1
    assert "is left as it is" in again.stderr
    assert written["POSTGRES_PASSWORD"] in file.read_text()


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
    rules = project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]
    home = project["project"]["urls"]["Homepage"]
    assert rules[0]["replacement"].startswith(f"]({home}/")
    assert all(url.startswith(home) for url in project["project"]["urls"].values())
    page = _read("README.md")
    for rule in rules:
        page = re.sub(rule["pattern"], rule["replacement"], page)
    targets = re.findall(r"\]\(([^)]+)\)", page)
    assert len(targets) > 10
    assert [each for each in targets if not each.startswith(("https://", "#"))] == []
    # a picture as it is, and no page about it
    assert [each for each in targets if each.endswith(".png") and "/raw/" not in each] == []
