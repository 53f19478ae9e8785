"""A preview of a Delta or an Iceberg table that somebody else writes: one file of its current
version, found by its own log, and nothing that lies elsewhere."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import fastavro
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from pyarrow import orc
from pyiceberg import types as of
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.transforms import IdentityTransform

from servers.seaweedfs import SeaweedFS
from stocktake.catalog import credentials
from stocktake.db.models import Table
from stocktake.errors import (
    InvalidSourceError,
    LimitExceededError,
    SourceNotFoundError,
    UnsupportedError,
)
from stocktake.runs import preview_file
from stocktake.security.encryption import AccessPair
from tests.integration.runs.conftest import Desk
from tests.integration.runs.test_preview_file import allow, preview, request, table_of
from tests.support.delta_tables import (
    HandWrittenLog,
    add_action,
    checkpoint_name,
    field_of,
    metadata_action,
    protocol_action,
    remove_action,
)
from tests.support.iceberg_writer import create, warehouse
from tests.support.rows import make_table, process_of

TABLE = pa.table({"id": [1, 2], "note": ["a", None]})
SECRET = pa.table({"id": [99], "note": ["secret"]})


@pytest.fixture
def desk(desk: Desk) -> Desk:
    allow(desk, True)
    return desk


def refuse(
    desk: Desk, table: UUID, error: type[Exception], match: str, file: str | None = None
) -> None:
    with pytest.raises(error, match=match):
        preview_file.run(desk.attempt(request(desk, table, file)))


# --- Delta --------------------------------------------------------------------------------------


def test_the_newest_file_of_a_delta_table_and_one_that_is_named(desk: Desk) -> None:
    root = desk.sources / "orders"
    write_deltalake(str(root), TABLE)
    (first,) = (path.name for path in root.glob("*.parquet"))
    write_deltalake(str(root), pa.table({"id": [3], "note": ["b"]}), mode="append")
    table = table_of(desk, "orders", "Delta")

    newest = preview(desk, table)
    assert newest["rows"] == [[3, "b"]]
    assert [each["name"] for each in newest["columns"]] == ["id", "note"]
    assert newest["has_deleted_rows"] is False
    assert preview(desk, table, first)["rows"] == [[1, "a"], [2, None]]
    assert preview(desk, table, first)["file"] == first


def test_a_file_of_an_older_version_is_none_of_the_tables(desk: Desk) -> None:
    root = desk.sources / "orders"
    write_deltalake(str(root), SECRET)
    (replaced,) = (path.name for path in root.glob("*.parquet"))
    write_deltalake(str(root), TABLE, mode="overwrite")
    (root / "stray.parquet").write_bytes((root / replaced).read_bytes())
    table = table_of(desk, "orders", "Delta")

    for name in (
        replaced,
        "stray.parquet",
        "../secret.parquet",
        "_delta_log/00000000000000000000.json",
    ):
        refuse(desk, table, SourceNotFoundError, "has no data file", name)
    assert preview(desk, table)["rows"] == [[1, "a"], [2, None]]


def test_a_file_that_was_removed_behind_the_log_is_told(desk: Desk) -> None:
    root = desk.sources / "orders"
    write_deltalake(str(root), TABLE)
    for path in root.glob("*.parquet"):
        path.unlink()
    table = table_of(desk, "orders", "Delta")
    refuse(desk, table, SourceNotFoundError, "The table has no file")


def test_partitions_of_a_delta_table_have_the_values_of_its_log(desk: Desk) -> None:
    root = desk.sources / "year=9" / "orders"
    rows = pa.table({"id": [1], "day": ["a b/c"], "hour": pa.array([7], pa.int32())})
    write_deltalake(str(root), rows, partition_by=["day", "hour"])
    table = table_of(desk, "year=9/orders", "Delta")
    (path,) = pa.table(DeltaTable(str(root)).get_add_actions())["path"].to_pylist()

    found = preview(desk, table)
    assert found["rows"] == [[1, "a b/c", 7]]
    assert [each["name"] for each in found["columns"]] == ["id", "day", "hour"]
    # As the log has it, and as the file is called.
    assert preview(desk, table, found["file"])["rows"] == found["rows"]
    assert preview(desk, table, path)["rows"] == found["rows"]
    assert preview(desk, table, quote(found["file"]))["rows"] == found["rows"]


def test_a_file_that_a_checkpoint_names(desk: Desk) -> None:
    root = desk.sources / "orders"
    for number in range(4):
        write_deltalake(str(root), pa.table({"id": [number], "note": ["x"]}), mode="append")
    written = DeltaTable(str(root))
    written.create_checkpoint()
    for path in (root / "_delta_log").glob("*.json"):
        path.unlink()
    table = table_of(desk, "orders", "Delta")
    actions = pa.table(written.get_add_actions()).to_pylist()
    newest = max(actions, key=lambda each: each["modification_time"])["path"]

    assert preview(desk, table)["file"] == newest
    for each in actions:
        assert preview(desk, table, each["path"])["rows"] == [[each["min"]["id"], "x"]]
    refuse(desk, table, SourceNotFoundError, "has no data file", "part-9.parquet")


def test_a_checkpoint_of_odd_types_is_told(desk: Desk) -> None:
    root = desk.sources / "orders"
    log = HandWrittenLog(root)
    actions = (protocol_action(), metadata_action(field_of("id", "long")))
    log.checkpoint(checkpoint_name(1), *actions)
    path = root / "_delta_log" / checkpoint_name(1)
    known = pq.read_table(path).drop(["add"])
    odd = pa.array([{"path": "a", "modificationTime": "soon"}] * len(known))
    pq.write_table(known.append_column("add", odd), path)

    refuse(desk, table_of(desk, "orders", "Delta"), InvalidSourceError, "cannot be read")


def mapped(name: str, number: int, kind: str = "long") -> dict[str, Any]:
    metadata = {
        "delta.columnMapping.id": number,
        "delta.columnMapping.physicalName": f"col-{number}",
    }
    return field_of(name, kind, **metadata)


def test_columns_of_a_mapped_table_have_its_own_names(desk: Desk) -> None:
    root = desk.sources / "orders"
    log = HandWrittenLog(root)
    action = metadata_action(mapped("col-2", 1), mapped("day", 2, "string"), partitions=["day"])
    add = add_action("a.parquet", partitionValues={"col-2": "monday"})
    log.commit(0, protocol_action(2, 5), action, add)
    pq.write_table(pa.table({"col-1": [7]}), root / "a.parquet")

    found = preview(desk, table_of(desk, "orders", "Delta"))

    assert [each["name"] for each in found["columns"]] == ["col-2", "day"]
    assert found["rows"] == [[7, "monday"]]


def test_rows_that_a_vector_deletes_are_shown_and_that_is_said(desk: Desk) -> None:
    root = desk.sources / "orders"
    log = HandWrittenLog(root)
    protocol = protocol_action(
        3, 7, readerFeatures=["deletionVectors"], writerFeatures=["deletionVectors"]
    )
    vector = {
        "storageType": "u",
        "pathOrInlineDv": "ab",
        "offset": 1,
        "sizeInBytes": 4,
        "cardinality": 1,
    }
    log.commit(0, protocol, metadata_action(field_of("id", "long")), add_action("a.parquet"))
    log.commit(1, remove_action("a.parquet"), add_action("a.parquet", deletionVector=vector))
    pq.write_table(pa.table({"id": [1, 2]}), root / "a.parquet")
    table = table_of(desk, "orders", "Delta")

    assert preview(desk, table)["has_deleted_rows"] is True
    assert preview(desk, table, "a.parquet")["rows"] == [[1], [2]]
    log.commit(2, {"remove": remove_action("a.parquet")["remove"] | {"deletionVector": vector}})
    refuse(desk, table, SourceNotFoundError, "has no data file", "a.parquet")
    refuse(desk, table, SourceNotFoundError, "no rows yet")


@pytest.mark.parametrize(
    "path",
    [
        "file://{outside}/a.parquet",
        "{outside}/a.parquet",
        "../a.parquet",
        "x/%2e%2e/%2e%2e/a.parquet",
        "s3://bucket/a.parquet",
        "http://169.254.169.254/latest/meta-data",
        "day=1//a.parquet",
        "a%00.parquet",
    ],
)
def test_a_file_elsewhere_is_refused_and_not_opened(desk: Desk, path: str) -> None:
    pq.write_table(SECRET, desk.sources / "a.parquet")
    log = HandWrittenLog(desk.sources / "orders")
    path = path.format(outside=desk.sources)
    log.commit(0, protocol_action(), metadata_action(field_of("id", "long")), add_action(path))
    table = table_of(desk, "orders", "Delta")

    refuse(desk, table, UnsupportedError, "not below its own root")
    if "%00" not in path:
        refuse(desk, table, UnsupportedError, "not below its own root", path)


def test_a_link_out_of_the_folder_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    pq.write_table(SECRET, outside / "a.parquet")
    log = HandWrittenLog(desk.sources / "orders")
    log.commit(
        0, protocol_action(), metadata_action(field_of("id", "long")), add_action("a.parquet")
    )
    (log.root / "a.parquet").symlink_to(outside / "a.parquet")

    refuse(desk, table_of(desk, "orders", "Delta"), Exception, "outside|not")


@pytest.mark.parametrize("values", ["monday", ["monday"], 7, None, {"day": ["x"]}])
def test_values_of_partitions_that_are_none(desk: Desk, values: Any) -> None:
    log = HandWrittenLog(desk.sources / "orders")
    add = add_action("a.parquet", partitionValues=values, modificationTime="soon")
    action = metadata_action(field_of("id", "long"), field_of("day", "string"), partitions=["day"])
    log.commit(0, protocol_action(), action, add)
    pq.write_table(pa.table({"id": [1]}), log.root / "a.parquet")

    (row,) = preview(desk, table_of(desk, "orders", "Delta"))["rows"]
    assert row[0] == 1


def test_a_file_of_a_delta_table_is_bounded_as_others_are(desk: Desk) -> None:
    write_deltalake(str(desk.sources / "orders"), TABLE)
    desk = replace(desk, settings=desk.settings.model_copy(update={"inference_max_bytes": 100}))
    table = table_of(desk, "orders", "Delta")
    refuse(desk, table, LimitExceededError, "STOCKTAKE_INFERENCE_MAX_BYTES")


# --- Iceberg ------------------------------------------------------------------------------------


ID = of.NestedField(1, "id", of.LongType(), required=False)
NOTE = of.NestedField(2, "note", of.StringType(), required=False)


def data_files(table: Any) -> list[str]:
    return [each["file_path"] for each in table.inspect.data_files().to_pylist()]


@pytest.mark.parametrize("version", [1, 2])
def test_files_of_an_iceberg_table(desk: Desk, version: int) -> None:
    with warehouse(desk.sources) as catalog:
        written = create(catalog, ID, NOTE, version=version)
        written.append(TABLE)
        (first,) = data_files(written)
        written.append(pa.table({"id": [3], "note": ["b"]}))
        root = written.location()
        table = table_of(desk, "n/t", "Iceberg")

        newest = preview(desk, table)
        assert (newest["rows"], newest["has_deleted_rows"]) == ([[3, "b"]], False)
        assert [each["name"] for each in newest["columns"]] == ["id", "note"]
        name = first.removeprefix(f"{root}/")
        for spelling in (first, name):
            found = preview(desk, table, spelling)
            assert (found["file"], found["rows"]) == (name, [[1, "a"], [2, None]])

        written.overwrite(TABLE)
        refuse(desk, table, SourceNotFoundError, "has no data file", name)
        for each in ("../secret", "metadata/v1.metadata.json", "file:///etc/passwd"):
            refuse(desk, table, SourceNotFoundError, "has no data file", each)


def test_columns_of_an_iceberg_table_have_the_names_of_today(desk: Desk) -> None:
    with warehouse(desk.sources) as catalog:
        spec = PartitionSpec(PartitionField(1, 1000, IdentityTransform(), "id"))
        written = create(catalog, ID, NOTE, partition_spec=spec)
        written.append(TABLE)
        with written.update_schema() as change:
            change.rename_column("note", "remark")

        found = preview(desk, table_of(desk, "n/t", "Iceberg"))

    assert [each["name"] for each in found["columns"]] == ["id", "remark"]
    assert found["rows"] in ([[1, "a"]], [[2, None]])


def test_an_iceberg_table_without_a_file(desk: Desk) -> None:
    with warehouse(desk.sources) as catalog:
        create(catalog, ID)
        refuse(desk, table_of(desk, "n/t", "Iceberg"), SourceNotFoundError, "no rows yet")


def test_rows_that_delete_files_take_away_are_told(desk: Desk) -> None:
    with warehouse(desk.sources) as catalog:
        written = create(catalog, ID, NOTE)
        written.append(TABLE)
        listed = Path(written.current_snapshot().manifest_list.removeprefix("file://"))
    relist(listed, lambda row: [row, row | {"content": 1}])

    found = preview(desk, table_of(desk, "n/t", "Iceberg"))
    assert (found["rows"], found["has_deleted_rows"]) == ([[1, "a"], [2, None]], True)


def relist(path: Path, change: Any) -> None:
    """Write an Avro file again, with each row changed to some."""
    with path.open("rb") as file:
        reader = fastavro.reader(file)
        schema, rows = reader.writer_schema, [*reader]
    with path.open("wb") as file:
        fastavro.writer(file, schema, [each for row in rows for each in change(row)])


@pytest.mark.parametrize(
    "path",
    [
        "file://{outside}/a.parquet",
        "file://{outside}/n/t/../../a.parquet",
        "s3://bucket/a.parquet",
        "http://169.254.169.254/latest",
        "a.parquet",
    ],
)
def test_a_data_file_elsewhere_than_the_iceberg_table_is_refused(desk: Desk, path: str) -> None:
    pq.write_table(SECRET, desk.sources / "a.parquet")
    path = path.format(outside=desk.sources)
    with warehouse(desk.sources) as catalog:
        written = create(catalog, ID, NOTE)
        written.append(TABLE)
        (manifest,) = written.current_snapshot().manifests(written.io)
    local = Path(manifest.manifest_path.removeprefix("file://"))
    relist(local, lambda row: [row | {"data_file": row["data_file"] | {"file_path": path}}])
    table = table_of(desk, "n/t", "Iceberg")

    refuse(desk, table, UnsupportedError, "not below its own root")
    refuse(desk, table, UnsupportedError, "not below its own root", path)


def as_orc(path: Path) -> None:
    fields = [
        pa.field("id", pa.int64(), metadata={"iceberg.id": "1"}),
        pa.field("old", pa.string(), metadata={"iceberg.id": "2", "iceberg.required": "false"}),
    ]
    orc.write_table(TABLE.rename_columns(["id", "old"]).cast(pa.schema(fields)), path)


def as_avro(path: Path, more: Sequence[dict[str, Any]] = ()) -> None:
    fields = [
        {"name": "id", "type": ["null", "long"], "default": None, "field-id": 1},
        {"name": "old", "type": ["null", "string"], "default": None, "field-id": 2},
    ]
    schema = {"type": "record", "name": "r", "fields": [*fields, *more]}
    rows = [{"id": row["id"], "old": row["note"]} for row in TABLE.to_pylist()]
    with path.open("wb") as file:
        fastavro.writer(file, schema, rows, codec="deflate")


def as_avro_with_an_id_of_many_digits(path: Path) -> None:
    as_avro(path, more=[{"name": "c", "type": "null", "field-id": "9" * 5_000}])


@pytest.mark.parametrize("write", [as_orc, as_avro, as_avro_with_an_id_of_many_digits])
def test_data_files_of_other_formats_have_the_names_of_today(
    desk: Desk, write: Callable[[Path], None]
) -> None:
    with warehouse(desk.sources) as catalog:
        written = create(catalog, ID, NOTE)
        written.append(TABLE)
        (manifest,) = written.current_snapshot().manifests(written.io)
        root = written.location()
    name = f"data/a.{write.__name__.split('_')[1]}"
    write(Path(root.removeprefix("file://")) / name)
    of_it = {"file_path": f"{root}/{name}", "file_format": name.rpartition(".")[2].upper()}
    local = Path(manifest.manifest_path.removeprefix("file://"))
    relist(local, lambda row: [row | {"data_file": row["data_file"] | of_it}])

    found = preview(desk, table_of(desk, "n/t", "Iceberg"), name)

    assert [each["name"] for each in found["columns"]][:2] == ["id", "note"]
    assert [row[:2] for row in found["rows"]] == [[1, "a"], [2, None]]


def test_a_manifest_elsewhere_is_refused_and_a_broken_one_is_told(desk: Desk) -> None:
    with warehouse(desk.sources) as catalog:
        written = create(catalog, ID, NOTE)
        written.append(TABLE)
        listed = Path(written.current_snapshot().manifest_list.removeprefix("file://"))
    table = table_of(desk, "n/t", "Iceberg")
    relist(listed, lambda row: [row | {"manifest_path": f"file://{desk.sources}/m.avro"}])
    refuse(desk, table, UnsupportedError, "m.avro")
    relist(listed, lambda row: [row | {"manifest_path": f"file://{listed}"}])
    refuse(desk, table, InvalidSourceError, "none of the manifests")
    for kind, value in (("string", "x"), ("double", float("inf"))):
        odd = {"type": "record", "name": "m", "fields": [{"name": "sequence_number", "type": kind}]}
        with listed.open("wb") as file:
            fastavro.writer(file, odd, [{"sequence_number": value}])
        refuse(desk, table, InvalidSourceError, "none of the manifests")
    listed.write_bytes(b"nothing")
    refuse(desk, table, InvalidSourceError, "Avro")


# --- a real store -------------------------------------------------------------------------------


def in_bucket(desk: Desk, s3: SeaweedFS, url: str, table_format: str) -> UUID:
    keys = AccessPair(access_key=s3.access_key, access_secret=s3.secret_key)
    with desk.database.write() as session:
        table = make_table(session, desk.project_id, "orders", url_pattern=url, format=table_format)
        credentials.store(session, process_of(desk.database, desk.settings).keyring, table, keys)
        return table.id


def test_tables_in_a_bucket(desk: Desk, s3: SeaweedFS, bucket: str) -> None:
    endpoints = {"trusted_endpoints": (s3.endpoint,)}
    desk = replace(desk, settings=desk.settings.model_copy(update=endpoints))
    write_deltalake(f"s3://{bucket}/t/delta", TABLE, storage_options=s3.delta_options())
    store = pyarrow.fs.S3FileSystem(
        access_key=s3.access_key,
        secret_key=s3.secret_key,
        endpoint_override=s3.endpoint,
        region=s3.region,
    )
    with warehouse(desk.sources) as catalog:
        create(catalog, ID, NOTE).append(TABLE)
    # Moved as it is: what it says of its own place is not where it lies.
    pyarrow.fs.copy_files(
        f"{desk.sources}/n/t", f"{bucket}/t/iceberg", destination_filesystem=store
    )

    for name, table_format in (("delta", "Delta"), ("iceberg", "Iceberg")):
        table = in_bucket(desk, s3, s3.url(bucket, f"t/{name}"), table_format)
        found = preview(desk, table)
        assert found["rows"] == [[1, "a"], [2, None]]
        assert preview(desk, table, found["file"])["rows"] == found["rows"]
        with desk.database.write() as session:
            session.delete(session.get_one(Table, table))
