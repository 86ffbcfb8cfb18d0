"""Presses are verified, handed to the handler of the button, and acknowledged."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.webhooks import slack_events as events
from peers.webhooks import slack_interactions as interactions
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from support.channels.slack import answer_address

from gateway.channels import MalformedEventError
from gateway.channels.refusals import RefusalLog
from interfaces.slack.interactivity.interactions import Interactivity
from interfaces.slack.interactivity.press import ButtonPress
from interfaces.slack.receiving.request import Handlers
from interfaces.slack.receiving.webhooks import Webhooks
from interfaces.slack.signature import SignatureCheck
from oauth import Identity

Post = Callable[..., Awaitable[int]]


class Buttons:
    """Handlers that record presses."""

    def __init__(self) -> None:
        self.pressed: list[ButtonPress] = []
        self.sentence: str | None = None

    async def take(self, press: ButtonPress) -> str | None:
        self.pressed.append(press)
        return self.sentence

    async def hang(self, press: ButtonPress) -> str | None:
        await asyncio.Event().wait()
        return None


async def refused(request: Request, error: Exception) -> Response:
    """Answer as the gateway does."""
    return Response(status_code=400)


@pytest.fixture
def buttons() -> Buttons:
    return Buttons()


@pytest.fixture
async def post(emulate: Emulate, buttons: Buttons) -> AsyncIterator[Post]:
    """Return a function that posts a payload and returns the status."""
    take = Interactivity("slack", emulate.slack_url, {"question": buttons.take, "slow": buttons.hang}, within=1).take
    signature = SignatureCheck(emulate.signing_secret, "SLACK_SIGNING_SECRET")
    webhooks = Webhooks(signature, RefusalLog("slack"), Handlers(take, take, take))
    routes = webhooks.routes("/slack/events", "/slack/commands", "/slack/interactivity")
    app = Starlette(routes=routes, exception_handlers={MalformedEventError: refused})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:

        async def send(payload: Any, **signing: Any) -> int:
            body = interactions.body_of(payload)
            headers = interactions.headers(body, **signing)
            return (await client.post("/slack/interactivity", content=body, headers=headers)).status_code

        yield send


PRESS = interactions.block_actions(interactions.button("question.1", "abc"), ts="1.2", thread_ts="1.1")


async def test_a_handler_gets_a_press_with_its_person_and_place(post: Post, buttons: Buttons) -> None:
    assert await post(PRESS) == 200
    (press,) = buttons.pressed
    assert (press.kind, press.argument, press.value) == ("question", "1", "abc")
    assert press.identity == Identity("slack", seed.SLACK_TEAM_ID, seed.ALICE.slack_id)
    assert press.name == "alice"
    assert press.conversation is not None
    assert press.conversation.id == f"{seed.SLACK_CHANNEL_ID}/1.1"
    assert press.conversation.shared


async def test_a_choice_of_a_menu_is_a_press(post: Post, buttons: Buttons) -> None:
    assert await post(interactions.block_actions(interactions.choice("question", "abc.3"))) == 200
    assert (buttons.pressed[0].argument, buttons.pressed[0].value) == ("", "abc.3")


@pytest.mark.parametrize(
    ("channel", "ts", "thread", "conversation", "shared"),
    [
        ("D1", "1.2", None, "D1", False),
        ("D1", "1.2", "1.1", "D1/1.1", False),
        ("C1", "1.2", None, "C1/1.2", True),
        ("C1", "1.2", "1.1", "C1/1.1", True),
    ],
)
async def test_the_place_of_a_press_is_the_conversation_of_its_message(
    post: Post, buttons: Buttons, channel: str, ts: str, thread: str | None, conversation: str, shared: bool
) -> None:
    action = interactions.button("question.0", "abc")
    await post(interactions.block_actions(action, channel=channel, ts=ts, thread_ts=thread))
    found = buttons.pressed[0].conversation
    assert found is not None
    assert (found.id, found.shared, buttons.pressed[0].message) == (conversation, shared, ts)


GRID = {"id": "E0GRID001", "name": "Grid"}


@pytest.mark.parametrize(
    ("fields", "tenant", "at"),
    [
        ({}, "T0PEERS01", "T0PEERS01"),
        ({"user": {"id": "U1", "team_id": "T0OTHER01"}}, "T0OTHER01", "T0PEERS01"),
        ({"user": {"id": "U1", "team_id": "E0OTHER01"}}, "E0OTHER01", "T0PEERS01"),
        ({"user": {"id": "U1", "team_id": "E0GRID001"}, "enterprise": GRID}, "T0PEERS01", "T0PEERS01"),
        ({"user": {"id": "U1", "team_id": "E0GRID001"}, "enterprise": GRID, "team": None}, "T0PEERS01", "T0PEERS01"),
    ],
    ids=["ours", "another workspace", "another organization", "our organization", "installed in our organization"],
)
async def test_a_person_is_known_by_the_workspace_that_they_belong_to(
    post: Post, buttons: Buttons, fields: dict[str, Any], tenant: str, at: str
) -> None:
    assert await post({**PRESS, **fields}) == 200
    assert buttons.pressed[0].identity.tenant == tenant
    assert buttons.pressed[0].conversation is not None
    assert buttons.pressed[0].conversation.tenant == at


@pytest.mark.parametrize(
    "payload",
    [
        interactions.block_actions(interactions.button("somebody_elses", "x")),
        interactions.block_actions(interactions.button("questionable.0", "x")),
        {"type": "view_submission", "view": {"id": "V1"}},
        {"type": "shortcut", "callback_id": "x"},
        {},
    ],
    ids=["another button", "a longer word", "a modal", "a shortcut", "nothing"],
)
async def test_other_interactions_are_acknowledged_and_ignored(
    post: Post, buttons: Buttons, payload: dict[str, Any]
) -> None:
    assert await post(payload) == 200
    assert buttons.pressed == []


@pytest.mark.parametrize(
    "fields",
    [
        {"user": None},
        {"user": {"id": ""}},
        {"user": {"id": "U\n1"}},
        {"user": {"id": 5}},
        {"user": {"id": "U1"}, "team": None, "message": None},
        {"team": "T1"},
        {"actions": [None]},
        {"actions": [{"action_id": 5}]},
        {"channel": {"id": "\0"}},
        {"message": {"ts": 1.5}},
    ],
    ids=str,
)
async def test_a_press_that_slack_does_not_document_is_refused(
    post: Post, buttons: Buttons, fields: dict[str, Any]
) -> None:
    assert await post({**PRESS, **fields}) == 400
    assert buttons.pressed == []


async def test_a_press_that_slack_did_not_sign_leaves_no_trace(post: Post, buttons: Buttons) -> None:
    assert await post(PRESS, secret="another") == 401
    assert await post(PRESS, age=events.STALE) == 401
    assert buttons.pressed == []


async def test_a_reply_to_a_press_is_shown_only_to_its_person_in_the_same_thread(
    post: Post, buttons: Buttons, emulate: Emulate
) -> None:
    buttons.sentence = "Only <bob> can decide."
    channel = emulate.slack_channel_id
    await post({**PRESS, "response_url": answer_address(emulate, channel)})
    (told,) = emulate.slack_ephemerals("alice", channel)
    assert told["text"] == "Only &lt;bob&gt; can decide."
    assert told["thread_ts"] == "1.1"


@pytest.mark.parametrize("address", ["", "https://hooks.slack.com.evil.test/x", "http://169.254.169.254/", "http://["])
async def test_nothing_is_posted_to_an_address_outside_slack(
    post: Post, buttons: Buttons, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    buttons.sentence = "No."
    with caplog.at_level(logging.WARNING, "interfaces.slack"):
        assert await post({**PRESS, "response_url": address}) == 200
    assert "no response_url of Slack's" in caplog.text


async def test_a_reply_that_cannot_be_posted_fails_nothing(
    post: Post, buttons: Buttons, emulate: Emulate, caplog: pytest.LogCaptureFixture
) -> None:
    buttons.sentence = "No."
    address = answer_address(emulate, emulate.slack_channel_id)
    for _ in range(6):  # Slack takes five messages
        assert await post({**PRESS, "response_url": address}) == 200
    assert len(emulate.slack_ephemerals("alice")) == 5
    assert "Slack answered 404" in caplog.text


async def test_a_press_that_is_not_taken_in_time_is_not_acknowledged(post: Post) -> None:
    assert await post(interactions.block_actions(interactions.button("slow.0", "abc"))) == 503
