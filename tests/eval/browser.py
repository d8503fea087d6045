"""A page in headless Chromium: its DOM after its scripts ran, and what they wrote to the console."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
    "--disable-extensions", "--no-first-run", "--enable-logging=stderr", "--dump-dom",
)
RESULT = "probe-result"


@dataclass(frozen=True)
class Page:
    """A loaded page."""

    dom: str
    console: list[str]
    result: Any
    """What the probe script returned."""

    def count(self, pattern: str) -> int:
        """How often a regular expression matches the DOM."""
        return len(re.findall(pattern, self.dom))


def load(page: bytes, folder: Path, *, probe: str = "return null", fragment: str = "", size: str = "1280,1000") -> Page:
    """Open `page` and evaluate `probe` (the body of a function) as its last script."""
    keep = f"JSON.stringify((() => {{ {probe} }})())"
    script = f'<script>document.body.setAttribute("data-{RESULT}", {keep});</script></body>'
    file = folder / "page.html"
    file.write_bytes(page.replace(b"</body>", script.encode(), 1))
    own = (f"--user-data-dir={folder / 'profile'}", f"--window-size={size}")
    done = subprocess.run(
        [str(CHROMIUM), *FLAGS, *own, file.as_uri() + fragment], capture_output=True, timeout=120, check=True
    )
    dom = done.stdout.decode()
    found = re.search(rf'data-{RESULT}="([^"]*)"', dom)
    console = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if "CONSOLE" in line]
    return Page(dom, console, json.loads(html.unescape(found[1])) if found else None)
