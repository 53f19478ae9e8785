"""The commands that need no stack: database, projects, keys, inspect; and how failures read."""

import json
import sqlite3
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from servers.process import free_ports
from servers.seaweedfs import SeaweedFS
from stocktake.db.session import Database
from stocktake.services import identity
from tests.support.commands import stocktake
from tests.support.iceberg_tables import as_file, field_of, metadata_of

Done = subprocess.CompletedProcess[str]


@pytest.fixture
def database_settings(migrated_sqlite_file: Path, tmp_path: Path) -> dict[str, str]:
    """A migrated database of this test's own."""
    copy = tmp_path / "service.db"
    copy.write_bytes(migrated_sqlite_file.read_bytes())
    return {"DATABASE_URL": f"sqlite:///{copy}"}


def _assert_explained(done: Done, *words: str) -> None:
    """It failed with a sentence and without a traceback."""
    assert done.returncode in (1, 2)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


# --- the settings -------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("doctor",), ("db", "upgrade"), ("audit-log",), ("up",)])
def test_settings_that_are_wrong_are_each_named_in_a_sentence(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    settings = {"RETAIN_JOBS_DAYS": "abc", "LEASE_SECONDS": "-1"}

    done = stocktake(*command, folder=tmp_path, settings=settings)

    _assert_explained(
        done, "STOCKTAKE_RETAIN_JOBS_DAYS: ", "found 'abc'", "STOCKTAKE_LEASE_SECONDS"
    )
    assert len(done.stderr.splitlines()) == 2, done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["mysql://u:secret@x/y", "postgresql://u:secret@x/y", "secret"])
@pytest.mark.parametrize("command", [("up",), ("db", "upgrade")])
def test_a_database_of_another_kind_is_refused_at_once(
    tmp_path: Path, command: tuple[str, ...], url: str
) -> None:
    done = stocktake(*command, folder=tmp_path, settings={"DATABASE_URL": url})

    _assert_explained(done, "STOCKTAKE_DATABASE_URL: ", "postgresql+psycopg://")
    assert "secret" not in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_secret_keys_that_are_none_are_refused_before_anything_starts(tmp_path: Path) -> None:
    done = stocktake("up", folder=tmp_path, settings={"SECRET_KEYS": "garbage"})

    _assert_explained(done, "STOCKTAKE_SECRET_KEYS, entry 1", "make-secret")
    assert "garbage" not in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert list(tmp_path.iterdir()) == []


# --- the database -------------------------------------------------------------------------


def test_db_upgrade_makes_a_database_that_projects_can_be_added_to(tmp_path: Path) -> None:
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path / 'new.db'}"}

    upgraded = stocktake("db", "upgrade", folder=tmp_path, settings=settings)
    project = stocktake("projects", "create", "First", folder=tmp_path, settings=settings)

    assert upgraded.returncode == 0, upgraded.stderr
    assert project.stdout == "1\n"


def test_a_database_that_is_behind_is_named(tmp_path: Path) -> None:
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path / 'new.db'}"}

    done = stocktake("projects", "create", "First", folder=tmp_path, settings=settings)

    _assert_explained(done, "stocktake db upgrade")


