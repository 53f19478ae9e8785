"""The client of the service, on httpx alone: it loads nothing that the service itself runs on.

    from stocktake.client import Client

    with Client() as client:  # STOCKTAKE_URL, STOCKTAKE_API_KEY
        job = client.tables.refresh("orders", wait=True)

Nothing here imports another room of the service but the formats' names.
"""

from stocktake.client.answers import (
    AuditEntry,
    Batch,
    Changes,
    Column,
    Diff,
    FullSchemaVersion,
    Job,
    JobError,
    Key,
    LiveSchema,
    Part,
    PendingChange,
    PreviewedRows,
    Progress,
    Project,
    Result,
    Schedule,
    SchemaChange,
    SchemaVersion,
    SourceCheck,
    Table,
    Upcoming,
    UploadedTable,
    VersionDiff,
    Warned,
)
from stocktake.client.clients import AsyncClient, Client
from stocktake.client.errors import (
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    JobFailedError,
    NotEndedError,
    NotFoundError,
    PermissionDeniedError,
    RefusedError,
    ServerError,
    StocktakeError,
    ThrottledError,
    UnexpectedAnswerError,
    UnreachableError,
)
from stocktake.client.requests import Retries

__all__ = [
    "AsyncClient",
    "AuditEntry",
    "AuthenticationError",
    "Batch",
    "Changes",
    "Client",
    "Column",
    "ConfigurationError",
    "ConflictError",
    "Diff",
    "FullSchemaVersion",
    "Job",
    "JobError",
    "JobFailedError",
    "Key",
    "LiveSchema",
    "NotEndedError",
    "NotFoundError",
    "Part",
    "PendingChange",
    "PermissionDeniedError",
    "PreviewedRows",
    "Progress",
    "Project",
    "RefusedError",
    "Result",
    "Retries",
    "Schedule",
    "SchemaChange",
    "SchemaVersion",
    "ServerError",
    "SourceCheck",
    "StocktakeError",
    "Table",
    "ThrottledError",
    "UnexpectedAnswerError",
    "UnreachableError",
    "Upcoming",
    "UploadedTable",
    "VersionDiff",
    "Warned",
]
