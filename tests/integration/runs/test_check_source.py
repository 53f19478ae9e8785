"""A check of a source: each step told apart, the least that its key needs, and no key kept."""

import fnmatch
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from sqlalchemy import func, select

from servers.process import free_ports
from servers.seaweedfs import SeaweedFS
from stocktake.clock import rows as clock_rows
from stocktake.db.models import StoredCredential
from stocktake.errors import ConflictError, CredentialUnavailableError, ValidationError
from stocktake.jobs import cancelling
from stocktake.runs import check_source
from stocktake.services import jobs, source_checks
from stocktake.services.tables import TableFields
from tests.integration.runs.conftest import Desk
from tests.support.hostile_store import Answer, Asked, hostile
from tests.support.rows import context, make_table

HEARD = ("tls", "region", "credential")
KEY = {"access_key": "AKIDEXAMPLE", "access_secret": "hunter2-hunter2"}


def request(desk: Desk, **fields: Any) -> UUID:
    with context(desk.database, desk.settings, desk.project_id) as ctx:
        return source_checks.request(ctx, TableFields(**fields)).job.id  # type: ignore[typeddict-item]


def check(desk: Desk, **fields: Any) -> dict[str, Any]:
    job_id = request(desk, **fields)
    desk.run(job_id, check_source.run)
    assert keys_kept(desk) == 0
    return desk.result(job_id)


def keys_kept(desk: Desk) -> int | None:
    with desk.database.read() as session:
        return session.scalar(select(func.count()).select_from(StoredCredential))


def outcomes(result: Mapping[str, Any]) -> dict[str, str]:
    return {each["step"]: each["outcome"] for each in result["steps"]}


def failed(result: Mapping[str, Any]) -> tuple[str, str]:
    """The one step that failed, with its code."""
    (step,) = (each for each in result["steps"] if each["outcome"] == "failed")
    assert step["hint"], step
    return step["step"], step["code"]


def trusting(desk: Desk, *endpoints: str) -> Desk:
    return replace(desk, settings=desk.settings.model_copy(update={"trusted_endpoints": endpoints}))


# --- folders ------------------------------------------------------------------------------------


def test_a_folder_has_no_steps_of_the_network(desk: Desk) -> None:
    pq.write_table(pa.table({"id": [1, 2]}), desk.sources / "a.parquet")

    result = check(desk, url_pattern=f"file://{desk.sources}/*.parquet")

    assert result["passed"]
    assert outcomes(result) == {
        "url": "passed",
        "dns": "skipped",
        "tls": "skipped",
        "region": "skipped",
        "credential": "skipped",
        "list": "passed",
        "get": "passed",
        "format": "passed",
    }
    assert (result["format"], result["row_count"], result["grant"]) == ("Parquet", 2, None)
    assert result["columns"] == [{"name": "id", "type": "Nullable(Int64)"}]


def write_delta(folder: Path) -> str:
    write_deltalake(str(folder / "orders"), pa.table({"id": [1]}))
    return "orders"


def write_csv(folder: Path) -> str:
    (folder / "orders.csv.gz").write_bytes(b"id\n1\n")
    return "orders.csv.gz"


def write_json(folder: Path) -> str:
    (folder / "a.jsonl").write_bytes(b'{"id": 1}\n')
    return "*.jsonl"


@pytest.mark.parametrize(
    ("write", "format_"),
    [(write_delta, "Delta"), (write_csv, "CSVWithNames"), (write_json, "JSONEachRow")],
)
def test_a_format_is_found_out(desk: Desk, write: Callable[[Path], str], format_: str) -> None:
    result = check(desk, url_pattern=f"file://{desk.sources}/{write(desk.sources)}")

    assert (result["passed"], result["format"]) == (True, format_), result
    assert [each["name"] for each in result["columns"]] == ["id"]


