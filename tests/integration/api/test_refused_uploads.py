"""Whoever sends a body that is refused reads why, with any client, also behind nginx and Caddy."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from servers.process import PATIENCE_SECONDS, free_ports
from tests.integration.api.conftest import MakeKey, Served

MIB: Final = 1024 * 1024
#: Each prints a line of JSON: the status, and the body as text.
URLLIB: Final = """
import json, sys, urllib.error, urllib.request
url, key, file, _ = sys.argv[1:]
head = {"Authorization": f"Bearer {key}", "Content-Type": "multipart/form-data; boundary=x"}
request = urllib.request.Request(url, data=open(file, "rb").read(), headers=head)
try:
    urllib.request.urlopen(request)
except urllib.error.HTTPError as exc:
    print(json.dumps([exc.code, exc.read().decode()]))
"""
REQUESTS: Final = """
import json, sys, requests
url, key, _, content = sys.argv[1:]
got = requests.post(url, files={"file": ("a.csv", open(content, "rb"))},
                    headers={"Authorization": f"Bearer {key}"})
print(json.dumps([got.status_code, got.text]))
"""
HTTPX: Final = """
import json, sys, httpx
url, key, _, content = sys.argv[1:]
got = httpx.post(url, files={"file": ("a.csv", open(content, "rb"))}, timeout=60,
                 headers={"Authorization": f"Bearer {key}"})
print(json.dumps([got.status_code, got.text]))
"""
AIOHTTP: Final = """
import asyncio, json, sys, aiohttp
url, key, _, content = sys.argv[1:]
async def send():
    form = aiohttp.FormData()
    form.add_field("file", open(content, "rb"), filename="a.csv")
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
        async with session.post(url, data=form) as got:
            print(json.dumps([got.status, await got.text()]))
asyncio.run(send())
"""
NODE: Final = """
const [url, key, file] = process.argv.slice(1);
const headers = {Authorization: `Bearer ${key}`, "Content-Type": "multipart/form-data; boundary=x"};
const body = require("fs").readFileSync(file);
fetch(url, {method: "POST", headers, body}).then(async (got) =>
  console.log(JSON.stringify([got.status, await got.text()])));
"""

Send = Callable[[str, str, Path, Path], list[str]]


def _curl(url: str, key: str, file: Path, content: Path) -> list[str]:
    return [
        *("curl", "--silent", "--show-error", "--write-out", r"\n%{http_code}"),
        *("--header", f"Authorization: Bearer {key}", "--form", f"file=@{content}", url),
    ]


def _python(program: str) -> Send:
    return lambda url, key, file, content: [
        sys.executable, "-c", program, url, key, str(file), str(content)
    ]  # fmt: skip


def _node(url: str, key: str, file: Path, content: Path) -> list[str]:
    return ["node", "-e", NODE, url, key, str(file)]


CLIENTS: Final[dict[str, Send]] = {
    "curl": _curl,
    "urllib": _python(URLLIB),
    "requests": _python(REQUESTS),
    "httpx": _python(HTTPX),
    "aiohttp": _python(AIOHTTP),
    "node": _node,
}


def _answer(client: str, url: str, key: str, files: tuple[Path, Path]) -> tuple[int, str]:
    command = CLIENTS[client](url, key, *files)
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed; `apt-get install {command[0]}` and again")
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    if client == "curl":
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body
    status_and_body: tuple[int, str] = json.loads(done.stdout)
    return status_and_body


@pytest.fixture(scope="module")
def too_large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A form with a file of 60 MiB in it, and that file."""
    folder = tmp_path_factory.mktemp("large")
    content, form = folder / "a.csv", folder / "form"
    content.write_bytes(b"id,name\n" + b"1,abcdefgh\n" * (60 * MIB // 11))
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    form.write_bytes(head + content.read_bytes() + b"\r\n--x--\r\n")
    return form, content


@pytest.fixture(params=["direct", "nginx, buffering", "nginx, streaming", "caddy"])
def door(request: pytest.FixtureRequest, served: Served, tmp_path: Path) -> Iterator[str]:
    """Where clients find the service."""
    if request.param == "direct":
        yield served.url
        return
    [port] = free_ports(1)
    make = _caddy if request.param == "caddy" else partial(_nginx, how=request.param)
    with subprocess.Popen(make(tmp_path, port, served.url), env=_home(tmp_path)) as process:
        try:
            _wait_for(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _home(folder: Path) -> dict[str, str]:
    return os.environ | {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}


def _program(name: str, package: str) -> str:
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if found is None:
        pytest.skip(f"{name} is not installed; `apt-get install {package}`, and again")
    return found


def _nginx(folder: Path, port: int, url: str, *, how: str) -> list[str]:
    program = _program("nginx", "nginx-light")
    config = folder / "nginx.conf"
    buffering = "off" if "streaming" in how else "on"
    config.write_text(NGINX.format(folder=folder, port=port, url=url, buffering=buffering))
    return [program, "-c", str(config), "-e", str(folder / "error.log")]


def _caddy(folder: Path, port: int, url: str) -> list[str]:
    """The compose file's own, but for where it listens and whom it asks."""
    program = _program("caddy", "caddy")
    text = (Path(__file__).parents[3] / "deploy" / "Caddyfile").read_text()
    for pattern, here in (
        (r"http_port \d+", f"http_port {port}"),
        (r"https_port \d+", "https_port 0"),
        (r"dynamic a [^}]+\}", f"to {url}"),
    ):
        text, found = re.subn(pattern, here, text)
        assert found == 1, pattern
    config = folder / "Caddyfile"
    config.write_text(text)
    return [program, "run", "--config", str(config), "--adapter", "caddyfile"]


NGINX: Final = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
user root; events {{ }}
http {{
    access_log off; client_max_body_size 0;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass {url}; proxy_request_buffering {buffering}; }}
    }}
}}
"""


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "the proxy does not listen"
        else:
            return


@pytest.mark.parametrize("dialect", ["sqlite"])  # what is refused here meets no database's own
@pytest.mark.parametrize("key", ["right", "wrong"])
@pytest.mark.parametrize("client_name", CLIENTS)
def test_item_1_a_refusal_is_read(
    client_name: str,
    key: str,
    door: str,
    make_key: MakeKey,
    project_id: int,
    too_large: tuple[Path, Path],
) -> None:
    url = f"{door}/api/projects/{project_id}/warehouse_tables/file/"
    secret = make_key(["*"]) if key == "right" else "stk_wrong"
    status, text = _answer(client_name, url, secret, too_large)
    body: dict[str, Any] = json.loads(text)
    if key == "wrong":
        assert (status, body["code"]) == (401, "authentication_failed")
    else:
        assert (status, body["attr"]) == (400, "file")
        assert "50" in body["detail"]
