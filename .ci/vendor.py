"""Bring the console's files from their npm packages, with checksums and licences: `make vendor`.

What it writes is committed, so that neither Node nor a network is needed to run or build Stocktake.
Without arguments it asks npm; with ``--check`` it compares what is there with the checksums.
"""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

TARGET: Final = Path("api/console/static/vendor")
SUMS: Final = "SHA256SUMS"

ICONS: Final = (
    "activity", "arrow-down", "arrow-up", "ban", "calendar-clock", "check", "chevron-down",
    "chevron-left", "chevron-right", "circle-alert", "circle-check", "circle-dashed",
    "circle-pause", "circle-x", "clock", "columns-3", "copy", "file", "git-pull-request-arrow",
    "heart-pulse", "history", "house", "info", "key-round", "layers", "list-checks", "loader",
    "log-out", "minus", "pencil", "pin", "play", "plus", "refresh-cw", "rotate-cw", "search",
    "settings", "table", "terminal", "trash-2", "triangle-alert", "undo-2", "upload", "x",
)  # fmt: skip
#: A package of npm with its version, and its files under the names that they get here.
PACKAGES: Final = {
    "htmx.org@4.0.1": {
        "dist/htmx.min.js": "htmx.min.js",
        "dist/ext/hx-sse.min.js": "hx-sse.min.js",
        "LICENSE": "LICENSE.htmx.txt",
    },
    "@picocss/pico@2.1.1": {
        "css/pico.min.css": "pico.min.css",
        "LICENSE.md": "LICENSE.pico.txt",
    },
    "lucide-static@1.62.0": {
        **{f"icons/{name}.svg": f"icons/{name}.svg" for name in ICONS},
        "LICENSE": "LICENSE.lucide.txt",
    },
}


def main() -> int:
    """Write the files, or check them; 1 where one is not as its checksum says."""
    if sys.argv[1:] != ["--check"]:
        for package, files in PACKAGES.items():
            bring(package, files)
        (TARGET / SUMS).write_text(sums(), encoding="ascii")
    if (TARGET / SUMS).read_text(encoding="ascii") == sums():
        return 0
    print(f"{TARGET} is not what {SUMS} says; bring it anew with make vendor", file=sys.stderr)  # noqa: T201
    return 1


def bring(package: str, files: dict[str, str]) -> None:
    """Copy files of a package, which npm checks against its registry's hash."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", "--pack-destination", folder, package]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        [archive] = Path(folder).iterdir()
        with tarfile.open(archive) as tar:
            for inside, name in files.items():
                found = tar.extractfile(f"package/{inside}")
                if found is None:
                    raise FileNotFoundError(f"{package} has no {inside}")
                (TARGET / name).parent.mkdir(parents=True, exist_ok=True)
                (TARGET / name).write_bytes(found.read())


def sums() -> str:
    """Return the checksums of all files, as ``sha256sum -c`` reads them."""
    files = sorted(each for each in TARGET.rglob("*") if each.is_file() and each.name != SUMS)
    return "".join(
        f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.relative_to(TARGET)}\n"
        for each in files
    )


if __name__ == "__main__":
    sys.exit(main())
