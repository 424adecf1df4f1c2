"""How a page looks in Chromium: a command of its own, no part of the suite.

    python tests/report/browser_check.py [PAGE.html] [--pictures FOLDER]

Checks a page, by default one that is made up, on a wide screen, on a phone, in
dark mode and printed; with --pictures it leaves screenshots to look at. Exit
status: 0, 1 where a check fails, 3 without Chromium.
"""

import argparse
import base64
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--hide-scrollbars"),
    "--remote-debugging-pipe",
)
SCREENS = {"wide": 1200, "tablet": 768, "phone": 360, "dark": 360}
# What reaches beyond the window, unless it is within a box that scrolls.
BEYOND = """[...document.querySelectorAll('body *')].filter(e =>
  !e.closest('.scroll') && e.getBoundingClientRect().width > 0 &&
  e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML
  .slice(0, 80))"""
SMALLEST_TEXT = """Math.min(...[...document.querySelectorAll('.plot text')]
  .map(t => t.getBoundingClientRect().height))"""


class Chromium:
    """A browser that is spoken to through pipes, in DevTools' protocol."""

    def __init__(self, program, profile):
        # Above those that the browser takes, 3 and 4.
        ends = [os.dup(os.dup(os.dup(e))) for e in (*os.pipe(), *os.pipe())]
        theirs_in, self._out, self._in, theirs_out = ends

        def arrange():
            os.dup2(theirs_in, 3)
            os.dup2(theirs_out, 4)

        self._process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=arrange,
            pass_fds=(3, 4),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._numbers = itertools.count(1)
        self._buffer = b""
        self._session = None
        self.events = []
        targets = self("Target.getTargets")["targetInfos"]
        (page,) = [t for t in targets if t["type"] == "page"]
        self._session = self(
            "Target.attachToTarget", targetId=page["targetId"], flatten=True
        )["sessionId"]

    def __call__(self, method, **parameters):
        """The result of a method."""
        message = {
            "id": next(self._numbers),
            "method": method,
            "params": parameters,
        }
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != message["id"]:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def wait_for(self, method):
        """The first event of a kind that is not waited for yet."""
        while not any(e.get("method") == method for e in self.events):
            self.events.append(self._next())
        event = next(e for e in self.events if e.get("method") == method)
        self.events.remove(event)
        return event

    def value(self, expression):
        """What JavaScript computes in the page."""
        return self(
            "Runtime.evaluate", expression=expression, returnByValue=True
        )["result"]["value"]

    def close(self):
        self._session = None
        self("Browser.close")
        self._process.wait(20)

    def _next(self):
        while b"\0" not in self._buffer:
            part = os.read(self._in, 2**20)
            if not part:
                raise RuntimeError("Chromium ended")
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)


def show(browser, page, name):
    """Loads a page on a screen."""
    browser(
        "Emulation.setDeviceMetricsOverride",
        width=SCREENS[name], height=800, mobile=name in ("phone", "dark"),
        deviceScaleFactor=1,
    )  # fmt: skip
    scheme = "dark" if name == "dark" else "light"
    browser(
        "Emulation.setEmulatedMedia",
        media="screen",
        features=[{"name": "prefers-color-scheme", "value": scheme}],
    )
    browser("Page.navigate", url=page.resolve().as_uri())
    browser.wait_for("Page.loadEventFired")


def check(browser, page, pictures):
    """Pairs of a claim and whether it holds."""
    for domain in ("Page", "Network", "Log", "Runtime"):
        browser(f"{domain}.enable")
    for name, width in SCREENS.items():
        show(browser, page, name)
        across = browser.value("document.scrollingElement.scrollWidth")
        yield f"{name}: {across} of {width} px across", across <= width
        beyond = browser.value(BEYOND)
        yield f"{name}: nothing reaches beyond {beyond or ''}", not beyond
        height = browser.value(SMALLEST_TEXT)
        yield f"{name}: text in pictures {height:.0f} px high", height >= 9
        dark = browser.value("getComputedStyle(document.body).backgroundColor")
        yield (
            f"{name}: on {dark}",
            (dark != "rgb(255, 255, 255)") == (name == "dark"),
        )
        if pictures:
            found = browser(
                "Page.captureScreenshot", captureBeyondViewport=True
            )
            save(pictures / f"{name}.png", found)
    # Dark still, as a reader prints it.
    browser(
        "Emulation.setEmulatedMedia",
        media="print",
        features=[{"name": "prefers-color-scheme", "value": "dark"}],
    )
    style = "getComputedStyle(document.body)"
    ink, paper = (
        browser.value(f"{style}.{key}") for key in ("color", "backgroundColor")
    )
    yield (
        f"printed: {ink} on {paper}",
        (ink, paper)
        == (
            "rgb(0, 0, 0)",
            "rgb(255, 255, 255)",
        ),
    )
    printed = browser(
        "Page.printToPDF", preferCSSPageSize=True, printBackground=False
    )
    pdf = base64.b64decode(printed["data"])
    yield f"printed: {len(pdf) // 1024} kB", pdf.startswith(b"%PDF")
    if pictures:
        save(pictures / "printed.pdf", printed)
    asked = [
        e["params"]["request"]["url"]
        for e in browser.events
        if e.get("method") == "Network.requestWillBeSent"
    ]
    others = [u for u in asked if not u.startswith(("file:", "data:"))]
    yield f"nothing else is loaded {others or ''}", not others
    said = [
        e["params"]
        for e in browser.events
        if e.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown")
    ]
    yield f"nothing is complained of {said or ''}", not said


def save(path, result):
    path.write_bytes(base64.b64decode(result["data"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", nargs="?", type=pathlib.Path)
    parser.add_argument("--pictures", type=pathlib.Path)
    options = parser.parse_args()
    found = [p for p in map(shutil.which, NAMES) if p]
    if not found:
        print("Chromium is absent: install it to check pages in a browser.")
        return 3
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        page = options.page
        if page is None:
            sys.path.insert(0, str(ROOT))
            from tests.report.helpers import made_up_report

            page = pathlib.Path(folder, "page.html")
            made_up_report().save(page)
        browser = Chromium(found[0], pathlib.Path(folder, "profile"))
        failed = 0
        for claim, holds in check(browser, page, options.pictures):
            print("ok    " if holds else "FAILED", claim)
            failed += not holds
        browser.close()
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
