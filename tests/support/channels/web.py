"""Helpers for tests of the web chat."""

import json

from peers.wait import wait_until_async

from support.channels.running import Running

LOCAL = {"host": "127.0.0.1:8000"}


async def open_window(running: Running, person: str) -> dict[str, str]:
    """Open a person's window, and return the headers of its later requests."""
    page = await running.client.get(f"/web/{person}/", headers=LOCAL)
    assert page.status_code == 200
    running.client.cookies.clear()  # the tests send each window's cookie themselves
    return {**LOCAL, "cookie": page.headers["set-cookie"].partition(";")[0]}


async def write(running: Running, person: str, text: str, headers: dict[str, str], identifier: str = "1") -> int:
    """Send a message from a window, and return the status."""
    body = json.dumps({"id": identifier, "text": text})
    return (await running.client.post(f"/web/{person}/messages", content=body, headers=headers)).status_code


async def transcript(running: Running, person: str, headers: dict[str, str], count: int) -> list[dict[str, str]]:
    """Wait until the transcript has `count` entries, and return all of them."""

    async def entries() -> list[dict[str, str]]:
        found = (await running.client.get(f"/web/{person}/transcript", headers=headers)).json()
        return found if len(found) >= count else []

    return await wait_until_async(entries, what=f"the transcript has {count} entries")  # type: ignore[return-value]


async def transcript_status(running: Running, person: str, headers: dict[str, str]) -> int:
    """Return the status with which the gateway answers a request for the transcript."""
    return (await running.client.get(f"/web/{person}/transcript", headers=headers)).status_code
