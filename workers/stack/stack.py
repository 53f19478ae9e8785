"""The embedded stack: every process of the service on one machine, under one supervisor.

`Stack` is what ``stocktake up`` runs; ``python -m workers.stack.stack broker`` is the broker alone,
for the Procfile.
"""

import fcntl
import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self

from stocktake.errors import CommandError
from stocktake.settings import Settings, read_settings
from workers.stack.first_run import (
    FLOWER_USER,
    FirstProject,
    Secrets,
    load_secrets,
    open_data_dir,
    prepare_database,
    require_no_lost_key,
    write_private,
)
from workers.stack.ports import HOST, is_taken, port_of, usable_port
from workers.stack.supervision import Child, Program, stop
from workers.stack.valkey import broker_command

FLOWER_PORT: Final = 5555
PREFIX: Final = "STOCKTAKE_"
_START_SECONDS: Final = 60.0
#: Beyond the time that a worker gives its reads.
_STOP_SECONDS: Final = 8.0
_POLL_SECONDS: Final = 0.1
_PYTHON: Final = (sys.executable, "-P", "-m")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the person asked for.

    Attributes:
        port: of the API; 0 for a free one.
        flower: whether Celery's monitor runs too.
        flower_port: of the monitor, which takes any free one where it is taken; 0 for a free one.
        host: the address that the API listens on; all else listens on this machine alone.
        workers: reading processes.
        local_roots: folders that ``file://`` tables may be in; none forbids such tables.
        environment: the person's own variables; ``STOCKTAKE_*`` among them win over the
            embedded defaults.
    """

    data_dir: Path
    port: int
    flower: bool = True
    flower_port: int = FLOWER_PORT
    host: str = HOST
    workers: int = 2
    local_roots: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the parts of a stack answer; None where none of that kind runs."""

    api: str
    flower: str | None


