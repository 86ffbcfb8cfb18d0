"""What comes over Socket Mode is handled as what comes over webhooks."""

import asyncio
from typing import Any

import httpx
import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.socket_mode.server import APP_TOKEN, SocketModeServer
from peers.wait import wait_until_async
from peers.webhooks import slack_events as events
from peers.webhooks import slack_interactions as interactions
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from support.channels.presses import CARD_ID, Pressed
from support.channels.running import Run
from support.channels.slack import BOT, dm, post, said

from gateway.channels import PressOutcome
from interfaces.slack import Slack, authorize


@pytest.fixture
def slack(emulate: Emulate, socket_mode: SocketModeServer) -> Slack:
    return Slack(emulate.bot_token, app_token=APP_TOKEN, api_url=socket_mode.url)


async def test_a_message_is_answered_without_a_public_address_and_without_webhooks(
    run: Run, slack: Slack, emulate: Emulate, socket_mode: SocketModeServer
) -> None:
    async with run(slack, base_url=None) as running:
        delivery = socket_mode.deliver(dm(emulate, "hello"))
        await asyncio.to_thread(delivery.wait)
        assert await said(emulate, emulate.slack_dm("alice"), 1) == ["heard"]
        assert await post(running, dm(emulate, "hello")) == 404
        assert running.prompts == ["hello"]


async def test_an_event_that_slack_delivers_again_is_answered_once(
    run: Run, slack: Slack, emulate: Emulate, socket_mode: SocketModeServer
) -> None:
    async with run(slack) as running:
        payloads = [dm(emulate, "hello"), *events.mention_pair(f"{BOT} hello")]
        for payload in (*payloads, *payloads):
            await asyncio.to_thread(socket_mode.deliver(payload).wait)
        await said(emulate, emulate.slack_dm("alice"), 1)
        await running.delivered()
        assert running.prompts == ["hello", "hello"]


async def test_while_an_app_switches_from_webhooks_to_socket_mode_each_event_is_answered_once(
    run: Run, emulate: Emulate, socket_mode: SocketModeServer
) -> None:
    both = Slack(emulate.bot_token, emulate.signing_secret, socket_mode.url, app_token=APP_TOKEN)
    async with run(both) as running:
        payloads = [dm(emulate, str(number)) for number in range(6)]
        for number, payload in enumerate(payloads):
            if number != 5:
                assert await post(running, payload) == 200
            if number != 0:
                await asyncio.to_thread(socket_mode.deliver(payload).wait)
        await said(emulate, emulate.slack_dm("alice"), 6)
        assert running.prompts == ["0", "1", "2", "3", "4", "5"]
        socket_mode.opening_error = "socket_mode_not_enabled"
        socket_mode.disconnect("link_disabled")
        await wait_until_async(lambda: socket_mode.connections == 0, what="Socket Mode is off")
        assert (await running.client.get("/readyz")).status_code == 200


