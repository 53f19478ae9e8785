"""Both databases under the whole service: `make test` takes SQLite, and CI PostgreSQL as well.

The tests of formats stay on PostgreSQL, and those of single services on both.
"""

import pytest

from tests.conftest import Dialect

#: Scripts that the tests of generated clients run; what they import is generated then.
collect_ignore = ["clients"]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.thorough)])
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """The database under a test."""
    chosen: Dialect = request.param
    return chosen