@pytest.mark.parametrize(
    "command",
    [
        ("projects", "list"),
        ("keys", "list"),
        ("keys", "revoke", "stk_x", "--yes"),
        ("db", "upgrade"),
    ],
)
def test_no_command_makes_a_database_where_nobody_named_one(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    done = stocktake(*command, folder=tmp_path)

    _assert_explained(done, str(Path(".stocktake", "stocktake.db")), "STOCKTAKE_DATABASE_URL")
    assert list(tmp_path.iterdir()) == []


def test_projects_and_live_keys_are_listed_and_the_database_is_named(
    database_settings: dict[str, str], tmp_path: Path
) -> None:
    def run(*arguments: str) -> Done:
        return stocktake(*arguments, folder=tmp_path, settings=database_settings)

    assert "No projects yet" in run("projects", "list").stderr
    run("projects", "create", "First")
    scopes = ("--scopes", "warehouse_table:read")
    kept = run("keys", "create", "--project", "1", *scopes, "--label", "kept").stdout
    gone = run("keys", "create", "--project", "1", *scopes, "--label", "gone").stdout
    run("keys", "revoke", gone[:10], "--yes")

    projects, keys = run("projects", "list"), run("keys", "list")

    assert projects.stdout.splitlines()[1].split() == ["1", "First"]
    assert keys.stdout.splitlines()[1].split()[:3] == [kept[:10], "kept", "1"]
    assert "gone" not in keys.stdout
    assert keys.stderr.startswith(f"Database: {database_settings['DATABASE_URL']}")


@pytest.mark.parametrize("command", [("db", "upgrade"), ("up", "--port", "0")])
def test_a_database_that_does_not_answer_is_named(tmp_path: Path, command: tuple[str, ...]) -> None:
    [port] = free_ports(1)
    settings = {"DATABASE_URL": f"postgresql+psycopg://u:secret@127.0.0.1:{port}/x"}

    done = stocktake(*command, folder=tmp_path, settings=settings)

    _assert_explained(done, "STOCKTAKE_DATABASE_URL")
    assert "secret" not in done.stderr
    assert len(done.stderr.splitlines()) <= 2, done.stderr


def test_the_database_of_a_stack_right_here_is_taken_where_none_is_set(
    migrated_sqlite_file: Path, tmp_path: Path
) -> None:
    (tmp_path / ".stocktake").mkdir()
    file = tmp_path / ".stocktake" / "stocktake.db"
    file.write_bytes(migrated_sqlite_file.read_bytes())

    stocktake("projects", "create", "Here", folder=tmp_path)

    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT name FROM projects").fetchall() == [("Here",)]
    connection.close()


def test_a_key_alone_is_printed_and_it_opens_its_project(
    database_settings: dict[str, str], tmp_path: Path
) -> None:
    stocktake("projects", "create", "First", folder=tmp_path, settings=database_settings)

    made = stocktake(
        *("keys", "create", "--project", "1", "--scopes", "warehouse_table:read"),
        folder=tmp_path,
        settings=database_settings,
    )

    assert made.stdout.startswith("stk_")
    assert made.stdout.count("\n") == 1
    database = Database(database_settings["DATABASE_URL"])
    with database.read() as session:
        caller = identity.authenticate(session, made.stdout.strip())
    database.dispose()
    assert caller.project_ids == (1,)
    assert caller.scopes == {"warehouse_table:read"}


def test_a_revoked_key_is_gone(database_settings: dict[str, str], tmp_path: Path) -> None:
    stocktake("projects", "create", "First", folder=tmp_path, settings=database_settings)
    key = stocktake(
        *("keys", "create", "--project", "1", "--scopes", "*"),
        folder=tmp_path,
        settings=database_settings,
    ).stdout

    first = stocktake(
        "keys", "revoke", key[:10], "--yes", folder=tmp_path, settings=database_settings
    )
    second = stocktake(
        "keys", "revoke", key[:10], "--yes", folder=tmp_path, settings=database_settings
    )

    assert first.returncode == 0, first.stderr
    _assert_explained(second, key[:10])


@pytest.mark.parametrize(
    ("project", "scopes", "word"), [("7", "*", "[7]"), ("1", "everything", "everything")]
)
def test_a_key_for_nothing_is_refused(
    database_settings: dict[str, str], tmp_path: Path, project: str, scopes: str, word: str
) -> None:
    stocktake("projects", "create", "First", folder=tmp_path, settings=database_settings)

    done = stocktake(
        *("keys", "create", "--project", project, "--scopes", scopes),
        folder=tmp_path,
        settings=database_settings,
    )

    _assert_explained(done, word)


# --- the API is not there -----------------------------------------------------------------


def test_a_missing_key_says_where_one_is(tmp_path: Path) -> None:
    _assert_explained(stocktake("tables", "list", folder=tmp_path), "STOCKTAKE_API_KEY")


def test_a_missing_server_says_how_to_start_one(tmp_path: Path) -> None:
    [port] = free_ports(1)
    settings = {"API_KEY": "stk_x", "URL": f"http://127.0.0.1:{port}"}

    done = stocktake("tables", "list", folder=tmp_path, settings=settings)

    _assert_explained(done, "stocktake up", "STOCKTAKE_URL")


@pytest.mark.parametrize("url", ["localhost:8000", "http://[", "nonsense", "http://127.0.0.1/api"])
def test_a_url_that_is_none_is_named(tmp_path: Path, url: str) -> None:
    settings = {"API_KEY": "stk_x", "URL": url}

    done = stocktake("jobs", "list", folder=tmp_path, settings=settings)

    _assert_explained(done, "STOCKTAKE_URL")


def test_refresh_wants_names_or_all(tmp_path: Path) -> None:
    _assert_explained(stocktake("refresh", folder=tmp_path), "--all")


# --- inspect ------------------------------------------------------------------------------


def _inspect(tmp_path: Path, *arguments: str) -> Done:
    return stocktake("inspect", *arguments, folder=tmp_path)


def test_inspect_prints_a_delta_tables_columns_as_json(tmp_path: Path) -> None:
    table = pa.table({"id": pa.array([1, 2], pa.int64()), "note": ["a", None]})
    write_deltalake(str(tmp_path / "orders"), table)

    done = _inspect(tmp_path, "orders", "--format", "Delta", "--json")

    printed = json.loads(done.stdout)
    assert list(printed) == [
        *("columns", "source_version", "row_count", "size_bytes", "file_count"),
        *("coverage", "warnings"),
    ]
    assert printed["columns"] == [
        {
            "name": "id",
            "clickhouse": "Nullable(Int64)",
            "hogql": "IntegerDatabaseField",
            "nullable": True,
        },
        {
            "name": "note",
            "clickhouse": "Nullable(String)",
            "hogql": "StringDatabaseField",
            "nullable": True,
        },
    ]
    assert printed["source_version"] == 0


def test_inspect_counts_a_delta_table_where_it_is_asked_to(tmp_path: Path) -> None:
    for rows in (2, 3):
        write_deltalake(str(tmp_path / "orders"), pa.table({"id": range(rows)}), mode="append")

    plain = json.loads(_inspect(tmp_path, "orders", "--format", "Delta", "--json").stdout)
    done = _inspect(tmp_path, "orders", "--format", "Delta", "--json", "--count")

    assert (plain["row_count"], plain["file_count"]) == (None, None)
    counted = json.loads(done.stdout)
    stored = sum(each.stat().st_size for each in (tmp_path / "orders").glob("*.parquet"))
    assert (counted["row_count"], counted["file_count"]) == (5, 2)
    assert counted["size_bytes"] == stored


def test_inspect_takes_the_options_of_a_table(tmp_path: Path) -> None:
    folder = tmp_path / "orders" / "metadata"
    folder.mkdir(parents=True)
    for number, column in enumerate(("old", "new"), 1):
        metadata = metadata_of([field_of(1, column, "long")])
        (folder / f"v{number}.metadata.json").write_bytes(as_file(metadata))
    asked = ("orders", "--format", "iceberg", "--json", "--option")

    newest = json.loads(_inspect(tmp_path, *asked[:-1]).stdout)
    older = json.loads(_inspect(tmp_path, *asked, "metadata_file=v1.metadata.json").stdout)
    wrong = _inspect(tmp_path, *asked, "metadata_file=../v1.metadata.json")

    assert [each["columns"][0]["name"] for each in (newest, older)] == ["new", "old"]
    _assert_explained(wrong, "name of a file in the table's metadata folder")


@pytest.mark.parametrize("spelling", ["relative", "absolute", "url"])
def test_inspect_takes_a_path_in_any_spelling(tmp_path: Path, spelling: str) -> None:
    folder = tmp_path / "with space & 50%"
    folder.mkdir()
    for number in range(2):
        pq.write_table(pa.table({"x": [1, 2, 3]}), folder / f"{number}.parquet")
    location = {
        "relative": "with space & 50%/*.parquet",
        "absolute": f"{folder}/*.parquet",
        "url": f"file://{tmp_path}/with%20space%20&%2050%25/*.parquet",
    }[spelling]

    done = _inspect(tmp_path, location, "--format", "parquet", "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["row_count"] == 6


def test_item_5_inspect_reads_a_delta_root_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    for name in ("a{b", "a*b"):
        write_deltalake(str(tmp_path / name), pa.table({"id": [1]}))
    encoded = f"file://{tmp_path}/a%2Ab"

    plain = _inspect(tmp_path, "a{b", "--format", "Delta", "--json")
    escaped = _inspect(tmp_path, encoded, "--format", "Delta", "--json")
    glob = _inspect(tmp_path, "a*b", "--format", "Delta", "--json")

    assert [done.returncode for done in (plain, escaped)] == [0, 0], plain.stderr + escaped.stderr
    assert glob.returncode != 0
    assert "named by its root folder" in glob.stderr


def test_item_5_inspect_reads_the_one_file_whose_name_is_encoded(tmp_path: Path) -> None:
    (tmp_path / "a*.csv").write_text("star\n1\n")
    (tmp_path / "ab.csv").write_text("letter\n1\n")
    (tmp_path / "r[1].csv").write_text("bracket\n1\n")
    (tmp_path / "r1.csv").write_text("digit\n1\n")
    found = {
        name: _inspect(tmp_path, f"file://{tmp_path}/{name}", "--format", "CSVWithNames", "--json")
        for name in ("a%2A.csv", "{a%2A,x*}.csv", "r[1].csv", "r%5B1%5D.csv")
    }
    assert {name: [column["name"] for column in json.loads(done.stdout)["columns"]]
            for name, done in found.items()} == {
        "a%2A.csv": ["star"],
        "{a%2A,x*}.csv": ["star"],
        "r[1].csv": ["bracket"],
        "r%5B1%5D.csv": ["bracket"],
    }  # fmt: skip


def test_inspect_shows_people_a_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,when\n1,2024-01-01\n")

    done = _inspect(tmp_path, "a.csv", "--format", "CSVWithNames")

    assert "Nullable(Int64)" in done.stdout
    assert "1 of 1 files" in done.stdout


def test_inspect_reads_an_object_store_it_is_told_to_trust(
    s3: SeaweedFS, bucket: str, tmp_path: Path
) -> None:
    uri = f"s3://{bucket}/orders"
    write_deltalake(uri, pa.table({"id": [1]}), storage_options=s3.delta_options())
    arguments = (s3.url(bucket, "orders"), "--format", "Delta", "--json")

    untrusted = _inspect(tmp_path, *arguments, "--public")
    done = stocktake(
        *("inspect", *arguments, "--endpoint", s3.endpoint, "--access-key", s3.access_key),
        folder=tmp_path,
        settings={"ACCESS_SECRET": s3.secret_key},
    )

    assert untrusted.returncode == 1
    assert done.returncode == 0, done.stderr
    assert [column["name"] for column in json.loads(done.stdout)["columns"]] == ["id"]


def test_a_secret_is_read_from_the_standard_input(
    s3: SeaweedFS, bucket: str, tmp_path: Path
) -> None:
    write_deltalake(
        f"s3://{bucket}/orders", pa.table({"id": [1]}), storage_options=s3.delta_options()
    )
    done = stocktake(
        *("inspect", s3.url(bucket, "orders"), "--format", "Delta", "--json"),
        *("--endpoint", s3.endpoint, "--access-key", s3.access_key),
        folder=tmp_path,
        typed=f"{s3.secret_key}\n",
    )
    assert done.returncode == 0, done.stderr
    assert [column["name"] for column in json.loads(done.stdout)["columns"]] == ["id"]


@pytest.mark.parametrize("command", ["inspect x", "tables add x --url x"])
def test_no_command_takes_a_secret_as_an_option(tmp_path: Path, command: str) -> None:
    done = stocktake(*command.split(), "--format", "CSV", "--access-secret", "s", folder=tmp_path)
    assert done.returncode == 2
    assert "No such option" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing.csv", "--format", "CSV"), ("source_not_found",)),
        (("https://example.com/b/x", "--format", "CSV", "--public"), ("url_refused",)),
        (("https://b.s3.amazonaws.com/x", "--format", "CSV"), ("--access-key", "--public")),
        (("x", "--format", "CSV", "--access-key", "k"), ("STOCKTAKE_ACCESS_SECRET",)),
        (("x", "--format", "Lance"), ("parquet", "Lance")),
    ],
)
def test_inspect_explains_what_it_cannot_read(
    tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    _assert_explained(_inspect(tmp_path, *arguments), *words)


def test_version_is_the_packages(tmp_path: Path) -> None:
    done = stocktake("--version", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"stocktake {version('stocktake')}\n")


def test_help_needs_none_of_the_heavy_libraries(tmp_path: Path) -> None:
    script = (
        "import sys, cli; "
        "heavy = {'pyarrow', 'sqlalchemy', 'celery', 'httpx', 'fastapi', 'alembic', 'pydantic', "
        "'structlog', 'asyncio'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=tmp_path
    )

    assert done.stdout == "[]\n"