class Stack:
    """All processes of the service. Leaving the context ends them.

    Args:
        tell: given a sentence when a process died and is started again, and when Flower has
            another port than was asked for, or cannot run.

    Raises:
        CommandError: a port is taken, the data directory is in use, its secret key is lost, or a
            process did not start.
    """

    def __init__(self, options: Options, tell: Callable[[str], None]) -> None:
        self._options = options
        self._tell = tell
        self._children: dict[str, Child] = {}
        self.folder = open_data_dir(options.data_dir)
        if f"{PREFIX}SECRET_KEYS" not in options.environment:
            require_no_lost_key(self.folder, self._database_url)
        self._lock = _lock(self.folder)
        self.secrets: Secrets = load_secrets(self.folder)
        port = usable_port(options.port)
        api = f"http://{_reached_by(options.host)}:{port}"
        self.addresses = Addresses(api=api, flower=None)
        if options.flower:
            self._give_flower_a_port(options.flower_port)
        self._broker_port = usable_port(0)
        self._environment = self._make_environment()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> FirstProject:
        """Start everything and wait until all of it answers.

        Raises:
            CommandError: a process ended, or did not answer in time.
        """
        if f"{PREFIX}BROKER_URL" not in self._options.environment:
            self._run(self._broker())
        for program in (self._worker(), self._web()):
            self._run(program)
        if self.addresses.flower is not None:
            self._run(self._flower(self.addresses.flower))
        project = prepare_database(self._database_url, self.folder)
        # Last, as it is the only one that asks the database by itself.
        self._run(self._clock())
        self._wait_until_ready()
        return project

    def watch(self) -> None:
        """Start again what has died. Call it now and then."""
        for child in self._children.values():
            if news := child.restart_if_dead():
                self._tell(news)

    def stop(self) -> None:
        """End all processes: those that use the broker first."""
        broker = self._children.pop("broker", None)
        stop(self._children.values(), self._grace_seconds + _STOP_SECONDS)
        if broker is not None:
            stop([broker], _STOP_SECONDS)
        self._children.clear()
        os.close(self._lock)
        self._lock = -1

    @property
    def _grace_seconds(self) -> float:
        default = Settings.model_fields["worker_grace_seconds"].default
        return float(self._environment.get(f"{PREFIX}WORKER_GRACE_SECONDS", default))

    @property
    def _database_url(self) -> str:
        name = f"{PREFIX}DATABASE_URL"
        here = f"sqlite:///{self.folder / 'stocktake.db'}"
        return _from_here(name, self._options.environment.get(name, here))

    def _run(self, program: Program) -> None:
        log = self.folder / "logs" / f"{program.name}.log"
        self._children[program.name] = Child(program, self.folder, log)

    # --- what runs ------------------------------------------------------------------------

    def _make_environment(self) -> dict[str, str]:
        given = {
            name: _from_here(name, value)
            for name, value in self._options.environment.items()
            if name.startswith(PREFIX)
        }
        others = {
            name: value
            for name, value in self._options.environment.items()
            if not name.startswith((PREFIX, "FLOWER_"))
        }
        return others | self._defaults() | given | self._asked_for(given)

    def _defaults(self) -> dict[str, str]:
        password = self.secrets.broker_password
        values = {
            "DATABASE_URL": self._database_url,
            "BROKER_URL": f"redis://:{password}@{HOST}:{self._broker_port}/0",
            "SECRET_KEYS": self.secrets.secret_key,
            "RATE_LIMIT_PER_MINUTE": "0",
            "RATE_LIMIT_PER_HOUR": "0",
        }
        return {PREFIX + name: value for name, value in values.items()}

    def _asked_for(self, given: Mapping[str, str]) -> dict[str, str]:
        values = {
            "DATA_DIR": str(self.folder),
            "HOST": self._options.host,
            "PORT": port_of(self.addresses.api),
            "WORKER_CONCURRENCY": str(self._options.workers),
        }
        if self._options.local_roots:
            schemes = given.get(f"{PREFIX}ALLOWED_URL_SCHEMES", "https")
            values["ALLOWED_URL_SCHEMES"] = f"{schemes},file"
            values["LOCAL_ROOTS"] = ",".join(
                str(root.resolve()) for root in self._options.local_roots
            )
        return {PREFIX + name: value for name, value in values.items()}

    def _environment_with(self, *settings: str) -> dict[str, str]:
        """Return the environment of a process that needs these settings only: it is not given the
        others' secrets.
        """
        needed = {PREFIX + name for name in settings}
        return {
            name: value
            for name, value in self._environment.items()
            if name in needed or not name.startswith(PREFIX)
        }

    def _broker(self) -> Program:
        url = self._environment[f"{PREFIX}BROKER_URL"]
        command = broker_command(url, self.folder / "broker")
        write_private(self.folder / "broker" / "url", url + "\n")  # for `stocktake doctor`
        return Program(
            name="broker",
            command=command,
            environment=self._environment_with(),
            death_signal=signal.SIGTERM,  # it writes what it holds, and ends at once
        )

    def _worker(self) -> Program:
        self._worker_ready.unlink(missing_ok=True)
        return Program(
            name="worker",
            command=(
                *(*_PYTHON, "celery", "-A", "workers", "worker", "--pool=prefork"),
                *("-Q", "interactive,bulk,validate", "--without-gossip", "--without-mingle"),
                *(f"--concurrency={self._options.workers}", "-n", "worker@%h"),
            ),
            environment=self._environment | {f"{PREFIX}READY_FILE": str(self._worker_ready)},
        )

    def _web(self) -> Program:
        flower = {f"{PREFIX}FLOWER_URL": self.addresses.flower} if self.addresses.flower else {}
        return Program(
            name="web",
            command=(*_PYTHON, "api"),
            # What the operator says goes before: people may reach it otherwise.
            environment=flower | self._environment,
        )

    def _clock(self) -> Program:
        return Program(
            name="clock",
            command=(
                *(*_PYTHON, "celery", "-A", "workers", "beat", "--pidfile="),
                *("--scheduler", "workers.beat:Clock"),
            ),
            environment=self._environment,
        )

    def _flower(self, address: str) -> Program:
        return Program(
            name="flower",
            command=(
                *(*_PYTHON, "workers.flower", f"--port={port_of(address)}"),
                *("--persistent=True", f"--db={self.folder / 'flower.db'}"),
                "--state_save_interval=10000",
            ),
            # Not as an option: everybody on the machine can read those.
            environment=self._environment_with("BROKER_URL")
            | {"FLOWER_BASIC_AUTH": self._flower_login},
        )

    # --- whether it answers ---------------------------------------------------------------

    @property
    def _flower_login(self) -> str:
        return f"{FLOWER_USER}:{self.secrets.flower_password}"

    @property
    def _worker_ready(self) -> Path:
        return self.folder / "worker.ready"

    def _wait_until_ready(self) -> None:
        give_up_at = time.monotonic() + _START_SECONDS
        waiting: dict[str, Callable[[], bool]] = {
            "worker": self._worker_ready.exists,
            "web": lambda: _get(f"{self.addresses.api}/healthz") is not None,
            "flower": self._flower_is_settled,
            "clock": self._clock_ticks,
        }
        while waiting:
            waiting = {name: answers for name, answers in waiting.items() if not answers()}
            self._require_alive()
            if time.monotonic() > give_up_at and waiting.keys() == {"flower"}:
                self._do_without_flower()
            elif time.monotonic() > give_up_at:
                self._fail(next(iter(waiting)), f"did not answer within {_START_SECONDS:g} s")
            time.sleep(_POLL_SECONDS)

    def _flower_is_settled(self) -> bool:
        """Return whether Flower answers, or runs no more: it is looked at only, and ends no
        service.
        """
        child = self._children.get("flower")
        if child is None:
            return True
        if child.exit_status is None:
            url = f"{self.addresses.flower}/healthcheck"
            return _get(url, login=self._flower_login) is not None
        address = self.addresses.flower
        if address is None or not is_taken(int(port_of(address))):
            self._do_without_flower()
        else:  # by another stack, which was started at the same time
            self._run(self._flower(self._give_flower_a_port(int(port_of(address)))))
        return "flower" not in self._children

    def _give_flower_a_port(self, wanted: int) -> str:
        port = usable_port(wanted, or_another=True)
        if wanted not in (0, port):
            self._tell(
                f"Port {wanted} is taken; Flower gets {port}. --flower-port asks for another, "
                "--no-flower does without."
            )
        address = f"http://{HOST}:{port}"
        self.addresses = replace(self.addresses, flower=address)
        return address

    def _do_without_flower(self) -> None:
        child = self._children.pop("flower")
        stop([child], _STOP_SECONDS)
        self.addresses = replace(self.addresses, flower=None)
        self._tell(
            "Flower did not start, and the service runs without it. Its log, logs/flower.log in "
            f"the data directory, ends:\n{child.log_tail()}"
        )

    def _clock_ticks(self) -> bool:
        """Return whether this clock has ticked, and not the one of the last run."""
        body = _get(f"{self.addresses.api}/readyz")
        age = None if body is None else json.loads(body).get("clock_age_seconds")
        alive_seconds = time.monotonic() - self._children["clock"].started_at
        return age is not None and age < alive_seconds

    def _require_alive(self) -> None:
        for name, child in self._children.items():
            if name != "flower" and child.exit_status is not None:
                self._fail(name, f"ended with status {child.exit_status}")

    def _fail(self, name: str, what: str) -> None:
        child = self._children[name]
        raise CommandError(
            f"The {name} {what}. Its log, logs/{name}.log in the data directory, ends:\n"
            f"{child.log_tail()}"
        )


