"""The console's own files: styles, scripts and icons, held in memory and sent packed."""

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response
from markupsafe import Markup

from stocktake.errors import NotFoundError

FOLDER: Final = Path(__file__).parent / "static"
_KINDS: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
#: What has its own hash in its address never changes.
_KEPT: Final = "public, max-age=31536000, immutable"
_PREFIX: Final = "/console/"

router = APIRouter()


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    packed: bytes
    kind: str
    version: str


@cache
def _assets() -> dict[str, _Asset]:
    return {
        file.relative_to(FOLDER).as_posix(): _read(file)
        for file in sorted(FOLDER.rglob("*"))
        if file.suffix in _KINDS
    }


def _read(file: Path) -> _Asset:
    content = file.read_bytes()
    return _Asset(
        content=content,
        packed=gzip.compress(content, mtime=0),
        kind=_KINDS[file.suffix],
        version=hashlib.sha256(content).hexdigest()[:12],
    )


def address(name: str) -> str:
    """Return where a file is asked for, with its hash."""
    return f"{_PREFIX}{name}?v={_assets()[name].version}"


@cache
def icon(name: str, label: str = "") -> Markup:
    """Return an icon as SVG: one of Lucide's, which `make vendor` brings.

    Args:
        label: what it means, where no word beside it says so.
    """
    svg = _assets()[f"vendor/icons/{name}.svg"].content.decode()
    inside = re.sub(r"\s+", " ", svg[svg.index(">", svg.index("<svg")) + 1 : svg.index("</svg>")])
    told = Markup('role="img" aria-label="{}"').format(label) if label else 'aria-hidden="true"'
    return Markup(  # noqa: S704 - the shape is a file of ours
        f'<svg class="icon" viewBox="0 0 24 24" width="16" height="16" {told}>{inside}</svg>'
    )


@router.get(_PREFIX + "{name:path}")
async def asset(request: Request, name: str) -> Response:
    """Give one of the files: they are public, as the code is."""
    found = _assets().get(name)
    if found is None:
        raise NotFoundError
    headers = {"Cache-Control": _KEPT, "Vary": "Accept-Encoding"}
    content = found.content
    if "gzip" in request.headers.get("accept-encoding", ""):
        content, headers["Content-Encoding"] = found.packed, "gzip"
    return Response(content, media_type=found.kind, headers=headers)
