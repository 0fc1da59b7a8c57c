"""A page as headless Chromium shows it."""

import html
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
"""A browser without a window and without a way out of this machine."""
in_browser = pytest.mark.browser


def browse(file: Path, profile: Path, *flags: str) -> tuple[str, list[str]]:
    """(the document after it was laid out, lines that the console had) of a page on disk, with no way outside."""
    options = [*OPTIONS, f"--user-data-dir={profile}", "--enable-logging=stderr", "--virtual-time-budget=3000"]
    options += ["--dump-dom", *flags, file.as_uri()]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:  # for what it leaves
        done = subprocess.run(
            [str(BROWSER), *options], capture_output=True, text=True, timeout=120, check=True,
            env={**os.environ, "TMPDIR": temporary},
        )  # fmt: skip
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def play(page: str, script: str, folder: Path) -> str:
    """What `script`, let in at the end of a page, puts into the title; `press(element)` and `all(selector)` help it."""
    helpers = """
        const press = one => one.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", bubbles: true}));
        const all = selector => [...document.querySelectorAll(selector)];
    """
    code = f"<script>{{{helpers} document.title = JSON.stringify((() => {{ {script} }})()) }}</script></body>"
    (folder / "played.html").write_text(re.sub(r"<meta http-equiv[^>]*>", "", page).replace("</body>", code))
    shown, console = browse(folder / "played.html", folder / "profile")
    assert console == []
    return html.unescape(shown[shown.index("<title>") + len("<title>") : shown.index("</title>")])
