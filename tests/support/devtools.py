"""A page in headless Chromium that is spoken to over the DevTools protocol: clicks, keys, sizes, time as it passes."""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self

from tests.support.browser import BROWSER, OPTIONS

WAIT = 60
"""Seconds for what a page is asked."""
HELPERS = """
    const all = selector => [...document.querySelectorAll(selector)];
    const press = one => (one.querySelector("button") ?? one).click();
    const enter = (field, value) => {
        field.value = value; field.dispatchEvent(new Event("input", {bubbles: true}));
    };
"""


class Tab:
    """One page under its own policy; `console` has what it complained about. A context manager.

    Args:
        page: the page on disk, or its address.
        profile: folder for the browser's own files.
        width: of the screen in pixels.
    """

    def __init__(self, page: Path | str, profile: Path, width: int = 1280, scheme: str = "light") -> None:
        told, self._say = os.pipe()
        self._hear, said = os.pipe()
        flags = [
            *OPTIONS,
            f"--user-data-dir={profile}",
            "--remote-debugging-pipe",
            "--autoplay-policy=no-user-gesture-required",
        ]
        command = ["bash", "-c", f'exec "$@" 3<&{told} 4>&{said}', "bash", str(BROWSER), *flags, "about:blank"]
        self._temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)  # of its socket, which it leaves
        self._process = subprocess.Popen(
            command, pass_fds=(told, said), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": self._temporary.name},
        )  # fmt: skip
        os.close(told)
        os.close(said)
        self._count, self._session, self._rest = 0, "", b""
        self.console: list[str] = []
        targets = self._ask("Target.getTargets")["targetInfos"]
        target = next(one["targetId"] for one in targets if one["type"] == "page")
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._ask(f"{domain}.enable")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self._ask("Emulation.setDeviceMetricsOverride", **size)
        self._ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self._ask("Page.navigate", url=page if isinstance(page, str) else page.as_uri())
        self.run("await new Promise(done => document.readyState === 'complete' ? done() : onload = done)")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._say)
        self._process.kill()
        self._process.wait(WAIT)
        os.close(self._hear)
        self._temporary.cleanup()

    def run(self, script: str) -> Any:
        """What the body of an async function returns; `all`, `press` and `enter` help it."""
        code = f"(async () => {{{HELPERS} {script}}})()"
        said = self._ask("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in said, said["exceptionDetails"]
        return said["result"].get("value")

    def key(self, name: str, text: str = "") -> None:
        """Press a key and let it go: "Tab", "Enter" (whose text is a carriage return), "ArrowDown"."""
        code = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
        what = {"key": name, "code": name, "windowsVirtualKeyCode": code[name]}
        self._ask("Input.dispatchKeyEvent", type="keyDown", text=text, **what)
        self._ask("Input.dispatchKeyEvent", type="keyUp", **what)

    def _ask(self, method: str, **values: Any) -> dict[str, Any]:
        self._count += 1
        of = {"sessionId": self._session} if self._session else {}
        os.write(self._say, json.dumps({"id": self._count, "method": method, "params": values, **of}).encode() + b"\0")
        while True:
            message = self._next()
            if message.get("id") == self._count:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            if message.get("method") == "Log.entryAdded":
                self.console.append(message["params"]["entry"]["text"])
            if message.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
                self.console.append(json.dumps(message["params"]))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            got = os.read(self._hear, 1 << 16)
            assert got, "the browser ended"
            self._rest += got
        line, _, self._rest = self._rest.partition(b"\0")
        return json.loads(line)
