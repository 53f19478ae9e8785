"""A kind of job is a member and two files of its name; the rest is derived from the member."""

import inspect
from importlib import import_module

import pytest

from stocktake.states import CANARY, SWEEP, JobKind
from tasks.app import app
from tasks.base import JobTask

KINDS = pytest.mark.parametrize("kind", JobKind)


def test_a_worker_imports_the_task_of_each_kind_and_registers_no_other() -> None:
    app.loader.import_default_modules()
    ours = {name for name, task in app.tasks.items() if task.__module__.startswith("tasks.")}
    assert ours == {*JobKind, SWEEP, CANARY}


@KINDS
def test_a_kind_has_a_task_of_its_name(kind: JobKind) -> None:
    import_module(f"tasks.{kind}")
    assert isinstance(app.tasks[kind], JobTask)


@KINDS
def test_a_kind_has_a_run_of_its_name(kind: JobKind) -> None:
    run = import_module(f"stocktake.runs.{kind}").run
    given, *more = inspect.signature(run).parameters.values()
    assert given.name == "attempt"
    assert all(each.default is not each.empty for each in more)
