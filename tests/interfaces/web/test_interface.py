"""The windows of people in the web chat: messages and transcripts."""

import json

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo, FunctionModel
from support.channels.running import URL, Run
from support.channels.web import LOCAL, open_window, transcript, transcript_status, write
from support.gate import Gate
from support.stage import FakeProvider

from gateway import TurnContext
from interfaces.web import Web
from toolkits import Toolkit, tool


async def test_a_message_that_is_posted_twice_is_answered_once_in_the_transcript(run: Run) -> None:
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


async def test_a_new_conversation_begins(run: Run) -> None:
    async with run(Web()) as running:
        alice = await open_window(running, "alice")
        for number, text in enumerate(("apples", "pears", "/new", "plums"), 1):
            await write(running, "alice", text, alice, str(number))
            await transcript(running, "alice", alice, 2 * number)
        assert [len(messages) for messages in running.told] == [1, 3, 1]


async def test_a_window_reads_and_writes_only_for_its_own_person(run: Run) -> None:
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


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"id": "1", "text": ""}', '{"id": "1", "text": 5}'])
async def test_a_malformed_post_is_refused(run: Run, body: str) -> None:
    async with run(Web()) as running:
        alice = await open_window(running, "alice")
        answer = await running.client.post("/web/alice/messages", content=body, headers=alice)
        assert answer.status_code == (422 if body.startswith("{") else 400)
        assert running.inbox() == []


async def test_a_person_who_is_not_listed_has_no_window(run: Run) -> None:
    async with run(Web(people=["Ann"])) as running:
        assert (await running.client.get("/web/alice/", headers=LOCAL)).status_code == 404
        assert "Ann" in (await running.client.get("/", headers=LOCAL)).text


async def test_after_a_restart_a_new_window_has_the_transcript_and_the_old_cookie_nothing(run: Run) -> None:
    async with run(Web()) as running:
        before = await open_window(running, "alice")
        await write(running, "alice", "hello", before)
        said = await transcript(running, "alice", before, 2)
    async with run(Web()) as running:
        assert await transcript_status(running, "alice", before) == 401
        after = await open_window(running, "alice")
        assert await transcript(running, "alice", after, 2) == said
        assert await write(running, "alice", "hello", after) == 202  # posted again by a page that got no response
        assert await write(running, "alice", "more", after, "2") == 202
        assert [entry.get("text") for entry in await transcript(running, "alice", after, 4)] == [
            "hello",
            None,
            "more",
            None,
        ]
        assert running.prompts == ["more"]


async def test_a_person_rates_an_answer_in_their_own_window_and_nobody_elses(run: Run) -> None:
    async with run(Web()) as running:
        alice, bob = await open_window(running, "alice"), await open_window(running, "bob")
        await write(running, "alice", "hello", alice)
        _, answer = await transcript(running, "alice", alice, 2)
        good = {"reference": answer["rated"], "rating": "up"}

        async def rate(person: str, headers: dict[str, str], given: dict[str, object]) -> int:
            path = f"/web/{person}/feedback"
            return (await running.client.post(path, json=given, headers=headers)).status_code

        assert await rate("bob", bob, good) == 404
        assert await rate("alice", bob, good) == 401
        assert await rate("alice", alice, {**good, "rating": "best"}) == 422
        assert await rate("alice", alice, {"rating": "up"}) == 422
        assert await rate("alice", alice, good) == 204
        assert (await transcript(running, "alice", alice, 2))[1]["rating"] == "up"
        assert await rate("alice", alice, {**good, "takenBack": True}) == 204
        assert (await transcript(running, "alice", alice, 2))[1]["rating"] is None


async def test_a_person_stops_only_their_own_turn(run: Run) -> None:
    gate = Gate()
    async with run(Web(), model=FunctionModel(gate.model)) as running:
        alice, bob = await open_window(running, "alice"), await open_window(running, "bob")
        await write(running, "alice", "hello", alice)
        await gate.holds(1)

        async def stop(person: str, headers: dict[str, str]) -> int:
            return (await running.client.post(f"/web/{person}/stop", headers=headers)).status_code

        assert await stop("alice", bob) == 401
        assert await stop("bob", bob) == 404
        assert await stop("alice", alice) == 204
        await transcript(running, "alice", alice, 2)
        assert await stop("alice", alice) == 404


async def test_only_answers_of_agents_have_thumbs(run: Run) -> None:
    async with run(Web()) as running:
        alice = await open_window(running, "alice")
        await write(running, "alice", "/help", alice)
        assert (await transcript(running, "alice", alice, 2))[1]["rated"] is None


async def test_an_answer_that_says_that_the_turn_failed_is_marked(run: Run) -> None:
    def fail(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise AssertionError("a mistake")

    async with run(Web(), model=FunctionModel(fail)) as running:
        alice = await open_window(running, "alice")
        await write(running, "alice", "hello", alice)
        await transcript(running, "alice", alice, 2)
        await write(running, "alice", "/help", alice, "2")
        entries = await transcript(running, "alice", alice, 4)
        assert [entry.get("failed") for entry in entries] == [None, True, None, False]


async def test_browsers_ask_for_scripts_each_time_since_those_of_two_versions_do_not_fit_together(run: Run) -> None:
    async with run(Web()) as running:
        first = await running.client.get("/web/static/chat.js", headers=LOCAL)
        assert first.headers["cache-control"] == "no-cache"
        again = {**LOCAL, "if-none-match": first.headers["etag"]}
        assert (await running.client.get("/web/static/chat.js", headers=again)).status_code == 304


async def test_two_people_may_use_one_message_id(run: Run) -> None:
    async with run(Web()) as running:
        for person in ("alice", "bob"):
            window = await open_window(running, person)
            assert await write(running, person, f"I am {person}", window, "1") == 202
            assert (await transcript(running, person, window, 2))[0]["text"] == f"I am {person}"


class Account(Toolkit):
    _clone_shared_attrs = ("auth",)
    scopes = frozenset({"read"})

    def __init__(self) -> None:
        self.auth = FakeProvider()

    @tool
    async def whose(self, context: TurnContext) -> str:
        """Tell whose account it is."""
        return str(await context.credentials("fake", {"read"}))


async def test_a_sign_in_link_is_only_for_the_person_of_the_window(run: Run) -> None:
    async with run(Web(), [Account()], model="test") as running:  # pydantic-ai's TestModel calls every tool
        alice, bob = await open_window(running, "alice"), await open_window(running, "bob")
        await write(running, "alice", "whose account?", alice)
        asked, offer = await transcript(running, "alice", alice, 2)
        assert (asked["text"], offer["signIn"]) == ("whose account?", "fake")
        assert "fake.test" not in json.dumps(offer)
        for headers in (bob, LOCAL):
            assert (await running.client.get("/web/alice/sign-in/fake", headers=headers)).status_code == 401
        link = await running.client.get("/web/alice/sign-in/fake", headers=alice)
        assert link.status_code == 303
        assert link.headers["location"].startswith(f"{URL}/sign-in/")


async def test_a_text_that_is_too_long_is_refused(run: Run) -> None:
    async with run(Web()) as running:
        alice = await open_window(running, "alice")
        assert await write(running, "alice", "x" * 20_001, alice) == 422
        assert await write(running, "alice", "x" * 2_000_000, alice) == 413
        assert running.inbox() == []
