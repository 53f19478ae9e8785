"""Small doors: who may read the metrics, what a link repeats, and names that are none."""

import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml
from redis import Redis
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as Unreachable

from stocktake.errors import ValidationError
from stocktake.services import cron
from stocktake.storage.places.guard import GuardPolicy, check
from tests.integration.api.conftest import Served
from workers.stack.ports import usable_port
from workers.stack.valkey import _valkey

ROOT: Final = Path(__file__).parents[2]
Connect = Callable[..., httpx.Client]

sqlite_only = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


# --- metrics ------------------------------------------------------------------------------


@sqlite_only
@pytest.mark.parametrize(
    "name",
    [
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded",
        "Forwarded-For",
        "X-Original-Forwarded-For",
        "X-Original-Host",
        "X-Real-IP",
        "X-Client-IP",
        "Client-IP",
        "X-Cluster-Client-IP",
        "True-Client-IP",
        "CF-Connecting-IP",
        "CF-Ray",
        "Fastly-Client-IP",
        "Fly-Client-IP",
        "X-Envoy-External-Address",
        "X-Azure-SocketIP",
        "X-AppEngine-User-IP",
        "X-Amzn-Trace-Id",
        "X-ProxyUser-Ip",
        "WL-Proxy-Client-IP",
        "X-Remote-Addr",
        "Via",
        "vIa",
    ],
)
def test_metrics_without_a_token_are_not_for_whom_a_proxy_asks(
    anonymous: httpx.Client, name: str
) -> None:
    assert anonymous.get("/metrics").status_code == 200
    for value in ("203.0.113.7", "127.0.0.1", "1.1 proxy", ""):
        assert anonymous.get("/metrics", headers={name: value}).status_code == 401


@sqlite_only
def test_metrics_without_a_token_are_for_this_machines_browsers_and_scrapers(
    anonymous: httpx.Client,
) -> None:
    headers = {
        "User-Agent": "Prometheus/3.1",
        "X-Prometheus-Scrape-Timeout-Seconds": "10",
        "Sec-Fetch-User": "?1",
        "Upgrade-Insecure-Requests": "1",
        "X-Request-ID": "1",
        "Priority": "u=0",
        "Cookie": "a=b",
    }
    assert anonymous.get("/metrics", headers=headers).status_code == 200


# --- links --------------------------------------------------------------------------------


@pytest.fixture
def listing(client: httpx.Client) -> Callable[..., dict[str, Any]]:
    """A page in the middle of three, asked for with a Host."""
    for name in ("a", "b", "c"):
        fields = {"name": name, "cron": "0 3 * * *", "selector": {"all": True}}
        assert client.post("schedules/", json=fields).status_code == 201

    def ask(host: str) -> dict[str, Any]:
        query = {"limit": 1, "offset": 1}
        answer = client.get("schedules/", params=query, headers={"Host": host})
        assert answer.status_code == 200
        page: dict[str, Any] = answer.json()
        return page

    return ask


@sqlite_only
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:443",
        "127.0.0.1@evil.example",
        "127.0.0.1:80@evil.example",
        "127.0.0.1.evil.example",
        "evil.example#127.0.0.1",
        "evil.example/127.0.0.1",
        "localhost/evil.example/",
        "localhost?evil.example",
        "localhost:evil.example",
        "localhost\\evil.example",
        "notlocalhost-evil.example",
        "[::evil.example]",
        "",
    ],
)
def test_item_16_a_link_repeats_no_host_that_is_none_of_ours(
    host: str, listing: Callable[..., dict[str, Any]], project_id: int
) -> None:
    page, path = listing(host), f"/api/projects/{project_id}/schedules/"
    assert page["next"] == f"{path}?limit=1&offset=2"
    assert page["previous"] == f"{path}?limit=1"


@sqlite_only
@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000"])
def test_a_link_is_whole_for_a_host_of_ours(
    host: str, listing: Callable[..., dict[str, Any]], project_id: int
) -> None:
    begin = f"http://{host}/api/projects/{project_id}/schedules/"
    assert listing(host)["next"] == f"{begin}?limit=1&offset=2"


@sqlite_only
@pytest.mark.parametrize(
    ("allowed", "host", "whole"),
    [
        (("api.example.com",), "api.example.com", True),
        (("api.example.com",), "localhost", False),
        (("*.example.com",), "eu.example.com:8443", True),
        (("*.example.com",), "example.com", False),
        (("*.example.com",), "evilexample.com", False),
        (("*",), "anything.test", True),
        (("*",), "any@thing.test", False),
    ],
)
def test_item_16_the_operator_says_which_hosts_are_ours(
    allowed: tuple[str, ...],
    host: str,
    whole: bool,
    listing: Callable[..., dict[str, Any]],
    served: Served,
) -> None:
    # the settings of one process, which it reads at each request
    object.__setattr__(served.parts.process.settings, "allowed_hosts", allowed)
    assert (host in str(listing(host)["next"])) is whole


