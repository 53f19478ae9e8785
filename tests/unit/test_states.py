"""The picture of a job's states is the table of their moves."""

import re
from pathlib import Path

from stocktake.states import TRANSITIONS, JobState

PAGE = (Path(__file__).parents[2] / "docs" / "job_states.md").read_text()


def test_the_picture_has_every_move_and_no_other() -> None:
    drawn = set(re.findall(r"^ +(\w+) --> (\w+):", PAGE, re.MULTILINE))
    assert drawn == {(was, now) for was, moves in TRANSITIONS.items() for now in moves}


def test_the_picture_ends_where_a_job_is_done() -> None:
    ends = set(re.findall(r"^ +(\w+) --> \[\*\]$", PAGE, re.MULTILINE))
    assert ends == {state for state in JobState if state.done}
