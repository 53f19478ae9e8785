"""4, as clients saw it: what was shown once does not go back, and what was answered is shown.

In the manner of Elle (Kingsbury and Alvaro, VLDB 2020): each request is an interval between its
sending and its answer. One that ended before another was sent must be seen by it; of two that
overlap either may have come first. The values are made so that a later one can be told: versions
count up, and each name is given once.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tests.faults.client import Sent
from tests.faults.promises.broken import Broken

_DONE = {"succeeded", "failed", "cancelled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A number that a client saw, of something that only counts up."""

    value: int
    sent: Sent


def never_back(log: Sequence[Sent]) -> Iterator[Broken]:
    """4. Of what counts up, no answer shows less than one that had ended before it was asked for;
    and an ended job stays as it is."""
    shown: dict[Hashable, list[Shown]] = defaultdict(list)
    ends: dict[UUID, list[tuple[Sent, str]]] = defaultdict(list)
    for sent in log:
        for what, value in _counting(sent):
            shown[what].append(Shown(value=value, sent=sent))
        for job, state in _job_states(sent):
            ends[job].append((sent, state))
    for what, seen in shown.items():
        yield from _only_up(what, seen)
    for job, states in ends.items():
        yield from _stays_ended(job, states)


def _counting(sent: Sent) -> Iterator[tuple[Hashable, int]]:
    """What counts up in an answer: of a table its schema version, and the source's where it is a
    number; of a job its attempt."""
    if not sent.accepted or not isinstance(body := sent.body, Mapping):
        return
    if "schema_version" in body:
        yield ("the schema version of table", body["id"]), body["schema_version"]
        if isinstance(body["source_version"], int):
            yield ("the source version of table", body["id"]), body["source_version"]
    if "attempt" in body:
        yield ("the attempt of job", body["id"]), body["attempt"]


def _job_states(sent: Sent) -> Iterator[tuple[UUID, str]]:
    if not sent.accepted or not isinstance(body := sent.body, Mapping):
        return
    # A repetition is answered as the first was, however old that is by now.
    if sent.again:
        return
    for job in (body if "attempt" in body else None, body.get("latest_job")):
        if job:
            yield UUID(job["id"]), job["state"]


def _only_up(what: Hashable, seen: Sequence[Shown]) -> Iterator[Broken]:
    """Compare each answer with the highest that had ended before it was asked for."""
    fresh = [each for each in seen if not each.sent.again]
    by_end = sorted(fresh, key=lambda each: each.sent.ended_at)
    highest: Shown | None = None
    position = 0
    for each in sorted(fresh, key=lambda each: each.sent.sent_at):
        while by_end[position].sent.ended_at < each.sent.sent_at:
            if highest is None or by_end[position].value > highest.value:
                highest = by_end[position]
            position += 1
        if highest is not None and each.value < highest.value:
            said = f"{what} was {highest.value} at {highest.sent.ended_at} and then {each.value}"
            yield Broken(promise=4, what=f"{said}, asked for at {each.sent.sent_at}")


def _stays_ended(job: UUID, states: Sequence[tuple[Sent, str]]) -> Iterator[Broken]:
    ended = [(sent, state) for sent, state in states if state in _DONE]
    if not ended:
        return
    first, state = min(ended, key=lambda each: each[0].ended_at)
    for sent, later in states:
        if sent.sent_at > first.ended_at and later != state:
            what = f"job {job} was {state} at {first.ended_at} and then {later}"
            yield Broken(promise=4, what=what, jobs=[job])


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A change of a table's name, with all its repetitions.

    Attributes:
        sent_at: when it was sent first.
        ended_at: when it was answered first with a success; None if it never was.
    """

    name: str
    sent_at: datetime
    ended_at: datetime | None


def writes_are_shown(log: Sequence[Sent]) -> Iterator[Broken]:
    """4. A table that is read after a change was answered shows it, or a later one."""
    names: dict[UUID, list[Write]] = defaultdict(list)
    for sent in _by_key(log, "change"):
        if "name" in sent[0].asked:
            names[sent[0].table_id].append(_write(sent))
    deleted = {
        sent.table_id: sent.ended_at for sent in log if sent.action == "delete" and sent.accepted
    }
    for read in log:
        if read.action == "read" and read.accepted:
            if (gone := deleted.get(read.table_id)) is not None and gone < read.sent_at:
                yield Broken(promise=4, what=f"{read} shows a table that was deleted before")
            yield from _shows(read, names[read.table_id])


def _by_key(log: Sequence[Sent], action: str) -> list[list[Sent]]:
    keys: dict[str, list[Sent]] = defaultdict(list)
    for sent in log:
        if sent.action == action:
            keys[sent.key].append(sent)
    return [sorted(each, key=lambda sent: sent.sent_at) for each in keys.values()]


def _write(sent: Sequence[Sent]) -> Write:
    answered = [each.ended_at for each in sent if each.accepted]
    return Write(
        name=sent[0].asked["name"],
        sent_at=sent[0].sent_at,
        ended_at=min(answered, default=None),
    )


def _shows(read: Sent, writes: Sequence[Write]) -> Iterator[Broken]:
    before = [each for each in writes if each.ended_at and each.ended_at < read.sent_at]
    if not before:
        return
    newest = max(each.sent_at for each in before)
    # What had been answered before the newest was sent is written over for good. One that was never
    # answered may count at any time.
    may = {
        each.name
        for each in writes
        if each.sent_at < read.ended_at and not (each.ended_at and each.ended_at < newest)
    }
    if read.body["name"] not in may:
        yield Broken(promise=4, what=f"{read} shows the name {read.body['name']}, not {may}")
