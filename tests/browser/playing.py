"""A browser that is there, and pages that note what should not happen on them."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

HERE = Path(__file__).parent
AXE = HERE.parents[1] / ".tools/node_modules/axe-core/axe.min.js"
#: It looks for updates and the like, which no test may.
_QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
    "--force-device-scale-factor=1",
)  # fmt: skip
#: Reports what the policy refused, where the console of the browser would not.
_WATCH = """document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`refused by the policy: ${event.violatedDirective} ${event.blockedURI}`))"""
#: For one step in a browser, on a machine that does much else.
PATIENCE_MS = 90_000
WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 320, "height": 640}


def program() -> str | None:
    """Return where Chromium is; None where there is none."""
    return shutil.which(os.environ.get("CHROMIUM", "chromium")) or shutil.which("chromium-browser")


def missing() -> str | None:
    """Why no test can be played, and what would change that; None where they can."""
    if program() is None:
        return "Chromium is not installed: `apt-get install chromium`, or name one in CHROMIUM"
    return None if AXE.exists() else "axe is not installed: run `make tools`"


@contextmanager
def browser() -> Iterator[Browser]:
    """Start Chromium."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program(), args=list(_QUIET))
        try:
            yield started
        finally:
            started.close()


@dataclass(eq=False)
class Visit:
    """A person's window.

    Attributes:
        faults: what should not happen: errors, refusals by the policy, requests to other hosts.
    """

    page: Page
    url: str
    faults: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, context: BrowserContext, url: str) -> "Visit":
        """Open a window of the console at this address."""
        visit = cls(context.new_page(), url)
        visit.page.add_init_script(_WATCH)
        visit.page.on("console", visit._note)
        visit.page.on("pageerror", lambda error: visit.faults.append(str(error)))
        visit.page.on("request", lambda request: visit._see(request.url))
        return visit

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"{message.text} {message.location.get('url', '')}")

    def _see(self, url: str) -> None:
        if urlsplit(url).netloc != urlsplit(self.url).netloc and not url.startswith("blob:"):
            self.faults.append(f"asked another host: {url[:200]}")

    def go(self, path: str) -> int:
        """Open a path; its status."""
        answer = self.page.goto(f"{self.url}{path}")
        assert answer is not None, path
        return answer.status

    def sign_in(self, key: str) -> None:
        """Sign in as a person does."""
        self.go("/sign-in")
        self.page.get_by_label("API key").fill(key)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url("**/p/*")

    def accessibility_faults(self) -> list[str]:
        """What axe finds on the page as it is, of those that keep people out."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("async () => (await axe.run({preload: false})).violations")
        return [
            f"{each['impact']} {each['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
            for each in found
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"][:3]
        ]

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(script))
