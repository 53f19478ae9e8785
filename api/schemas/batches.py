"""Bulk refreshes and schedules."""

from datetime import datetime
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, model_validator
from pydantic_core import PydanticCustomError

from api.schemas.base import DescribedAs, OwnBody, Wire
from stocktake.schema.decisions import Policy
from stocktake.schema.diff import ChangeClass
from stocktake.schema.formats import TableFormat
from stocktake.services.batches import BatchState
from stocktake.states import BatchAction, TableState

_CRON: Final = (
    "Five fields: minute, hour, day of month, month, day of week. Beside numbers, names, lists, "
    "ranges and steps: `L`, the month's last day; `LW`, its last from Monday to Friday; `mon#1`, "
    "its first Monday; `5L`, its last Friday."
)


class SelectorIn(BaseModel):
    """Which tables: `tables`, or `all`, or any of the others together, as a list of tables has
    them. One kind only."""

    # The service checks the values: a selector is kept as it was sent.
    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "additionalProperties": False,
            "examples": [{"all": True}, {"name_glob": "sales_*", "stale_for_seconds": 3600}],
        },
    )

    tables: Annotated[Any, DescribedAs(list[UUID])] = None
    all: Annotated[Any, DescribedAs(bool)] = None
    name_glob: Annotated[Any, DescribedAs(str)] = Field(
        None, description="`*` and `?`; case is ignored."
    )
    search: Annotated[Any, DescribedAs(str)] = Field(
        None, description="Words that the name must hold."
    )
    state: Annotated[Any, DescribedAs(TableState)] = None
    format: Annotated[Any, DescribedAs(TableFormat)] = None
    error_code: Annotated[Any, DescribedAs(str)] = Field(
        None, description="Of the last read, where it failed."
    )
    last_change: Annotated[Any, DescribedAs(ChangeClass)] = Field(
        None, description="Class of the newest schema version after the first."
    )
    has_overrides: Annotated[Any, DescribedAs(bool)] = Field(
        None, description="Whether a user has set the type of a column."
    )
    schedule: Annotated[Any, DescribedAs(UUID)] = Field(
        None, description="Id of a schedule: the tables that it names. In no schedule's selector."
    )
    stale_for_seconds: Annotated[Any, DescribedAs(Annotated[float, Field(ge=0)])] = Field(
        None, description="Tables whose last good refresh is this old, or missing."
    )

    def as_sent(self) -> dict[str, Any]:
        """Return what the client gave, and nothing else."""
        return self.model_dump(exclude_unset=True)


class BatchIn(OwnBody):
    """What is to be done to many tables: `refresh`, `policy` with a `change_policy` (null: the
    project's), or `delete`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"action": "refresh", "selector": {"state": "failing"}},
                {
                    "action": "policy",
                    "selector": {"search": "sales", "format": "Parquet"},
                    "change_policy": "additive_only",
                },
                {"action": "delete", "selector": {"error_code": "source_not_found"}},
            ]
        }
    )

    action: BatchAction
    selector: SelectorIn
    change_policy: Policy | None = Field(None, description="Of the action `policy` alone.")

    @model_validator(mode="after")
    def _of_its_action(self) -> Self:
        sent = "change_policy" in self.model_fields_set
        if sent != (self.action is BatchAction.POLICY):
            told = "`change_policy` belongs to the action `policy`, and that one needs it."
            raise PydanticCustomError("invalid_input", "{told}", {"told": told})
        return self


class BatchErrorBody(Wire):
    """Why one table was not refreshed; no table where the batch itself could not be expanded."""

    table_id: UUID | None
    table_name: str | None
    job_id: UUID
    code: str
    detail: str


class BatchBody(Wire):
    """Something that is done to many tables. Of a refresh `counts` are its jobs by state; of what
    one job does, `expand_job_id`, they are the tables that are done and those that are left."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01a224f5-5d89-737b-ac2f-3c31357dee7d",
                    "action": "refresh",
                    "arguments": {},
                    "state": "running",
                    "done": False,
                    "selector": {"all": True},
                    "dry_run": False,
                    "schedule_id": None,
                    "expand_job_id": "01a224f5-5d8b-7a3e-8a55-d4a1a1f0a9c2",
                    "total": 3,
                    "counts": {"queued": 1, "succeeded": 2},
                    "deduplicated": 0,
                    "finished_share": 0.67,
                    "errors": [],
                    "created_at": "2026-11-02T10:00:00Z",
                    "expanded_at": "2026-11-02T10:00:01Z",
                    "cancelled_at": None,
                }
            ]
        }
    )

    id: UUID
    action: Annotated[str, DescribedAs(BatchAction)]
    arguments: dict[str, Any]
    state: BatchState
    done: bool
    selector: Annotated[dict[str, Any], DescribedAs(SelectorIn)]
    dry_run: bool
    schedule_id: UUID | None
    expand_job_id: UUID
    total: int
    counts: dict[str, int]
    deduplicated: int
    finished_share: float
    errors: list[BatchErrorBody]
    created_at: datetime
    expanded_at: datetime | None
    cancelled_at: datetime | None


