"""A real browser, Debian's Chromium, that notes what goes wrong in a page."""

import os
import shutil

import pytest


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window; where there is none, tests are skipped, unless CI has to have one.

    It ends with its module: as long as it runs an event loop does, beside which there is no other.
    """
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        if os.environ.get("OFFLOAD_BROWSER"):
            pytest.fail("no Chromium, though OFFLOAD_BROWSER is set: apt-get install chromium")
        pytest.skip("no Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@pytest.fixture
def page(browser):
    """A page of 1280 by 900; the test fails if it logs an error, throws, or asks a network for anything.

    A server of the test's own on the loopback is no network.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    found, faults = context.new_page(), []
    found.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    found.on("pageerror", lambda error: faults.append(str(error)))
    local = ("file:", "data:", "blob:", "about:", "http://127.0.0.1:", "ws://127.0.0.1:")
    found.on("request", lambda asked: None if asked.url.startswith(local) else faults.append(asked.url))
    yield found
    context.close()
    assert faults == []
