"""Flower: nothing without the password, nothing but looking with it, and an end when it is told."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest
from flower.urls import handlers

from servers.process import HOST, PATIENCE_SECONDS
from servers.service import ServiceProcess
from servers.valkey import Valkey

LOGIN = ("ada", "pass:word")
#: Every path of Flower, with something in the place of a name.
PATHS = sorted(
    {
        (each.regex.pattern if hasattr(each, "regex") else each[0])
        .removesuffix("$")
        .replace("(.+)", "x")
        .replace("(.*)", "x")
        .replace(".*", "x/y")
        .replace("/?", "")
        for each in handlers
    }
)


class Flower(ServiceProcess):
    """The monitor, on a port of its own."""

    name = "flower"

    def __init__(self, broker_url: str) -> None:
        super().__init__({"BROKER_URL": broker_url})
        [self.port] = self.take_ports(1)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "workers.flower", f"--port={self.port}"]

    def environment(self) -> dict[str, str]:
        return super().environment() | {"FLOWER_BASIC_AUTH": ":".join(LOGIN)}

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthcheck", auth=_login()).status_code == 200
        except httpx.TransportError:
            return False


def _login() -> httpx.BasicAuth:
    return httpx.BasicAuth(*LOGIN)


@pytest.fixture(scope="module")
def flower(valkey: Valkey) -> Iterator[Flower]:
    with Flower(valkey.url) as process:
        yield process


@pytest.fixture(scope="module")
def reader(flower: Flower) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=flower.url, auth=_login()) as client:
        yield client


def test_the_walk_is_over_what_flower_serves() -> None:
    assert len(PATHS) > 30
    assert {"/metrics", "/healthcheck", "/api/worker/shutdown/x", "/api/task/revoke/x"} <= set(
        PATHS
    )


@pytest.mark.parametrize(
    "auth",
    [
        None,
        ("ada", "wrong"),
        ("", ""),
        ("ada", ""),
        ("ada", "pass:wordx"),
        ("bob", "pass:word"),
        ("ada", "p\u00e4ss"),
    ],
)
def test_no_path_is_open(flower: Flower, auth: Any) -> None:
    with httpx.Client(base_url=flower.url, auth=auth) as stranger:
        for path in PATHS:
            for method in ("GET", "POST", "OPTIONS", "HEAD"):
                answer = stranger.request(method, path)
                assert answer.status_code == 401, (method, path)
                assert "basic" in answer.headers["www-authenticate"].lower()


@pytest.mark.parametrize(
    "header", ["Basic", "Basic !", "Basic \u00e9", "Bearer YTpi", "Basic " + "YWRh" * 1000]
)
def test_a_broken_login_is_refused(flower: Flower, header: str) -> None:
    answer = httpx.get(f"{flower.url}/", headers={"Authorization": header.encode("latin-1")})
    assert answer.status_code == 401


def test_nothing_can_be_changed_with_the_password(reader: httpx.Client) -> None:
    for path in PATHS:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            if path == "/tasks/datatable" and method == "POST":
                continue
            answer = reader.request(method, path)
            assert answer.status_code == 405, (method, path)
            assert answer.headers["allow"] == "GET, HEAD"


def test_all_of_it_can_be_looked_at(reader: httpx.Client) -> None:
    for path in PATHS:
        answer = reader.get(path)
        assert answer.status_code != 500, path  # 503: there is no store of results
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "access-control-allow-origin" not in answer.headers
    assert reader.get("/workers").status_code == 200
    assert b"flower_" in reader.get("/metrics").content
    table = {"draw": 1, "start": 0, "length": 10, "order[0][column]": 0}
    assert reader.post("/tasks/datatable", data=table).json()["recordsTotal"] == 0


def test_it_listens_on_this_machine_only(flower: Flower) -> None:
    listening = [
        each.laddr.ip
        for each in psutil.Process(flower.pid).net_connections()
        if each.status == psutil.CONN_LISTEN
    ]
    assert listening == [HOST]


@pytest.mark.parametrize("login", ["", "ada", "ada:", ":word", "ada:p\u00e4ss"])
def test_it_does_not_start_without_a_login(valkey: Valkey, login: str) -> None:
    environment = {"STOCKTAKE_BROKER_URL": valkey.url, "FLOWER_BASIC_AUTH": login}
    done = subprocess.run(
        [sys.executable, "-m", "workers.flower"],
        env=os.environ | environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 1
    assert "FLOWER_BASIC_AUTH" in done.stderr


@pytest.mark.parametrize("broker", ["up", "frozen"])
def test_it_ends_when_it_is_told(broker: str) -> None:
    with Valkey() as valkey, Flower(valkey.url) as flower:
        process = psutil.Process(flower.pid)
        if broker == "frozen":
            valkey.pause()
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(timeout=PATIENCE_SECONDS) in (0, None)
        finally:
            valkey.resume()
