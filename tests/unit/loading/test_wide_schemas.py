"""Schemas of as many columns as a table may have: what is done to each is done in one look."""

import time

import pyarrow as pa

from stocktake.limits import Limits
from stocktake.loading.evolution import changed
from stocktake.runs.load_plan import behind

#: Of the processor. For each column all names were made anew: it took a minute and more.
MOST_SECONDS = 10.0


def wide(kind: pa.DataType) -> pa.Schema:
    return pa.schema([(f"column_{number}", kind) for number in range(Limits().max_columns)])


def test_ten_thousand_columns_are_joined_and_compared_in_one_look() -> None:
    known, schema = wide(pa.int32()), wide(pa.int64()).append(pa.field("new", pa.string()))
    begun = time.process_time()
    assert behind(known, schema) == schema
    assert changed(known, schema) == known.names
    assert time.process_time() - begun < MOST_SECONDS
