"""Lists of tables, and their counts."""

from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import Depends, Query, Response

from api.edge.authentication import ReadEdge
from api.edge.pages import PageDep
from api.edge.query_names import ANSWER_FORMATS
from api.edge.routing import Router
from api.routes.tables import IncludeColumns
from api.schemas.base import PageBody
from api.schemas.tables import TableBody, TableCountsBody, table_view
from stocktake.catalog.listing import NEWEST, TableFilter
from stocktake.catalog.selection import MAX_SEARCH
from stocktake.errors import ValidationError, did_you_mean
from stocktake.schema.diff import ChangeClass
from stocktake.schema.formats import TableFormat
from stocktake.services import table_counts, table_views
from stocktake.services.context import Context
from stocktake.states import TableState

router = Router(tags=["warehouse tables"])

MAX_CODE: Final = 64
TableOrder = Literal[
    "created_at",
    "-created_at",
    "name",
    "-name",
    "last_refreshed_at",
    "-last_refreshed_at",
    "last_changed_at",
    "-last_changed_at",
    "size_bytes",
    "-size_bytes",
    "row_count",
    "-row_count",
    "state",
    "-state",
]


def _wanted(
    search: Annotated[
        str | None,
        Query(max_length=MAX_SEARCH, description="Words that the name must hold."),
    ] = None,
    state: TableState | None = None,
    format_: Annotated[
        str | None,
        Query(
            alias="format",
            description=f"One of {', '.join(TableFormat)}. `json` and `csv` are passed over: some "
            "clients ask so for the form of the answer.",
        ),
    ] = None,
    error_code: Annotated[
        str | None, Query(max_length=MAX_CODE, description="Of the last read, where it failed.")
    ] = None,
    last_change: Annotated[
        ChangeClass | None,
        Query(
            description="Class of the newest schema version after the first; `none` of tables that "
            "have no other."
        ),
    ] = None,
    has_overrides: Annotated[
        bool | None, Query(description="Whether a user has set the type of a column.")
    ] = None,
    schedule: Annotated[
        UUID | None, Query(description="Id of a schedule: the tables that its selector names.")
    ] = None,
) -> TableFilter:
    return TableFilter(
        search=search,
        state=state,
        format=None if format_ in (None, *ANSWER_FORMATS) else _format(str(format_)),
        error_code=error_code,
        last_change=last_change,
        has_overrides=has_overrides,
        schedule=schedule,
    )


def _format(name: str) -> TableFormat:
    try:
        return TableFormat(name)
    except ValueError as exc:
        told = did_you_mean(name[:MAX_CODE], map(str, TableFormat))
        raise ValidationError(
            f"There is no format {name[:MAX_CODE]!r}; {told}", attr="format"
        ) from exc


@router.get("/warehouse_tables/", response_model=PageBody[TableBody])
async def list_tables(
    edge: ReadEdge,
    page: PageDep,
    wanted: Annotated[TableFilter, Depends(_wanted)],
    order_by: Annotated[
        TableOrder,
        Query(
            description="Behind a hyphen in descending order. `state` begins with what wants to be "
            "looked at: failing, waiting, never_read, stale, reading, fresh."
        ),
    ] = NEWEST,
    include_columns: IncludeColumns = True,
) -> Response:
    """List the project's tables, newest first unless told otherwise. A page is shorter than `limit`
    where its tables have very many columns; `next` goes on there."""

    def work(context: Context) -> bytes:
        found = table_views.list_views(
            context, wanted, order_by=order_by, columns=include_columns, **page.part
        )
        return page.body(
            found.count,
            found.views,
            lambda view: table_view(view, context.caller, columns=include_columns),
            lambda view: view.place,
            cut=found.cut,
        )

    return await edge.show(work)


@router.get("/warehouse_tables/counts/", response_model=TableCountsBody)
async def count_tables(edge: ReadEdge) -> Response:
    """Count the project's tables by state and by format, and those whose last read failed by what
    failed."""
    return await edge.show(
        lambda context: TableCountsBody.model_validate(table_counts.count_tables(context))
    )
