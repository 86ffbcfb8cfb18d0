"""Start a browser of Debian's."""

from pathlib import Path

from playwright.sync_api import Browser, Playwright

# The shell without windows takes half of the processor time.
PROGRAMS = (Path("/usr/bin/chromium-headless-shell"), Path("/usr/bin/chromium"))


def launch(playwright: Playwright) -> Browser | None:
    """Start a browser; return `None` if none is installed."""
    program = next((each for each in PROGRAMS if each.exists()), None)
    if program is None:
        return None
    return playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