class ListedBatchBody(Wire):
    """A batch in a list, without its counters. `tables` are those that were taken so far; jobs that
    it shares with others are not looked at for its `state`."""

    id: UUID
    action: Annotated[str, DescribedAs(BatchAction)]
    arguments: dict[str, Any]
    state: BatchState
    selector: Annotated[dict[str, Any], DescribedAs(SelectorIn)]
    dry_run: bool
    schedule_id: UUID | None
    tables: int
    created_at: datetime
    expanded_at: datetime | None
    cancelled_at: datetime | None


class ScheduleIn(OwnBody):
    """A cron rule that starts bulk refreshes."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "nightly",
                    "cron": "0 3 * * *",
                    "timezone": "Europe/Berlin",
                    "selector": {"all": True},
                }
            ]
        }
    )

    name: str
    cron: str = Field(examples=["0 6 * * *"], description=_CRON)
    timezone: str = Field("UTC", description="An IANA name, such as `Europe/Berlin`.")
    jitter_seconds: StrictFloat = Field(
        0.0, description="Each fire starts up to this much later, always by the same amount."
    )
    selector: SelectorIn
    paused: StrictBool = False

    def as_sent(self) -> dict[str, Any]:
        """Return what the client gave, and nothing else."""
        return self.model_dump(exclude_unset=True)


class ScheduleChange(OwnBody):
    """Any of a schedule's fields. What else an answer holds may be sent back."""

    answered = frozenset({"id", "next_fire_at", "last_fire_at", "created_at"})

    model_config = ConfigDict(json_schema_extra={"examples": [{"paused": True}]})

    # Defaults that are never used: `as_sent` leaves out what was not given, null is refused.
    name: str = ""
    cron: str = ""
    timezone: str = ""
    jitter_seconds: StrictFloat = 0.0
    selector: SelectorIn = Field(default_factory=SelectorIn)
    paused: StrictBool = False

    def as_sent(self) -> dict[str, Any]:
        """Return what the client gave, and nothing else."""
        return self.model_dump(exclude_unset=True)


class UpcomingBody(Wire):
    """What a schedule is about to do: its next times, without their jitter and as if it were not
    paused, and how many tables it means now."""

    fires: list[datetime]
    tables: int


class ScheduleBody(Wire):
    """A schedule. `next_fire_at` is the rule's time, without its jitter; null while paused."""

    id: UUID
    name: str
    cron: str
    timezone: str
    jitter_seconds: float
    selector: Annotated[dict[str, Any], DescribedAs(SelectorIn)]
    paused: bool
    next_fire_at: datetime | None
    last_fire_at: datetime | None
    created_at: datetime
