"""`understudy dev`, and the windows of people in a browser."""

from pathlib import Path

import httpx
from commands import Command, environment
from peers.process import free_ports
from peers.wait import wait_until
from playwright.sync_api import Page, expect


class Dev:
    """`understudy dev` in a child process."""

    def __init__(self, directory: Path, **env: str) -> None:
        self._directory = directory
        self._env = environment(directory, **env)
        self._port = str(free_ports(1)[0])
        self.address = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        with (self._directory / "log.txt").open("ab") as log:
            self._child = Command(
                "dev", "--port", self._port, directory=self._directory, env=self._env, stdout=log, stderr=log
            )
        wait_until(self._answers, 30, "understudy dev answers")

    def stop(self) -> None:
        self._child.terminate()
        self._child.wait(20)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.address}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


def open_window(page: Page, name: str) -> Page:
    with page.context.expect_page() as opened:
        page.get_by_role("link", name=name).click()
    window = opened.value
    expect(window.get_by_role("status")).to_have_text("connected")
    return window


def write(window: Page, text: str) -> None:
    window.get_by_label("Your message").fill(text)
    window.get_by_role("button", name="Send").click()
