"""Counting a Delta table's live files, their bytes and their rows, where that is asked for.

The schema needs none of this, and a log need not say it in few bytes.
"""

from typing import Any, ClassVar

import pyarrow as pa

from stocktake.readers.delta.adds import STATS, totals
from stocktake.readers.delta.listing import Listing
from stocktake.readers.delta.log import DeltaLog
from stocktake.readers.delta.replay import Replay, replayed
from stocktake.readers.delta.totals import Totals


def count(log: DeltaLog, listing: Listing) -> Totals:
    """Count the live files at the listing's head. Takes and raises what `replayed` does."""
    return Totals.summed(replayed(log, listing, _Counting).parts)


class _Counting(Replay):
    columns: ClassVar = ("add.size", STATS)

    def __init__(self, log: DeltaLog) -> None:
        super().__init__(log)
        self.parts: list[Totals] = []

    def keep(self, add: dict[str, Any]) -> Totals:
        return Totals.of_add(add)

    def take(self, live: list[Totals]) -> None:
        self.parts.append(Totals.summed(live))

    def take_batch(self, live: pa.StructArray) -> None:
        self.parts.append(totals(live))
