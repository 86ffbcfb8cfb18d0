"""The web chat answers only browsers on this machine."""

import pytest
from support.channels.running import Run
from support.channels.web import LOCAL, open_window, write

from interfaces.web import Web


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.test"},
        {"host": "127.0.0.1.evil.test:8000"},
        {**LOCAL, "origin": "http://evil.test"},
        {**LOCAL, "origin": "http://127.0.0.1:9999"},
        {**LOCAL, "origin": "null"},
    ],
)
@pytest.mark.parametrize("path", ["/", "/web/alice/", "/web/static/chat.js"])
async def test_pages_of_other_sites_and_other_host_names_are_refused(
    run: Run, headers: dict[str, str], path: str
) -> None:
    async with run(Web()) as running:
        assert (await running.client.get(path, headers=headers)).status_code == 403
        alice = await open_window(running, "alice")
        assert await write(running, "alice", "hello", alice | headers) == 403
        assert running.inbox() == []


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000"])
async def test_this_machines_own_names_are_answered(run: Run, host: str) -> None:
    async with run(Web()) as running:
        page = await running.client.get("/web/alice/", headers={"host": host, "origin": f"http://{host}"})
        assert page.status_code == 200
        assert "default-src 'self'" in page.headers["content-security-policy"]
        cookie = page.headers["set-cookie"].lower()
        assert all(word in cookie for word in ("httponly", "samesite=strict", "path=/web/alice/"))
