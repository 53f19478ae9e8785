"""The service: each process by itself, as it is deployed, and all of them as `up` runs them."""

import os
import secrets
import sys
from pathlib import Path

import psutil

from servers.process import HOST, Server, status_of
from stocktake.security.encryption import make_secret_key

#: The command line, before its arguments.
COMMAND = (sys.executable, "-P", "-m", "cli")


def environment(settings: dict[str, str]) -> dict[str, str]:
    """Return this process's variables with these ``STOCKTAKE_*`` and no others."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("STOCKTAKE_")
    }
    return inherited | {f"STOCKTAKE_{name}": value for name, value in settings.items()}


class ServiceProcess(Server):
    """One process of the service.

    Args:
        settings: ``STOCKTAKE_*`` variables without the prefix.
    """

    def __init__(self, settings: dict[str, str], folder: Path | None = None) -> None:
        super().__init__(folder)
        self.settings = settings
        #: Any other variables of its environment.
        self.variables: dict[str, str] = {}

    def environment(self) -> dict[str, str]:
        return environment(self.settings) | self.variables

    def log_text(self) -> str:
        """Return all that it has written since its first start."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Worker(ServiceProcess):
    """A Celery worker with real children."""

    name = "worker"
    #: Children for anybody's jobs; one more is in reserve.
    concurrency = 2

    def __init__(self, settings: dict[str, str], folder: Path | None = None) -> None:
        super().__init__(settings, folder)
        self.node = f"worker-{secrets.token_hex(4)}@test"

    def command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "celery", "-A", "workers", "worker"),
            *("--pool=prefork", f"--concurrency={self.concurrency}", "-n", self.node),
            *("-Q", "interactive,bulk,validate", "--without-gossip", "--without-mingle"),
        ]

    def prepare(self) -> None:
        self._started_at_byte = self.log.stat().st_size if self.log.exists() else 0

    def answers(self) -> bool:
        # Of this start alone: the log goes on over restarts.
        return " ready." in self.log_text()[self._started_at_byte :]

    def children(self) -> list[psutil.Process]:
        """Return the processes that read."""
        return [each for each in psutil.Process(self.pid).children() if not is_guard(each)]

    def guard(self) -> psutil.Process:
        """Return the process that watches over them."""
        [guard] = filter(is_guard, psutil.Process(self.pid).children())
        return guard

    def all_processes(self) -> list[psutil.Process]:
        """Return the parent, those that read, and their guard."""
        parent = psutil.Process(self.pid)
        return [parent, *parent.children()]


def is_guard(process: psutil.Process) -> bool:
    """Return whether this child of a worker is no reader, but guards them."""
    try:
        return "workers.guard" in process.cmdline()
    except psutil.NoSuchProcess:
        return False


class Clock(ServiceProcess):
    """Celery beat with our scheduler."""

    name = "clock"

    def command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "celery", "-A", "workers", "beat"),
            *("-S", "workers.beat:Clock", "--pidfile="),
        ]

    def answers(self) -> bool:
        return "clock_started" in self.log_text()  # from then on it ends in order


class Web(ServiceProcess):
    """The HTTP API."""

    name = "web"

    def __init__(self, settings: dict[str, str], folder: Path | None = None) -> None:
        super().__init__(settings, folder)
        [self.port] = self.take_ports(1)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "api"]

    def environment(self) -> dict[str, str]:
        return super().environment() | {"STOCKTAKE_HOST": HOST, "STOCKTAKE_PORT": str(self.port)}

    def answers(self) -> bool:
        return status_of(f"{self.url}/healthz") == 200


class Up(ServiceProcess):
    """`stocktake up` on a free port, with a folder that file:// tables may be in.

    Attributes:
        options: of the command, beside those that it always has.
    """

    name = "up"

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__({}, folder)
        self.options: tuple[str, ...] = ()

    def prepare(self) -> None:
        self._started_at_byte = self.log.stat().st_size if self.log.exists() else 0
        self.sources.mkdir(exist_ok=True)

    def command(self) -> list[str]:
        data_dir = ("--data-dir", str(self.data_dir))
        roots = ("--local-root", str(self.sources))
        return [*COMMAND, "up", "--port", "0", *data_dir, *roots, *self.options]

    def answers(self) -> bool:
        return "ready http://" in self.output()

    def output(self) -> str:
        """Return what the terminal shows since the last start."""
        return self.log.read_text()[self._started_at_byte :]

    @property
    def sources(self) -> Path:
        return self.folder / "sources"

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        """Of the API, as the ready line names it."""
        line = next(line for line in self.output().splitlines() if line.startswith("ready "))
        return line.removeprefix("ready ")

    def client_settings(self) -> dict[str, str]:
        """Return what a command needs to talk to this stack."""
        return {"URL": self.url, "API_KEY": (self.data_dir / "api_key").read_text().strip()}


def service_settings(
    database_url: str, broker_url: str, folder: Path, **more: str
) -> dict[str, str]:
    """Return what all processes of one stack share."""
    return {
        "DATABASE_URL": database_url,
        "BROKER_URL": broker_url,
        "DATA_DIR": str(folder / "data"),
        "SECRET_KEYS": make_secret_key("test"),
        "ALLOWED_URL_SCHEMES": "https,file",
        "LOCAL_ROOTS": str(folder / "sources"),
        "RATE_LIMIT_PER_MINUTE": "0",
        "RATE_LIMIT_PER_HOUR": "0",
        "JOB_RETRY_BASE_SECONDS": "0.2",
        "JOB_RETRY_MAX_SECONDS": "1",
        **more,
    }
