"""What a form sends: of admitted requests only, bounded, and nothing that a database refuses."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl
from uuid import UUID

from anyio import to_thread
from fastapi import Request

from api.edge.edge import parts_of
from api.errors import too_large
from stocktake.errors import ValidationError

MAX_FORM_BYTES: Final = 256 * 1024
_MAX_FIELDS: Final = 5000
#: What is read in a millisecond.
SMALL_BYTES: Final = 4096
_KIND: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form, in the order in which the page has them."""

    fields: Sequence[tuple[str, str]] = field(default_factory=tuple)

    def one(self, name: str, default: str = "") -> str:
        """Return the last value of a field, without the space around it."""
        return next((value.strip() for key, value in reversed(self.fields) if key == name), default)

    def all(self, name: str) -> list[str]:
        """Return all values of a field, such as the boxes that are ticked."""
        return [value for key, value in self.fields if key == name]

    def ids(self, name: str) -> list[UUID]:
        """Return all values of a field, as ids.

        Raises:
            ValidationError: one is none.
        """
        try:
            return [UUID(value) for value in self.all(name)]
        except ValueError as exc:
            raise ValidationError("Must be a valid UUID.", attr=name) from exc

    def under(self, prefix: str) -> dict[str, str]:
        """Return the fields whose names begin so, by the rest of their names."""
        return {key[len(prefix) :]: value for key, value in self.fields if key.startswith(prefix)}


async def read_form(
    request: Request, *, most_bytes: int = MAX_FORM_BYTES, most_fields: int = _MAX_FIELDS
) -> Form:
    """Read the form of a request: of one that is admitted, unless the bounds are small.

    Raises:
        PayloadTooLargeError: more bytes than a form of ours has.
        ValidationError: it is no form, or has more fields, or a null character.
    """
    if request.headers.get("content-type", _KIND).partition(";")[0].strip() != _KIND:
        raise ValidationError(f"Send a form: Content-Type: {_KIND}.", code="parse_error")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most_bytes:
            raise too_large()
    if len(body) <= SMALL_BYTES:
        return parse(bytes(body), most_fields)
    # A tenth of a second of the loop's, which all requests share.
    limiter = parts_of(request).parsing
    return await to_thread.run_sync(parse, bytes(body), most_fields, limiter=limiter)


def parse(body: bytes, most_fields: int = _MAX_FIELDS) -> Form:
    """Return the fields of a form's body.

    Raises:
        ValidationError: as `read_form`.

    >>> parse(b"name=a+b&at=%31").fields
    (('name', 'a b'), ('at', '1'))
    """
    try:
        # Of what is not UTF-8 this makes replacement characters, which all databases hold.
        fields = parse_qsl(
            body.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=most_fields
        )
    except ValueError as exc:
        raise ValidationError("The form has too many fields.", code="parse_error") from exc
    if any("\0" in text for pair in fields for text in pair):
        raise ValidationError("Null characters are not allowed.", code="parse_error")
    return Form(tuple(fields))
