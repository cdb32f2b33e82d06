"""A real browser that measures itself: when it drew points, when it showed a text, how it halts.

The times are taken in the page, by its own clock, so that nothing of the driver is in them.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
FLAGS = ['--headless=new', '--no-sandbox', '--disable-quic', '--no-first-run']
SIZE: Any = {'width': 640, 'height': 480}
GIVE_UP_MS = 60_000

# Runs before the page's own scripts: watches draw calls, texts and tasks that hold the page up.
PROBE = """
(() => {
  const probe = {points: null, entered: null, wanted: null, shown: null, long: []};
  window.__probe = probe;
  const draw = WebGL2RenderingContext.prototype.drawArrays;
  WebGL2RenderingContext.prototype.drawArrays = function (mode, first, count) {
    if (mode === this.POINTS && count > 20 && probe.points === null) {
      probe.points = performance.now();
    }
    return draw.apply(this, arguments);
  };
  window.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') { probe.entered = performance.now(); probe.shown = null; }
  }, true);
  new MutationObserver(() => {
    if (probe.wanted !== null && probe.entered !== null && probe.shown === null &&
        document.body.textContent.includes(probe.wanted)) {
      probe.shown = performance.now();
    }
  }).observe(document, {subtree: true, childList: true, characterData: true});
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) { probe.long.push(entry.duration); }
  }).observe({type: 'longtask'});
})();
"""


class Browser:
    """A page of the viewer in Chromium.

    Args:
        browser: Playwright's browser.
        url: Where the page is.
    """

    def __init__(self, browser: Any, url: str) -> None:
        self.page = browser.new_page(viewport=SIZE)
        self.page.add_init_script(PROBE)
        self.page.goto(url)

    def first_points_s(self) -> float:
        """Returns the seconds from asking for the page to the first points that it drew."""
        self._wait('window.__probe.points !== null')
        return float(self.page.evaluate('window.__probe.points')) / 1e3

    def ask_s(self, phrase: str) -> float:
        """Asks; returns the seconds from the key Enter to the answer on the page."""
        label = self.page.get_by_text('Phrase', exact=True)
        field = label.locator('xpath=../../..').locator('input').first
        field.fill(phrase)
        self.page.wait_for_timeout(500)
        self.page.evaluate('(text) => { window.__probe.wanted = text; }', f'{phrase}: ')
        field.press('Enter')
        self._wait('window.__probe.shown !== null')
        return float(self.page.evaluate('window.__probe.shown - window.__probe.entered')) / 1e3

    def halts_ms(self) -> list[float]:
        """Returns how long the page was held up, each time by more than 50 ms, since the last."""
        return list(self.page.evaluate('window.__probe.long.splice(0)'))

    def close(self) -> None:
        """Closes the page."""
        self.page.close()

    def _wait(self, condition: str) -> None:
        self.page.wait_for_function(condition, polling=50, timeout=GIVE_UP_MS)


@contextmanager
def chromium(nice: int = 0) -> Iterator[Any]:
    """Yields a browser.

    Args:
        nice: How much it leaves to others; 19 stands in for a browser on another machine.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        before = set(psutil.Process().children(recursive=True))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        if nice:
            time.sleep(0.5)
            for process in set(psutil.Process().children(recursive=True)) - before:
                process.nice(nice)
        yield browser
        browser.close()
