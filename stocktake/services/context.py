"""What every service function is handed: the session, who asks, and the process's parts."""

from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from stocktake.db.models import Batch, Job, Schedule, SchemaChange, Table
from stocktake.errors import NotFoundError
from stocktake.parts import ProcessParts

T = TypeVar("T", Batch, Job, Schedule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, after authentication.

    Attributes:
        project_id: the tenant of this request; every query filters by it.
        key_id: the API key, None for the command line and the clock.
        project_ids: all projects that the key is bound to.
    """

    project_id: int
    user_id: int | None
    key_id: UUID | None = None
    key_prefix: str | None = None
    scopes: frozenset[str] = field(default_factory=frozenset)
    project_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One request's surroundings. Services never commit: the edge that made this does."""

    session: Session
    caller: Caller
    process: ProcessParts

    def find(self, model: type[T], row_id: UUID, *, lock: bool = False) -> T:
        """Return the project's own row of that id, as it is now.

        Args:
            lock: for a change; or so that it stays, until the transaction ends.

        Raises:
            NotFoundError: this project has none.
        """
        mine = model.id == row_id, model.project_id == self.caller.project_id
        query = select(model).where(*mine).execution_options(populate_existing=True)
        if lock:
            # FOR NO KEY UPDATE: rows that refer to it can still be inserted.
            query = query.with_for_update(key_share=True)
        row = self.session.scalars(query).one_or_none()
        if row is None:
            raise NotFoundError
        return row

    def require(self, model: type[Table | Schedule | SchemaChange], row_id: UUID) -> None:
        """Raise NotFoundError where the project has no such row, or a deleted one."""
        mine = select(model.id).where(
            model.id == row_id, model.project_id == self.caller.project_id
        )
        if model is Table:
            mine = mine.where(Table.deleted.is_(False))
        if self.session.scalar(mine) is None:
            raise NotFoundError
