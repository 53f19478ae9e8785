"""The API by its own description: random requests and random lives of things, for two tenants.

Nothing ends in a 5xx; every status, header and body is one that the description names; and no
tenant sees or touches what is another's.
"""

import secrets
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import schemathesis
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings
from hypothesis.errors import Flaky, FlakyStrategyDefinition
from schemathesis import Case, Config, Response
from schemathesis.generation import derive_operation_seed
from schemathesis.generation.hypothesis.builder import (
    HypothesisTestConfig,
    HypothesisTestMode,
    create_test,
)
from schemathesis.generation.overrides import with_config_headers
from schemathesis.schemas import BaseSchema

from stocktake.db.session import Database
from stocktake.services import identity
from stocktake.settings import Settings
from tests.fuzz.children import ASKED, fuzzed
from tests.fuzz.conversing import Conversation, Tenant, working
from tests.integration.api.conftest import Served

BOTH: Final = ["sqlite", pytest.param("postgresql", marks=pytest.mark.long)]
pytestmark = [
    pytest.mark.fuzz,
    pytest.mark.thorough,
    pytest.mark.timeout(0 if ASKED else 1200),
    pytest.mark.parametrize("dialect", BOTH, indirect=True),
]

#: Cases of one operation, beside those that its description demands.
EACH: Final = max(1, int(ASKED) // 100) if ASKED else 2
#: Lives, of `STEPS` requests each.
LIVES: Final = max(1, int(ASKED) // 20) if ASKED else 40
STEPS: Final = 12
SEED: Final = secrets.randbits(32) if ASKED else 5

#: Checks that are not made, each with its reason; all others of schemathesis are.
CHECKS: Final[dict[str, Any]] = {
    # The rules for URLs, cron rules, names and options, and which ids exist, are beyond a JSON
    # schema; 400, 404 and 422 are their answer.
    "positive_data_acceptance": {"enabled": False},
    # A table that was made may be gone by a PATCH (`deleted`) or under the other prefix, which the
    # check does not know of.
    "ensure_resource_availability": {"enabled": False},
}
#: Checks that one operation cannot be held to.
EXCEPT: Final[list[dict[str, Any]]] = [
    {
        # Their last word is a table's id to any other method, and there is no such table.
        "include-path-regex": "warehouse_tables/"
        "(file|upload_file|create_from_upload|refresh|check|counts)/$",
        "checks": {
            "unsupported_method": {"enabled": False},
            "allow_header_conformance": {"enabled": False},
        },
    },
    {
        # Its 503 is what it is there for.
        "include-path": "/readyz",
        "checks": {"not_a_server_error": {"enabled": False}},
    },
    {
        # In a form everything is text, and a part that is not known is nobody's.
        "include-operation-id-regex": "upload_(table|file)$",
        "checks": {"negative_data_rejection": {"enabled": False}},
    },
    {
        # With `deleted` nothing else is looked at, nor is what a client sends back as it was.
        "include-operation-id-regex": "(change|put)_table$",
        "checks": {"negative_data_rejection": {"enabled": False}},
    },
]
#: What an operation may not take. OPTIONS is answered everywhere, which the checks do not know of.
METHODS: Final = ["get", "put", "post", "delete", "patch", "trace", "query"]
#: A failure is told as it came: a smaller one would need the server as it was.
DRAWN: Final = [Phase.explicit, Phase.generate]
LIVING: Final = hypothesis_settings(
    fuzzed,
    max_examples=20,
    stateful_step_count=STEPS,
    derandomize=False,
    phases=DRAWN,
)
SCHEDULE: Final = {"name": "nightly", "cron": "0 3 * * *", "selector": {"all": True}}
FILES: Final = {
    "people.csv": "id,name\n1,Ada\n2,Grace\n",
    "events.jsonl": '{"id": 1, "at": "2026-11-02"}\n',
}


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """Files that a table may name, and a cap that a random upload can meet."""
    sources = tmp_path / "sources"
    sources.mkdir()
    for name, text in FILES.items():
        (sources / name).write_text(text)
    return settings.model_copy(
        update={
            "allowed_url_schemes": ("https", "file"),
            "local_roots": (sources,),
            "max_upload_bytes": 4096,
            "job_retry_base_seconds": 0.01,
            "job_retry_max_seconds": 0.05,
        }
    )


@pytest.fixture
def described(served: Served) -> BaseSchema:
    """The description as the server sends it."""
    config = {
        "seed": SEED,
        "checks": CHECKS,
        "operations": EXCEPT,
        # keys that do not hold are tried by the check of authentication
        "generation": {"with-security-parameters": False},
        "phases": {"coverage": {"unexpected-methods": METHODS}},
        # what a key with one project means by it, whichever of the two it is
        "parameters": {"path.project_id": "@current"},
    }
    url = f"{served.url}/api/schema/"
    described = schemathesis.openapi.from_url(url, config=Config.from_dict(config))
    # A stream has no end to wait for; `tests/integration/api/test_events.py` asks it.
    return described.exclude(operation_id="stream_events")


def sensible(operation: str, settings: Settings, number: int) -> dict[str, Any] | None:
    """A body that an operation takes; None for one without a body, or with one of its own."""
    table = {
        "name": f"t{number}",
        "format": ["CSVWithNames", "JSONEachRow", "Parquet"][number % 3],
        "url_pattern": f"file://{settings.local_roots[0]}/{[*FILES, 'none.csv'][number % 3]}",
        "options": {"public": True},
    }
    upload = {"file": f"id,name\n{number},Ada\n", "name": f"t{number % 5}"}
    bodies: dict[str, dict[str, Any]] = {
        "create_table": table,
        "change_table": {"name": f"t{number}"} if number % 2 else table,
        "put_table": table,
        "update_schema": {"updates": {"id": ["string", None][number % 2]}},
        "upload_table": upload | ({"target": "delta"} if number % 2 else {}),
        "upload_file": {"file": upload["file"], "file_format": "csv"},
        "refresh_tables": {"all": True},
        "create_schedule": SCHEDULE | {"name": f"s{number}"},
        "change_schedule": {"paused": bool(number % 2)},
    }
    return bodies.get(operation)


@pytest.fixture
def conversation(
    served: Served, settings: Settings, database: Database, project_id: int, other_project: int
) -> Iterator[Conversation]:
    """Two tenants that have some of each kind of thing, and a worker."""
    talk = Conversation()
    with working(served):
        for number, project in enumerate((project_id, other_project)):
            with database.write() as session:
                key = identity.create_key(session, [project], ["*"], email=f"{number}@example.com")
            tenant = Tenant(headers={"Authorization": f"Bearer {key}"})
            talk.tenants.append(tenant)
            url = f"{served.url}/api/projects/@current/"
            with httpx.Client(base_url=url, headers=tenant.headers) as client:
                talk.begin(tenant, begun(client, settings))
        yield talk
    sys.stdout.write(f"seed {SEED}\n{talk.table()}\n")


def begun(client: httpx.Client, settings: Settings) -> Iterator[tuple[str, str]]:
    """Make some of each kind of thing; their ids, after the names that paths use."""
    for number in range(4):
        table = client.post(
            "warehouse_tables/", json=sensible("create_table", settings, number)
        ).json()["id"]
        wait = {"Prefer": "wait=20"}
        told = client.post(f"warehouse_tables/{table}/refresh_schema/", headers=wait).json()
        job = told.get("job", told)["id"]  # beside the read error, where the read failed
        yield from (("table_id", table), ("job_id", job))
    yield "schedule_id", client.post("schedules/", json=SCHEDULE).json()["id"]
    yield "batch_id", client.post("warehouse_tables/refresh/", json={"all": True}).json()["id"]


def test_each_operation(described: BaseSchema, conversation: Conversation) -> None:

    def ask(case: Case) -> None:
        tenant = conversation.next_tenant()
        with conversation.noting(case.operation.label):
            case.validate_response(conversation.ask(tenant, case), headers=tenant.headers)

    operations = [found.ok() for found in described.get_all_operations()]
    for operation in sorted(operations, key=lambda each: each.method == "delete"):
        test = create_test(
            operation=operation,
            test_func=ask,
            config=HypothesisTestConfig(
                project=described.config,
                modes=list(HypothesisTestMode),
                settings=hypothesis_settings(fuzzed, max_examples=EACH, phases=DRAWN),
                seed=derive_operation_seed(SEED, operation.label),
                override=with_config_headers(described.config, operation=operation),
            ),
        )
        with conversation.heard():
            test()
        assert any(label == operation.label for label, _ in conversation.answered)
    conversation.check()


def test_lives(described: BaseSchema, settings: Settings, conversation: Conversation) -> None:
    """Create, read, change, refresh, follow, cancel, retry, delete: in any order that the answers
    lead to.

    A server remembers, so the same life may go another way the next time, and hypothesis then
    gives up: more are begun with the next seed.
    """
    life = life_of(described, settings, conversation)
    for seed in range(SEED, SEED + LIVES):
        if conversation.failures or conversation.lives >= LIVES:
            break
        life._hypothesis_internal_use_seed = seed  # what `hypothesis.seed` sets
        with suppress(Flaky, FlakyStrategyDefinition), conversation.heard():
            life.run(settings=LIVING)
    conversation.check()
    assert sum(conversation.answered.values()) > 2 * LIVES


def life_of(described: BaseSchema, settings: Settings, conversation: Conversation) -> Any:
    """One tenant's requests, each led to by an answer, every other one with a sensible body."""
    numbers = count()

    class Life(described.as_state_machine()):  # type: ignore[misc]  # made at run time
        def setup(self) -> None:
            self.tenant = conversation.next_tenant()
            conversation.lives += 1

        def before_call(self, case: Case) -> None:
            number = next(numbers)
            operation = case.operation.definition.raw["operationId"]
            if "project_id" in case.path_parameters:
                case.path_parameters["project_id"] = "@current"
            if number % 2 and case.meta.generation.mode.is_positive:
                case.body = sensible(operation, settings, number // 2) or case.body

        def get_call_kwargs(self, case: Case) -> dict[str, Any]:
            return {"headers": self.tenant.headers}

        def call(self, case: Case, **_: Any) -> Response:
            with conversation.noting(case.operation.label):
                return conversation.ask(self.tenant, case)

        def validate_response(self, response: Response, case: Case, **more: Any) -> None:
            with conversation.noting(case.operation.label):
                super().validate_response(response, case, **more)

    return Life
