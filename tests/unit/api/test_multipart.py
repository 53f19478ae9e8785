import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.wire.multipart import MAX_FIELD_BYTES, MAX_PARTS, FileBegins, FileData, FormReader
from stocktake.errors import ValidationError

TYPE = 'multipart/form-data; boundary="b0"'


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    file = "" if filename is None else f'; filename="{filename}"'
    head = f'--b0\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def read(body: bytes, size: int = 10**6) -> tuple[FormReader, list[str], bytes]:
    """The reader, the names of files that began, and all file bytes."""
    reader, begun, data = FormReader(TYPE), [], b""
    for at in range(0, len(body), size):
        for event in reader.feed(body[at : at + size]):
            if isinstance(event, FileBegins):
                begun.append(f"{event.field}:{event.filename}")
            elif isinstance(event, FileData):
                data += event.data
    return reader, begun, data


@given(content=st.binary(max_size=200), size=st.integers(1, 64))
def test_a_file_arrives_whole_however_the_body_is_cut(content: bytes, size: int) -> None:
    content = content.replace(b"--b0", b"----")
    body = part("name", b"orders") + part("file", content, "x.csv") + b"--b0--\r\n"
    reader, begun, data = read(body, size)
    reader.end()
    assert (begun, data, reader.fields) == (["file:x.csv"], content, {"name": "orders"})


def test_the_digest_is_of_what_was_sent_and_not_of_how() -> None:
    body = part("name", b"orders") + part("file", b"1,2\n" * 50, "x.csv") + b"--b0--\r\n"
    whole, pieces = read(body)[0].end(), read(body, 3)[0].end()
    other = read(body.replace(b"1,2", b"1,3"))[0].end()
    moved = read(body.replace(b"name", b"nama"))[0].end()
    assert whole == pieces
    assert len({whole, other, moved}) == 3


def test_bytes_that_move_between_parts_change_the_digest() -> None:
    one = part("a", b"xy") + part("b", b"z") + b"--b0--\r\n"
    other = part("a", b"x") + part("b", b"yz") + b"--b0--\r\n"
    assert read(one)[0].end() != read(other)[0].end()


def test_the_last_of_two_fields_of_a_name_counts() -> None:
    reader, _, _ = read(part("name", b"a") + part("name", b"b") + b"--b0--\r\n")
    assert reader.fields == {"name": "b"}


@pytest.mark.parametrize(
    "content_type",
    ["", "application/json", "multipart/form-data", "multipart/form-data; boundary=" + "b" * 300],
)
def test_what_is_no_form_is_refused(content_type: str) -> None:
    with pytest.raises(ValidationError):
        FormReader(content_type)


@pytest.mark.parametrize(
    "body",
    [
        b"x",
        part("file", b"x", "x")[:-3],
        part("name", b"x" * (MAX_FIELD_BYTES + 1)) + b"--b0--\r\n",
        part("n" * 5000, b"x") + b"--b0--\r\n",
        part("name", b"") * (MAX_PARTS + 1) + b"--b0--\r\n",
        b"--b0\r\n" + b"X: y\r\n" * 100 + b"\r\n\r\n--b0--\r\n",
    ],
)
def test_a_form_that_is_broken_or_too_much_is_refused(body: bytes) -> None:
    with pytest.raises(ValidationError, match="Multipart form parse error"):
        read(body)[0].end()


def test_names_that_are_not_utf8_are_replaced_and_not_an_error() -> None:
    body = b'--b0\r\nContent-Disposition: form-data; name="file"; filename="\xff.csv"\r\n\r\n'
    _, begun, _ = read(body + b"x\r\n--b0--\r\n")
    assert begun == ["file:\ufffd.csv"]


def test_many_bits_of_a_file_are_one_event() -> None:
    """Each would be a write of its own, on the event loop."""
    reader = FormReader("multipart/form-data; boundary=b")
    reader.feed(b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n')
    bits = b"\r\n-x" * 10_000
    assert reader.feed(bits) == [FileData(data=bits)]
