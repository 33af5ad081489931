"""A headless Chromium, driven by the WebDriver protocol (https://www.w3.org/TR/webdriver2/).

Only by keys, clicks and looking, as a person would.
"""

import base64
import shutil
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
import requests

T = TypeVar("T")

_FLAGS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-quic", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--hide-scrollbars", "--lang=en"),
)
_START_S: Final = 60.0
_PATIENCE_S: Final = 60.0
#: What WebDriver calls keys without a letter.
KEYS: Final = {"Tab": "\ue004", "Enter": "\ue007", "Escape": "\ue00c", "ArrowDown": "\ue015"}


class Browser:
    """One window."""

    def __init__(self, session: str) -> None:
        """`session` is the URL of a WebDriver session."""
        self._session = session

    def go(self, url: str) -> None:
        """Opens a page and waits until it is there."""
        self._ask("POST", "url", url=url)

    def press(self, *keys: str) -> None:
        """Presses keys one after the other, each a letter or a name among `KEYS`.

        A key may lead to another page; what comes after it is pressed there.
        """
        for key in keys:
            letter = KEYS.get(key, key)
            actions = [{"type": kind, "value": letter} for kind in ("keyDown", "keyUp")]
            self._ask(
                "POST", "actions", actions=[{"type": "key", "id": "keys", "actions": actions}]
            )

    def type(self, words: str) -> None:
        """Types words, letter by letter."""
        self.press(*words)

    def click(self, selector: str) -> None:
        """Clicks on the first thing that a CSS selector finds."""
        [element] = self._ask("POST", "element", using="css selector", value=selector).values()
        self._ask("POST", f"element/{element}/click")

    def without_scripts(self) -> None:
        """Runs no script of the pages that it opens from here on."""
        command = {"cmd": "Emulation.setScriptExecutionDisabled", "params": {"value": True}}
        self._ask("POST", "goog/cdp/execute", **command)

    @property
    def url(self) -> str:
        """Where it is."""
        return str(self._ask("GET", "url"))

    def run(self, script: str) -> Any:
        """What a script returns; for looking only."""
        return self._ask("POST", "execute/sync", script=f"return {script}", args=[])

    def focused(self) -> str:
        """The id of what has the focus; '' where it has none."""
        return str(self.run("document.activeElement.id"))

    def text(self, selector: str = "main") -> str:
        """What can be read there."""
        return str(self.run(f"(document.querySelector({selector!r}) || {{}}).innerText || ''"))

    def wait_for(self, what: Callable[[], T]) -> T:
        """Waits until something is true; a page may be on its way."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                found = what()
            except AssertionError:
                found = None
            if found:
                return found
            assert time.monotonic() < deadline, f"at {self.url}: {self.text('body')}"
            time.sleep(0.05)

    def resize(self, width: int, height: int) -> None:
        """Makes the window so large."""
        self._ask("POST", "window/rect", width=width, height=height)

    def screenshot(self, file: Path) -> None:
        """Writes what can be seen, as PNG."""
        file.write_bytes(base64.b64decode(self._ask("GET", "screenshot")))

    def complaints(self) -> list[str]:
        """What it wrote to its console since the last call, such as what a policy forbids."""
        return [str(entry["message"]) for entry in self._ask("POST", "se/log", type="browser")]

    def close(self) -> None:
        """Closes the window."""
        self._ask("DELETE", "")

    def _ask(self, method: str, command: str, **arguments: Any) -> Any:
        answer = requests.request(
            method,
            f"{self._session}/{command}".rstrip("/"),
            json=arguments if method == "POST" else None,
            timeout=120,
        )
        value = answer.json()["value"]
        assert answer.ok, value
        return value


@contextmanager
def chromium(folder: Path) -> Generator[Browser]:
    """A browser that knows nothing; skips the test where there is none.

    Args:
        folder: an empty one, for what it keeps.
    """
    driver, binary = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or binary is None:
        pytest.skip("needs chromium and chromedriver (on Debian: chromium, chromium-driver)")
    with (folder / "chromedriver.log").open("wb") as log:
        process = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=log)
    try:
        base = f"http://127.0.0.1:{_port(process)}/session"
        flags = [*_FLAGS, f"--user-data-dir={folder / 'profile'}", "--window-size=1280,900"]
        options = {"binary": binary, "args": flags}
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        begun = requests.post(
            base, json={"capabilities": {"alwaysMatch": wanted}}, timeout=_START_S
        ).json()["value"]
        assert "sessionId" in begun, begun
        browser = Browser(f"{base}/{begun['sessionId']}")
        yield browser
        browser.close()
    finally:
        process.terminate()
        with process:
            process.wait(30)


def _port(driver: subprocess.Popen[bytes]) -> int:
    """Where the driver says that it listens."""
    assert driver.stdout is not None
    for line in driver.stdout:
        _, started, port = line.decode().partition("started successfully on port ")
        if started:
            return int(port.strip().rstrip("."))
    pytest.fail("chromedriver did not start")
