"""A page in headless Chromium, spoken to through a pipe: no driver and no library is needed.

Chromium reads commands of its DevTools protocol from file descriptor 3 and answers on 4, each ended by a zero byte.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium():
    """Return the first browser there is, or None."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One page of a headless browser; what it complained of and asked the network for is kept."""

    def __init__(self, program, *, width=1280, height=900):
        self.complaints, self.requests, self.size = [], [], (width, height)
        self.profile = tempfile.mkdtemp(prefix="chromium-")
        their_in, our_out = os.pipe()
        our_in, their_out = os.pipe()
        words = [
            program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe",
            "--disable-dev-shm-usage", "--disable-background-networking", f"--user-data-dir={self.profile}",
            f"--window-size={width},{height}", "about:blank",
        ]  # fmt: skip
        # The shell moves both ends to where Chromium looks for them, whatever numbers they have here.
        line = f'exec "$@" 3<&{their_in} 4>&{their_out}'
        self.process = subprocess.Popen(
            ["bash", "-c", line, "bash", *words], pass_fds=(their_in, their_out), start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(their_in)
        os.close(their_out)
        self.to, self.of, self.number, self.rest = our_out, our_in, 0, b""
        self.session = None
        page = next(t for t in self.ask("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.ask("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for part in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{part}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.to)
        os.close(self.of)
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def ask(self, method, **parameters):
        """Send a command and return its result; events that come before it are noted."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def _next(self):
        while b"\0" not in self.rest:
            piece = os.read(self.of, 1 << 20)
            assert piece, "Chromium ended"
            self.rest += piece
        one, _, self.rest = self.rest.partition(b"\0")
        return json.loads(one)

    def _note(self, event):
        method, told = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(told["exceptionDetails"].get("exception", told)))
        elif method == "Log.entryAdded":
            self.complaints.append(told["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning"):
            self.complaints.append(str(told["args"]))

    def open(self, path):
        """Load a page and wait until its script ran."""
        self.ask("Page.navigate", url=Path(path).resolve().as_uri())
        self.run(
            "new Promise((done) => document.readyState === 'complete' ? done() : addEventListener('load', done))"
        )

    def run(self, code):
        """Return the value of an expression in the page."""
        found = self.ask("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def click(self, query, *, nth=0):
        """Click into the middle of an element, as a mouse does."""
        x, y = self.middle(query, nth)
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def drag(self, query, right, down):
        """Press in the middle of an element, move, and let go."""
        x, y = self.middle(query, 0)
        self.ask("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", buttons=1, clickCount=1)
        for part in (0.5, 1.0):
            self.ask(
                "Input.dispatchMouseEvent", type="mouseMoved", x=x + part * right, y=y + part * down, button="left",
                buttons=1,
            )  # fmt: skip
        self.ask(
            "Input.dispatchMouseEvent", type="mouseReleased", x=x + right, y=y + down, button="left", clickCount=1
        )

    def middle(self, query, nth):
        """Bring an element into sight and return its middle."""
        code = f"""(() => {{
            const place = document.querySelectorAll({json.dumps(query)})[{nth}];
            place.scrollIntoView({{block: 'center'}});
            const box = place.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2];
        }})()"""
        return self.run(code)

    def type(self, text):
        """Type into what has the focus."""
        self.ask("Input.insertText", text=text)

    def press(self, key):
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key)

    def picture(self, path, *, whole=False):
        """Write what is in sight, or the whole page, as PNG."""
        data = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        Path(path).write_bytes(base64.b64decode(data))

    def paper(self, path):
        """Write the page as it is printed, as PDF."""
        Path(path).write_bytes(base64.b64decode(self.ask("Page.printToPDF")["data"]))


if __name__ == "__main__":  # python chromium.py report.html pictures.png
    with Browser(find_chromium()) as browser:
        browser.open(sys.argv[1])
        browser.picture(sys.argv[2], whole=True)
