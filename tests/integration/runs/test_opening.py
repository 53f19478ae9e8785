"""From a table's row to an open source: with the keys of its own project, or not at all."""

import pytest
from sqlalchemy import update

from stocktake.catalog import credentials
from stocktake.db.models import StoredCredential
from stocktake.errors import CredentialUnavailableError
from stocktake.jobs import queueing
from stocktake.runs.opening import credential_of, load_table, load_tables
from stocktake.security.encryption import AccessPair
from stocktake.storage.stores.protocol import Credential
from tests.integration.runs.conftest import Desk
from tests.support.rows import make_project, make_table, process_of, refresh_of


def test_keys_come_with_the_table_and_of_its_own_project_alone(desk: Desk) -> None:
    process = process_of(desk.database, desk.settings)
    with desk.database.write() as session:
        table = make_table(session, desk.project_id, "orders")
        keys = AccessPair(access_key="AK", access_secret="secret")
        credentials.store(session, process.keyring, table, keys)
        bare = make_table(session, desk.project_id, "public")
        jobs = [queueing.enqueue(session, refresh_of(each)).job.id for each in (table, bare)]
        other = make_project(session, "Other").id
    claims = [desk.attempt(job).claim for job in jobs]

    with desk.database.read() as session:
        rows = load_tables(session, claims)
        single = load_table(session, claims[0])
    wanted = Credential(access_key="AK", access_secret="secret")
    assert credential_of(process, single) == wanted
    assert [credential_of(process, rows[claim.table_id]) for claim in claims] == [wanted, None]

    with desk.database.write() as session:
        session.execute(update(StoredCredential).values(project_id=other))
    with desk.database.read() as session:
        row = load_table(session, claims[0])
    with pytest.raises(CredentialUnavailableError, match="credential is gone"):
        credential_of(process, row)
