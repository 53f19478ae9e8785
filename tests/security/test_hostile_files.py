"""Hostile files through a worker's child with its limits: each job fails with a code of its own,
the child that read it is alive and reads a good table next, and its memory stayed bounded.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.security.hostile_files import (
    GIGABYTE,
    MILLION,
    PACKS,
    Write,
    checkpoint,
    csv_list,
    deep_parquet,
    deep_schema,
    footer,
    gzip_in_gzip,
    gzip_members,
    hole,
    iceberg,
    iceberg_schema,
    iceberg_with,
    large_page,
    large_values,
    log,
    log_with,
    long_groups,
    many_rows,
    named_parquet,
    named_schema,
    nested,
    packed,
    program,
    schema_footer,
    schema_string,
    sidecar,
    text,
    vector,
    wide_header,
    wide_parquet,
    wide_schema,
    xz_dictionary,
    zstd_window,
)
from tests.security.service import Service, running
from tests.support.delta_tables import remove_action
from tests.support.stack import wait_until

CSV, JSON, PARQUET, DELTA = "CSVWithNames", "JSONEachRow", "Parquet", "Delta"
ICEBERG = "Iceberg"

MEMORY_LIMIT_BYTES = 1 * GIGABYTE
#: What a child may have held at most: half of its limit. An idle one holds some 150 MB.
PEAK_BYTES = 512 << 20

LIST_OF_OBJECTS = '{"a":[' + ",".join(f'{{"c{n}":1}}' for n in range(200_000)) + "]}\n"

#: What the file is, the format it is registered as, who writes it, and the code of its job.
FILES: list[tuple[str, str, Write, str]] = [
    *((f"{name} bomb", CSV, packed(pack), "limit_exceeded") for name, pack in PACKS.items()),
    ("gzip bomb as JSON", JSON, packed(PACKS["gzip"]), "limit_exceeded"),
    ("gzip members", CSV, gzip_members, "limit_exceeded"),
    ("gzip in gzip", CSV, gzip_in_gzip, "unsupported_compression"),
    ("zstd window", CSV, zstd_window, "invalid_source"),
    ("xz dictionary", CSV, xz_dictionary, "invalid_source"),
    ("header of 2 GB", CSV, hole(b"a", 2 * GIGABYTE), "limit_exceeded"),
    ("one JSON line of 2 GB", JSON, hole(b'{"a":"', 2 * GIGABYTE), "invalid_source"),
    ("JSON of 2 GB of zeros", JSON, hole(b"", 2 * GIGABYTE), "invalid_source"),
    (
        "a million columns",
        CSV,
        text(",".join(f"c{n}" for n in range(MILLION)) + "\n1\n"),
        "limit_exceeded",
    ),
    (
        "a million keys",
        JSON,
        text("{" + ",".join(f'"c{n}":1' for n in range(MILLION)) + "}\n"),
        "limit_exceeded",
    ),
    (
        "a million nested keys",
        JSON,
        text('{"a":{' + ",".join(f'"c{n}":1' for n in range(MILLION)) + "}}\n"),
        "limit_exceeded",
    ),
    (
        "a million lines with keys of their own",
        JSON,
        text("".join(f'{{"c{n}":1}}\n' for n in range(MILLION))),
        "limit_exceeded",
    ),
    ("a key of 15 MB", JSON, text('{"' + "k" * (15 << 20) + '":1}\n'), "limit_exceeded"),
    (
        "a nested key of 3 MB",
        JSON,
        text('{"a":[{"b":{"' + "k" * (3 << 20) + '":1}}]}\n'),
        "limit_exceeded",
    ),
    (
        "200,000 objects with keys of their own in one value",
        JSON,
        text(LIST_OF_OBJECTS),
        "limit_exceeded",
    ),
    (
        "40,000 nested keys of 200 letters",
        JSON,
        text('{"a":{' + ",".join(f'"{n:0200}":1' for n in range(40_000)) + "}}\n"),
        "limit_exceeded",
    ),
    ("a header of 1 MB", CSV, text("h" * (1 << 20) + "\n1\n"), "limit_exceeded"),
    ("9,000 headers of 900 letters", CSV, text(wide_header(9_000, 900)), "limit_exceeded"),
    ("a column 150 lists deep in CSV", CSV, text(csv_list(150)), "limit_exceeded"),
    ("a column 100,000 lists deep in CSV", CSV, text(csv_list(100_000)), "limit_exceeded"),
    ("quotes that never close", CSV, text('a\n"[' + "'" + "\\'" * 450_000 + '"\n'), "succeeded"),
    (
        "quotes that close but once",
        CSV,
        text('a\n"[' + "'\\'NULL\\'" * 90_000 + '"\n'),
        "succeeded",
    ),
    ("brackets that never close", CSV, text('a\n"' + "[" * 900_000 + '"\n'), "succeeded"),
    ("zeros without end in CSV", CSV, text("a\n" + "0" * MILLION + "1\n"), "succeeded"),
    ("arrays 10,000 deep", JSON, nested(10_000, "[", "]"), "limit_exceeded"),
    ("objects 10,000 deep", JSON, nested(10_000, '{"a":', "}"), "limit_exceeded"),
    ("arrays a million deep", JSON, nested(MILLION, "[", "]"), "limit_exceeded"),
    ("a number of a million digits", JSON, text('{"a":' + "9" * MILLION + "}\n"), "succeeded"),
    ("a number of a million digits in CSV", CSV, text("a\n" + "9" * MILLION + "\n"), "succeeded"),
    ("exponents without end", JSON, text('{"a":1e' + "9" * 100_000 + "}\n"), "succeeded"),
    ("a program as CSV", CSV, program, "format_mismatch"),
    ("a program as JSON", JSON, program, "format_mismatch"),
    ("a program as Parquet", PARQUET, program, "format_mismatch"),
    ("a footer of 2 GB", PARQUET, footer(b"", (2 << 30) - 1), "invalid_source"),
    ("a footer of 4 GB", PARQUET, footer(b"", (4 << 30) - 1), "invalid_source"),
    (
        "a footer of 2 GB that is there",
        PARQUET,
        hole(b"PAR1", 3 * GIGABYTE, (2 * GIGABYTE).to_bytes(4, "little") + b"PAR1"),
        "limit_exceeded",
    ),
    (
        "a footer of 100 MB of zeros",
        PARQUET,
        hole(b"PAR1", 3 * GIGABYTE, (100 << 20).to_bytes(4, "little") + b"PAR1"),
        "limit_exceeded",
    ),
    (
        "a list of two thousand million",
        PARQUET,
        footer(b"\x15\x02\x19\xfc\xff\xff\xff\xff\x07"),
        "invalid_source",
    ),
    (
        "a schema that claims a thousand million",
        PARQUET,
        footer(schema_footer([], 10**9, 10**9)),
        "invalid_source",
    ),
    (
        "a string of 4 GB",
        PARQUET,
        footer(b"\x15\x02\x19\x1c\x48\xff\xff\xff\xff\x0f"),
        "invalid_source",
    ),
    ("structs in structs", PARQUET, footer(b"\x1c" * 100_000), "invalid_source"),
    ("lists in lists", PARQUET, footer(b"\x19" * 100_000), "invalid_source"),
    ("a number without an end", PARQUET, footer(b"\x16" + b"\xff" * 100_000), "invalid_source"),
    ("a million Parquet columns", PARQUET, wide_parquet, "limit_exceeded"),
    ("groups 100,000 deep", PARQUET, deep_parquet, "limit_exceeded"),
    ("a Parquet column's name of 1 MB", PARQUET, named_parquet("n" * MILLION), "limit_exceeded"),
    (
        "100 Parquet groups with names of 100 KB in each other",
        PARQUET,
        long_groups,
        "limit_exceeded",
    ),
    *(
        (f"{kind} of {where}", DELTA, log({kind: {"path": where}}), "succeeded")
        for kind in ("add", "remove")
        for where in (
            "/etc/passwd",
            "file:///etc/passwd",
            "s3://other/x",
            "../x",
            "a/%2e%2e/%2e%2e/x",
            "//host/x",
            "..\\x",
        )
    ),
    ("vector elsewhere", DELTA, log(vector("p", "s3://other/v.bin")), "succeeded"),
    ("vector at an absolute path", DELTA, log(vector("p", "file:///etc/passwd")), "succeeded"),
    ("vector that climbs", DELTA, log(vector("u", "../../x/" + "a" * 20)), "succeeded"),
    (
        "vector of a removed file",
        DELTA,
        log(remove_action(deletionVector={"storageType": "p", "pathOrInlineDv": "/etc/passwd"})),
        "succeeded",
    ),
    ("a million columns in a schema", DELTA, schema_string(wide_schema()), "limit_exceeded"),
    (
        "a Delta column's name of 1 MB",
        DELTA,
        schema_string(named_schema("n" * MILLION)),
        "limit_exceeded",
    ),
    ("a schema 10,000 deep", DELTA, schema_string(deep_schema()), "limit_exceeded"),
    ("a schema that is no schema", DELTA, schema_string("[" * 100_000), "limit_exceeded"),
    (
        "a log line of 1 GB",
        DELTA,
        log_with(f"{6:020}.json", hole(b'{"add":{"path":"', GIGABYTE)),
        "limit_exceeded",
    ),
    (
        "a log line of 1 GB in the first commit",
        DELTA,
        log_with(f"{0:020}.json", hole(b'{"metaData":{"id":"', GIGABYTE)),
        "limit_exceeded",
    ),
    ("a commit 100,000 deep", DELTA, log('{"add":' + "[" * 100_000), "invalid_source"),
    ("a checkpoint that is a program", DELTA, checkpoint(program), "invalid_source"),
    (
        "a checkpoint with a footer of 2 GB",
        DELTA,
        checkpoint(footer(b"", (2 << 30) - 1)),
        "invalid_source",
    ),
    ("a checkpoint of a million columns", DELTA, checkpoint(wide_parquet), "invalid_source"),
    ("a checkpoint 100,000 deep", DELTA, checkpoint(deep_parquet), "invalid_source"),
    ("an Iceberg file of 2 GB", ICEBERG, iceberg(hole(b"{", 2 * GIGABYTE)), "limit_exceeded"),
    ("an Iceberg file of zeros", ICEBERG, iceberg(hole(b"", 1 << 20)), "invalid_source"),
    ("an Iceberg gzip bomb", ICEBERG, iceberg(packed(PACKS["gzip"])), "limit_exceeded"),
    ("an Iceberg file that is a program", ICEBERG, iceberg(program), "invalid_source"),
    (
        "60 MB of lists in an Iceberg file",
        ICEBERG,
        iceberg_with('"x":[[', "[],", 20 * MILLION, "0]]"),
        "limit_exceeded",
    ),
    (
        "a million snapshots in an Iceberg file",
        ICEBERG,
        iceberg_with('"snapshots":[', '{"snapshot-id":%},', MILLION, "{}]"),
        "succeeded",
    ),
    (
        "a million schemas in an Iceberg file",
        ICEBERG,
        iceberg_with('"schemas":[', '{"schema-id":%},', MILLION, "{}]"),
        "limit_exceeded",
    ),
    ("a million Iceberg columns", ICEBERG, iceberg_schema(MILLION // 2), "limit_exceeded"),
    (
        "an Iceberg column's name of 1 MB",
        ICEBERG,
        iceberg_schema(1, "n" * MILLION),
        "limit_exceeded",
    ),
    (
        "Iceberg metadata 100,000 deep",
        ICEBERG,
        iceberg_with('"x":', "[", 100_000, ""),
        "invalid_source",
    ),
    (
        "an Iceberg file that is a link out of the table",
        ICEBERG,
        iceberg(lambda path: path.symlink_to("/etc/passwd")),
        "source_not_found",
    ),
    ("an Iceberg file that is a pipe", ICEBERG, iceberg(os.mkfifo), "source_not_found"),
    ("a pipe in the log", DELTA, log_with(f"{6:020}.json", os.mkfifo), "succeeded"),
    (
        "a link out of the log",
        DELTA,
        log_with(f"{6:020}.json", lambda path: path.symlink_to("/etc/passwd")),
        "succeeded",
    ),
]


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("hostile")
    limit = str(MEMORY_LIMIT_BYTES)
    with running(folder, migrated_sqlite_file, JOB_MEMORY_LIMIT_BYTES=limit) as service:
        (service.sources / "good.csv").write_text("id\n1\n")
        service.register(**table(service, "good", CSV, "good.csv"))
        yield service


def table(service: Service, name: str, format_: str, path: str) -> dict[str, str]:
    return {"name": name, "format": format_, "url_pattern": f"file://{service.sources}/{path}"}


def forget_peaks(service: Service) -> set[int]:
    """Let the kernel measure each child's peak anew; the children."""
    children = service.worker.children()
    for child in children:
        Path(f"/proc/{child.pid}/clear_refs").write_text("5")
    return {child.pid for child in children}


