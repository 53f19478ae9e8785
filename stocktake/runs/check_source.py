"""`check_source`: say what each step of reading a source comes to. Stores nothing."""

from stocktake.catalog.credentials import opened_for, taken
from stocktake.catalog.formats import format_of
from stocktake.db.models import Table
from stocktake.errors import SupersededError
from stocktake.jobs import leases
from stocktake.jobs.arguments import SourceArguments
from stocktake.runs.attempt import Attempt
from stocktake.runs.source_steps import SourceSteps
from stocktake.security.encryption import AccessPair
from stocktake.storage.stores.protocol import Credential


def run(attempt: Attempt) -> None:
    """Try what the claim's job names, and end the job with what was found.

    A step that fails is no error of the job but its result, which says what to do.

    Raises:
        CredentialUnavailableError: the keys are gone or cannot be decrypted.
        SupersededError: the table changed since the claim, or is deleted.
        StaleAttemptError: the lease was lost; nothing was written.
    """
    asked, pair = _asked(attempt)
    credential = None
    if pair is not None:
        credential = Credential(access_key=pair.access_key, access_secret=pair.access_secret)
    steps = SourceSteps(asked, credential, attempt.process.guard, attempt.limits, attempt.progress)
    steps.try_all()
    with attempt.process.database.write() as session:
        leases.succeed(session, attempt.claim, steps.as_dict())


def _asked(attempt: Attempt) -> tuple[SourceArguments, AccessPair | None]:
    """Return what is to be tried and the keys to it, which are nowhere else from here on, but for a
    table's."""
    claim, keyring = attempt.claim, attempt.process.keyring
    if claim.table_id is not None:
        with attempt.process.database.read() as session:
            table = session.get(Table, claim.table_id)
            if table is None or table.deleted or table.generation != claim.generation:
                raise SupersededError("The table changed before its source was tried.")
            asked = SourceArguments(
                url_pattern=table.url_pattern, format=format_of(table.format), options=table.options
            )
            return asked, opened_for(session, keyring, table)
    asked = SourceArguments.of(claim.arguments)
    if not asked.has_key:
        return asked, None
    with attempt.process.database.write() as session:
        return asked, taken(session, keyring, claim.job_id)