def _reached_by(host: str) -> str:
    everywhere = host in ("0.0.0.0", "::")  # noqa: S104 - asked for, and not listened on here
    return HOST if everywhere else f"[{host}]" if ":" in host else host


def _from_here(name: str, value: str) -> str:
    """Return a setting with its paths made absolute: the processes run in the data directory, where
    no package of the person's own hides one of ours.
    """
    database = "sqlite:///"
    if name == f"{PREFIX}DATABASE_URL" and value.startswith(database):
        return database + str(Path(value.removeprefix(database)).resolve())
    if name == f"{PREFIX}LOCAL_ROOTS":
        return ",".join(str(Path(root.strip()).resolve()) for root in value.split(","))
    return value


def _lock(folder: Path) -> int:
    descriptor = os.open(folder / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        os.close(descriptor)
        raise CommandError(
            "This data directory belongs to a stack that is running. Stop that one, or name "
            "another directory with --data-dir."
        ) from exc
    return descriptor


def _get(url: str, *, login: str | None = None) -> bytes | None:
    """Return the body of a 200, else None."""
    # Past the environment's proxies: it is this machine that is asked.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url)  # noqa: S310 - our own processes
    if login is not None:
        request.add_header("Authorization", f"Basic {b64encode(login.encode()).decode()}")
    try:
        with opener.open(request, timeout=2) as answer:
            body: bytes = answer.read()
            return body if answer.status == 200 else None
    except (urllib.error.URLError, OSError):
        return None


def main(arguments: list[str]) -> None:
    """Become the broker that the settings name: ``python -m workers.stack.stack broker``."""
    if arguments != ["broker"]:
        sys.exit("usage: python -m workers.stack.stack broker")
    settings = read_settings()
    try:
        command = broker_command(
            settings.broker_url.get_secret_value(), settings.data_dir / "broker"
        )
    except CommandError as exc:
        sys.exit(f"stocktake: {exc}")
    os.execv(command[0], command)  # noqa: S606 - a list that we wrote


if __name__ == "__main__":
    main(sys.argv[1:])
