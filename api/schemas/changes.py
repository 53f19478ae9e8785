"""Changes that wait under a policy, and what is decided of them."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import ConfigDict, Field

from api.schemas.base import DescribedAs, OwnBody, Wire
from api.schemas.jobs import DiffBody
from api.schemas.tables import BasicUserBody, OriginBody
from stocktake.schema.decisions import Verdict
from stocktake.schema.diff import ChangeClass
from stocktake.services.changes import Accept, ChangeView, Decision
from stocktake.states import ChangeState

#: More columns than a schema has would be an answer of megabytes.
_MOST_COLUMNS = 100_000


class DecisionIn(OwnBody):
    """What is decided, at once: some columns by name, and `accept` for all the others."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"accept": "all"},
                {"columns": {"price": "pin", "note": "accept"}},
                {"columns": {"price": "reject"}, "accept": "additive"},
            ]
        }
    )

    columns: dict[str, Verdict] = Field(
        default_factory=dict,
        max_length=_MOST_COLUMNS,
        description="By the name of a column, before or now. `accept`: as the source has it. "
        "`pin`: the old type stays, as one that was set with `update_schema`. `reject`: as it "
        "was, and not asked again until the source says something else of it.",
    )
    accept: Accept | None = Field(
        None, description="Of the columns that `columns` does not name: all, or the additive ones."
    )

    def decision(self) -> Decision:
        """Return it as the service takes it."""
        return Decision(columns=self.columns, accept=self.accept)


class ChangedColumnBody(Wire):
    """A column before or behind the change."""

    name: str
    type: str
    nullable: bool


class PartBody(Wire):
    """What is decided as a whole: mostly one column. `before` is empty where it is new, `after`
    where it is gone; `names` are all by which it can be decided. `origin` is who brought what is
    there now, while it waits."""

    name: str
    names: list[str]
    change: Annotated[str, DescribedAs(ChangeClass)]
    before: list[ChangedColumnBody]
    after: list[ChangedColumnBody]
    pinnable: bool
    decision: Annotated[str | None, DescribedAs(Verdict | None)]
    origin: Annotated[dict[str, Any] | None, DescribedAs(OriginBody | None)] = None


class ChangeBody(Wire):
    """A change that a policy did not let go live, without its parts.

    `change` is the class of what waits; of a decided one that of what was let through, `none` where
    all of it was pinned or rejected (each part keeps its own). `applied_as_version` is the table's
    schema version with the last decision. `replaced_by` is the change that a newer read put in its
    place; `reason` says why one was withdrawn.
    """

    id: UUID
    table_id: UUID
    table_name: str
    state: Annotated[str, DescribedAs(ChangeState)]
    change: Annotated[str, DescribedAs(ChangeClass)]
    undecided: int
    decided: int
    source_version: int | str | None
    job_id: UUID | None
    created_at: datetime
    ended_at: datetime | None
    reason: str | None
    replaced_by: UUID | None
    decided_by: BasicUserBody | None
    decided_at: datetime | None
    applied_as_version: int | None


class FullChangeBody(ChangeBody):
    """A change with its parts. `diff` is from the live columns to those that still wait; null
    where none do."""

    parts: list[PartBody]
    can_be_undone: bool
    diff: Annotated[dict[str, Any] | None, DescribedAs(DiffBody | None)]


def change_view(view: ChangeView) -> ChangeBody:
    """Return a change in a list."""
    return ChangeBody(**_short(view))


def full_change_view(view: ChangeView) -> FullChangeBody:
    """Return a change with its parts."""
    parts = [PartBody(**part, origin=_origin(view, part)) for part in view.change.parts]
    undoable = view.change.undo is not None
    return FullChangeBody(**_short(view), parts=parts, can_be_undone=undoable, diff=view.diff)


def _origin(view: ChangeView, part: dict[str, Any]) -> dict[str, Any] | None:
    if view.origins is None or not part["after"]:
        return None
    return view.origins.shown(part["after"][0]["name"])


def _short(view: ChangeView) -> dict[str, Any]:
    change = view.change
    return {
        "id": change.id,
        "table_id": change.table_id,
        "table_name": view.table_name,
        "state": change.state,
        "change": change.change,
        "undecided": change.undecided,
        "decided": change.decided,
        "source_version": change.source_version,
        "job_id": change.job_id,
        "created_at": change.created_at,
        "ended_at": change.ended_at,
        "reason": change.reason,
        "replaced_by": change.replaced_by,
        "decided_by": view.decided_by and BasicUserBody.model_validate(view.decided_by),
        "decided_at": change.decided_at,
        "applied_as_version": change.applied_version,
    }