@pytest.mark.parametrize(
    ("pattern", "format_", "step"),
    [
        ("*.csv", "CSVWithNames", ("list", "source_not_found")),
        ("orders", "Delta", ("list", "source_not_found")),
        ("orders", "Iceberg", ("list", "source_not_found")),
        ("a.csv", None, ("get", "source_not_found")),
        ("what", None, ("format", "format_mismatch")),
        ("what", "Parquet", ("format", "format_mismatch")),
    ],
)
def test_each_step_of_reading_fails_by_itself(
    desk: Desk, pattern: str, format_: str | None, step: tuple[str, str]
) -> None:
    (desk.sources / "orders").mkdir()
    (desk.sources / "what").write_bytes(b"nothing known")
    fields = {"format": format_} if format_ else {}

    result = check(desk, url_pattern=f"file://{desk.sources}/{pattern}", **fields)

    assert (result["passed"], failed(result)) == (False, step)
    behind = [each["outcome"] for each in result["steps"]]
    assert set(behind[behind.index("failed") + 1 :]) <= {"skipped"}


# --- stores -------------------------------------------------------------------------------------


@pytest.fixture
def keys(s3: SeaweedFS) -> dict[str, str]:
    return {"access_key": s3.access_key, "access_secret": s3.secret_key}


def test_a_bucket_passes_every_step(desk: Desk, s3: SeaweedFS, keys: dict[str, str]) -> None:
    desk = trusting(desk, s3.endpoint)
    url = s3.url(s3.bucket(), "orders")
    write_deltalake(
        url.replace(s3.endpoint + "/", "s3://"),
        pa.table({"id": [1]}),
        storage_options=s3.delta_options(),
    )

    result = check(desk, url_pattern=url, credential=keys)

    assert set(outcomes(result).values()) == {"passed"}, result["steps"]
    assert "orders/_delta_log/*" in result["grant"]["text"]
    assert s3.secret_key not in json.dumps(result)


@pytest.mark.parametrize(
    ("change", "step"),
    [
        ({"access_key": "nobody"}, ("credential", "invalid_access_key")),
        ({"access_secret": "wrong-secret"}, ("credential", "access_denied")),
    ],
)
def test_a_key_that_is_no_good_is_told_from_one_that_may_not(
    desk: Desk, s3: SeaweedFS, keys: dict[str, str], change: dict[str, str], step: tuple[str, str]
) -> None:
    url = s3.url(s3.bucket(), "*.csv")

    result = check(trusting(desk, s3.endpoint), url_pattern=url, credential=keys | change)

    assert failed(result) == step
    assert outcomes(result)["region"] == "passed"
    assert outcomes(result)["list"] == "skipped"


def test_a_bucket_that_is_not_there_is_told_at_the_listing(
    desk: Desk, s3: SeaweedFS, keys: dict[str, str]
) -> None:
    result = check(
        trusting(desk, s3.endpoint), url_pattern=s3.url("no-such-bucket", "*.csv"), credential=keys
    )

    assert failed(result) == ("list", "bucket_not_found")
    assert {outcomes(result)[step] for step in HEARD} == {"passed"}


def test_a_port_at_which_nobody_listens_and_a_certificate_that_nobody_signed(
    desk: Desk, s3: SeaweedFS, keys: dict[str, str]
) -> None:
    (port,) = free_ports(1)
    closed = f"http://127.0.0.1:{port}"
    desk = trusting(desk, closed, s3.tls_endpoint)

    refused = check(desk, url_pattern=f"{closed}/b/*.csv", credential=keys)
    stranger = check(desk, url_pattern=f"{s3.tls_endpoint}/b/*.csv", credential=keys)

    assert failed(refused) == ("tls", "storage_unavailable")
    assert failed(stranger) == ("tls", "certificate_refused")
    assert outcomes(refused)["dns"] == "passed"


def test_a_name_that_nobody_knows_is_told_at_dns(desk: Desk, keys: dict[str, str]) -> None:
    endpoint = "https://store.invalid"

    result = check(trusting(desk, endpoint), url_pattern=f"{endpoint}/b/*.csv", credential=keys)

    assert failed(result) == ("dns", "storage_unavailable")


# --- the least that a key needs -----------------------------------------------------------------

OBJECTS = {
    "what?/2026-a.csv": b"id\n1\n",
    "what?/2026-b.csv": b"id\n2\n",
    "what?/old.csv": b"other\n3\n",
    "one file.csv": b"id\n1\n",
    "${x}/a.csv": b"id\n1\n",
    "top.json": b'{"id": 1}\n',
}


