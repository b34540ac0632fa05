"""A real browser."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_QUIET = ("--disable-gpu", "--disable-quic", "--disable-background-networking")
_QUIET += ("--no-first-run", "--disable-component-update", "--disable-sync")


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A headless Chromium; the test is skipped without one."""
    api = pytest.importorskip("playwright.sync_api")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with api.sync_playwright() as playwright:
        if path is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("no Chromium found; `playwright install chromium` brings one")
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", *_QUIET]
        )
        try:
            yield browser
        finally:
            browser.close()
