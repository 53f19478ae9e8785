"""The commands for secret keys and the audit log, on a database with credentials in it."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from stocktake.db.models import StoredCredential
from stocktake.db.session import Database
from stocktake.errors import CredentialUnavailableError
from stocktake.security.encryption import AccessPair, Keyring, Sealed, make_secret_key
from stocktake.services import identity
from tests.support.commands import stocktake

PAIR = AccessPair(access_key="AKIAEXAMPLE", access_secret="canary-secret")
#: More than are encrypted in one transaction.
MANY = 103


@pytest.fixture
def database(migrated_database_url: str) -> Iterator[Database]:
    database = Database(migrated_database_url)
    yield database
    database.dispose()


@pytest.fixture
def project_id(database: Database) -> int:
    with database.write() as session:
        return identity.create_project(session, "First").id


def _store(database: Database, project_id: int, keyring: Keyring, count: int) -> None:
    with database.write() as session:
        for row_id in [uuid4() for _ in range(count)]:
            sealed = keyring.seal(PAIR, project_id=project_id, credential_id=row_id)
            session.add(
                StoredCredential(
                    id=row_id,
                    project_id=project_id,
                    key_id=sealed.key_id,
                    ciphertext=sealed.ciphertext,
                )
            )


def _opened(database: Database, keyring: Keyring) -> list[AccessPair]:
    with database.read() as session:
        return [
            keyring.open(
                Sealed(key_id=row.key_id, ciphertext=row.ciphertext),
                project_id=row.project_id,
                credential_id=row.id,
            )
            for row in session.query(StoredCredential)
        ]


def _rotate(database: Database, folder: Path, *keys: str) -> "subprocess.CompletedProcess[str]":
    url = database.engine.url.render_as_string(hide_password=False)
    settings = {"DATABASE_URL": url, "SECRET_KEYS": ",".join(keys)}
    return stocktake("keys", "rotate-secrets", folder=folder, settings=settings)


def test_after_a_rotation_the_old_key_opens_nothing_and_the_new_one_everything(
    database: Database, project_id: int, tmp_path: Path
) -> None:
    old, new = make_secret_key("old"), make_secret_key("new")
    _store(database, project_id, Keyring([old]), MANY)
    _store(database, project_id, Keyring([new]), 1)

    done = _rotate(database, tmp_path, new, old)

    assert (done.returncode, done.stdout) == (
        0,
        f"Encrypted {MANY} credentials with the key new.\nKeys in use: new ({MANY + 1}).\n",
    )
    assert _opened(database, Keyring([new])) == [PAIR] * (MANY + 1)
    with pytest.raises(CredentialUnavailableError):
        _opened(database, Keyring([old]))
    assert "Encrypted 0 credentials" in _rotate(database, tmp_path, new).stdout


def test_a_credential_that_cannot_be_read_is_named_and_stays(
    database: Database, project_id: int, tmp_path: Path
) -> None:
    lost, new = make_secret_key("lost"), make_secret_key("new")
    _store(database, project_id, Keyring([lost]), 1)

    done = _rotate(database, tmp_path, new)

    with database.read() as session:
        [row] = session.query(StoredCredential)
    assert done.returncode == 1
    assert "Keys in use: lost (1)." in done.stdout
    assert str(row.id) in done.stderr
    assert "'lost'" in done.stderr
    assert _opened(database, Keyring([lost])) == [PAIR]


def test_a_rotation_without_keys_says_what_to_set(database: Database, tmp_path: Path) -> None:
    done = _rotate(database, tmp_path)

    assert done.returncode == 1
    assert "STOCKTAKE_SECRET_KEYS" in done.stderr


def test_a_rotation_with_a_spoilt_list_says_which_entry(database: Database, tmp_path: Path) -> None:
    old, new = make_secret_key("old"), make_secret_key("new")

    done = _rotate(database, tmp_path, f"{new};{old}")

    assert done.returncode == 1
    assert "entry 1 of 1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_secret_key_that_is_made_can_be_used(tmp_path: Path) -> None:
    made = stocktake("keys", "make-secret", "k2", folder=tmp_path)

    assert made.stdout.startswith("k2:")
    assert Keyring([made.stdout.strip()]).first == "k2"
    assert stocktake("keys", "make-secret", "a,b", folder=tmp_path).returncode == 1


def test_the_audit_log_shows_who_did_what_newest_first(
    migrated_sqlite_file: Path, tmp_path: Path
) -> None:
    file = tmp_path / "service.db"
    shutil.copy(migrated_sqlite_file, file)
    settings = {"DATABASE_URL": f"sqlite:///{file}"}

    def run(*arguments: str) -> str:
        done = stocktake(*arguments, folder=tmp_path, settings=settings)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("projects", "create", "First")
    key = run("keys", "create", "--project", "1", "--scopes", "*").strip()
    run("keys", "revoke", key[:10], "--yes")

    entries = json.loads(run("audit-log", "--json"))
    of_one = json.loads(run("audit-log", "--json", "--action", "key.create"))

    assert [(each["action"], each["project_id"]) for each in entries] == [
        ("key.revoke", 1),
        ("key.create", 1),
    ]
    assert of_one == entries[1:]
    assert UUID(entries[0]["subject"]) == UUID(entries[1]["subject"])
    assert entries[1]["detail"] == {"prefix": key[:10], "scopes": ["*"]}
    assert key not in run("audit-log")
    assert "key.revoke" in run("audit-log", "--limit", "1")
    assert json.loads(run("audit-log", "--json", "--project", "2")) == []
