"""The children, each shared by the tests of a module."""

from collections.abc import Iterator

import pytest

from tests.fuzz.children import child
from tests.fuzz.watched import Watched


@pytest.fixture(scope="module")
def ours() -> Iterator[Watched]:
    yield from child("reading")


@pytest.fixture(scope="module")
def deltalake() -> Iterator[Watched]:
    yield from child("delta_engine")


@pytest.fixture(scope="module")
def clickhouse() -> Iterator[Watched]:
    yield from child("clickhouse_engine")
