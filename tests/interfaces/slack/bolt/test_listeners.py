"""Bolt listeners of an operator get the requests that start no turn."""

import asyncio
import json
import logging
import re
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.wait import wait_until_async
from peers.webhooks import slack_events as events
from peers.webhooks import slack_interactions as interactions
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from support.channels.running import Run, Running
from support.channels.slack import BOT, dm, post, said

from interfaces.slack import Slack, authorize
from oauth.store.installations import Installation


@pytest.fixture(params=["one workspace", "many workspaces"])
def app(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncApp:
    """A Bolt app of an operator, with the settings of the channel in the environment."""
    if request.param == "one workspace":
        monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-unused")
    else:
        monkeypatch.setenv("SLACK_CLIENT_ID", "1.2")
        monkeypatch.setenv("SLACK_CLIENT_SECRET", "unused")
    app = AsyncApp(authorize=authorize)
    monkeypatch.undo()
    return app


@pytest.fixture
def slack(emulate: Emulate, app: AsyncApp) -> Slack:
    return Slack(emulate.bot_token, emulate.signing_secret, emulate.slack_url, app=app)


async def post_form(running: Running, address: str, form: dict[str, str], **signing: Any) -> httpx.Response:
    body = urlencode(form).encode()
    headers = events.headers(body, content_type="application/x-www-form-urlencoded", **signing)
    return await running.client.post(address, content=body, headers=headers)


async def test_an_event_that_is_not_a_message_reaches_the_listeners_with_the_workspaces_token(
    run: Run, slack: Slack, app: AsyncApp, emulate: Emulate
) -> None:
    heard: list[Any] = []

    @app.event("member_joined_channel")
    async def greet(event: dict[str, Any], client: AsyncWebClient, context: Any) -> None:
        heard.append((event["user"], client.token, context.bot_user_id))
        await client.chat_postMessage(channel=emulate.slack_channel_id, text="welcome")

    async with run(slack) as running:
        assert await post(running, events.member_joined_channel()) == 200
        assert await said(emulate, emulate.slack_channel_id, 1) == ["welcome"]
        assert heard == [(seed.BOB.slack_id, emulate.bot_token, seed.SLACK_BOT_USER_ID)]
        assert running.inbox() == []


async def test_a_message_to_the_bot_does_not_reach_the_listeners(
    run: Run, slack: Slack, app: AsyncApp, emulate: Emulate
) -> None:
    heard: list[str] = []

    @app.event("app_mention")
    @app.event("message")
    async def note(event: dict[str, Any]) -> None:
        heard.append(event.get("text") or event.get("subtype"))

    async with run(slack) as running:
        direct = dm(emulate, "hello")
        assert await post(running, direct) == 200
        assert await post(running, direct, retry=1) == 200
        for payload in events.mention_pair(f"{BOT} hello"):
            assert await post(running, payload) == 200
        assert await post(running, events.message_changed(direct, "hello again")) == 200
        assert await post(running, events.message("to others")) == 200
        await wait_until_async(lambda: len(running.prompts) >= 2 and heard, what="two turns, and a listener")
        assert heard == ["to others"]


async def test_an_edit_between_others_reaches_the_listeners(run: Run, slack: Slack, app: AsyncApp) -> None:
    heard: list[str] = []

    @app.event({"type": "message", "subtype": "message_changed"})
    async def note(event: dict[str, Any]) -> None:
        heard.append(event["message"]["text"])

    async with run(slack) as running:
        assert await post(running, events.message_changed(events.message("to others"), "to you")) == 200
        await wait_until_async(lambda: heard == ["to you"], what="the listener")


async def test_an_event_that_nobody_listens_to_is_acknowledged_without_a_warning(
    run: Run, slack: Slack, caplog: pytest.LogCaptureFixture
) -> None:
    async with run(slack) as running:
        assert await post(running, events.member_joined_channel()) == 200
        assert await post(running, events.message("to others")) == 200
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_forged_request_reaches_no_listener(run: Run, slack: Slack, app: AsyncApp) -> None:
    @app.middleware
    async def fail() -> None:
        pytest.fail("it was handed on")

    async with run(slack) as running:
        assert await post(running, events.member_joined_channel(), secret="another") == 401
        form = events.slash_command("/ticket")
        assert (await post_form(running, "/slack/commands", form, age=events.STALE)).status_code == 401


async def test_an_error_of_a_listener_is_logged(
    run: Run, slack: Slack, app: AsyncApp, caplog: pytest.LogCaptureFixture
) -> None:
    @app.event("member_joined_channel")
    async def fail() -> None:
        raise ValueError("no room for Bob")

    async with run(slack) as running:
        assert await post(running, events.member_joined_channel()) == 200
        await wait_until_async(lambda: "no room for Bob" in caplog.text, what="the error is logged")


async def test_middleware_that_hangs_does_not_delay_the_acknowledgement(
    run: Run, slack: Slack, app: AsyncApp, caplog: pytest.LogCaptureFixture
) -> None:
    @app.middleware
    async def hang() -> None:
        await asyncio.Event().wait()

    async with run(slack) as running, asyncio.timeout(20):
        assert await post(running, events.member_joined_channel()) == 200
        assert (await post_form(running, "/slack/commands", events.slash_command("/ticket"))).status_code == 503
    assert "did not acknowledge a request in time" in caplog.text


async def test_an_operators_command_is_answered_by_its_listener(run: Run, slack: Slack, app: AsyncApp) -> None:
    @app.command("/ticket")
    async def ticket(ack: Any, command: dict[str, Any]) -> None:
        await ack(f"a ticket: {command['text']}")

    async with run(slack) as running:
        answer = await post_form(running, "/slack/commands", events.slash_command("/ticket", "lamp & cable"))
        assert (answer.status_code, answer.text) == (200, "a ticket: lamp & cable")
        assert running.inbox() == []


@pytest.mark.parametrize("command", ["/accounts", "/bot"])
async def test_a_command_without_a_listener_is_for_the_bot(
    run: Run, slack: Slack, emulate: Emulate, command: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with run(slack) as running:
        answer = await post_form(running, "/slack/commands", events.slash_command(command, "accounts"))
        assert answer.json()["text"] == "I will answer you in a direct message."
        assert "no account" in (await said(emulate, emulate.slack_dm("alice"), 1))[0]
    assert "Unhandled request" not in caplog.text


async def test_the_bots_own_commands_reach_no_listener(run: Run, slack: Slack, app: AsyncApp) -> None:
    @app.command("/new")
    async def fail(ack: Any) -> None:
        await ack("stolen")

    async with run(slack) as running:
        answer = await post_form(running, "/slack/commands", events.slash_command("/new"))
        assert answer.json()["text"] == "I will answer you in a direct message."


async def test_a_lazy_listener_runs_after_the_acknowledgement(run: Run, slack: Slack, app: AsyncApp) -> None:
    done = asyncio.Event()

    async def accept(ack: Any) -> None:
        await ack("working on it")

    async def work(client: AsyncWebClient) -> None:
        if client.token:
            done.set()

    app.command("/report")(ack=accept, lazy=[work])
    async with run(slack) as running, asyncio.timeout(20):
        answer = await post_form(running, "/slack/commands", events.slash_command("/report"))
        assert answer.text == "working on it"
        await done.wait()


async def test_an_app_may_have_its_own_token(run: Run, emulate: Emulate) -> None:
    app, heard = AsyncApp(client=AsyncWebClient(emulate.bot_token, f"{emulate.slack_url}/")), list[str]()

    @app.event("member_joined_channel")
    async def note(event: dict[str, Any]) -> None:
        heard.append(event["user"])

    async with run(Slack(emulate.bot_token, emulate.signing_secret, emulate.slack_url, app=app)) as running:
        assert await post(running, events.member_joined_channel()) == 200
        await wait_until_async(lambda: heard == [seed.BOB.slack_id], what="the listener")


async def test_each_workspace_is_called_with_its_own_token(run: Run, app: AsyncApp, emulate: Emulate) -> None:
    tokens: list[tuple[str, str | None]] = []

    @app.event("member_joined_channel")
    async def note(body: dict[str, Any], client: AsyncWebClient) -> None:
        tokens.append((body["team_id"], client.token))

    ids = {"client_id": "1.2", "client_secret": "secret"}
    slack = Slack(signing_secret=emulate.signing_secret, api_url=emulate.slack_url, app=app, **ids)
    async with run(slack, base_url="https://bot.test") as running:
        for tenant in ("T1", "T2", "E1"):
            await running.gateway.host.installations.save(Installation("slack", tenant, f"xoxb-{tenant}", "UBOT"))
        of_organization = events.member_joined_channel()
        of_organization["authorizations"][0] |= {"enterprise_id": "E1", "team_id": "T9", "is_enterprise_install": True}
        joined = events.member_joined_channel()["event"]
        payloads = [*(events.envelope(joined, tenant) for tenant in ("T1", "T2", "T3")), of_organization]
        for payload in payloads:
            assert await post(running, payload) == 200
        await wait_until_async(lambda: len(tokens) == 3, what="the listeners of three workspaces")
        assert [token for _, token in tokens] == ["xoxb-T1", "xoxb-T2", "xoxb-E1"]  # the app is not in T3


def shortcut(callback_id: str) -> dict[str, Any]:
    """Build a global shortcut: https://docs.slack.dev/reference/interaction-payloads/shortcuts-interaction-payload"""
    return {
        "type": "shortcut",
        "token": "verification-token",
        "action_ts": events.ts(),
        "team": {"id": seed.SLACK_TEAM_ID, "domain": "peers"},
        "user": {"id": seed.ALICE.slack_id, "username": "alice", "team_id": seed.SLACK_TEAM_ID},
        "is_enterprise_install": False,
        "enterprise": None,
        "callback_id": callback_id,
        "trigger_id": "1.2.3",
    }


def submission(callback_id: str, title: str) -> dict[str, Any]:
    """Build a submitted modal: https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload"""
    state = {"values": {"title": {"title": {"type": "plain_text_input", "value": title}}}}
    return {
        **{name: value for name, value in shortcut(callback_id).items() if name not in ("callback_id", "action_ts")},
        "type": "view_submission",
        "api_app_id": seed.SLACK_APP_ID,
        "view": {"id": "V1", "type": "modal", "callback_id": callback_id, "state": state, "private_metadata": ""},
        "response_urls": [],
    }


async def interact(running: Running, payload: dict[str, Any], **signing: Any) -> httpx.Response:
    return await post_form(running, "/slack/interactivity", {"payload": json.dumps(payload)}, **signing)


async def test_a_shortcut_opens_a_modal_and_the_modal_is_submitted(
    run: Run, slack: Slack, app: AsyncApp, emulate: Emulate
) -> None:
    emulate.slack.fail("/api/views.open", 200, body={"ok": True})
    submitted: list[str] = []

    @app.shortcut("new_ticket")
    async def ask(ack: Any, shortcut: dict[str, Any], client: AsyncWebClient) -> None:
        await ack()
        await client.views_open(trigger_id=shortcut["trigger_id"], view={"type": "modal", "callback_id": "ticket"})

    @app.view("ticket")
    async def take(ack: Any, view: dict[str, Any]) -> None:
        title = view["state"]["values"]["title"]["title"]["value"]
        if not title:
            await ack(response_action="errors", errors={"title": "Say what it is about."})
            return
        await ack()
        submitted.append(title)

    async with run(slack) as running:
        assert (await interact(running, shortcut("new_ticket"))).status_code == 200
        await wait_until_async(lambda: emulate.slack.calls("/api/views.open"), what="the modal")
        assert emulate.slack.calls("/api/views.open")[0].params["trigger_id"] == "1.2.3"
        refused = await interact(running, submission("ticket", ""))
        assert refused.json() == {"response_action": "errors", "errors": {"title": "Say what it is about."}}
        assert (await interact(running, submission("ticket", "a lamp"))).text == ""
        await wait_until_async(lambda: submitted == ["a lamp"], what="the modal is taken")
        assert running.inbox() == []


async def test_a_press_of_an_operators_button_reaches_its_listener_and_one_of_a_question_does_not(
    run: Run, slack: Slack, app: AsyncApp
) -> None:
    pressed: list[str] = []

    @app.action(re.compile(""))
    async def note(ack: Any, action: dict[str, Any]) -> None:
        await ack()
        pressed.append(action["action_id"])

    async with run(slack) as running:
        for action_id, value in (("vote", "tea"), ("sign_in", "x"), ("question.0", "Zm9vYmFyLWZvb2Jhci1mbw")):
            payload = interactions.block_actions(interactions.button(action_id, value))
            assert (await interact(running, payload)).status_code == 200
        await wait_until_async(lambda: pressed == ["vote"], what="the listener")


async def test_a_listener_provides_the_options_of_a_menu(run: Run, slack: Slack, app: AsyncApp) -> None:
    found = [{"text": {"type": "plain_text", "text": "Lamp"}, "value": "lamp"}]

    @app.options("things")
    async def options(ack: Any) -> None:
        await ack(options=found)

    payload = {**shortcut(""), "type": "block_suggestion", "action_id": "things", "block_id": "b", "value": "la"}
    async with run(slack) as running:
        assert (await interact(running, payload)).json() == {"options": found}


async def test_a_forged_interaction_reaches_no_listener(run: Run, slack: Slack, app: AsyncApp) -> None:
    @app.middleware
    async def fail() -> None:
        pytest.fail("it was handed on")

    async with run(slack) as running:
        assert (await interact(running, shortcut("new_ticket"), secret="another")).status_code == 401


async def test_an_interaction_that_no_listener_acknowledges_is_answered_as_bolt_answers(
    run: Run, slack: Slack, app: AsyncApp, caplog: pytest.LogCaptureFixture
) -> None:
    @app.shortcut("broken")
    async def fail() -> None:
        raise ValueError("no lamp")

    async with run(slack) as running:
        assert (await interact(running, shortcut("nobodys"))).status_code == 404
        assert (await interact(running, shortcut("broken"))).status_code == 500
    assert "no lamp" in caplog.text
