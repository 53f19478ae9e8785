"""Receiving one file: authenticated first, counted as it comes, streamed to managed storage.

The upload's row is committed before its first byte is stored and says at any time what became
of it, so that what a crash leaves behind is found and removed.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final
from uuid import UUID

from anyio import to_thread
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect

from api.edge.edge import Edge
from api.wire.multipart import FileBegins, FileData, FormReader
from stocktake.db.models import Upload
from stocktake.errors import (
    ManagedStorageRefusedError,
    StorageUnavailableError,
    ValidationError,
)
from stocktake.services import files, upload_forms
from stocktake.storage.managed import UploadSink

#: What a body may hold beside its file: boundaries, headers, fields.
EXTRA_BYTES: Final = 1024 * 1024
#: The field that the file is in.
FILE_FIELD: Final = "file"
#: The refusal of a file that is larger than so many bytes.
Refuse = Callable[[int], ValidationError]


class Receiver:
    """One request's file and fields.

    Attributes:
        filename: cleaned; empty where it cannot be used; None where no file was sent.
        fields: the form's other fields.
        size_bytes: what was received of the file.
        fingerprint: of fields and file, for the idempotency key.
        upload: the row, once the file has begun.
    """

    def __init__(self, edge: Edge, refuse: Refuse) -> None:
        self._edge = edge
        self._refuse = refuse
        self._files = 0
        self._sink: UploadSink | None = None
        self._ours = False
        self._touch_at = 0.0
        self._turn = AsyncExitStack()
        self.filename: str | None = None
        self.fields: dict[str, str] = {}
        self.size_bytes = 0
        self.fingerprint = b""
        self.upload: Upload | None = None

    @property
    def upload_id(self) -> UUID:
        """The row's id.

        Raises:
            ValidationError: no file was sent.
        """
        if self.upload is None:
            raise ValidationError(upload_forms.NO_FILE, attr=FILE_FIELD, legacy_message=True)
        return self.upload.id

    async def receive(self) -> None:
        """Read the request's body to its end.

        Raises:
            ValidationError: a broken form, two files, a file over the cap, or an upload that the
                clock gave up meanwhile.
            PayloadTooLargeError: a body far over the cap; nothing is stored of one that says so.
            StorageUnavailableError: managed storage failed.
            RequestError: the key was revoked, has expired or was cut meanwhile.
        """
        request = self._edge.request
        self._refuse_large(_declared_length(request.headers.get("content-length")))
        content_type = request.headers.get("content-type", "")
        if not content_type.lower().startswith("multipart/"):
            return  # and so without a file
        reader, received = FormReader(content_type), 0
        try:
            async for chunk in request.stream():
                received += len(chunk)
                await self._take(reader, chunk)
                self._refuse_large(received)
        except ClientDisconnect as exc:
            raise ValidationError("The connection closed before the file was complete.") from exc
        self.fields, self.fingerprint = reader.fields, reader.end()
        await self._edge.require_key()

    async def finish(self) -> None:
        """Make the bytes durable, and hand them to the upload's row.

        Raises:
            StorageUnavailableError: managed storage failed; nothing is stored.
            ManagedStorageRefusedError: it will not take it, however often it is asked.
        """
        if self._sink is not None:
            # Behind it the store's client holds nothing more, and so the turn is over.
            self.size_bytes = await self._sink.finish()
            await self._turn.aclose()

    async def clean_up(self) -> None:
        """Remove what was stored, unless the row says that somebody owns it now."""
        async with self._turn:
            await self._remove()

    async def _remove(self) -> None:
        if self.upload is None:
            return
        upload_id, key = self.upload.id, self.upload.object_key
        # What fails here is found by the clock: the row says that it was being received.
        with suppress(SQLAlchemyError, StorageUnavailableError, ManagedStorageRefusedError):
            if self._sink is not None:
                await self._sink.abort()
            # The row first: bytes go only where it says that nobody has them.
            if await self._edge.change(lambda context: files.discard(context, upload_id)):
                await self._edge.parts.process.storage.remove(key)

    def _refuse_large(self, size_bytes: int) -> None:
        most = self._edge.parts.process.settings.max_upload_bytes + EXTRA_BYTES
        if size_bytes > most:
            raise upload_forms.body_too_large(self._edge.parts.process.settings.max_upload_bytes)

    async def _take(self, reader: FormReader, chunk: bytes) -> None:
        for event in await to_thread.run_sync(reader.feed, chunk):
            if isinstance(event, FileBegins):
                await self._begin(event)
            elif self._ours:
                await self._write(event)

    async def _begin(self, event: FileBegins) -> None:
        self._ours = event.field == FILE_FIELD
        # A browser sends a part without a name for a field that nobody filled in.
        self._files += self._ours or event.filename != ""
        if self._files > 1 and (self._ours or self.filename is not None):
            raise upload_forms.refusal(upload_forms.ONE_FILE, FILE_FIELD)
        if not self._ours:
            return
        # A store's client keeps megabytes of each.
        turn = self._edge.parts.receiving.turn(self._edge.caller.project_id)
        await self._turn.enter_async_context(turn)
        self.filename = filename = upload_forms.clean_filename(event.filename)
        self.upload = await self._edge.change(lambda context: files.begin(context, filename))
        self._sink = self._edge.parts.process.storage.open_upload(self.upload.object_key)
        self._touch_at = time.monotonic() + files.TOUCH_SECONDS

    async def _write(self, event: FileData) -> None:
        self.size_bytes += len(event.data)
        limit = self._edge.parts.process.settings.max_upload_bytes
        if self.size_bytes > limit:
            raise self._refuse(limit)
        if self._sink is not None:
            await self._sink.write(event.data)
        if time.monotonic() >= self._touch_at:
            await self._touch(self.upload_id)

    async def _touch(self, upload_id: UUID) -> None:
        """Keep the clock from giving up an upload whose bytes come slowly."""
        self._touch_at = time.monotonic() + files.TOUCH_SECONDS
        # The next one makes up for one that the database did not take.
        with suppress(SQLAlchemyError):
            await self._edge.require_key()
            await self._edge.change(lambda context: files.touch(context, upload_id))


@asynccontextmanager
async def receiving(edge: Edge, refuse: Refuse) -> AsyncIterator[Receiver]:
    """Yield a receiver that leaves nothing behind in storage unless a table or a client owns it.

    Args:
        refuse: makes the refusal of a file over the cap; each route has PostHog's words for it.
    """
    receiver = Receiver(edge, refuse)
    try:
        yield receiver
    finally:
        await receiver.clean_up()


def _declared_length(header: str | None) -> int:
    """Return what Content-Length says; it may lie, so the bytes are counted as well."""
    return int(header) if header and header.isascii() and header.isdigit() else 0
