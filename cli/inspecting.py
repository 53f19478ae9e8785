"""`stocktake inspect`: run the readers from here, with no server and no database."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

import typer

from cli import hints
from cli.access import AccessKey, access_pair
from cli.output import describe_warning, say, show_json, show_rows, size
from stocktake.errors import CommandError, ValidationError
from stocktake.schema.formats import TableFormat

if TYPE_CHECKING:
    from stocktake.readers.source import Introspection
    from stocktake.storage.stores.protocol import Credential

#: Characters of a path that stay as they are in a URL; the globs among them keep their meaning.
_KEPT: Final = "/*?{}[],!$&'()+;=:@~"


def inspect(
    location: Annotated[str, typer.Argument(help="A path with globs, or an https:// URL.")],
    table_format: Annotated[
        TableFormat, typer.Option("--format", case_sensitive=False, help="What the files are.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    access_key: AccessKey = None,
    count: Annotated[
        bool,
        typer.Option("--count", help="Of a Delta table, count files, bytes and rows as well."),
    ] = False,
    option: hints.Given = None,
    public: Annotated[bool, typer.Option("--public", help="Read unsigned, without keys.")] = False,
    endpoint: Annotated[
        str | None, typer.Option(help="An S3-compatible store to trust: http://host:port.")
    ] = None,
) -> None:
    """Read a source's columns, from here and without a server."""
    options = _options(option or ()) | {"delta_count": count, "public": public}
    found = _read(location, table_format, access_key, options, endpoint=endpoint)
    if as_json:
        show_json(as_dict(found))
    else:
        _show(found)


def _options(given: Sequence[str]) -> dict[str, Any]:
    from stocktake.services.options import check_options

    try:
        return check_options(hints.options_of(given))
    except ValidationError as exc:
        raise CommandError(exc.detail) from exc


def _credential(access_key: str | None) -> "Credential | None":
    from stocktake.storage.stores.protocol import Credential

    pair = access_pair(access_key)
    return None if pair is None else Credential(access_key=pair[0], access_secret=pair[1])


def _read(
    location: str,
    table_format: TableFormat,
    access_key: str | None,
    options: dict[str, Any],
    *,
    endpoint: str | None,
) -> "Introspection":
    from stocktake.readers import introspect
    from stocktake.readers.source import Source
    from stocktake.storage.places.guard import GuardPolicy, check_pattern, recheck
    from stocktake.storage.stores.opening import open_source

    # The person at the keyboard may read what the person may read.
    policy = GuardPolicy(
        allowed_schemes=frozenset({"https", "file"}),
        trusted_endpoints=(endpoint,) if endpoint else (),
        local_roots=(Path("/"),),
    )
    found = recheck(_as_url(location), policy)
    check_pattern(found, table_format)
    credential = _credential(access_key)  # behind what is refused without it
    if found.provider != "file" and credential is None and not options["public"]:
        raise CommandError(
            "Give --access-key for this store, whose secret is asked for or comes from "
            "STOCKTAKE_ACCESS_SECRET; or --public to read unsigned."
        )
    store, path = open_source(found, credential, public=options["public"])
    return introspect(Source(store=store, path=path, format=table_format, options=options))


def _as_url(location: str) -> str:
    if "://" in location:
        return location
    return "file://" + quote(str(Path(location).expanduser().absolute()), safe=_KEPT)


def as_dict(found: "Introspection") -> dict[str, Any]:
    """Return what `--json` prints."""
    return {
        "columns": [
            {
                "name": column.name,
                "clickhouse": column.clickhouse,
                "hogql": column.hogql,
                "nullable": column.nullable,
            }
            for column in found.columns
        ],
        "source_version": found.source_version,
        "row_count": found.row_count,
        "size_bytes": found.size_bytes,
        "file_count": found.file_count,
        "coverage": found.coverage.as_dict(),
        "warnings": [warning.as_dict() for warning in found.warnings],
    }


def _show(found: "Introspection") -> None:
    show_rows(
        ("COLUMN", "TYPE", "NULLABLE"),
        [(one.name, one.clickhouse, "yes" if one.nullable else "no") for one in found.columns],
        empty="No columns.",
        names=("COLUMN",),
    )
    coverage = found.coverage
    say("")
    say(f"version {found.source_version}")
    say(f"rows    {'unknown' if found.row_count is None else f'{found.row_count:,}'}")
    say(f"size    {size(found.size_bytes) or 'unknown'}")
    say(f"files   {'unknown' if found.file_count is None else f'{found.file_count:,}'}")
    say(
        f"read    {coverage.files_read} of {coverage.files_matched} files, "
        f"{size(coverage.bytes_read)}" + (", a sample" if coverage.truncated else "")
    )
    for warning in found.warnings:
        say(describe_warning(warning.as_dict()))