# --- the broker's password ----------------------------------------------------------------


def _command_lines() -> set[str]:
    lines = set()
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.add(process.read_bytes().decode("utf-8", "replace"))
        except OSError:
            continue
    return lines


def test_the_brokers_password_is_on_no_command_line(tmp_path: Path) -> None:
    """The compose file's own command, with a stand-in for the image's entry point."""
    service = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["valkey"]
    command = [part.replace("$$", "$") for part in service["command"]]
    # Compose would write it in; the sentence that names it for people may stay.
    assert not re.search(r"\$\{?VALKEY_PASSWORD", f"{service['command']}{service['healthcheck']}")
    port, password = usable_port(0), "0123456789abcdef" * 3
    binaries = tmp_path / "bin"
    binaries.mkdir()
    entry = binaries / "docker-entrypoint.sh"
    server = shlex.quote(str(_valkey()))
    entry.write_text(f'#!/bin/sh\nshift\nexec {server} "$@" --port {port} --bind 127.0.0.1\n')
    entry.chmod(0o755)
    environment = {"PATH": f"{binaries}:{os.environ['PATH']}", "REDISCLI_AUTH": password}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    try:
        with Redis(port=port, password=password) as known, Redis(port=port) as stranger:
            deadline = time.monotonic() + 60
            while not _answers(known):
                assert time.monotonic() < deadline, "it did not start"
            with pytest.raises(AuthenticationError):
                stranger.ping()
            assert known.config_get("appendonly") == {"appendonly": "yes"}
            lines = _command_lines()
            assert any(str(port) in line for line in lines)
            assert not any(password in line for line in lines)
    finally:
        process.terminate()  # the server itself: no shell is left between
        assert process.wait(60) == 0


def _answers(client: "Redis[bytes]") -> bool:
    try:
        return bool(client.ping())
    except Unreachable:
        return False


# --- names that are none --------------------------------------------------------------------

POLICY: Final = GuardPolicy(
    trusted_endpoints=("https://*.store.example", "https://minio.corp:9000")
)


@pytest.mark.parametrize(
    "label",
    [
        "xn--",
        "xn--a",
        "xn--0",
        "xn--zzzzzz",
        "xn--99999999",
        "xn--" + "9" * 59,
        "xn--" + "a" * 300,
        "xn--zva",
        "xn--a-7pc",
        "xn--a-0hc",
        "XN--A",
        "\u0378",
        "\u0660a",
        "\u05d0a",
        "\ue000",
        "\u00fc" * 60,
        "\u06dd",
        "a\u2490b\u0378",
        "\ufdfa" * 9,
    ],
)
@pytest.mark.parametrize("host", ["{}.store.example", "a.{}.store.example", "{}.s3.amazonaws.com"])
def test_a_name_that_no_client_connects_to_is_refused(label: str, host: str) -> None:
    with pytest.raises(ValidationError) as refused:
        check(f"https://{host.format(label)}/bucket/a.csv", POLICY)
    assert refused.value.attr == "url_pattern"


@pytest.mark.parametrize(
    "label", ["xn--mnchen-3ya", "m\u00fcnchen", "xn--4dbrk0ce", "\u65e5\u672c"]
)
def test_a_name_in_another_script_is_taken(label: str) -> None:
    location = check(f"https://{label}.store.example/bucket/a.csv", POLICY)
    assert location.host.startswith("xn--")


@pytest.mark.parametrize(
    "name",
    [
        "localtime",
        "Factory",
        "posixrules",
        "posixtime",
        "posix/Europe/Berlin",
        "right/UTC",
        "/etc/localtime",
        "/usr/share/zoneinfo/UTC",
        "../zoneinfo/UTC",
        "Europe/../UTC",
        "Europe",
        "Europe/",
        "./UTC",
        "zone.tab",
        "tzdata.zi",
        "leapseconds",
        "utc\0",
        "",
        " UTC",
    ],
)
def test_what_is_no_iana_name_is_no_time_zone(name: str) -> None:
    with pytest.raises(ValidationError):
        cron.check_timezone(name)


@pytest.mark.parametrize(
    "name", ["UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "Etc/GMT-14"]
)
def test_an_iana_name_is_one(name: str) -> None:
    cron.check_timezone(name)
