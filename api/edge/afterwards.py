"""What requests leave to be written later: when keys were used, and who was refused.

Neither may make a request wait for the database's write lock, so both are collected here and
written together every few seconds. What a crash loses of it is of no matter.
"""

import asyncio
import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from api.edge.threads import finish_in_thread
from stocktake.db.session import Database
from stocktake.services import audit, identity
from stocktake.services.context import Caller

_EVERY_SECONDS: Final = 5.0
#: A key's last use is written at most this often.
_USE_EVERY: Final = timedelta(minutes=1)
#: Refusals kept for one write; a flood beyond them is in the log and the metrics only.
_MOST_REFUSALS: Final = 200

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    caller: Caller
    scope: str
    code: str


class Afterwards:
    """Collects in any thread; writes in one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._written: dict[UUID, datetime] = {}
        self._used: dict[UUID, datetime] = {}
        self._refusals: deque[_Refusal] = deque(maxlen=_MOST_REFUSALS)

    def used(self, key_id: UUID) -> None:
        """Note that a key was used now."""
        moment = datetime.now(UTC)
        with self._lock:
            before = self._written.get(key_id)
            if before is None or moment - before >= _USE_EVERY:
                # Taken for written: what a failed write loses, the next minute's use makes up for.
                self._written[key_id] = self._used[key_id] = moment

    def refused(self, caller: Caller, scope: str, code: str) -> None:
        """Note that a known key was refused something."""
        with self._lock:
            self._refusals.append(_Refusal(caller=caller, scope=scope, code=code))

    async def run(self) -> None:
        """Write every few seconds until cancelled; the app's lifespan runs it."""
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Write what was collected."""
        with self._lock:
            used, self._used = self._used, {}
            refusals, self._refusals = list(self._refusals), deque(maxlen=_MOST_REFUSALS)
        if not used and not refusals:
            return
        try:
            await finish_in_thread(partial(self._write, used, refusals))
        except SQLAlchemyError as exc:
            log.warning("afterwards_dropped", reason=type(exc).__name__)

    def _write(self, used: dict[UUID, datetime], refusals: list[_Refusal]) -> None:
        with self._database.write() as session:
            identity.note_use(session, used)
            for refusal in refusals:
                _record(session, refusal)


def _record(session: Session, refusal: _Refusal) -> None:
    audit.record_for(
        session, refusal.caller, "refused", None, scope=refusal.scope, code=refusal.code
    )
