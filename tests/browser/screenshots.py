"""The pictures of the console in docs/images/, taken anew: `make screenshots`."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser

from tests.browser import playing
from tests.browser.playing import PATIENCE_MS, Visit
from tests.browser.shop import Shop, fail_a_schedule, fill, opened

FOLDER = Path(__file__).parents[2] / "docs/images"
#: What a repository should not be burdened with, in bytes.
MOST_OF_ONE, MOST_OF_ALL = 150_000, 1_500_000
#: As many as a page has, but for the edges of letters.
_COLOURS = 128
PHONE = {"width": 390, "height": 844}
#: What is shown of each: its name, its page, and in which looks.
PICTURES = (
    ("home", "/p/{project_id}", ("light", "dark", "phone")),
    ("tables", "/p/{project_id}/tables", ("light", "dark", "phone")),
    ("table", "/p/{project_id}/tables/{table_id}", ("light", "phone")),
    ("history", "/p/{project_id}/tables/{table_id}/history", ("light",)),
    ("data", "rows of a file", ("light", "dark", "phone")),
    ("keys", "settings/keys", ("light",)),
    ("change", "a change to decide", ("light", "dark", "phone")),
    ("job", "a job that failed", ("light", "phone")),
    ("batch", "/p/{project_id}/batches/{batch_id}", ("light",)),
    ("schedule", "/p/{project_id}/schedules/{schedule_id}", ("light",)),
    ("add", "add?url=https://shop.s3.eu-west-1.amazonaws.com/orders/2026/*.parquet", ("light",)),
    ("health", "/p/{project_id}/health", ("light", "dark")),
)


def take(browser: Browser, shop: Shop) -> Iterator[Path]:
    """Take all pictures; yield each."""
    for look in ("light", "dark", "phone"):
        context = browser.new_context(
            viewport=PHONE if look == "phone" else playing.WIDE,
            color_scheme="dark" if look == "dark" else "light",
        )
        context.set_default_timeout(PATIENCE_MS)
        window = Visit.of(context, shop.up.url)
        window.sign_in(shop.key)
        for name, page, looks in PICTURES:
            if look in looks:
                window.go(shop.path(page))
                if name == "health":
                    window.page.locator("#workers table").wait_for()
                assert window.overflow() <= 0, name
                file = FOLDER / f"console-{name}-{look}.png"
                window.page.screenshot(path=file)
                Image.open(file).convert("RGB").quantize(_COLOURS).save(file, optimize=True)
                yield file
        context.close()


def main() -> int:
    """Fill a stack and take the pictures; 1 where they are too large."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("console-*.png"):
        old.unlink()
    with (
        tempfile.TemporaryDirectory() as folder,
        opened(Path(folder)) as shop,
        playing.browser() as browser,
    ):
        fill(shop)
        fail_a_schedule(shop)
        sizes = {file.name: file.stat().st_size for file in take(browser, shop)}
    large = [name for name, size in sizes.items() if size > MOST_OF_ONE]
    print(f"{len(sizes)} pictures, {sum(sizes.values())} bytes in all")
    if large or sum(sizes.values()) > MOST_OF_ALL:
        print(f"too large for the repository: {large or sizes}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
