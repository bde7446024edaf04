"""A real headless Chromium, driven by Playwright. Where there is none, the tests fail by name: they never skip."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SCREENSHOTS = "--screenshots"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        SCREENSHOTS, type=Path, help="keep the screenshots in this folder: docs/images is that of the docs"
    )


@pytest.fixture
def screenshots(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where screenshots are written."""
    folder: Path = request.config.getoption(SCREENSHOTS) or tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Prints a figure of this machine beside the tests' dots."""

    def told(words: str) -> None:
        with capsys.disabled():
            print(f"\n  {words}", end="", flush=True)  # noqa: T201  # it is the point

    return told


NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENT = 120_000
"""Milliseconds that a test waits for what must come at last: on a busy machine, after a repair."""
REBOUND = "rebound.example"
"""A name that this browser resolves to this machine, as a rebound name does."""


@pytest.fixture(scope="session")
def page() -> Iterator[object]:
    """A page of a fresh profile."""
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.fail(f"no Chromium: none of {', '.join(NAMES)} is on the PATH, and CHROMIUM names none")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  # needed by these tests alone

    options = [
        "--no-sandbox",  # where it runs as root
        f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1, MAP *.example 127.0.0.1",
        # A newer browser asks its user before a page reaches the loopback interface. Ours must hold without that.
        "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=options)
        try:
            page = browser.new_page()
            page.set_default_timeout(PATIENT)
            yield page
        finally:
            browser.close()
