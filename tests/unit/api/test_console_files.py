"""What a browser loads before it shows a page stays little."""

import gzip

from api.console.assets import FOLDER

#: All styles and scripts, packed, and our own styles as they are; bytes.
MOST_PACKED = 40_000
MOST_STYLES = 8_000


def test_styles_and_scripts_are_light() -> None:
    files = [file for file in FOLDER.rglob("*") if file.suffix in (".js", ".css")]
    packed = {file.name: len(gzip.compress(file.read_bytes())) for file in files}
    assert sum(packed.values()) <= MOST_PACKED, packed


def test_our_own_styles_are_few() -> None:
    assert len((FOLDER / "console.css").read_bytes()) <= MOST_STYLES