def peak_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))


@contextmanager
def surviving(service: Service) -> Iterator[None]:
    """Neither child ends, nor holds more than it may; then a good table is read."""
    children = forget_peaks(service)
    yield
    assert {child.pid for child in service.worker.children()} == children
    assert max(map(peak_bytes, children)) <= PEAK_BYTES
    assert_reads_on(service)


@pytest.mark.parametrize(
    ("about", "format_", "write", "code"), FILES, ids=[about for about, *_ in FILES]
)
def test_it_fails_and_the_child_reads_on(
    service: Service, about: str, format_: str, write: Write, code: str
) -> None:
    name = "".join(c if c.isalnum() else "_" for c in about)
    write(service.sources / name)
    with surviving(service):
        job = service.register(**table(service, about, format_, name))
    assert outcome(job) == code
    assert job["attempt"] == 1


def assert_reads_on(service: Service) -> None:
    [good] = service.client.get("warehouse_tables/", params={"search": "good"}).json()["results"]
    assert service.refresh(good["id"])["state"] == "succeeded"


def outcome(job: dict[str, Any]) -> str:
    """The job's error code, or that it has none."""
    return str(job["error"]["code"] if job["error"] else job["state"])


@pytest.mark.parametrize("start", [b"a,b\n1,2\n1,", b'a,b\n1,2\n1,"'], ids=["plain", "quoted"])
def test_a_line_of_2_gb_fails_where_all_of_the_file_is_read(service: Service, start: bytes) -> None:
    """A sample of it says what the header says, and that it is a sample."""
    name = f"line_{len(start)}"
    hole(start, 2 * GIGABYTE)(service.sources / name)
    with surviving(service):
        sampled = service.register(**table(service, name, CSV, name))
        assert sampled["result"]["coverage"]["truncated"]
        [validation] = service.client.get(
            "jobs/", params={"table": sampled["table_id"], "kind": "validate_columns"}
        ).json()["results"]
        assert outcome(service.ended(validation["id"])) == "limit_exceeded"


