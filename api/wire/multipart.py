"""Reading `multipart/form-data` as it comes in: fields are kept, file bytes are handed on.

Nothing of a file is ever held here, however the body is cut into pieces. What a client can make
large is capped: parts, fields, headers.
"""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from stocktake.errors import ValidationError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_PARTS: Final = 32
#: The types of many columns are the longest.
MAX_FIELD_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class FileBegins:
    """A part with a file name begins. `filename` is as the client sent it: hostile."""

    field: str
    filename: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileData:
    """The next bytes of the file that began last."""

    data: bytes


Event = FileBegins | FileData


class FormReader:
    """Push parser for one form.

    Args:
        content_type: the request's Content-Type.

    Raises (also by `feed` and `end`):
        ValidationError: no multipart form, a broken one, or one over the caps.

    Attributes:
        fields: values of the parts without a file name; the last one of a name counts.
    """

    def __init__(self, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not boundary:
            raise _broken("the Content-Type is not multipart/form-data with a boundary")
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._part_begins,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._part_data,
            "on_part_end": self._part_ends,
            "on_end": self._form_ends,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)
        except FormParserError as exc:
            raise _broken("the boundary is too long") from exc
        self.fields: dict[str, str] = {}
        self._hash = hashlib.sha256()
        self._events: list[Event] = []
        self._data = bytearray()
        self._parts = 0
        self._name, self._value = bytearray(), bytearray()
        self._disposition = ""
        self._field: str | None = None
        self._content = bytearray()
        self._complete = False

    def feed(self, data: bytes) -> list[Event]:
        """Take the next piece of the body; what it held of files, in order.

        Off the event loop: a piece that looks like a boundary at each byte is walked in Python.
        """
        try:
            self._parser.write(data)
        except FormParserError as exc:
            raise _broken("a boundary or a header is malformed or too long") from exc
        self._hand_on()
        events, self._events = self._events, []
        return events

    def end(self) -> bytes:
        """End the body, and return a digest of names, values and file bytes, which the boundary,
        drawn anew for each request, is no part of."""
        if not self._complete:
            raise _broken("it ends before its last boundary")
        return self._hash.digest()

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise _broken(f"it has more than {MAX_PARTS} parts")
        self._disposition, self._field = "", None
        self._content.clear()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_ends(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value.decode("latin-1")
        self._name.clear()
        self._value.clear()

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = _text(options.get(b"name", b""))
        filename = options.get(b"filename")
        # Marked, as a file whose name is empty is no field.
        self._note(b"part", name.encode(), b"" if filename is None else b"file:" + filename)
        if filename is None:
            self._field = name
        else:
            self._hand_on()
            self._events.append(FileBegins(field=name, filename=_text(filename)))

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._hash.update(data[start:end])
        if self._field is None:
            self._data += data[start:end]
            return
        self._content += data[start:end]
        if len(self._content) > MAX_FIELD_BYTES:
            raise _broken(f"a field is longer than {MAX_FIELD_BYTES} bytes")

    def _hand_on(self) -> None:
        """Make one event of what came in many bits: each costs the event loop a write."""
        if self._data:
            self._events.append(FileData(data=bytes(self._data)))
            self._data.clear()

    def _part_ends(self) -> None:
        if self._field is not None:
            self.fields[self._field] = _text(bytes(self._content))

    def _form_ends(self) -> None:
        self._complete = True

    def _note(self, *parts: bytes) -> None:
        for part in parts:
            # With its length: else what ends one part could begin the next, and two forms be one.
            self._hash.update(len(part).to_bytes(8, "big") + part)


def _text(raw: bytes) -> str:
    """Decode as UTF-8 whatever comes: a name is compared with rules that such characters do not
    pass.
    """
    return raw.decode("utf-8", "replace")


def _broken(why: str) -> ValidationError:
    return ValidationError(f"Multipart form parse error: {why}.", code="parse_error")
