"""What a person writes with the client that openapi-python-client made: URL, key, source."""

import sys
from io import BytesIO
from pathlib import Path

from stocktake_client import AuthenticatedClient
from stocktake_client.api.batches import get_batch, refresh_tables
from stocktake_client.api.jobs import get_job
from stocktake_client.api.schedules import create_schedule, list_schedules
from stocktake_client.api.warehouse_tables import (
    create_from_upload,
    create_table,
    diff_schema_version,
    list_tables,
    refresh_schema,
    upload_file,
)
from stocktake_client.models import (
    ErrorBody,
    FullJobBody,
    JobState,
    NewTable,
    RefreshResult,
    ScheduleIn,
    SelectorIn,
    TableBody,
    TableFormat,
    TableOptions,
    UploadBody,
    UploadedTable,
    UploadedTableFileFormat,
    UploadFileBody,
)
from stocktake_client.types import File

url, key, folder = sys.argv[1:]
client = AuthenticatedClient(base_url=url, token=key)
project = {"project_id": "@current", "client": client}

new = NewTable(
    name="orders",
    format_=TableFormat.CSVWITHNAMES,
    url_pattern=f"file://{folder}/*.csv",
    options=TableOptions(csv_delimiter=";"),
)
table = create_table.sync(body=new, prefer="wait=60", **project)
assert isinstance(table, TableBody), table
assert [(column.key, column.type_.value) for column in table.columns] == [
    ("id", "integer"),
    ("paid", "boolean"),
]
assert table.options.csv_delimiter == ";"
again = create_table.sync(body=new, **project)
assert isinstance(again, ErrorBody), again
assert (again.type_.value, again.attr) == ("validation_error", "name")

Path(folder, "2.csv").write_text("id;paid;note\n3;true;hi\n")
asked = refresh_schema.sync(table_id=table.id, **project)
job = get_job.sync(job_id=asked.id, wait=60, **project)
assert isinstance(job, FullJobBody), job
assert job.state is JobState.SUCCEEDED
assert isinstance(job.result, RefreshResult), job.result
assert [column.name for column in job.result.diff.added] == ["note"]
assert job.result.coverage.files_matched == 2
diff = diff_schema_version.sync(table_id=table.id, number=job.result.schema_version, **project)
assert (diff.change.value, diff.diff.added[0].type_) == ("additive", "Nullable(String)")

batch = refresh_tables.sync(body=SelectorIn(all_=True), **project)
assert get_batch.sync(batch_id=batch.id, **project).selector.all_ is True
create_schedule.sync(
    body=ScheduleIn(name="nightly", cron="0 3 * * *", selector=SelectorIn(name_glob="o*")),
    **project,
)
[schedule] = list_schedules.sync(**project).results
assert schedule.selector.name_glob == "o*"

sent = UploadFileBody(file=File(payload=BytesIO(b"a,b\n1,x\n"), file_name="up.csv"))
upload = upload_file.sync(body=sent, **project)
assert isinstance(upload, UploadBody), upload
body = UploadedTable(
    upload_id=upload.upload_id,
    filename=upload.filename,
    file_format=UploadedTableFileFormat(upload.file_format.value),
    table_name="uploaded",
)
made = create_from_upload.sync(body=body, prefer="wait=60", **project)
assert [column.key for column in made.columns] == ["a", "b"]
assert {each.name for each in list_tables.sync(**project).results} == {"orders", "uploaded"}
sys.stdout.write("done\n")