@pytest.mark.parametrize(
    "where",
    ["../../../../etc/passwd", "s3://other/x.parquet", "a" * 70_000, "line%0Abreak.parquet"],
    ids=["above", "elsewhere", "long", "control"],
)
def test_a_sidecar_outside_is_not_counted(service: Service, where: str) -> None:
    name = f"sidecar_{where[:3].encode().hex()}"
    sidecar(where)(service.sources / name)
    with surviving(service):
        job = service.register(**table(service, name, DELTA, name), options={"delta_count": True})
    assert outcome(job) == "invalid_source"


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("write", "code"),
    [(large_values, "memory_limit"), (large_page, "succeeded"), (many_rows, "succeeded")],
)
def test_an_upload_that_decodes_to_gigabytes(
    service: Service, tmp_path: Path, write: Write, code: str
) -> None:
    """All of it is decoded, a batch at a time: it fits, or its child is ended and replaced."""
    file = tmp_path / "x.parquet"
    write(file)
    children = forget_peaks(service)
    answer = service.client.post(
        "warehouse_tables/file/",
        files={"file": ("x.parquet", file.read_bytes())},
        data={"name": f"decoded_{code}_{file.stat().st_size}", "format": "Parquet"},
    )
    job = service.ended(answer.headers["location"])
    assert outcome(job) == code
    assert_reads_on(service)
    if code == "succeeded":
        assert max(map(peak_bytes, children)) <= PEAK_BYTES
    else:
        wait_until(
            lambda: {child.pid for child in service.worker.children()} != children,
            "another child in the place of the one that was ended",
        )


