"""Reading a part of an object, from stores that cannot give it as it is asked for.

Azure has no suffix ranges, and obstore refuses them before it asks: there the size must be known.
Gateways without ranges, and Google for an object that it stores compressed, answer for a part with
the whole, which obstore takes for an error: so the object is asked for whole, and its answer is
left as soon as the part has come.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import uuid4

from obstore.exceptions import BaseError

from stocktake.errors import SourceChangedError, UnsupportedError
from stocktake.storage.stores import answers, store_errors
from stocktake.storage.stores.clients import Client
from stocktake.storage.stores.protocol import MOST_SKIPPED_BYTES, Chunk, ObjectInfo

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult, ObjectMeta

Answer = TypeVar("Answer")

_PIECE_BYTES: Final = 1 << 20
#: An object that is rewritten faster than its size can be asked for is not waited for.
_MOST_SIZES: Final = 3


class Parts:
    """Reads of one bucket's objects, by two clients; each is built when it is first needed.

    Args:
        usual: asks as everybody does.
        as_stored: takes compressed bytes as they are stored (`Accept-Encoding: gzip`), so that no
            store unpacks them on the way and forgets range and length over it.

    Raises (every method):
        BaseError, OSError: obstore's.
        JobError: ours, where no answer has what was asked for.
    """

    def __init__(self, usual: Callable[[], Client], as_stored: Callable[[], Client]) -> None:
        self._usual = usual
        self._as_stored = as_stored
        self._sends_wholes = False

    def open(self, path: str) -> "GetResult":
        """Return the answer for a whole object, none of whose bytes was read yet."""
        return self._first(lambda client: client.get(path))

    def head(self, path: str) -> ObjectInfo:
        """Return what the store says of an object. A refusal of a HEAD has no body to say why, and
        some keys may only GET: so that is tried before one is believed."""
        try:
            return info_of(self._first(lambda client: client.head(path)))
        except BaseError as error:
            if not answers.is_refusal(error):
                raise
        try:
            return self.get(path, 0, 1).info
        except BaseError as error:
            if not answers.is_unsatisfiable_range(error):
                raise
        return info_of(self.open(path).meta)  # it is empty

    def get(self, path: str, start: int, length: int | None) -> Chunk:
        """Return bytes `start .. start + length` of an object, to its end when `length` is None."""
        if length is not None:
            options: GetOptions = {"range": (start, start + length)}
        else:
            options = {"range": {"offset": start}} if start else {}
        if options and self._sends_wholes:
            return _cut(self.open(path), start, length)
        try:
            return self._asked(path, options)
        except BaseError as error:
            if not (options and answers.is_no_part(error)):
                raise
        answer = self.open(path)
        # A bucket may hold pages. Only where there is one for any name it is no store.
        page = str(answer.attributes.get("Content-Type", "")).startswith("text/html")
        if page and self.answers_anything(path):
            raise store_errors.not_a_store(path)
        chunk = _cut(answer, start, length)
        # From now on one request a part, and not two that fail before it.
        self._sends_wholes = True
        return chunk

    def answers_anything(self, near: str) -> bool:
        """Return whether there is an answer even for an object that nobody made, as a web page
        gives.

        Args:
            near: a key or prefix; the object that is asked for would be beside it.
        """
        nobodys = f"{near.rpartition('/')[0]}/stocktake-{uuid4().hex}".lstrip("/")
        try:
            self.open(nobodys)
        except (BaseError, OSError) as error:
            return answers.is_no_part(error)
        return True

    def get_suffix(self, path: str, length: int) -> Chunk:
        """Return the last `length` bytes of an object, as most stores are asked for them."""
        return self._asked(path, {"range": {"suffix": length}})

    def get_end(self, path: str, length: int, size_bytes: int | None) -> Chunk:
        """Return the last `length` bytes of an object, in an ordinary range.

        Args:
            size_bytes: what the object was last known to have; None to ask for it.
        """
        size = self._size(path) if size_bytes is None else size_bytes
        for _ in range(_MOST_SIZES):
            chunk = self._end(path, length, size)
            if chunk.info.size == size:
                return chunk
            size = chunk.info.size
        raise SourceChangedError(file=path)

    def _asked(self, path: str, options: "GetOptions") -> Chunk:
        answer = self._first(lambda client: client.get(path, options=options))
        if not options:
            return Chunk(data=b"".join(pieces(answer, path)), info=info_of(answer.meta))
        return Chunk(data=answer.bytes().to_bytes(), info=info_of(answer.meta))

    def _size(self, path: str) -> int:
        """Ask for the size by a GET, since the answer to a HEAD has no body to say what is
        wrong."""
        try:
            return self.get(path, 0, 1).info.size
        except BaseError as error:
            if not answers.is_unsatisfiable_range(error):
                raise
            return 0

    def _end(self, path: str, length: int, size: int) -> Chunk:
        if size == 0:
            return Chunk(data=b"", info=self.head(path))
        start = max(size - length, 0)
        try:
            return self.get(path, start, size - start)
        except BaseError as error:
            if not answers.is_unsatisfiable_range(error):
                raise
            return Chunk(data=b"", info=self.head(path))

    def _first(self, ask: Callable[[Client], Answer]) -> Answer:
        try:
            return ask(self._usual())
        except BaseError as error:
            if not answers.is_no_part(error):
                raise
        return ask(self._as_stored())


def pieces(answer: "GetResult", path: str, piece_bytes: int = _PIECE_BYTES) -> Iterator[bytes]:
    """Yield the bytes of a whole object. obstore asks for the rest of an answer that broke off, and
    takes it for an error of ours where the store sends the whole once more."""
    try:
        yield from map(bytes, answer.stream(min_chunk_size=piece_bytes))
    except BaseError as error:
        if answers.is_no_part(error):
            raise store_errors.broken_off(path) from error
        raise


def info_of(meta: "ObjectMeta") -> ObjectInfo:
    """Return what an answer or a listing says of an object."""
    return ObjectInfo(
        path=meta["path"],
        size=meta["size"],
        etag=meta["e_tag"] or f"{meta['last_modified'].timestamp()}-{meta['size']}",
        modified_at=meta["last_modified"],
    )


def _cut(answer: "GetResult", start: int, length: int | None) -> Chunk:
    """Return a part out of the answer for the whole. No more of it is taken than up to the part's
    end.
    """
    info = info_of(answer.meta)
    last = info.size if length is None else min(start + length, info.size)
    if start >= last:
        return Chunk(data=b"", info=info)
    if start > MOST_SKIPPED_BYTES:
        raise UnsupportedError(
            f"The store has no ranges: asked for the bytes from {start:,} on, it sends the whole "
            f"file of {info.size:,}.",
            code="ranges_unsupported",
            hint="Read it from the store itself, and not through a gateway that answers range "
            "requests with the whole; or write files of less than "
            f"{MOST_SKIPPED_BYTES >> 20} MiB. An object with Content-Encoding: gzip may be sent "
            "so, too: store it without.",
            file=info.path,
        )
    data, at = bytearray(), 0
    for piece in pieces(answer, info.path):
        data += memoryview(piece)[max(start - at, 0) : last - at]
        at += len(piece)
        if at >= last:
            break
    return Chunk(data=bytes(data), info=info, skipped=start)
