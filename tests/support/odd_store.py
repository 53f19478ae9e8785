"""A bucket that is read with the ways of an odd store: no ranges, listings in an order of its own,
or objects that come and go."""

import gzip
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.support.hostile_store import Answer, Asked

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")

Refusal = tuple[int, bytes]


def error(status: int, code: str = "") -> Refusal:
    """A status with the code that stores put into the body."""
    return status, f"<Error><Code>{code}</Code></Error>".encode() if code else b""


@dataclass(slots=True, kw_only=True)
class OddStore:
    """Answers for `/bucket/`, to be given to `tests.support.hostile_store.hostile`.

    Attributes:
        objects: what is there, by key; a test changes it at will.
        ranges: whether a request for a part is answered with that part.
        no_suffix: what a suffix range is refused with; None to answer it.
        packed: keys that are stored by gzip and sent unpacked, whole and with no length told, to
            who does not take gzip, as Google does.
        missing: what a key that is not there is refused with.
        order: what a listing is sorted by.
        begins_anywhere: whether a listing takes no notice of where it is asked to begin.
        before_read: called with the key before an object is answered for.
        reads: the keys of the GETs, in order.
        listings: how many there were.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    no_suffix: Refusal | None = None
    packed: set[str] = field(default_factory=set)
    missing: Refusal = field(default_factory=lambda: error(404, "NoSuchKey"))
    order: Callable[[str], object] = str
    begins_anywhere: bool = False
    before_read: Callable[[str], None] = lambda key: None
    reads: list[str] = field(default_factory=list)
    listings: int = 0

    def __call__(self, target: str) -> Answer:
        url = urlsplit(target)
        asked = parse_qs(url.query, keep_blank_values=True)
        key = unquote(url.path).removeprefix("/bucket").removeprefix("/")
        if "list-type" in asked:
            self.listings += 1
            after = "" if self.begins_anywhere else asked.get("start-after", [""])[0]
            return self._listed(asked.get("prefix", [""])[0], after)
        assert isinstance(target, Asked)
        if target.method == "GET":
            self.reads.append(key)
            self.before_read(key)
        return self._read(key, target.headers)

    def _listed(self, prefix: str, after: str) -> Answer:
        found = (key for key in self.objects if key.startswith(prefix) and key > after)
        keys = sorted(found, key=self.order)
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.objects[key])}</Size>"
            f"<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>{escape(etag(self.objects[key]))}</ETag></Contents>"
            for key in keys
        )
        body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        return 200, body.encode(), {}

    def _read(self, key: str, asked: dict[str, str]) -> Answer:
        if key not in self.objects:
            return *self.missing, {}
        data = self.objects[key]
        headers = {"ETag": etag(data), "Last-Modified": formatdate(0, usegmt=True)}
        if key in self.packed:
            if "gzip" not in asked.get("accept-encoding", ""):
                return 200, gzip.decompress(data), headers | {"Transfer-Encoding": "chunked"}
            headers["Content-Encoding"] = "gzip"
        match = _RANGE.fullmatch(asked.get("range", ""))
        if match is None or not self.ranges:
            return 200, data, headers
        first, last = match.groups()
        if not first and self.no_suffix is not None:
            return *self.no_suffix, {}
        start = int(first) if first else max(len(data) - int(last), 0)
        end = min(int(last) + 1, len(data)) if first and last else len(data)
        if start >= len(data):
            return *error(416, "InvalidRange"), {}
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
        return 206, data[start:end], headers


def etag(data: bytes) -> str:
    """As S3 makes it."""
    return f'"{hashlib.md5(data).hexdigest()}"'
