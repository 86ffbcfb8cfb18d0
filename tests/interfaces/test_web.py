import json

import pytest
from interfaces_run import Run, Running
from peers.wait import wait_until_async

from interfaces.web import Web

LOCAL = {"host": "127.0.0.1:8000"}


async def open_window(running: Running, person: str) -> dict[str, str]:
    page = await running.client.get(f"/web/{person}/", headers=LOCAL)
    assert page.status_code == 200
    running.client.cookies.clear()  # each window's cookie is passed by hand
    return {**LOCAL, "cookie": page.headers["set-cookie"].partition(";")[0]}


async def write(running: Running, person: str, text: str, headers: dict[str, str], identifier: str = "1") -> int:
    body = json.dumps({"id": identifier, "text": text})
    return (await running.client.post(f"/web/{person}/messages", content=body, headers=headers)).status_code


async def transcript(running: Running, person: str, headers: dict[str, str], count: int) -> list[dict[str, str]]:
    async def entries() -> list[dict[str, str]]:
        found = (await running.client.get(f"/web/{person}/transcript", headers=headers)).json()
        return found if len(found) >= count else []

    return await wait_until_async(entries, what=f"{count} entries")  # type: ignore[return-value]


async def test_a_message_posted_twice_is_one_and_its_answer_is_in_the_transcript(run: Run) -> None:
    async with run(Web()) as running:
        running.answers.append("**bold** <script>alert(1)</script> [x](javascript:alert(1)) ![y](https://evil.test/y)")
        alice = await open_window(running, "alice")
        for _ in range(2):
            assert await write(running, "alice", "<i>hello</i>", alice) == 202
        mine, answer = await transcript(running, "alice", alice, 2)
        assert mine["text"] == "<i>hello</i>"
        assert "<strong>bold</strong>" in answer["html"]
        assert "<script" not in answer["html"]
        assert 'href="javascript' not in answer["html"]
        assert "<img" not in answer["html"]
        assert running.prompts == ["<i>hello</i>"]


async def test_a_window_reads_and_writes_for_its_own_person_alone(run: Run) -> None:
    async with run(Web()) as running:
        alice, bob = await open_window(running, "alice"), await open_window(running, "bob")
        await write(running, "alice", "mine", alice)
        await transcript(running, "alice", alice, 2)
        assert await transcript_status(running, "alice", bob) == 401
        assert await transcript_status(running, "alice", LOCAL) == 401
        assert await write(running, "alice", "as her", bob) == 401
        forged = {**LOCAL, "cookie": bob["cookie"].replace("bob", "alice")}
        assert await transcript_status(running, "alice", forged) == 401
        assert (await running.client.get("/web/bob/transcript", headers=bob)).json() == []


async def transcript_status(running: Running, person: str, headers: dict[str, str]) -> int:
    return (await running.client.get(f"/web/{person}/transcript", headers=headers)).status_code


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
async def test_another_sites_page_and_another_host_name_get_nothing(
    run: Run, headers: dict[str, str], path: str
) -> None:
    async with run(Web()) as running:
        assert (await running.client.get(path, headers=headers)).status_code == 403
        alice = await open_window(running, "alice")
        assert await write(running, "alice", "hello", alice | headers) == 403
        assert running.inbox() == []


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"id": "1", "text": ""}', '{"id": "1", "text": 5}'])
async def test_a_malformed_post_is_refused(run: Run, body: str) -> None:
    async with run(Web()) as running:
        alice = await open_window(running, "alice")
        answer = await running.client.post("/web/alice/messages", content=body, headers=alice)
        assert answer.status_code == 422
        assert running.inbox() == []


async def test_nobody_else_is_there(run: Run) -> None:
    async with run(Web(people=["Ann"])) as running:
        assert (await running.client.get("/web/alice/", headers=LOCAL)).status_code == 404
        assert "Ann" in (await running.client.get("/", headers=LOCAL)).text
