"""Results of jobs, as templates read them."""

from collections.abc import Mapping
from typing import Any, Final

#: What pages ask of any result.
UNTOLD: Final[Mapping[str, Any]] = dict.fromkeys(
    (
        "change",
        "coverage",
        "diff",
        "invalid",
        "pending_change",
        "refusal",
        "row_count",
        "schema_version",
        "steps",
        "waits",
        "warnings",
    )
)
