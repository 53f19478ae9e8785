"""Both databases under the whole service: `make test` takes SQLite, and CI PostgreSQL as well.

The tests of formats stay on PostgreSQL, and those of single services on both.
"""

import pytest

from tests.conftest import Dialect


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.thorough)])
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """The database under a test."""
    chosen: Dialect = request.param
    return chosen
