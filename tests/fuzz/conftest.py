"""The children, each shared by the tests of a module."""

from collections.abc import Iterator

import pytest

from tests.fuzz.children import child
from tests.fuzz.watched import Watched
from tests.integration.api.conftest import (
    database,
    other_project,
    plain_settings,
    project_id,
    serve,
    served,
    settings,
)

__all__ = [
    "database",
    "other_project",
    "plain_settings",
    "project_id",
    "serve",
    "served",
    "settings",
]


@pytest.fixture(scope="module")
def ours() -> Iterator[Watched]:
    yield from child("reading")


@pytest.fixture(scope="module")
def deltalake() -> Iterator[Watched]:
    yield from child("delta_engine")


@pytest.fixture(scope="module")
def pyiceberg() -> Iterator[Watched]:
    yield from child("iceberg_engine")


@pytest.fixture(scope="module")
def clickhouse() -> Iterator[Watched]:
    yield from child("clickhouse_engine")
