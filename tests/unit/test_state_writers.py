"""A job's state is written in `stocktake/jobs/` alone, an upload's in `stocktake/catalog/`, and so
is that of a change that waits.

Read from the source: in no other room is a row of theirs made or updated at all, by whatever means
SQLAlchemy has for it, and nothing else is given a `state` that could be theirs.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("api", "stocktake", "tasks", "workers")
#: The room that may write each one's state.
HOMES: Final = {
    "Job": Path("stocktake/jobs"),
    "Upload": Path("stocktake/catalog"),
    "SchemaChange": Path("stocktake/catalog"),
}
#: The table of a model, as statements without entities name it (`stocktake.db.models`).
TABLES: Final = {"JOBS": "Job"}
#: What makes a statement that writes, and the place of the table among its arguments.
STATEMENTS: Final = {
    **dict.fromkeys(("update", "insert", "bulk_insert_mappings", "bulk_update_mappings"), 0),
    "inserting": 1,
}
IN_SQL: Final = re.compile(r"\b(?:update|insert\s+into)\s+\"?(jobs|uploads)\b", re.IGNORECASE)


def writes(source: str) -> Iterator[tuple[str, int]]:
    """The model, or ``?``, and the line of all that could write the state of one of the two."""
    for node in ast.walk(ast.parse(source)):
        for model in _models_written(node):
            yield model, getattr(node, "lineno", 0)


def _models_written(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call):
        yield from _of_call(node)
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _of_target(target)
    elif isinstance(node, ast.AugAssign | ast.AnnAssign | ast.For | ast.NamedExpr):
        yield from _of_target(node.target)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        if found := IN_SQL.search(node.value):
            yield {"jobs": "Job", "uploads": "Upload"}[found[1].lower()]
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        yield from _of_target(node.optional_vars)


def _of_call(call: ast.Call) -> Iterator[str]:
    name = _last_name(call.func)
    if name in HOMES:
        yield name
    elif name in STATEMENTS:
        written = [_model(each) for each in call.args[STATEMENTS[name] : STATEMENTS[name] + 1]]
        if isinstance(call.func, ast.Attribute):  # Job.__table__.update()
            written.append(_model(call.func.value))
        yield from (model for model in written if model in HOMES)
    elif name in {"setattr", "__setattr__", "set_committed_value"}:
        named = [each for each in call.args if isinstance(each, ast.Constant)]
        yield from ("?" for each in named if each.value == "state")


def _of_target(target: ast.expr) -> Iterator[str]:
    if isinstance(target, ast.Tuple | ast.List):
        for each in target.elts:
            yield from _of_target(each)
    elif isinstance(target, ast.Starred):
        yield from _of_target(target.value)
    elif isinstance(target, ast.Attribute) and target.attr == "state":
        owner = _last_name(target.value)
        if owner != "self":
            yield {"job": "Job", "upload": "Upload", "change": "SchemaChange"}.get(owner, "?")


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _model(node: ast.expr) -> str:
    """Of ``Job``, ``models.Job``, ``Job.__table__`` and ``JOBS``."""
    if isinstance(node, ast.Attribute) and node.attr == "__table__":
        return _last_name(node.value)
    name = _last_name(node)
    return TABLES.get(name, name)


def test_each_state_is_written_in_its_own_room_alone() -> None:
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    strangers, at_home = [], set()
    for path in (each.relative_to(ROOT) for each in files if "migrations" not in each.parts):
        for model, line in writes((ROOT / path).read_text(encoding="utf-8")):
            if model in HOMES and path.is_relative_to(HOMES[model]):
                at_home.add(model)
            else:
                strangers.append(f"{path}:{line} writes a {model}")
    assert strangers == []
    assert at_home == set(HOMES), "the reader of the source finds what is there"


@pytest.mark.parametrize(
    ("line", "model"),
    [
        ("update(Job).where(x).values(state='queued')", "Job"),
        ("session.execute(update(Upload), rows)", "Upload"),
        ("sa.update(models.Job).values(values)", "Job"),
        ("insert(Job.__table__).values(**row)", "Job"),
        ("update(JOBS).where(x).values(state='queued')", "Job"),
        ("models.JOBS.update().values(state='queued')", "Job"),
        ("inserting(session, Job).values(**row)", "Job"),
        ("Job.__table__.update().values(state='queued')", "Job"),
        ("text('UPDATE uploads SET state = 1')", "Upload"),
        ("session.add(Job(project_id=1))", "Job"),
        ("session.add(models.Upload(state=UploadState.STORED))", "Upload"),
        ("job.state = JobState.FAILED", "Job"),
        ("change.state = ChangeState.DECIDED", "SchemaChange"),
        ("upload.state, upload.changed_at = state.value, now()", "Upload"),
        ("row.state: str = 'queued'", "?"),
        ("found[0].state = 'removed'", "?"),
        ("[*rest, each.state] = given", "?"),
        ("for job.state in states: pass", "Job"),
        ("setattr(row, 'state', 'queued')", "?"),
        ("object.__setattr__(row, 'state', 'queued')", "?"),
    ],
)
def test_a_write_is_seen_in_each_of_its_forms(line: str, model: str) -> None:
    assert [found for found, _ in writes(line)] == [model]


@pytest.mark.parametrize(
    "line",
    [
        "update(Table).where(Job.state == 'queued').values(managed=False)",
        "select(Job).where(Job.state == JobState.QUEUED)",
        "self.state = state",
        "view = BatchView(state=state)",
        "app.state.parts = parts",
        "JobRequest(kind=kind)",
        "delete(Job).where(old)",
    ],
)
def test_what_only_reads_is_let_be(line: str) -> None:
    assert list(writes(line)) == []