async def test_a_malformed_event_is_not_acknowledged(
    run: Run, slack: Slack, emulate: Emulate, socket_mode: SocketModeServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with run(slack) as running:
        delivery = socket_mode.deliver(dm(emulate, "hello", user=5))
        await wait_until_async(lambda: delivery.is_over, what="Slack has given up")
        assert delivery.acknowledgement is None
        assert "user of a Slack event" in caplog.text
        assert running.inbox() == []


async def test_a_slash_command_is_acknowledged_with_a_sentence(
    run: Run, slack: Slack, emulate: Emulate, socket_mode: SocketModeServer
) -> None:
    async with run(slack):
        delivery = socket_mode.deliver_command(events.slash_command("/accounts"))
        acknowledged = await asyncio.to_thread(delivery.wait)
        assert acknowledged["payload"]["text"] == "I will answer you in a direct message."
        assert "no account" in (await said(emulate, emulate.slack_dm("alice"), 1))[0]


async def test_a_press_is_acknowledged_and_its_sentence_is_shown(
    run: Run, slack: Slack, emulate: Emulate, socket_mode: SocketModeServer
) -> None:
    async with run(slack):
        pressed = await Pressed.between(slack)
        pressed.outcome = PressOutcome.CLOSED
        place = emulate.slack_channel_id
        address = f"{socket_mode.url.removesuffix('/api/')}/actions/{place}/{seed.ALICE.slack_id}/1.1"
        payload = interactions.block_actions(interactions.button("question.0", CARD_ID), response_url=address)
        acknowledged = await asyncio.to_thread(socket_mode.deliver_interaction(payload).wait)
        assert "payload" not in acknowledged
        assert [press.question_id for press in pressed.presses] == [CARD_ID]
        await wait_until_async(lambda: emulate.slack_ephemerals("alice", place), what="the sentence")


async def test_the_app_home_is_shown(run: Run, slack: Slack, emulate: Emulate, socket_mode: SocketModeServer) -> None:
    async with run(slack):
        opened = events.envelope(
            {"type": "app_home_opened", "user": seed.ALICE.slack_id, "channel": "D1", "tab": "home", "event_ts": "1.1"}
        )
        await asyncio.to_thread(socket_mode.deliver(opened).wait)
        await wait_until_async(lambda: emulate.slack.calls("views.publish"), what="the home is published")


async def test_own_listeners_acknowledge_with_a_payload(
    run: Run, emulate: Emulate, socket_mode: SocketModeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-unused")
    app = AsyncApp(authorize=authorize)
    monkeypatch.undo()

    @app.view("ticket")
    async def refuse(ack: Any) -> None:
        await ack(response_action="errors", errors={"problem": "Say a little more, please."})

    @app.options("city")
    async def options(ack: Any) -> None:
        await ack(options=[{"text": {"type": "plain_text", "text": "Ulm"}, "value": "ulm"}])

    @app.command("/ticket")
    async def command(ack: Any) -> None:
        await ack("noted")

    @app.event("member_joined_channel")
    async def greet(event: dict[str, Any], client: AsyncWebClient, request: Any) -> None:
        retries = request.headers.get("x-slack-retry-num")
        await client.chat_postMessage(channel=event["channel"], text=f"welcome {retries}")

    slack = Slack(emulate.bot_token, app_token=APP_TOKEN, api_url=socket_mode.url, app=app)
    user, team = {"id": seed.ALICE.slack_id, "team_id": seed.SLACK_TEAM_ID}, {"id": seed.SLACK_TEAM_ID}
    about = {"user": user, "team": team}
    async with run(slack):
        view = {"type": "view_submission", "view": {"id": "V1", "type": "modal", "callback_id": "ticket"}, **about}
        acknowledged = await asyncio.to_thread(socket_mode.deliver_interaction(view).wait)
        assert acknowledged["payload"]["errors"] == {"problem": "Say a little more, please."}
        search = {"type": "block_suggestion", "action_id": "city", "block_id": "b", "value": "u", **about}
        acknowledged = await asyncio.to_thread(socket_mode.deliver_interaction(search).wait)
        assert acknowledged["payload"]["options"][0]["value"] == "ulm"
        acknowledged = await asyncio.to_thread(socket_mode.deliver_command(events.slash_command("/ticket")).wait)
        assert acknowledged["payload"] == {"text": "noted"}
        await asyncio.to_thread(socket_mode.deliver(events.member_joined_channel()).wait)
        assert await said(emulate, emulate.slack_channel_id, 1) == ["welcome None"]


async def test_readiness_says_since_when_slack_is_not_connected(
    run: Run, slack: Slack, socket_mode: SocketModeServer
) -> None:
    async with run(slack) as running:

        async def status() -> httpx.Response:
            return await running.client.get("/readyz")

        await wait_until_async(lambda: socket_mode.connections == 2, what="two connections")
        assert (await status()).status_code == 200
        socket_mode.opening_error = "internal_error"
        socket_mode.drop()
        await wait_until_async(lambda: socket_mode.connections == 0, what="the connections are gone")

        async def is_not_ready() -> bool:
            return (await status()).status_code == 503

        await wait_until_async(is_not_ready, what="it is not ready")
        assert (await status()).json()["status"].startswith("slack: not connected to Slack since 20")
        socket_mode.opening_error = None

        async def is_ready() -> bool:
            return (await status()).status_code == 200

        await wait_until_async(is_ready, what="it is ready")


async def test_many_workspaces_need_an_address_for_the_install_pages(
    run: Run, emulate: Emulate, socket_mode: SocketModeServer
) -> None:
    slack = Slack(
        client_id=emulate.slack_client_id,
        client_secret=emulate.slack_client_secret,
        app_token=APP_TOKEN,
        api_url=socket_mode.url,
    )
    async with run(slack) as running:
        assert (await running.client.get("/slack/install")).status_code == 200
        await wait_until_async(lambda: socket_mode.connections == 2, what="two connections")
