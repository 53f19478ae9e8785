"""Files that become a table's content, or rows of a managed Delta table."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias, TypeVar

from stocktake.client.answers import Job, Table, UploadedTable
from stocktake.client.decoding import decode
from stocktake.client.jobs import get_job
from stocktake.client.pages import one
from stocktake.client.requests import Flow, Form, Request, json_of
from stocktake.client.tables import path_of
from stocktake.client.waiting import Deadline, Wait, ended, first_wait

T = TypeVar("T")

#: A path, or a binary file that is open; it is sent from its beginning.
File: TypeAlias = str | os.PathLike[str] | IO[bytes]


def upload(
    file: File,
    *,
    table: str | None = None,
    filename: str | None = None,
    format: str | None = None,  # noqa: A002 - as the API calls it
    target: str | None = None,
    mode: str | None = None,
    key: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    replace_source: bool = False,
    wait: Wait = False,
) -> Flow[UploadedTable]:
    """Send a file to a table, new or not. It is streamed, never held in memory.

    Args:
        table: its name; the file's name without its ending if left out.
        filename: what the file is called, where it has no name of its own.
        format: such as `Parquet`; as the file's name ends if left out.
        target: `delta` loads its rows into a managed Delta table.
        mode: of a load: append, replace or merge.
        key: of a merge: the columns that tell a row.
        columns: the types of columns, such as `{"zip": "string"}`; the table keeps them.
        options: by which the file is read, such as `{"csv_delimiter": ";"}`.
        replace_source: whether it may take the place of files of your own, where the table reads
            such; its `former_source` is how to go back.
        wait: for the file to be read.

    Raises:
        RefusedError: as `linked_source` where the table reads files of your own, and no
            `replace_source` says that this one may take their place.
        JobFailedError: it was waited for, and the file was refused; the table is as it was.
        NotEndedError: it was waited for, and has not ended in time.
        OSError: the file cannot be read.
    """
    deadline = Deadline(wait)
    fields = _fields(table, format, target, mode, key, columns, options, replace_source)
    sent = yield from _send(UploadedTable, file, filename, fields, wait)
    if not wait:
        return sent
    job = yield from get_job(sent.job_id)
    yield from ended(job, deadline)
    answer = yield Request(method="GET", path=f"warehouse_tables/{sent.id}/")
    return decode(UploadedTable, {**json_of(answer), "job_id": sent.job_id})


def check_file(
    file: File,
    *,
    table: str | None = None,
    filename: str | None = None,
    format: str | None = None,  # noqa: A002 - as the API calls it
    target: str | None = None,
    mode: str | None = None,
    key: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    replace_source: bool = False,
    wait: Wait = True,
) -> Flow[Job]:
    """Ask what a file would do to a table, and change nothing: `result` of the job has it, and a
    `refusal` where the file would be refused.

    Args:
        file and the others: as of `upload`.

    Raises:
        JobFailedError, NotEndedError: it was waited for, and there is no verdict.
    """
    deadline = Deadline(wait)
    fields = _fields(table, format, target, mode, key, columns, options, replace_source) | {
        "dry_run": "true"
    }
    job = yield from _send(Job, file, filename, fields, wait)
    return (yield from ended(job, deadline)) if wait else job


def check_landing(
    file: File,
    table: str | Table,
    *,
    filename: str | None = None,
    format: str | None = None,  # noqa: A002 - as the API calls it
    options: Mapping[str, Any] | None = None,
    wait: Wait = True,
) -> Flow[Job]:
    """Ask what a file would do to a table's live schema before it lands there: `result.change` is
    none, additive, widening or breaking. Nothing is kept.

    Args:
        file: as of `upload`; or a URL of one in the bucket that the table reads.
        filename, format, options: as of `upload`; the table's own where they are left out. A name
            that ends as another format's files do is refused without a `format`.

    Raises:
        JobFailedError, NotEndedError: it was waited for, and there is no verdict.
    """
    deadline = Deadline(wait)
    path = f"{(yield from path_of(table))}check/"
    fields = {"format": format, "options": options and json.dumps(dict(options))}
    given = {name: value for name, value in fields.items() if value}
    if isinstance(file, str) and "://" in file:
        form = Form(file=None, filename="", fields=given | {"url_pattern": file})
        job = yield from one(Job, _checking(path, form, wait))
    else:
        with _opened(file) as opened:
            form = Form(file=opened, filename=filename or _name_of(opened), fields=given)
            job = yield from one(Job, _checking(path, form, wait))
    return (yield from ended(job, deadline)) if wait else job


def _checking(path: str, form: Form, wait: Wait) -> Request:
    return Request(method="POST", path=path, form=form, wait_seconds=first_wait(wait), once=True)


def _name_of(file: IO[bytes]) -> str:
    return os.path.basename(str(getattr(file, "name", ""))) or "upload"


def _fields(
    table: str | None,
    format: str | None,  # noqa: A002 - as the API calls it
    target: str | None,
    mode: str | None,
    key: Sequence[str],
    columns: Mapping[str, str] | None,
    options: Mapping[str, Any] | None,
    replace_source: bool,
) -> dict[str, str]:
    fields = {
        "name": table,
        "format": format,
        "target": target,
        "mode": mode,
        "key": ",".join(key),
        "columns": columns and json.dumps(dict(columns)),
        "options": options and json.dumps(dict(options)),
        # Without a word the API has it so, as PostHog does.
        "replace_source": "true" if replace_source else None if target == "delta" else "false",
    }
    return {name: value for name, value in fields.items() if value}


def _send(
    kind: type[T], file: File, filename: str | None, fields: dict[str, str], wait: Wait
) -> Flow[T]:
    with _opened(file) as opened:
        name = filename or _name_of(opened)
        if "format" not in fields and (found := format_of(name)):
            fields = fields | {"format": found}
        request = Request(
            method="POST",
            path="warehouse_tables/file/",
            form=Form(file=opened, filename=name, fields=fields),
            wait_seconds=first_wait(wait),
            once=True,
        )
        return (yield from one(kind, request))


@contextmanager
def _opened(file: File) -> Iterator[IO[bytes]]:
    if isinstance(file, (str, os.PathLike)):
        with Path(file).open("rb") as opened:
            yield opened
    else:
        yield file


def format_of(filename: str) -> str | None:
    """Return the format that a file's name says, which the API would take for a CSV else.

    >>> format_of("orders.parquet"), format_of("orders.csv.gz"), format_of("orders")
    ('Parquet', 'CSVWithNames', None)
    """
    # Late: it loads the formats that are installed beside, which may load anything.
    from stocktake.schema.formats import FILE_FORMAT_OF, FILE_FORMATS

    endings = filename.lower().split(".")[:0:-1]
    found = next((FILE_FORMAT_OF[each] for each in endings if each in FILE_FORMAT_OF), None)
    return None if found is None else FILE_FORMATS[found].value