class Bucket:
    """A bucket, which allows what a policy of IAM says, and nothing else."""

    def __init__(self, objects: Mapping[str, bytes]) -> None:
        self.objects = dict(objects)
        self.statements: list[dict[str, Any]] = []
        self.refused: list[str] = []

    def answer(self, target: str) -> Answer:
        url = urlsplit(target)
        key = unquote(url.path).removeprefix("/b").removeprefix("/")
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        action = "s3:GetObject" if key else "s3:ListBucket"
        if not any(self._allows(each, action, key, query) for each in self.statements):
            self.refused.append(target)
            return 403, b"<Error><Code>AccessDenied</Code></Error>", {}
        return self._get(key, target) if key else self._list(query)

    def _allows(
        self, statement: dict[str, Any], action: str, key: str, query: dict[str, str]
    ) -> bool:
        if statement["Action"] != action:
            return False
        asked = "arn:aws:s3:::b" + (f"/{key}" if key else "")
        wanted = statement.get("Condition", {}).get("StringEquals", {}).get("s3:prefix")
        listed = wanted is None or wanted.replace("${$}", "$") == query.get("prefix")
        return _like(statement["Resource"], asked) and listed

    def _list(self, query: dict[str, str]) -> Answer:
        after = query.get("start-after", "")
        keys = sorted(
            key for key in self.objects if key.startswith(query.get("prefix", "")) and key > after
        )
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.objects[key])}</Size>"
            f"<ETag>{self._tag(key)}</ETag>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key in keys
        )
        body = (
            f"<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>{len(keys)}</KeyCount>"
            f"{contents}</ListBucketResult>"
        )
        return 200, body.encode(), {}

    def _get(self, key: str, target: str) -> Answer:
        if key not in self.objects:
            return 404, b"<Error><Code>NoSuchKey</Code></Error>", {}
        data = self.objects[key]
        headers = {"ETag": self._tag(key), "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        asked = target.headers.get("range") if isinstance(target, Asked) else None
        if not asked:
            return 200, data, headers
        first, _, last = asked.removeprefix("bytes=").partition("-")
        begin = int(first) if first else max(0, len(data) - int(last))
        end = min(int(last), len(data) - 1) if first and last else len(data) - 1
        headers["Content-Range"] = f"bytes {begin}-{end}/{len(data)}"
        return 206, data[begin : end + 1], headers

    def _tag(self, key: str) -> str:
        return f'"{hashlib.md5(self.objects[key]).hexdigest()}"'


def _like(resource: str, asked: str) -> bool:
    """Whether IAM takes a resource for what is asked: its variables are characters."""
    for special, kept in (("${*}", "\x01"), ("${?}", "\x02"), ("${$}", "\x03")):
        resource = resource.replace(special, kept)
    pattern = resource.replace("[", "[[]")
    for kept, literal in (("\x01", "[*]"), ("\x02", "[?]"), ("\x03", "$")):
        pattern = pattern.replace(kept, literal)
    return fnmatch.fnmatchcase(asked, pattern)


@pytest.mark.parametrize(
    ("pattern", "format_"),
    [
        ("what%3F/2026-*.csv", "CSVWithNames"),
        ("one%20file.csv", "CSVWithNames"),
        ("$%7Bx%7D/*.csv", "CSVWithNames"),
        ("top*", "JSONEachRow"),
        ("table", "Delta"),
    ],
)
def test_the_policy_is_enough_and_nothing_in_it_is_too_much(
    desk: Desk, pattern: str, format_: str
) -> None:
    write_deltalake(str(desk.sources / "table"), pa.table({"id": [1]}))
    log = desk.sources / "table" / "_delta_log"
    files = {f"table/_delta_log/{each.name}": each.read_bytes() for each in log.glob("*.json")}
    bucket = Bucket(OBJECTS | files)

    with hostile(bucket.answer) as server:
        desk = trusting(desk, server.endpoint)
        asked = {
            "url_pattern": f"{server.endpoint}/b/{pattern}",
            "format": format_,
            "credential": KEY,
        }
        denied = check(desk, **asked)
        statements = json.loads(denied["grant"]["text"])["Statement"]
        bucket.statements = statements
        bucket.refused.clear()
        granted = check(desk, **asked)
        refused = list(bucket.refused)
        without = []
        for statement in statements:
            bucket.statements = [each for each in statements if each is not statement]
            without.append(failed(check(desk, **asked)))

    assert failed(denied)[1] == "access_denied"
    assert granted["passed"], granted["steps"]
    assert refused == []
    steps = {"s3:ListBucket": "list", "s3:GetObject": "get"}
    assert without == [(steps[each["Action"]], "access_denied") for each in statements]
    assert granted["grant"] == denied["grant"]


# --- keys and jobs ------------------------------------------------------------------------------


def asked_with_keys(desk: Desk) -> UUID:
    return request(desk, url_pattern="https://b.s3.amazonaws.com/*.csv", credential=KEY)


def test_keys_are_sealed_while_the_job_waits_and_gone_before_anything_is_asked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = asked_with_keys(desk)
    assert keys_kept(desk) == 1
    assert KEY["access_secret"] not in json.dumps(desk.job(job_id).arguments)
    seen: list[int | None] = []

    class Nothing:
        def __init__(self, *_: Any) -> None:
            seen.append(keys_kept(desk))

        def try_all(self) -> None:
            """Ask nobody."""

        def as_dict(self) -> dict[str, Any]:
            return {}

    monkeypatch.setattr(check_source, "SourceSteps", Nothing)
    desk.run(job_id, check_source.run)

    assert seen == [0]


def test_a_second_attempt_and_a_retry_say_that_the_keys_are_gone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = asked_with_keys(desk)
    first = desk.attempt(job_id)
    check_source._asked(first)
    desk.expire(job_id)

    error = desk.fail(job_id, CredentialUnavailableError, check_source.run)

    assert "again" in error.hint
    with (
        context(desk.database, desk.settings, desk.project_id) as ctx,
        pytest.raises(ConflictError, match="not kept"),
    ):
        jobs.retry_job(ctx, job_id)


def test_the_clock_removes_the_keys_of_a_job_that_never_began(desk: Desk) -> None:
    waits, gone = asked_with_keys(desk), asked_with_keys(desk)
    with desk.database.write() as session:
        assert cancelling.cancel_job(session, gone)
    assert keys_kept(desk) == 2

    assert clock_rows.prune_keys_of_jobs(desk.database) == 1

    with desk.database.read() as session:
        assert session.scalars(select(StoredCredential.job_id)).all() == [waits]


def test_a_tables_own_source_is_tried_with_its_own_keys(
    desk: Desk, s3: SeaweedFS, keys: dict[str, str]
) -> None:
    pq.write_table(pa.table({"id": [1]}), desk.sources / "a.parquet")
    with desk.database.write() as session:
        pattern = f"file://{desk.sources}/*.parquet"
        table_id = make_table(session, desk.project_id, "orders", url_pattern=pattern).id
        managed = make_table(session, desk.project_id, "ours", managed=True).id
    with context(desk.database, desk.settings, desk.project_id) as ctx:
        job_id = source_checks.request_for(ctx, table_id).job.id
        with pytest.raises(ValidationError, match="service's own"):
            source_checks.request_for(ctx, managed)

    desk.run(job_id, check_source.run)

    assert desk.result(job_id)["passed"]
    assert desk.table().columns == []


@pytest.mark.parametrize(
    ("fields", "attr"),
    [
        ({}, "url_pattern"),
        ({"url_pattern": "https://10.0.0.1/b/x"}, "url_pattern"),
        ({"url_pattern": "https://b.s3.amazonaws.com/x.csv"}, "credential"),
        ({"url_pattern": "https://b.s3.amazonaws.com/x.csv", "format": "XML"}, "format"),
        ({"url_pattern": "https://b.s3.amazonaws.com/*", "format": "Delta"}, "url_pattern"),
        ({"url_pattern": "https://b.s3.amazonaws.com/x.csv", "options": {"publik": 1}}, "options"),
    ],
)
def test_what_no_table_could_have_is_refused_at_once(
    desk: Desk, fields: dict[str, Any], attr: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        request(desk, **fields)
    assert caught.value.attr == attr
