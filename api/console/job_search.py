"""The search box on the pages of jobs: `state:failed code:access_denied table:orders`."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Self
from uuid import UUID

from api.console.search import MAX_QUERY, Query
from stocktake.errors import did_you_mean
from stocktake.states import JobKind, JobState

#: What people say for it, and what tables of such jobs are.
_SAID: Final = MappingProxyType(
    {"failing": "failed", "reading": "running", "waiting": "queued", "pending": "queued"}
)
_KNOWN: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"state": tuple(JobState), "kind": tuple(JobKind)}
)
_ASKED: Final = ("state", "kind", "code", "batch")
_TABLE: Final = "table"
#: As the page takes it.
_LONGEST_CODE: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """What was asked for.

    Attributes:
        asked: what the page's address says for it.
        table: whose jobs they are, by a name or a part of it.
        wrong: what no job can be asked by, in sentences.
    """

    asked: Mapping[str, str]
    table: str = ""
    wrong: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what is in the box; of two qualifiers of a name the last one holds.

        >>> found = JobQuery.parse("state:failing code:access_denied orders")
        >>> dict(found.asked), found.table
        ({'state': 'failed', 'code': 'access_denied'}, 'orders')
        >>> JobQuery.parse("state:faled").wrong
        ("state:faled is no state of a job; did you mean 'failed'?",)
        """
        asked: dict[str, str] = {}
        words: list[str] = []
        wrong: list[str] = []
        for token in text[:MAX_QUERY].replace("\0", "").split():
            name, colon, value = token.partition(":")
            if not colon or name not in (*_ASKED, _TABLE) or not value:
                words.append(token)
            elif name == _TABLE:
                words.append(value)
            elif name == "code":
                asked[name] = value[:_LONGEST_CODE]
            elif name == "batch":
                if _is_id(value):
                    asked[name] = value
                else:
                    wrong.append(f"batch:{value[:40]} is no batch; it is an id.")
            elif (said := _SAID.get(value.lower(), value.lower())) in _KNOWN[name]:
                asked[name] = said
            else:
                told = did_you_mean(value[:40], _KNOWN[name])
                wrong.append(f"{name}:{value[:40]} is no {name} of a job; {told}")
        return cls(asked=asked, table=" ".join(words), wrong=tuple(wrong))


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def jobs_like(query: Query) -> str | None:
    """Return what one would type to find the jobs of such tables; None where no job is so.

    >>> jobs_like(Query.parse("orders state:failing")), jobs_like(Query.parse("format:delta"))
    ('state:failed table:orders', None)
    """
    asked: dict[str, Any] = dict(query.qualifiers)
    if "state" in asked:
        asked["state"] = _SAID.get(query.filter.state or "")
    if query.words:
        asked[_TABLE] = query.words[0]
    is_one = len(query.words) < 2 and asked.keys() <= {"state", "code", _TABLE}
    if not asked or not is_one or None in asked.values():
        return None
    return " ".join(f"{name}:{value}" for name, value in asked.items())