def test_names_with_line_breaks_are_read(service: Service) -> None:
    folder = service.sources / "odd"
    folder.mkdir()
    for name in ("a\nb.csv", "a\r\n-x.csv", "$(touch x);.csv"):
        (folder / name).write_text("id\n1\n")
    job = service.register(**table(service, "odd", CSV, "odd/*.csv"))
    assert outcome(job) == "succeeded"
    assert job["result"]["coverage"]["files_read"] == 3


@pytest.mark.parametrize("target", ["/etc/passwd", "/dev/zero", "/proc/self/environ"])
def test_a_link_out_of_the_folder_is_refused(service: Service, target: str) -> None:
    """At the registration; and in the job, where the link was made after that."""
    path = service.sources / f"link{target.replace('/', '_')}"
    path.symlink_to(target)
    answer = service.client.post("warehouse_tables/", json=table(service, "l", CSV, path.name))
    assert answer.status_code == 400
    later = service.sources / f"later_{path.name}"
    later.write_text("id\n1\n")
    created = service.client.post(
        "warehouse_tables/", json=table(service, later.name, CSV, later.name)
    )
    assert outcome(service.ended(created.headers["location"])) == "succeeded"
    later.unlink()
    later.symlink_to(target)
    assert outcome(service.refresh(created.json()["id"])) == "url_refused"


def test_a_pipe_is_refused_unopened(service: Service) -> None:
    os.mkfifo(service.sources / "pipe.csv")
    with surviving(service):
        job = service.register(**table(service, "pipe", CSV, "pipe.csv"))
    assert outcome(job) == "url_refused"
